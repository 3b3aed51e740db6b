"""Join lines as they lie on the ground, however they were cut into features, before they are matched.

A road is drawn in one piece, or cut at every bend and junction; both are as right. So the lines of one class on one
tile are cut where they meet, and put together again in one fixed way: two ends that meet go on as one line; where more
meet, those that go on straightest belong together, as "strokes" (Thomson and Richardson 1999, The "good continuation"
principle of perceptual organization applied to the generalization of road networks). The result depends on the ground
that the lines cover, and how often they do, not on their cuts.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from maploop.evaluate.layers import Indices, Layer, sizes_of
from maploop.vectors.geometry import Geometries, GeometryType, as_geometries

_SAME: Final = 1e-9  # degrees: rounding error of coordinates stays below
MAX_TURN: Final = 60.0  # degrees by which a line may turn where three or more meet, and still be one
End = tuple[int, int]  # an edge, and which of its ends: 0 or -1


def join_lines(layer: Layer, types: Sequence[GeometryType], *, within_tiles: bool = True) -> Layer:
    """Put together the lines of each class on each tile, or over all tiles; features of other types stay as they are.

    Joined lines take the mean of their parts' scores, weighed by length, and are as large as they are long here.
    Joining what is joined changes nothing.
    """
    is_line = np.array([each == "line" for each in types], dtype=np.bool_)[layer.class_index]
    if not is_line.any():
        return layer
    lines, others = layer.only(is_line), layer.only(~is_line)
    scope = lines.tile if within_tiles else np.zeros_like(lines.tile)
    parts: list[shapely.LineString] = []
    owners: list[int] = []
    scores: list[float] = []
    for group in _groups(lines.geometries, lines.class_index, scope):
        joined, owner, score = _joined(lines, group)
        parts += joined
        owners += owner
        scores += score
    geometries = as_geometries(parts)
    row = np.array(owners, dtype=np.int64)
    made = Layer(geometries, lines.class_index[row], lines.tile[row], np.array(scores), sizes_of(geometries))
    return Layer(
        as_geometries(np.concatenate([others.geometries, made.geometries])),
        np.concatenate([others.class_index, made.class_index]),
        np.concatenate([others.tile, made.tile]),
        np.concatenate([others.scores, made.scores]),
        np.concatenate([others.sizes, made.sizes]),
    )


def _groups(lines: Geometries, class_index: Indices, scope: Indices) -> list[Indices]:
    """Rows of lines that hang together, in the order of their first rows."""
    i, j = shapely.STRtree(lines).query(lines, predicate="intersects")
    same = (class_index[i] == class_index[j]) & (scope[i] == scope[j])
    links = sparse.coo_array((np.ones(int(same.sum())), (i[same], j[same])), (len(lines), len(lines)))
    _, label = connected_components(links, directed=False)
    order = np.argsort(label, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(label[order])) + 1)
    return sorted(groups, key=lambda rows: int(rows[0]))


def _joined(lines: Layer, rows: Indices) -> tuple[list[shapely.LineString], list[int], list[float]]:
    """The lines that a group makes, the row of the longest part of each, and its score; whatever order they came in."""
    rows = rows[np.lexsort((shapely.to_wkb(lines.geometries[rows], hex=True), -lines.scores[rows]))]
    geometries = lines.geometries[rows]
    if len(rows) == 1 and geometries[0].geom_type == "LineString" and geometries[0].is_simple:
        return [geometries[0]], [int(rows[0])], [float(lines.scores[rows[0]])]
    edges = shapely.get_parts(shapely.node(shapely.union_all(geometries)))
    edges = edges[shapely.length(edges) > 0]
    parts: list[shapely.LineString] = []
    owners: list[int] = []
    scores: list[float] = []
    for chosen, owner_of in _layers(edges, geometries):
        drawn = edges[chosen]
        for chain in _strokes(drawn):
            of = np.array([edge for edge, _ in chain], dtype=np.int64)
            length, owner = shapely.length(drawn[of]), owner_of[of]
            score = lines.scores[rows[owner]]
            known = np.isfinite(score)
            parts.append(_chained(drawn, chain))
            owners.append(int(rows[int(np.bincount(owner, length).argmax())]))
            scores.append(float(np.average(score[known], weights=length[known])) if known.any() else float("nan"))
    return parts, owners, scores


def _layers(edges: NDArray[np.object_], geometries: Geometries) -> Iterator[tuple[Indices, Indices]]:
    """Edges that at least one feature covers, then those that a second one covers as well, and so on.

    With each of these edges the feature, as an index; so ground that was drawn twice is there twice.
    """
    middles = shapely.line_interpolate_point(edges, 0.5, normalized=True)
    edge, feature = shapely.STRtree(geometries).query(middles, predicate="dwithin", distance=_SAME)
    order = np.lexsort((feature, edge))
    edge, feature = edge[order], feature[order]
    first = np.searchsorted(edge, edge, side="left")
    depth = np.arange(len(edge)) - first
    for each in range(int(depth.max(initial=-1)) + 1):
        yield edge[depth == each], feature[depth == each]


def _strokes(edges: NDArray[np.object_]) -> list[list[End]]:
    """Chains of edges that are one line: each edge once, with the end that it is entered by."""
    at: dict[tuple[float, float], list[End]] = defaultdict(list)
    for edge, line in enumerate(edges):
        for end in (0, -1):
            at[line.coords[end][:2]].append((edge, end))
    goes_on: dict[End, End] = {}
    for ends in at.values():
        for one, other in _pairs(edges, ends):
            goes_on[one], goes_on[other] = other, one
    chains: list[list[End]] = []
    used: set[int] = set()
    starts = [end for ends in at.values() for end in ends if end not in goes_on]
    for start in sorted(starts) + [(edge, 0) for edge in range(len(edges))]:  # what is left then are rings
        if start[0] in used:
            continue
        chain, here = [], start
        while here[0] not in used:
            used.add(here[0])
            chain.append(here)
            left_by = (here[0], -1 - here[1])
            if left_by not in goes_on:
                break
            here = goes_on[left_by]
        chains.append(chain)
    return chains


def _pairs(edges: NDArray[np.object_], ends: list[End]) -> list[tuple[End, End]]:
    """Ends at one place that belong together: both of two; of more, the straightest first."""
    if len(ends) == 2:
        return [(ends[0], ends[1])]
    leaving = sorted((_direction(edges[edge], end), (edge, end)) for edge, end in ends)
    turns = sorted(
        (_turn(one, other), one, other, first, second)
        for (one, first), (other, second) in combinations(leaving, 2)
    )  # fmt: skip
    paired: list[tuple[End, End]] = []
    taken: set[End] = set()
    for turn, _, _, one, other in turns:
        if turn <= MAX_TURN and not {one, other} & taken:
            taken |= {one, other}
            paired.append((one, other))
    return paired


def _direction(line: shapely.LineString, end: int) -> float:
    """The direction in which a line leaves the place of its end, in degrees, to a millionth."""
    (x, y), (to_x, to_y) = (line.coords[each][:2] for each in ((0, 1) if end == 0 else (-1, -2)))
    return round(float(np.degrees(np.arctan2(to_y - y, (to_x - x) * np.cos(np.radians(y))))), 6)


def _turn(one: float, other: float) -> float:
    """Degrees by which a line turns that comes by one direction and leaves by the other."""
    return round(abs(180.0 - abs(one - other) % 360.0), 6)


def _chained(edges: NDArray[np.object_], chain: list[End]) -> shapely.LineString:
    points: list[tuple[float, ...]] = []
    for edge, entered in chain:
        coordinates = list(edges[edge].coords)
        if entered == -1:
            coordinates.reverse()
        points += coordinates[1 if points else 0 :]
    return shapely.LineString(points)
