"""Examples as they are shown: tile and answer, gathered once for a run and kept under their hash.

A run that is resumed has to ask what it asked before, whatever was reviewed meanwhile. So the examples it may show are
written down when it begins; see docs/decisions/examples-of-a-run.md.
"""

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from types import MappingProxyType
from typing import Any, Final
from uuid import uuid4

import orjson
from sqlalchemy import ColumnElement, Connection, select

from db.models import Feature, TileFeature
from db.models import Tile as TileRow
from maploop.contract import Contract, render_answer
from maploop.errors import ConflictError, ImageryError, InputError, NotFoundError
from maploop.imagery.info import ImagerySource
from maploop.imagery.pixel_records import MEASURE_PIXELS, coverage_in
from maploop.imagery.pixels import PixelCoverage, coverage_of
from maploop.imagery.sharing import reason_to_stay
from maploop.imagery.tilemath import Tile
from maploop.predict.scene import Sources
from maploop.project import ProjectView
from maploop.settings import get_settings
from maploop.vectors.geometry import as_geometries

LEARN_FROM: Final = "train"  # the only split whose tiles may be shown: the others are to measure on
_REVIEWED: Final = ("complete", "approved")
_ANNOTATED: Final = ("accept", "correct", "add")
_FORMAT: Final = 1
_LOOKED_AT: Final = 400
_ALL_MAY_LEAVE: Final[Mapping[int, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Example:
    """A reviewed tile of the training split with the answer that a perfect model would give.

    `fingerprint` says whether its pixels are still those.
    """

    tile: Tile
    fingerprint: str
    answer: str
    class_names: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Pool:
    """The examples that a run's shots are taken from."""

    examples: tuple[Example, ...]

    @cached_property
    def hash(self) -> str:
        """SHA-256 over tiles, pixels and answers."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def to_bytes(self) -> bytes:
        """Canonical bytes: equal pools give equal bytes."""
        rows = [[str(each.tile), each.fingerprint, each.answer] for each in self.examples]
        return orjson.dumps({"format": _FORMAT, "examples": rows})


def may_be_shown(project: ProjectView, stays: Collection[int] = ()) -> ColumnElement[bool]:
    """Condition on tiles: of the training split, finished by somebody, with imagery, and with nothing left unsure.

    `stays`: ids of imagery whose pictures may not be sent to the model's server.
    """
    unsure = (
        select(TileFeature.tile_id)
        .join(Feature, Feature.id == TileFeature.feature_id)
        .where(Feature.project_id == project.id, Feature.verdict == "unsure", Feature.withdrawn.is_(False))
    )
    return (
        (TileRow.project_id == project.id)
        & (TileRow.z == project.zoom)
        & (TileRow.split == LEARN_FROM)
        & TileRow.status.in_(_REVIEWED)
        & TileRow.imagery_id.is_not(None)
        & TileRow.imagery_id.not_in(list(stays))
        & TileRow.id.not_in(unsure)
    )


def gather_pool(
    connection: Connection,
    project: ProjectView,
    contract: Contract,
    sources: Sources,
    *,
    most: int | None = None,
    stays: Mapping[int, str] = _ALL_MAY_LEAVE,
) -> Pool:
    """The examples as they are reviewed now: all of them, or `most`, those that show every class first.

    They come in the lasting mixed order of the project's tiles. Imagery that `stays`, ids with public names, is not
    among them: its pictures may not be sent to the model. Raises ConflictError when there is none.
    """
    among = may_be_shown(project, stays)
    if most is not None:  # any few hundred show every class that is not rare
        among = TileRow.id.in_(select(TileRow.id).where(among).order_by(TileRow.shuffle, TileRow.id).limit(_LOOKED_AT))
    examples = list(_examples(connection, project, among, contract, sources))
    if not examples:
        but = "".join(f", and {reason_to_stay(name)}" for name in stays.values())
        msg = f"{project.name!r} has no reviewed training tile to show{but}: finish some, or ask without examples."
        raise ConflictError(msg)
    return Pool(tuple(examples if most is None else _telling(examples, most)))


def _examples(
    connection: Connection, project: ProjectView, among: ColumnElement[bool], contract: Contract, sources: Sources
) -> Iterator[Example]:
    names = {each.id: each.name for each in project.classes}
    rows = connection.execute(
        select(
            TileRow.x,
            TileRow.y,
            TileRow.imagery_id,
            TileRow.pixel_share,
            TileRow.pixel_mask,
            TileRow.pixel_source,
            Feature.class_id,
            Feature.geometry,
        )
        .outerjoin(TileFeature, TileFeature.tile_id == TileRow.id)
        .outerjoin(
            Feature,
            (Feature.id == TileFeature.feature_id) & Feature.verdict.in_(_ANNOTATED) & Feature.withdrawn.is_(False),
        )
        .where(among)
        .order_by(TileRow.shuffle, TileRow.id, Feature.id)
    )
    for (x, y, imagery_id), each in groupby(rows, key=lambda row: (row.x, row.y, row.imagery_id)):
        features = list(each)
        tile = Tile(project.zoom, x, y)
        try:
            source = sources(imagery_id)
            coverage = _coverage(source, tile, features[0])
        except ImageryError:
            continue  # what cannot be seen cannot be shown
        if not coverage.share:
            continue
        drawn = [feature for feature in features if feature.class_id is not None]
        seen = coverage.under(as_geometries([feature.geometry for feature in drawn]), tile)
        truth = [(names[feature.class_id], feature.geometry) for feature, kept in zip(drawn, seen, strict=True) if kept]
        yield Example(
            tile, source.fingerprint, render_answer(truth, tile, contract), frozenset(name for name, _ in truth)
        )


def _coverage(source: ImagerySource, tile: Tile, row: Any) -> PixelCoverage:
    """Where a tile has pixels: as it was measured, or measured now. Raises ImageryError."""
    if row.pixel_source == source.fingerprint and (known := coverage_in(row.pixel_share, row.pixel_mask)) is not None:
        return known
    return coverage_of(source.read(tile, MEASURE_PIXELS))


def _telling(examples: Sequence[Example], most: int) -> list[Example]:
    """Those that show what no other one did yet come first, otherwise those that come first."""
    chosen: list[Example] = []
    left = list(examples)
    seen: set[str] = set()
    while left and len(chosen) < most:
        best = max(left, key=lambda each: len(each.class_names - seen))  # the first of the best
        left.remove(best)
        chosen.append(best)
        seen |= best.class_names
    return chosen


def keep_pool(pool: Pool) -> str:
    """Write a pool into the data folder -> its hash."""
    path = get_settings().data / "examples" / f"{pool.hash}.json"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{uuid4().hex}.draft")
        try:
            draft.write_bytes(pool.to_bytes())
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    return pool.hash


def open_pool(connection: Connection, project: ProjectView, pool_hash: str) -> Pool:
    """The pool of a hash. Raises NotFoundError, and InputError when it holds what may not be shown."""
    path = get_settings().data / "examples" / f"{pool_hash}.json"
    try:
        content = path.read_bytes()
    except OSError as error:
        msg = f"{path} is missing: restore it from a backup, or begin a new run."
        raise NotFoundError(msg) from error
    if hashlib.sha256(content).hexdigest() != pool_hash:
        msg = f"{path} was changed after it was kept: restore it from a backup, or begin a new run."
        raise InputError(msg)
    rows: list[list[Any]] = orjson.loads(content)["examples"]
    pool = Pool(tuple(Example(_tile(address), fingerprint, answer) for address, fingerprint, answer in rows))
    check_split(connection, project, pool)
    return pool


def check_split(connection: Connection, project: ProjectView, pool: Pool) -> None:
    """Raises InputError unless every tile of the pool is of the training split: what measures must not teach."""
    rows = connection.execute(
        select(TileRow.x, TileRow.y).where(
            TileRow.project_id == project.id, TileRow.z == project.zoom, TileRow.split == LEARN_FROM
        )
    )
    training = {Tile(project.zoom, row.x, row.y) for row in rows}
    if astray := [each.tile for each in pool.examples if each.tile not in training]:
        msg = f"{astray[0]} is not a training tile of {project.name!r}, so no model may be shown its answer."
        raise InputError(msg)


def _tile(text: str) -> Tile:
    z, x, y = (int(part) for part in text.split("/"))
    return Tile(z, x, y)
