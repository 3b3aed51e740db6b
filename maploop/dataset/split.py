"""The spatial, sticky split: neighbouring tiles look alike, so whole blocks of them go to one side, for ever."""

import hashlib
from typing import Literal

from maploop.imagery.tilemath import Tile
from maploop.project import ProjectSettings

Split = Literal["train", "validation", "test"]


def unit_hash(seed: str, subject: object) -> float:
    """A number in [0, 1) that depends on nothing but the project's seed and the subject's text."""
    digest = hashlib.sha256(f"{seed}:{subject}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def split_of(tile: Tile, seed: str, settings: ProjectSettings) -> Split:
    """The split of a tile: its block, a parent `block_zoom_offset` zooms up, hashed with the project's seed."""
    block = tile.parent(max(0, tile.z - settings.block_zoom_offset))
    draw = unit_hash(seed, block)
    if draw < settings.test_share:
        return "test"
    return "validation" if draw < settings.test_share + settings.validation_share else "train"
