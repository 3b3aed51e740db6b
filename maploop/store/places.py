"""Compares the tiles that features are listed on with those that their outlines touch, in parts of 2,000 features."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from sqlalchemy import Connection, LargeBinary, exists, func, or_, select, type_coerce

from db.bulk import in_lists
from db.models import Decision, Feature, Import, ImportTile, Prediction, Project, Run, RunTile, Tile, TileFeature
from maploop.imagery.tilemath import tile_indices
from maploop.store.derived import Difference
from maploop.vectors.geometry import Geometries, as_geometries, split_by_tiles

_PART = 2_000  # features looked at at once

Pairs = NDArray[np.int64]  # of feature id and tile id, shape (n, 2)


def differing_places(connection: Connection) -> Iterator[Difference]:
    """Features that are not listed on a tile they touch, or on one that they do not; withdrawals that no run made.

    A tile made after a person drew the outline need not list it. A feature that is no more (an addition that was
    undone, predictions that were taken back) is listed on all of its tiles, or on none.
    """
    for project in connection.execute(select(Project.id, Project.zoom).order_by(Project.id)).all():
        known = _Tiles(connection, project.id, project.zoom)
        last = 0
        while rows := connection.execute(_features(project.id, last)).all():
            last = rows[-1].id
            yield from _differing(connection, known, rows)


class _Tiles:
    """The tiles of a project, by place; and the highest id of one that was there by some decision."""

    def __init__(self, connection: Connection, project_id: int, zoom: int) -> None:
        self.zoom = zoom
        rows = connection.execute(
            select(Tile.id, Tile.x, Tile.y).where(Tile.project_id == project_id, Tile.z == zoom)
        ).all()
        ids, xs, ys = np.array([tuple(row) for row in rows], dtype=np.int64).reshape(-1, 3).T
        keys = xs << zoom | ys
        order = np.argsort(keys)
        self.keys, self.ids = keys[order], ids[order]
        self.seqs, self.highest = _record_highs(connection, project_id)

    def at(self, xs: NDArray[np.int64], ys: NDArray[np.int64]) -> NDArray[np.int64]:
        """Ids of the tiles at some places; 0 where there is none."""
        if not len(self.keys):
            return np.zeros(len(xs), dtype=np.int64)
        keys = xs << self.zoom | ys
        place = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[place] == keys, self.ids[place], 0)

    def highest_by(self, seqs: NDArray[np.int64]) -> NDArray[np.int64]:
        """The highest id of a tile that was decided on by then: tiles with lower ids were there, as ids only grow."""
        place = np.searchsorted(self.seqs, seqs, side="right")
        return np.concatenate([[0], self.highest])[place]


def _record_highs(connection: Connection, project_id: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Decisions on a tile of a higher id than all before: their `seq`, and that id."""
    seqs, highest = [0], [0]
    query = select(Decision.seq, Decision.tile_id).where(Decision.project_id == project_id).order_by(Decision.seq)
    for seq, tile_id in connection.execute(query, execution_options={"yield_per": 10_000}):
        if tile_id > highest[-1]:
            seqs.append(seq)
            highest.append(tile_id)
    return np.array(seqs, dtype=np.int64), np.array(highest, dtype=np.int64)


def _features(project_id: int, after: int) -> Any:
    """Features in the order of their ids, each with its outline and how it came onto its tiles.

    in_bulk     by a run or a file, which make every tile that they touch
    placed      the first decision with this outline
    may_be_off  it is no more, and may be on no tile
    """
    same = type_coerce(Decision.geometry, LargeBinary) == type_coerce(Feature.geometry, LargeBinary)
    of_feature = Decision.feature_id == Feature.id
    placed = (
        select(func.min(Decision.seq))
        .where(of_feature, same, or_(Decision.audit_id.is_(None), Decision.id == Feature.added_as))
        .scalar_subquery()
    )
    by_file = exists().where(of_feature, same, Decision.import_id.is_not(None))
    predicted = type_coerce(Prediction.geometry, LargeBinary) == type_coerce(Feature.geometry, LargeBinary)
    is_undecided = Feature.verdict.is_(None)
    return (
        select(
            Feature.id,
            type_coerce(Feature.geometry, LargeBinary).label("geometry"),
            func.coalesce(predicted | by_file, False).label("in_bulk"),
            func.coalesce(placed, 0).label("placed"),
            (is_undecided & or_(Prediction.id.is_(None), Run.withdrawn_at.is_not(None))).label("may_be_off"),
            Feature.withdrawn,
            Feature.withdrawn_by,
        )
        .select_from(Feature)
        .outerjoin(Prediction, Prediction.id == Feature.prediction_id)
        .outerjoin(Run, Run.id == Prediction.run_id)
        .where(Feature.project_id == project_id, Feature.id > after)
        .order_by(Feature.id)
        .limit(_PART)
    )


def _differing(connection: Connection, known: _Tiles, rows: Sequence[Any]) -> Iterator[Difference]:
    ids = np.array([row.id for row in rows], dtype=np.int64)
    try:
        outlines = as_geometries(shapely.from_wkb([row.geometry for row in rows]))
    except shapely.errors.GEOSException as error:
        yield Difference("feature", f"{ids[0]} to {ids[-1]}", "geometry", str(error), "an outline")
        return
    touched = split_by_tiles(outlines, known.zoom)
    found = known.at(touched.x, touched.y)
    wanted = np.stack([touched.feature, found], axis=1)[found > 0]
    listed = _listed(connection, ids)
    on_none = ~np.isin(np.arange(len(ids)), listed[:, 0])
    may_be_off = np.array([row.may_be_off for row in rows], dtype=np.bool_)
    yield from _withdrawn(connection, known, rows, outlines, listed)
    in_bulk = np.array([row.in_bulk for row in rows], dtype=np.bool_)
    placed = known.highest_by(np.array([row.placed for row in rows], dtype=np.int64))
    needed = in_bulk[wanted[:, 0]] | (wanted[:, 1] <= placed[wanted[:, 0]])
    needed &= ~(may_be_off & on_none)[wanted[:, 0]]
    lacking = _without(wanted[needed], listed)
    extra = _without(listed, wanted)
    drawn_on = _drawn_on(connection, ids[np.unique(extra[:, 0])]) if len(extra) else set()
    addresses = _addresses(connection, {*lacking[:, 1].tolist(), *extra[:, 1].tolist()})
    for place, tile in lacking.tolist():
        yield Difference("tile_feature", int(ids[place]), "tile", None, addresses[tile])
    for place, tile in extra.tolist():
        if (int(ids[place]), tile) not in drawn_on:
            yield Difference("tile_feature", int(ids[place]), "tile", addresses[tile], None)
    for place in np.flatnonzero(on_none & ~may_be_off & ~np.isin(np.arange(len(ids)), lacking[:, 0])).tolist():
        yield Difference("tile_feature", int(ids[place]), "tile", None, "the tile that it was drawn on")


def _listed(connection: Connection, ids: NDArray[np.int64]) -> Pairs:
    """Places in `ids`, and the tiles they are listed on."""
    rows = connection.execute(
        select(TileFeature.feature_id, TileFeature.tile_id)
        .where(TileFeature.feature_id.between(int(ids[0]), int(ids[-1])))
        .order_by(TileFeature.feature_id)
    ).all()
    pairs = np.array([tuple(row) for row in rows], dtype=np.int64).reshape(-1, 2)
    pairs = pairs[np.isin(pairs[:, 0], ids)]
    pairs[:, 0] = np.searchsorted(ids, pairs[:, 0])
    return pairs


def _without(pairs: Pairs, others: Pairs) -> Pairs:
    """Select the pairs, rows of shape (n, 2), that are not among the others."""
    width = int(max(pairs[:, 1].max(initial=0), others[:, 1].max(initial=0))) + 1
    return pairs[~np.isin(pairs[:, 0] * width + pairs[:, 1], others[:, 0] * width + others[:, 1])]


def _drawn_on(connection: Connection, ids: NDArray[np.int64]) -> set[tuple[int, int]]:
    """Features and the tiles on which people decided them: these list them, whatever they touch."""
    query = select(Decision.feature_id, Decision.tile_id).where(Decision.feature_id.in_(ids.tolist())).distinct()
    return {(row.feature_id, row.tile_id) for row in connection.execute(query)}


def _addresses(connection: Connection, tile_ids: set[int]) -> dict[int, str]:
    found: dict[int, str] = {}
    for some in in_lists(sorted(tile_ids)):
        rows = connection.execute(select(Tile.id, Tile.z, Tile.x, Tile.y).where(Tile.id.in_(some)))
        found.update({row.id: f"{row.z}/{row.x}/{row.y}" for row in rows})
    return found


def _withdrawn(
    connection: Connection, known: _Tiles, rows: Sequence[Any], outlines: Geometries, listed: Pairs
) -> Iterator[Difference]:
    """Find features that were withdrawn by a run that did not cover them."""
    places = [place for place, row in enumerate(rows) if row.withdrawn and row.withdrawn_by is not None]
    if not places:
        return
    middles = shapely.centroid(outlines[places])
    on = known.at(*tile_indices(shapely.get_x(middles), shapely.get_y(middles), known.zoom))
    tiles: dict[int, set[int]] = {place: {tile} for place, tile in zip(places, on.tolist(), strict=True)}
    for place, tile in listed[np.isin(listed[:, 0], places)].tolist():
        tiles[place].add(tile)
    runs = sorted({rows[place].withdrawn_by for place in places})
    wanted = sorted(set().union(*tiles.values()))
    looked = select(RunTile.run_id, RunTile.tile_id).where(RunTile.run_id.in_(runs), RunTile.status == "ok")
    covered = (
        select(Import.run_id, ImportTile.tile_id)
        .join(ImportTile, ImportTile.import_id == Import.id)
        .where(Import.run_id.in_(runs))
    )
    seen: set[tuple[Any, ...]] = set()
    for some in in_lists(wanted):
        for query in (looked.where(RunTile.tile_id.in_(some)), covered.where(ImportTile.tile_id.in_(some))):
            seen.update(tuple(row) for row in connection.execute(query))
    for place in places:
        if not any((rows[place].withdrawn_by, tile) in seen for tile in tiles[place]):
            run = rows[place].withdrawn_by
            yield Difference("feature", rows[place].id, "withdrawn_by", run, "a run that looked at its ground")
