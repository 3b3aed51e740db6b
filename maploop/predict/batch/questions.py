"""What a batch asks about a tile: the same as asking one by one, but for what the server turned out not to take."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from maploop.contract import Contract
from maploop.errors import ImageryError
from maploop.imagery.tilemath import Tile
from maploop.predict.chat.parameters import ChatParameters
from maploop.predict.chat.request import Abilities, abilities_of, chat_request, without_what_is_refused
from maploop.predict.chat.shots import Shots, tile_picture
from maploop.predict.predictor import Assignment, Failure
from maploop.prices import Price


@dataclass
class Questions:
    """One model under one contract; `price` is what a batch costs, `abilities` what the server is taken to know."""

    identifier: str
    parameters: ChatParameters
    contract: Contract
    shots: Shots
    price: Price | None
    abilities: Abilities = field(init=False)

    def __post_init__(self) -> None:
        self.abilities = abilities_of(self.parameters)

    def body(self, tile: Tile, assignment: Assignment) -> Mapping[str, Any] | Failure:
        """The body of a request about a tile, or why there is none. Raises MaploopError when no tile can be asked."""
        try:
            image = tile_picture(tile, assignment, self.contract)
            if isinstance(image, Failure):
                return image
            shots = self.shots.of(tile, assignment)
        except ImageryError as error:
            return Failure("imagery", str(error))
        return chat_request(self.contract, image, shots, self.identifier, self.parameters, self.abilities)

    def learn(self, then: Abilities, complaint: str) -> bool:
        """Whether a request that was refused may do better now, with less than what it was asked with `then`."""
        if self.abilities == then:
            self.abilities = without_what_is_refused(then, self.parameters, complaint) or then
        return self.abilities != then
