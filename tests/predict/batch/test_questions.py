"""What a batch asks about a tile, and what it does not."""

import numpy as np
from numpy.typing import NDArray

from maploop.contract import contract_of
from maploop.imagery.info import SourceInfo
from maploop.imagery.tilemath import Tile
from maploop.predict.batch.questions import Questions
from maploop.predict.chat.parameters import ChatParameters
from maploop.predict.chat.shots import NoShots
from maploop.predict.predictor import Assignment, Failure
from tests.predict.batch.ground import World

SEEN, HOLE = Tile(19, 10, 10), Tile(19, 11, 10)


class Torn:
    """Grey imagery with a hole."""

    info = SourceInfo("xyz", "https://tiles.example.org", None, 0, 19)
    fingerprint = "torn"

    def read(self, tile: Tile, size: int) -> NDArray[np.uint8]:
        return np.full((size, size, 4), 0 if tile == HOLE else 255, dtype=np.uint8)


def test_a_tile_without_pixels_is_never_asked_about(world: World) -> None:
    parameters = ChatParameters.of({"base_url": "http://127.0.0.1:1/v1"})
    questions = Questions("m", parameters, contract_of(world.project), NoShots(), None)
    assignment = Assignment([SEEN, HOLE], lambda _: Torn())
    assert not isinstance(questions.body(SEEN, assignment), Failure)
    refused = questions.body(HOLE, assignment)
    assert isinstance(refused, Failure)
    assert (refused.kind, "has no pixels for 19/11/10" in refused.message) == ("imagery", True)
