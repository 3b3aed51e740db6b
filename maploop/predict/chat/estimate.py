"""What a run of a chat model will take: tokens and cost, before anything is sent."""

from dataclasses import dataclass
from typing import Any, Final

from maploop.contract import Contract
from maploop.predict.chat.parameters import ChatParameters
from maploop.prices import Price
from maploop.tokens import MESSAGE_TOKENS, image_tokens, text_tokens

ANSWER_TOKENS: Final = 400  # where nothing is known of the answers: a tile with a dozen outlines
_PIXELS_A_TOKEN: Final = 14 * 14  # of models whose formula is not known: the finest patches there are
_CAUTION: Final = 1.3  # what texts may have more tokens than estimated, at most


@dataclass(frozen=True)
class Estimate:
    """Tokens and USD for some tiles.

    cost    None: the price is unknown
    most    with every answer as long as it may be
    """

    tiles: int
    input_tokens: int
    output_tokens: int
    cost: float | None
    most: float | None

    def to_json(self) -> dict[str, Any]:
        """As it is kept with a run and printed; `tokens` are all."""
        return {
            "tiles": self.tiles,
            "tokens": self.input_tokens + self.output_tokens,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "cost": None if self.cost is None else round(self.cost, 6),
            "most": None if self.most is None else round(self.most, 6),
        }


def input_tokens(contract: Contract, model: str, shots: int, shot_tokens: float, *, at_most: bool = False) -> int:
    """Tokens of one request with so many shots, whose answers have so many tokens each; `at_most`: to be on the safe
    side.

    `model` is its name in the price table.
    """
    size = contract.image_size
    picture = image_tokens(size, size, model, contract.detail) or -(-size * size // _PIXELS_A_TOKEN)
    question = text_tokens(contract.user) + picture + MESSAGE_TOKENS
    texts = text_tokens(contract.system) + MESSAGE_TOKENS + text_tokens(str(contract.response_format))
    total = texts + (shots + 1) * question + shots * (shot_tokens + MESSAGE_TOKENS)
    return int(total * (_CAUTION if at_most else 1.0))


def estimate(tiles: int, asked: int, answer_tokens: int, parameters: ChatParameters, price: Price | None) -> Estimate:
    """For so many tiles, each asked with and answered in so many tokens."""
    longest = parameters.max_tokens
    most = None if price is None or longest is None else tiles * price.cost(asked, 0, 0, longest)
    cost = None if price is None else tiles * price.cost(asked, 0, 0, answer_tokens)
    return Estimate(tiles, tiles * asked, tiles * answer_tokens, cost, most)
