"""What the finished audits of a project say: agreement, errors, what was missed and overlap, by annotator and class."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
from sqlalchemy import Connection, RowMapping, Select, select

from db.models import Annotator, Audit, AuditSample, Decision, Feature, Tile, TileFeature
from maploop.imagery.tilemath import Tile as TileAddress
from maploop.project import ProjectView
from maploop.quality.audits import standing_decisions
from maploop.quality.comparison import FeatureComparison, Opinion, Unscored, compare
from maploop.quality.intervals import Folds, Replicates, as_metric, plain_interval
from maploop.quality.sampling import stratum_name
from maploop.quality.statistics import Metric, cohen_kappa, krippendorff_alpha
from maploop.quality.stratified import stratified_rate


@dataclass(frozen=True)
class AuditComparison:
    """One finished audit: the tile as its annotator had left it then, against the reviewer's blind decisions."""

    audit_id: int
    sample_id: int
    stratum: str
    tile_id: int
    address: TileAddress
    tile_status: str
    outcome: str | None
    annotator_id: int
    annotator: str
    reviewer_id: int
    finished_at: datetime
    features: tuple[FeatureComparison, ...]
    unscored: tuple[Unscored, ...]

    @property
    def everything(self) -> tuple[FeatureComparison | Unscored, ...]:
        """All features that were looked at."""
        return (*self.features, *self.unscored)

    @property
    def disagreements(self) -> tuple[FeatureComparison, ...]:
        """What the reviewer holds to be wrong or missing."""
        return tuple(each for each in self.features if each.finding not in ("agreed", "only_annotator"))


@dataclass(frozen=True)
class Scores:
    """Figures for one annotator, one class, both, or all (empty name: any).

    Errors, missed features and overlap are estimates for all tiles that the spot checks stand for: strata weigh by
    their populations, and tiles are what was drawn. Kappa is that of the tiles looked at, its interval over them.

    tiles           audited tiles that go into them
    kappa           agreement beyond chance on what was predicted: Cohen's kappa over class or "not there"; for one
                    class, over "is it that"
    errors          share of predicted features on which the reviewer says otherwise
    missed          share of the features the reviewer says are there that nobody had drawn or kept
    overlap         mean overlap of the geometries that both keep (see `FeatureComparison`)
    only_annotator  features the annotator drew and the reviewer did not: no error, somebody looked closer
    """

    annotator: str
    class_name: str
    tiles: int
    kappa: Metric
    errors: Metric
    missed: Metric
    overlap: Metric
    only_annotator: int


@dataclass(frozen=True)
class Results:
    """Figures over finished audits: all together, then by annotator, by class and by both.

    `alpha` is Krippendorff's, over everybody who judged a feature, for when several reviewers looked at the same tiles.
    `uncovered`: tiles of strata that the spot checks stand for, of which none was looked at.
    """

    audits: tuple[AuditComparison, ...]
    overall: Scores
    by_annotator: tuple[Scores, ...]
    by_class: tuple[Scores, ...]
    by_both: tuple[Scores, ...]
    alpha: Metric
    reviewers: int
    uncovered: int = 0


def results_of(connection: Connection, project: ProjectView, sample_id: int | None = None) -> Results:
    """The results of one spot check, or of all of the project's."""
    audits = compare_audits(connection, project, sample_id=sample_id)
    names = _names(connection, audits)
    populations = _populations(connection, project, sample_id)
    looked_at = {(each.sample_id, each.stratum) for each in audits}
    annotators = sorted({each.annotator_id for audit in audits for each in audit.everything})
    classes = [each for each in project.classes if _has_class(audits, each.id)]
    return Results(
        audits=tuple(audits),
        overall=_scores(audits, populations, "", None, "", None),
        by_annotator=tuple(_scores(audits, populations, names[person], person, "", None) for person in annotators),
        by_class=tuple(_scores(audits, populations, "", None, each.name, each.id) for each in classes),
        by_both=tuple(
            _scores(audits, populations, names[person], person, each.name, each.id)
            for person in annotators
            for each in classes
        ),
        alpha=_alpha(audits),
        reviewers=len({audit.reviewer_id for audit in audits}),
        uncovered=sum(
            population
            for stratum, population in populations.items()
            if stratum not in looked_at and stratum[0] in {each.sample_id for each in audits}
        ),
    )


def compare_audit(connection: Connection, project: ProjectView, audit_id: int) -> AuditComparison | None:
    """One audit's comparison; None until it is finished, so that nobody sees half a blind opinion."""
    found = compare_audits(connection, project, audit_id=audit_id)
    return found[0] if found else None


def compare_audits(
    connection: Connection, project: ProjectView, *, sample_id: int | None = None, audit_id: int | None = None
) -> list[AuditComparison]:
    """All finished audits (of one spot check), each held against its tile as it was when the audit was finished."""
    query = (
        select(
            Audit.id,
            Audit.sample_id,
            Audit.tile_id,
            Audit.annotator_id,
            Audit.finished_at,
            Audit.after_decision,
            Audit.outcome,
            Audit.stratum,
            AuditSample.reviewer_id,
            Annotator.name,
            Tile.z,
            Tile.x,
            Tile.y,
            Tile.status,
        )
        .join(AuditSample, AuditSample.id == Audit.sample_id)
        .join(Annotator, Annotator.id == Audit.annotator_id)
        .join(Tile, Tile.id == Audit.tile_id)
        .where(AuditSample.project_id == project.id, Audit.finished_at.is_not(None))
        .order_by(Audit.id)
    )
    if sample_id is not None:
        query = query.where(Audit.sample_id == sample_id)
    if audit_id is not None:
        query = query.where(Audit.id == audit_id)
    log = _Log(connection, query)
    return [log.compare(project, row) for row in connection.execute(query).mappings()]


class _Log:
    """Everything decided on the features of audited tiles, read at once."""

    def __init__(self, connection: Connection, audits: Select[*tuple[Any, ...]]) -> None:
        chosen = audits.order_by(None).subquery()
        self.features: dict[int, dict[int, RowMapping]] = defaultdict(dict)
        self.work: dict[int, list[RowMapping]] = defaultdict(list)
        self.blind: dict[int, list[RowMapping]] = defaultdict(list)
        columns = (Feature.id, Feature.prediction_id, Feature.verdict, Feature.class_id, Feature.geometry)
        on_tiles = (
            select(TileFeature.tile_id, *columns)
            .join(Feature, Feature.id == TileFeature.feature_id)
            .where(TileFeature.tile_id.in_(select(chosen.c.tile_id)))
        )
        for row in connection.execute(on_tiles).mappings():
            self.features[row["tile_id"]][row["id"]] = row
        shared = (
            Decision.seq,
            Decision.id,
            Decision.feature_id,
            Decision.prediction_id,
            Decision.annotator_id,
            Decision.verdict,
        )
        decisions = select(
            *shared, Decision.class_id, Decision.geometry, Decision.previous_id, Decision.stored_at, Decision.audit_id
        ).order_by(Decision.seq)
        touched = select(TileFeature.feature_id).where(TileFeature.tile_id.in_(select(chosen.c.tile_id)))
        for row in connection.execute(
            decisions.where(Decision.feature_id.in_(touched), Decision.audit_id.is_(None))
        ).mappings():
            self.work[row["feature_id"]].append(row)
        for row in connection.execute(decisions.where(Decision.audit_id.in_(select(chosen.c.id)))).mappings():
            self.blind[row["audit_id"]].append(row)

    def compare(self, project: ProjectView, audit: RowMapping) -> AuditComparison:
        reviewed = {each: _opinion(row) for each, row in standing_decisions(self.blind[audit["id"]]).items()}
        annotated: dict[int, Opinion] = {}
        predicted = {row["feature_id"] for row in self.blind[audit["id"]] if row["prediction_id"] is not None}
        for feature, row in self.features[audit["tile_id"]].items():
            if row["prediction_id"] is not None:
                predicted.add(feature)
            if log := self.work[feature]:
                then = standing_decisions(log, audit["finished_at"], last=audit["after_decision"])
                if stands := then.get(feature):
                    annotated[feature] = _opinion(stands)
            elif row["verdict"] is not None:  # decided without a decision: brought in from elsewhere
                annotated[feature] = Opinion(audit["annotator_id"], row["verdict"], row["class_id"], row["geometry"])
        features, unscored = compare(
            project, audit["annotator_id"], audit["reviewer_id"], annotated, reviewed, predicted
        )
        return AuditComparison(
            audit_id=audit["id"],
            sample_id=audit["sample_id"],
            stratum=audit["stratum"],
            tile_id=audit["tile_id"],
            address=TileAddress(audit["z"], audit["x"], audit["y"]),
            tile_status=audit["status"],
            outcome=audit["outcome"],
            annotator_id=audit["annotator_id"],
            annotator=audit["name"],
            reviewer_id=audit["reviewer_id"],
            finished_at=audit["finished_at"],
            features=tuple(features),
            unscored=tuple(unscored),
        )


def _opinion(row: RowMapping) -> Opinion:
    return Opinion(row["annotator_id"], row["verdict"], row["class_id"], row["geometry"])


def _names(connection: Connection, audits: Iterable[AuditComparison]) -> dict[int, str]:
    people = {each.annotator_id for audit in audits for each in audit.everything}
    rows = connection.execute(select(Annotator.id, Annotator.name).where(Annotator.id.in_(people)))
    return {row.id: row.name for row in rows}


def _has_class(audits: Iterable[AuditComparison], class_id: int) -> bool:
    return any(each.class_id == class_id for audit in audits for each in audit.everything)


def _populations(connection: Connection, project: ProjectView, sample_id: int | None) -> dict[tuple[int, str], int]:
    """How many tiles each stratum of each spot check had when it was drawn."""
    query = select(AuditSample.id, AuditSample.criteria).where(AuditSample.project_id == project.id)
    rows = connection.execute(query if sample_id is None else query.where(AuditSample.id == sample_id))
    return {
        (row.id, stratum_name(each["annotator"], each["class"])): each["population"]
        for row in rows
        for each in row.criteria.get("strata", ())
    }


def _scores(
    audits: Sequence[AuditComparison],
    populations: Mapping[tuple[int, str], int],
    annotator: str,
    annotator_id: int | None,
    class_name: str,
    class_id: int | None,
) -> Scores:
    def belongs(each: FeatureComparison | Unscored) -> bool:
        return annotator_id in (None, each.annotator_id) and class_id in (None, each.class_id)

    features = [[each for each in audit.features if belongs(each)] for audit in audits]
    unscored = sum(belongs(each) for audit in audits for each in audit.unscored)
    strata: list[Hashable] = [(audit.sample_id, audit.stratum) for audit in audits]

    def rate(part: Callable[[FeatureComparison], float], of: Callable[[FeatureComparison], bool], left: int) -> Metric:
        chosen = [[each for each in tile if of(each)] for tile in features]
        items = np.array([len(tile) for tile in chosen], dtype=np.float64)
        sums = np.array([sum(part(each) for each in tile) for tile in chosen], dtype=np.float64)
        return stratified_rate(sums, items, strata, populations, int(items.sum()) + left)

    both = sum(each.annotated is not None and each.reviewed is not None for tile in features for each in tile)
    overlapping = sum(each.overlap is not None for tile in features for each in tile)
    return Scores(
        annotator=annotator,
        class_name=class_name,
        tiles=sum(
            any(belongs(each) for each in audit.everything)
            or (class_id is None and annotator_id in (None, audit.annotator_id))
            for audit in audits
        ),
        kappa=_kappa(audits, annotator_id, class_id),
        errors=rate(lambda each: each.finding != "agreed", lambda each: each.predicted, unscored),
        missed=rate(lambda each: each.finding == "missed", lambda each: each.reviewed is not None, 0),
        overlap=rate(lambda each: each.overlap or 0.0, lambda each: each.overlap is not None, both - overlapping),
        only_annotator=sum(each.finding == "only_annotator" for tile in features for each in tile),
    )


def _kappa(audits: Sequence[AuditComparison], annotator_id: int | None, class_id: int | None) -> Metric:
    """Over everything predicted that this person decided: for one class both ways of taking another count.

    The interval is over tiles, left out one by one, as features of one tile go wrong together.
    """
    asked = [
        (place, each.annotated, each.reviewed)
        for place, audit in enumerate(audits)
        for each in audit.features
        if each.predicted and annotator_id in (None, each.annotator_id)
    ]
    labels: list[tuple[Hashable, Hashable]] = [
        (first, second) if class_id is None else (first == class_id, second == class_id) for _, first, second in asked
    ]

    def kappa_of(chosen: Iterable[tuple[Hashable, Hashable]]) -> Metric:
        pairs = list(chosen)
        return cohen_kappa([first for first, _ in pairs], [second for _, second in pairs])

    whole = kappa_of(labels)
    if whole.value is None:
        return whole
    folds = Folds(np.array([place for place, _, _ in asked], dtype=np.int64))
    values = np.array(
        [
            kappa_of(pair for pair, fold in zip(labels, folds.fold.tolist(), strict=True) if fold != left_out).value
            for left_out in range(folds.count)
        ],
        dtype=np.float64,
    )
    replicates = Replicates(values, folds.support(np.ones(len(asked))), len(asked))
    found = plain_interval(whole.value, replicates, least=-1, most=1)
    reason = found.reason.replace("block", "tile")
    return as_metric(whole.value, len(asked), replace(found, reason=reason), folds.blocks)


def _alpha(audits: Iterable[AuditComparison]) -> Metric:
    units: dict[int, dict[int, int | None]] = defaultdict(dict)
    for audit in audits:
        for each in audit.features:
            if each.predicted:
                units[each.feature_id][each.annotator_id] = each.annotated
                units[each.feature_id][audit.reviewer_id] = each.reviewed
    return krippendorff_alpha(list(units.values()))
