"""The state of a feature, as the decisions so far leave it."""

from dataclasses import dataclass

from shapely.geometry.base import BaseGeometry


@dataclass(frozen=True)
class Standing:
    """What holds for a feature: the verdict (none: undecided), class, geometry and the decision that says so."""

    verdict: str | None
    class_id: int
    geometry: BaseGeometry
    decision_id: str | None
