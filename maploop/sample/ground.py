"""What is already taken: a place is free when it meets no street, no water and nothing built in the same block."""

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from maploop.sample.streets import Network, Street


class StreetIndex:
    """Streets and water of the whole town, for quick questions."""

    def __init__(self, network: Network) -> None:
        strips = [street.line.buffer(street.width / 2 + 0.5) for street in network.streets]
        strips += [line.buffer(1.2) for line in network.towpaths]
        strips += [water.buffer(3.0) for water in network.water]
        self._tree = shapely.STRtree(strips)

    def near(self, area: BaseGeometry) -> list[BaseGeometry]:
        """The strips of street and water within reach of an area."""
        return [self._tree.geometries[i] for i in self._tree.query(area)]


class Ground:
    """The free land of one block."""

    def __init__(self, streets: list[BaseGeometry]) -> None:
        self._taken: list[BaseGeometry] = list(streets)
        self._ways: list[BaseGeometry] = list(streets)

    def close(self, street: Street) -> None:
        """Keep things off a footpath that was laid through the block."""
        strip = street.line.buffer(street.width / 2 + 0.4)
        self._taken.append(strip)
        self._ways.append(strip)

    def off_the_ways(self, geometry: BaseGeometry) -> BaseGeometry:
        """What is left of a fence or a garden where streets, paths and water run through it."""
        return shapely.difference(geometry, shapely.union_all(self._ways))

    def take(self, area: BaseGeometry, gap: float = 0.6) -> bool:
        """Reserve `area` when it keeps `gap` metres from everything taken; False leaves all as it was."""
        if not self.free(area, gap):
            return False
        self._taken.append(area)
        return True

    def free(self, area: BaseGeometry, gap: float) -> bool:
        """Whether `area` keeps `gap` metres from everything taken."""
        return (
            not bool(np.any(shapely.dwithin(np.asarray(self._taken, dtype=object), area, gap))) if self._taken else True
        )

    def distance(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Metres from each point (n, 2) to the nearest thing taken."""
        if not self._taken:
            return np.full(len(points), np.inf)
        taken = np.asarray(self._taken, dtype=object)
        return np.asarray(shapely.distance(np.asarray(shapely.points(points))[:, None], taken[None, :]).min(axis=1))
