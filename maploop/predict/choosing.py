"""Choose the tiles of a run: given, all, unreviewed or finished ones, of a split, the most worth knowing of these."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from sqlalchemy import Connection, exists, select

from db.conditions import counts, undecided
from db.models import Feature, TileFeature
from db.models import Tile as TileRow
from maploop.dataset.split import Split
from maploop.errors import InputError, NotFoundError
from maploop.imagery.pixel_records import may_have_pixels
from maploop.imagery.tilemath import Tile
from maploop.project import ProjectView

Scope = Literal["unreviewed", "finished", "all"]
SPLITS: Final[tuple[Split, ...]] = ("train", "validation", "test")
_UNREVIEWED = ("open", "returned")
_FAR: Final = 8.0  # tiles; farther from known ground than this is hardly more unknown


@dataclass(frozen=True)
class TileChoice:
    """What a run is to cover.

    scope   tiles with imagery that nobody finished, that somebody finished, or all. None: unreviewed ones, and where
            a split is named the finished ones, which are those that can be learned from and measured on
    split   of this split only
    most    so many of them at most, those most worth knowing
    given   these very tiles; scope, split and `most` then do not matter
    """

    scope: Scope | None = None
    split: Split | None = None
    most: int | None = None
    given: Sequence[Tile] = ()

    @property
    def effective_scope(self) -> Scope:
        """The scope in force."""
        return self.scope or ("finished" if self.split else "unreviewed")

    def to_text(self) -> str:
        """Name the tiles in words, to follow a number: `finished tiles of the test split`."""
        if self.given:
            return "given tiles"
        words = {"unreviewed": "unreviewed tiles", "finished": "finished tiles", "all": "tiles with imagery"}
        return words[self.effective_scope] + (f" of the {self.split} split" if self.split else "")


def split_named(text: str) -> Split:
    """Read `train`, `validation` or `test`. Raises InputError."""
    if text not in SPLITS:
        msg = f"{text!r} is not a split: use {', '.join(SPLITS)}."
        raise InputError(msg)
    return text


def choose_tiles(
    connection: Connection, project: ProjectView, choice: TileChoice, without: frozenset[int] = frozenset()
) -> dict[int, Tile]:
    """Row ids and addresses of the chosen tiles that are not among the ids `without`; neighbours near one another.

    Holes in the imagery that somebody has seen are not among them unless they are given.

    Raises InputError, and NotFoundError for a given tile that the project does not have or that has no imagery.
    """
    if choice.most is not None and choice.most < 1:
        msg = f"{choice.most} tiles cannot be predicted: ask for 1 or more."
        raise InputError(msg)
    condition = (TileRow.project_id == project.id) & (TileRow.z == project.zoom) & TileRow.imagery_id.is_not(None)
    if not choice.given:
        condition &= may_have_pixels()
        if choice.effective_scope != "finished":
            condition &= counts()
        if choice.effective_scope == "unreviewed":
            condition &= TileRow.status.in_(_UNREVIEWED)
        if choice.effective_scope == "finished":
            condition &= TileRow.status.not_in(_UNREVIEWED)
        if choice.split is not None:
            condition &= TileRow.split == choice.split
    rows = connection.execute(
        select(TileRow.id, TileRow.z, TileRow.x, TileRow.y).where(condition).order_by(TileRow.quadkey)
    )
    tiles = {row.id: Tile(row.z, row.x, row.y) for row in rows}
    if choice.given:
        wanted = set(choice.given)
        if lacking := sorted(wanted - set(tiles.values())):
            msg = f"{lacking[0]} is not a tile of {project.name!r} with imagery: its working zoom is {project.zoom}."
            raise NotFoundError(msg)
        tiles = {key: tile for key, tile in tiles.items() if tile in wanted}
    tiles = {key: tile for key, tile in tiles.items() if key not in without}
    if choice.given or choice.most is None or len(tiles) <= choice.most:
        return tiles
    best = _most_worth_knowing(connection, project, tiles, choice.most)
    return {key: tile for key, tile in tiles.items() if key in best}


def _most_worth_knowing(connection: Connection, project: ProjectView, tiles: dict[int, Tile], count: int) -> set[int]:
    """Ids of the tiles of which least is known: the mean of two shares, each from 0 to 1.

    How unsure the models are of what they predicted there (1 where nothing is predicted), and how far reviewed ground
    is, with the tiles chosen so far taken for reviewed: neighbours look alike.
    """
    ids = np.array(list(tiles), dtype=np.int64)
    places = np.array([(tile.x, tile.y) for tile in tiles.values()], dtype=np.float64)
    unsure = _uncertainties(connection, project)
    doubt = np.array([unsure.get(key, 1.0) for key in ids.tolist()])
    reviewed = connection.execute(
        select(TileRow.x, TileRow.y).where(
            TileRow.project_id == project.id, TileRow.z == project.zoom, TileRow.status.not_in(_UNREVIEWED)
        )
    ).all()
    distance = _distance_to(places, np.array([tuple(row) for row in reviewed], dtype=np.float64).reshape(-1, 2))
    chosen: list[int] = []
    free = np.ones(len(ids), dtype=np.bool_)
    for _ in range(count):
        worth = np.where(free, doubt + np.minimum(distance, _FAR) / _FAR, -1.0)
        best = int(worth.argmax())
        free[best] = False
        chosen.append(int(ids[best]))
        distance = np.minimum(distance, np.hypot(*(places - places[best]).T))
    return set(chosen)


def _uncertainties(connection: Connection, project: ProjectView) -> dict[int, float]:
    """Tile id -> uncertainty, of the tiles with something undecided."""
    asks = exists().where(TileFeature.tile_id == TileRow.id, TileFeature.feature_id == Feature.id, undecided())
    rows = connection.execute(select(TileRow.id, TileRow.uncertainty).where(TileRow.project_id == project.id, asks))
    return dict(rows.all())


def _distance_to(places: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """In tiles, from each place to the nearest of the others; `_FAR` where there is none."""
    if not len(others):
        return np.full(len(places), _FAR)

    return np.asarray(cKDTree(others).query(places)[0], dtype=np.float64)
