"""The state of a feature, as the decisions so far leave it."""

from dataclasses import dataclass

from shapely.geometry.base import BaseGeometry


@dataclass(frozen=True)
class Standing:
    """Verdict (None: undecided), class, geometry (EPSG:4326) and deciding decision of a feature."""

    verdict: str | None
    class_id: int
    geometry: BaseGeometry
    decision_id: str | None
