"""The loop, round by round: a round is one model's predictions as people reviewed them. Data of a chart."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Row, func, select

from db.models import Decision, Feature, Prediction, Run, Tile, TileEvent
from maploop.compare.evaluations import list_evaluations
from maploop.dataset.blocks import blocks_of
from maploop.imagery.tilemath import Tile as TileAddress
from maploop.predict.models import list_models
from maploop.project import ProjectView
from maploop.quality.intervals import mean_by_block, share_by_block
from maploop.quality.statistics import Metric

_Verdicts = Sequence[Row[int, int, int, int | None, str, int]]  # tile, x, y, model, verdict, times


@dataclass(frozen=True)
class Round:
    """One model's predictions as reviewed.

    number              from 1, by when its first tile was finished
    tiles               finished with its predictions on them
    seconds_a_tile      of people: the mean, with its interval over split blocks, as those of the others are
    corrections_a_tile  what people changed: corrected, rejected and drawn features a tile
    unchanged           share of its predictions that were accepted as they were; decisions of rules left aside
    quality             F1 on the test split by its newest recorded evaluation; None: never evaluated
    """

    number: int
    model: str
    parent: str | None
    dataset_id: str | None
    tiles: int
    first: datetime
    last: datetime
    seconds_a_tile: Metric
    corrections_a_tile: Metric
    unchanged: Metric
    quality: Metric | None


def rounds_of(connection: Connection, project: ProjectView) -> list[Round]:
    """All rounds of a project, oldest first."""
    spoken = _verdicts(connection, project)
    finished = _finished(connection, project)
    accepted: dict[int, Counter[int]] = defaultdict(Counter)  # model -> tile -> how many of its predictions
    decided: dict[int, Counter[int]] = defaultdict(Counter)
    tiles_of: dict[int, set[int]] = defaultdict(set)
    most: dict[int, Counter[int]] = defaultdict(Counter)  # tile -> how much was said there of which model's work
    for row in spoken:
        if row.model_id is not None:
            decided[row.model_id][row.tile_id] += row.times if row.verdict != "add" else 0
            accepted[row.model_id][row.tile_id] += row.times if row.verdict == "accept" else 0
            most[row.tile_id][row.model_id] += row.times
    for tile in finished:
        if most[tile]:
            tiles_of[most[tile].most_common(1)[0][0]].add(tile)
    added = Counter({row.tile_id: row.times for row in spoken if row.verdict == "add"})
    models = {each.id: each for each in list_models(connection, project)}
    quality = _newest_quality(connection, project)
    places = {row.tile_id: TileAddress(project.zoom, row.x, row.y) for row in spoken}

    def blocks(tiles: Sequence[int]) -> NDArray[np.int64]:
        return blocks_of(connection, project, [places[tile] for tile in tiles])

    rounds: dict[int, Round] = {}  # by the first of their acts
    for model_id, tiles in tiles_of.items():
        model, judged = models[model_id], list(decided[model_id])
        acts = sorted((finished[tile] for tile in tiles), key=lambda each: each.seq)
        timed = [tile for tile in tiles if finished[tile].seconds > 0]
        changed = _corrections(spoken, tiles, model_id, added)
        rounds[acts[0].seq] = Round(
            number=0,
            model=model.name,
            parent=model.parent,
            dataset_id=model.dataset_id,
            tiles=len(tiles),
            first=acts[0].last,
            last=acts[-1].last,
            seconds_a_tile=mean_by_block(
                np.array([finished[tile].seconds for tile in timed]), blocks(timed), len(tiles), least=0.0
            ),
            corrections_a_tile=mean_by_block(
                np.array([changed[tile] for tile in tiles], dtype=np.float64), blocks(list(tiles)), least=0.0
            ),
            unchanged=share_by_block(
                np.array([accepted[model_id][tile] for tile in judged], dtype=np.float64),
                np.array([decided[model_id][tile] for tile in judged], dtype=np.float64),
                blocks(judged),
            ),
            quality=quality.get(model.name),
        )
    ordered = [rounds[seq] for seq in sorted(rounds)]
    return [replace(each, number=number) for number, each in enumerate(ordered, start=1)]


@dataclass(frozen=True)
class _Finished:
    """A tile that somebody finished by hand: when last, in the order of acts too (`seq`), and the attention in all."""

    seq: int
    last: datetime
    seconds: float


def _finished(connection: Connection, project: ProjectView) -> dict[int, _Finished]:
    acts = (
        select(func.max(TileEvent.seq).label("seq"), func.sum(TileEvent.seconds).label("seconds"))
        .join(Tile, Tile.id == TileEvent.tile_id)
        .where(
            Tile.project_id == project.id,
            TileEvent.act == "complete",
            TileEvent.drawn_by != "import",
            TileEvent.audit_id.is_(None),
        )
        .group_by(TileEvent.tile_id)
        .subquery()
    )
    rows = connection.execute(
        select(TileEvent.tile_id, TileEvent.seq, TileEvent.stored_at, acts.c.seconds).join(
            acts, acts.c.seq == TileEvent.seq
        )
    )
    return {tile: _Finished(seq, last, float(seconds or 0.0)) for tile, seq, last, seconds in rows}


def _verdicts(connection: Connection, project: ProjectView) -> _Verdicts:
    """What stands, by tile, model of the prediction (none: drawn by a person) and verdict; not what rules decided."""
    return connection.execute(
        select(Decision.tile_id, Tile.x, Tile.y, Run.model_id, Decision.verdict, func.count().label("times"))
        .select_from(Feature)
        .join(Decision, Decision.id == Feature.decision_id)
        .join(Tile, Tile.id == Decision.tile_id)
        .outerjoin(Prediction, Prediction.id == Decision.prediction_id)
        .outerjoin(Run, Run.id == Prediction.run_id)
        .where(
            Feature.project_id == project.id,
            Decision.rule_id.is_(None),
            Decision.seconds > 0,
            Decision.verdict.in_(("accept", "correct", "reject", "add")),
        )
        .group_by(Decision.tile_id, Tile.x, Tile.y, Run.model_id, Decision.verdict)
        .order_by(Decision.tile_id, Run.model_id, Decision.verdict)
    ).all()


def _corrections(spoken: _Verdicts, tiles: set[int], model_id: int, added: Mapping[int, int]) -> dict[int, int]:
    """Features changed on each tile: of this model's, and what was drawn."""
    changed = {tile: added[tile] for tile in tiles}
    for row in spoken:
        if row.tile_id in tiles and row.model_id == model_id and row.verdict in ("correct", "reject"):
            changed[row.tile_id] += row.times
    return changed


def _newest_quality(connection: Connection, project: ProjectView) -> dict[str, Metric]:
    """F1 over all on the test split, by model, of its newest recorded evaluation."""
    found: dict[str, Metric] = {}
    for each in list_evaluations(connection, project):
        if each.split == "test" and each.model not in found:
            overall = each.result["overall"]
            low, high = overall["intervals"].get("f1") or (None, None)
            n = overall["n"].get("f1", 0)
            reason, blocks = overall.get("no_interval", {}).get("f1", ""), overall.get("blocks", {}).get("f1")
            found[each.model] = Metric(overall["f1"], n, n, low, high, each.result["tiles"], blocks, reason)
    return found
