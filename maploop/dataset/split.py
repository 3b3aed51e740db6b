"""The spatial, sticky split: blocks of neighbouring tiles go to one side each, so that the sides come out as wished."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Final, Literal

from maploop.imagery.tilemath import Tile
from maploop.project import ProjectSettings

Split = Literal["train", "validation", "test"]
SPLITS: Final[tuple[Split, ...]] = ("train", "validation", "test")
ENOUGH_BLOCKS: Final = 24  # a fifth of them is 5: the fewest that the gate of promotion takes
LARGEST_OFFSET: Final = 2  # blocks of 4 x 4 tiles, where there are enough of them


def unit_hash(seed: str, subject: object) -> float:
    """A number in [0, 1) that depends on nothing but the project's seed and the subject's text."""
    digest = hashlib.sha256(f"{seed}:{subject}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def wished_shares(settings: ProjectSettings) -> dict[Split, float]:
    """The share of the tiles that each side is to have; they sum to 1."""
    test, validation = settings.test_share, settings.validation_share
    return {"train": 1 - test - validation, "validation": validation, "test": test}


def offset_for(blocks: Mapping[int, int]) -> int:
    """How many zooms above the tiles blocks are to be: the largest of which there are enough.

    `blocks` says how many blocks there would be by offset, 0 upwards.
    """
    return max((offset for offset, count in blocks.items() if count >= ENOUGH_BLOCKS), default=0)


def assign(
    blocks: Mapping[Tile, int], taken: Mapping[Split, int], seed: str, settings: ProjectSettings
) -> dict[Tile, Split]:
    """The side of each new block: block by block, the side whose share is shortest relative to its wish.

    blocks      how many tiles each has
    taken       how many tiles each side has already

    Shortest is the side with the least (taken + half the block) / wish: the method of Webster and Sainte-Laguë, which
    for three sides and blocks of one size is always within one block of the wish (Balinski and Young 1982, Fair
    Representation, appendix A). Blocks come in the order of their hashes with the seed, which is none on the ground;
    ties go by hash too. So the same imports in the same order make the same split, on any machine.
    """
    wishes = {side: wish for side, wish in wished_shares(settings).items() if wish > 1e-9}
    tiles = {side: float(taken.get(side, 0)) for side in wishes}
    found: dict[Tile, Split] = {}
    for block in by_hash(blocks, seed):
        half = blocks[block] / 2

        def shortage(side: Split, block: Tile = block, half: float = half) -> tuple[float, float]:
            return round((tiles[side] + half) / wishes[side], 9), unit_hash(seed, f"{block} {side}")

        side = min(wishes, key=shortage)
        tiles[side] += blocks[block]
        found[block] = side
    return found


def by_hash(blocks: Iterable[Tile], seed: str) -> list[Tile]:
    """Blocks in the order of their hashes."""
    return sorted(blocks, key=lambda block: (unit_hash(seed, block), block))
