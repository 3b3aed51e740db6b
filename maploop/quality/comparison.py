"""What an annotator left on a tile, held against what a reviewer decided blind: feature by feature, pure functions.

The reviewer is the reference. A feature that one rejected and drew anew, where the other corrected it, is the same.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

import shapely
from shapely.geometry.base import BaseGeometry

from maploop.project import ProjectView
from maploop.vectors.geometry import as_geometries, iou, match_features

KEEPS = ("accept", "correct", "add")
Finding = Literal["agreed", "wrong_class", "wrongly_kept", "wrongly_rejected", "missed", "only_annotator"]


@dataclass(frozen=True)
class Opinion:
    """What one person says of one feature: the verdict that stands, with its class and EPSG:4326 geometry."""

    annotator_id: int
    verdict: str
    class_id: int
    geometry: BaseGeometry

    @property
    def keeps(self) -> bool:
        """True when the feature belongs on the map."""
        return self.verdict in KEEPS

    @property
    def label(self) -> int | None:
        """The class the feature is to have; None when it is not there."""
        return self.class_id if self.keeps else None


@dataclass(frozen=True)
class FeatureComparison:
    """One feature in the eyes of both.

    annotator_id        whose work it is: who decided the feature; for what was missed, who said the tile was complete
    class_id            the reviewer's class; the annotator's where the reviewer says it is not there
    annotated, reviewed class ids, None for "not there"
    predicted           a model predicted it, so both were asked; else a person drew it
    overlap             where both keep it, 0 to 1: polygons IoU; lines the length they share within the project's line
                        tolerance; points 1 - distance / tolerance
    """

    feature_id: int
    annotator_id: int
    class_id: int
    finding: Finding
    annotated: int | None
    reviewed: int | None
    predicted: bool
    overlap: float | None
    geometry: BaseGeometry


@dataclass(frozen=True)
class Unscored:
    """A predicted feature that says nothing of anybody's work: somebody is unsure, or the reviewer had decided it."""

    feature_id: int
    annotator_id: int
    class_id: int


def compare(
    project: ProjectView,
    finisher_id: int,
    reviewer_id: int,
    annotated: Mapping[int, Opinion],
    reviewed: Mapping[int, Opinion],
    predicted: Collection[int],
) -> tuple[list[FeatureComparison], list[Unscored]]:
    """Compare standing opinions by feature id; `predicted` are the features that a model predicted."""
    annotations = {each: opinion for each, opinion in annotated.items() if opinion.keeps}
    references = {each: opinion for each, opinion in reviewed.items() if opinion.keeps}
    drawn = {each: opinion for each, opinion in references.items() if each not in predicted}
    added = {each: opinion for each, opinion in annotations.items() if each not in predicted}
    drawn_as = _match(project, drawn, annotations)
    added_as = _match(
        project,
        {each: opinion for each, opinion in added.items() if each not in drawn_as.values()},
        {each: opinion for each, opinion in references.items() if each in predicted},
    )
    redrawn_by_reviewer = {feature: drawn[each] for each, feature in drawn_as.items()}
    redrawn_by_annotator = {feature: added[each] for each, feature in added_as.items()}

    comparisons: list[FeatureComparison] = []
    unscored: list[Unscored] = []
    for feature in sorted(set(predicted) & set(reviewed)):
        theirs, mine = annotated.get(feature), reviewed[feature]
        if theirs is None or "unsure" in (theirs.verdict, mine.verdict) or theirs.annotator_id == reviewer_id:
            owner = finisher_id if theirs is None else theirs.annotator_id
            unscored.append(Unscored(feature, owner, mine.class_id))
            continue
        if theirs.keeps and not mine.keeps:
            mine = redrawn_by_reviewer.get(feature, mine)
        elif mine.keeps and not theirs.keeps:
            theirs = redrawn_by_annotator.get(feature, theirs)
        comparisons.append(_pair(project, feature, theirs, mine, predicted=True))
    for each, feature in drawn_as.items():
        if feature in added and added[feature].annotator_id != reviewer_id:
            comparisons.append(_pair(project, feature, added[feature], drawn[each], predicted=False))
    for feature in sorted(set(drawn) - set(drawn_as)):
        comparisons.append(_alone("missed", feature, finisher_id, drawn[feature]))
    for feature in sorted(set(added) - set(drawn_as.values()) - set(added_as)):
        comparisons.append(_alone("only_annotator", feature, added[feature].annotator_id, added[feature]))
    return comparisons, unscored


def _pair(project: ProjectView, feature: int, theirs: Opinion, mine: Opinion, *, predicted: bool) -> FeatureComparison:
    finding: Finding = "agreed"
    if theirs.keeps != mine.keeps:
        finding = "wrongly_kept" if theirs.keeps else "wrongly_rejected"
    elif theirs.keeps and theirs.class_id != mine.class_id:
        finding = "wrong_class"
    shown = theirs if finding == "wrongly_kept" else mine
    return FeatureComparison(
        feature_id=feature,
        annotator_id=theirs.annotator_id,
        class_id=shown.class_id,
        finding=finding,
        annotated=theirs.label,
        reviewed=mine.label,
        predicted=predicted,
        overlap=_overlap(project, theirs, mine) if theirs.keeps and mine.keeps else None,
        geometry=shown.geometry,
    )


def _alone(finding: Finding, feature: int, annotator_id: int, opinion: Opinion) -> FeatureComparison:
    """A feature that only one of the two drew."""
    return FeatureComparison(
        feature_id=feature,
        annotator_id=annotator_id,
        class_id=opinion.class_id,
        finding=finding,
        annotated=opinion.class_id if finding == "only_annotator" else None,
        reviewed=opinion.class_id if finding == "missed" else None,
        predicted=False,
        overlap=None,
        geometry=opinion.geometry,
    )


def _match(project: ProjectView, some: Mapping[int, Opinion], others: Mapping[int, Opinion]) -> dict[int, int]:
    """Features of `some` -> those of `others` that stand for the same thing: of the same class first, then of any."""
    matched: dict[int, int] = {}
    for group in (lambda opinion: opinion.class_id, lambda opinion: _geometry_type(project, opinion)):
        left = {each: opinion for each, opinion in some.items() if each not in matched}
        free = {each: opinion for each, opinion in others.items() if each not in matched.values()}
        for key in {group(opinion) for opinion in left.values()}:
            ours = [each for each, opinion in left.items() if group(opinion) == key]
            theirs = [each for each, opinion in free.items() if group(opinion) == key]
            kind = _geometry_type(project, left[ours[0]])
            found = match_features(
                as_geometries([left[each].geometry for each in ours]),
                as_geometries([free[each].geometry for each in theirs]),
                kind,
                iou_threshold=project.settings.iou_threshold,
                tolerance_m=_tolerance(project, kind),
            )
            matched |= {ours[i]: theirs[j] for i, j in zip(found.candidate, found.earlier, strict=True)}
    return matched


def _overlap(project: ProjectView, one: Opinion, other: Opinion) -> float | None:
    kind = _geometry_type(project, one)
    if kind != _geometry_type(project, other):
        return None
    if shapely.equals_identical(one.geometry, other.geometry):
        return 1.0
    if kind == "polygon":
        return iou(one.geometry, other.geometry)
    pair = match_features(
        as_geometries([one.geometry]),
        as_geometries([other.geometry]),
        kind,
        tolerance_m=_tolerance(project, kind),
    )
    return float(pair.quality[0]) if len(pair.quality) else 0.0


def _geometry_type(project: ProjectView, opinion: Opinion) -> Literal["polygon", "line", "point"]:
    return project.class_with_id(opinion.class_id).geometry_type


def _tolerance(project: ProjectView, kind: str) -> float:
    return project.settings.point_tolerance_m if kind == "point" else project.settings.line_tolerance_m
