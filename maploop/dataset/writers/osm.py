"""OSM change file: annotations as new nodes, ways and multipolygons, to be looked over in an editor before upload.

Tags by class stand in osm_tags.json; a class that is not there gets `maploop:class=<name>`.
"""

from collections.abc import Iterator
from xml.sax.saxutils import quoteattr

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from maploop.dataset.job import Job
from maploop.dataset.writers.vector import feature_frame
from maploop.vectors.osm_tags import osm_tags

MAX_WAY_NODES = 2000  # the OSM API takes no longer way
DECIMALS = 7  # of a degree, as OSM keeps them
_CHUNK = 1000


class Change:
    """Elements to be created, with negative ids. Corners at the same place are one node, so neighbours stay joined."""

    def __init__(self) -> None:
        self.nodes: list[tuple[int, int, int]] = []  # id, longitude and latitude in units of the last decimal
        self.node_tags: dict[int, dict[str, str]] = {}
        self.ways: list[tuple[int, list[int], dict[str, str]]] = []
        self.relations: list[tuple[int, list[tuple[int, str]], dict[str, str]]] = []
        self._node_at: dict[tuple[int, int], int] = {}
        self._last = 0

    def add(self, geometry: BaseGeometry, tags: dict[str, str]) -> None:
        """Take in a polygon, line or point (EPSG:4326).

        Polygons of several parts are one multipolygon relation. OSM has no lines of several parts: each is a way of its
        own with the tags, as for one that is too long.
        """
        if geometry.geom_type == "Point":
            self._point(geometry, tags)
        elif shapely.get_dimensions(geometry) == 1:
            for part in shapely.get_parts(geometry).tolist():
                for nodes in _pieces(self._nodes(part)):
                    self._way(nodes, tags)
        else:
            self._polygon(geometry, tags)

    def _point(self, point: BaseGeometry, tags: dict[str, str]) -> None:
        ((x, y),) = _places(point)
        self.node_tags[self._node(x, y)] = tags  # a node of its own: two points at one place are two things

    def _polygon(self, polygon: BaseGeometry, tags: dict[str, str]) -> None:
        rings = [
            (self._nodes(ring), "inner" if place else "outer")
            for part in shapely.get_parts(polygon).tolist()
            for place, ring in enumerate(shapely.get_rings(part))
        ]
        if len(rings) == 1 and len(rings[0][0]) <= MAX_WAY_NODES:
            self._way(rings[0][0], tags)
            return
        members = [(self._way(nodes, {}), role) for ring, role in rings for nodes in _pieces(ring)]
        self.relations.append((self._next(), members, {"type": "multipolygon", **tags}))

    def _nodes(self, geometry: BaseGeometry) -> list[int]:
        """Node ids along a geometry; corners that fall together are one."""
        nodes: list[int] = []
        for place in _places(geometry):
            if place not in self._node_at:
                self._node_at[place] = self._node(*place)
            if not nodes or nodes[-1] != self._node_at[place]:
                nodes.append(self._node_at[place])
        return nodes

    def _node(self, x: int, y: int) -> int:
        self.nodes.append((self._next(), x, y))
        return self._last

    def _way(self, nodes: list[int], tags: dict[str, str]) -> int:
        identifier = self._next()
        self.ways.append((identifier, nodes, tags))
        return identifier

    def _next(self) -> int:
        self._last -= 1
        return self._last

    def xml(self) -> Iterator[str]:
        """The file, line by line: nodes before ways before relations."""
        yield "<?xml version='1.0' encoding='UTF-8'?>\n"
        yield '<osmChange version="0.6" generator="maploop">\n<create>\n'
        for node, x, y in self.nodes:
            head = f'<node id="{node}" version="0" lat="{_degrees(y)}" lon="{_degrees(x)}"'
            tags = self.node_tags.get(node)
            yield f"{head}>\n{_tags(tags)}</node>\n" if tags else f"{head}/>\n"
        for way, nodes, tags in self.ways:
            references = "".join(f'<nd ref="{node}"/>\n' for node in nodes)
            yield f'<way id="{way}" version="0">\n{references}{_tags(tags)}</way>\n'
        for relation, members, tags in self.relations:
            listed = "".join(f'<member type="way" ref="{way}" role="{role}"/>\n' for way, role in members)
            yield f'<relation id="{relation}" version="0">\n{listed}{_tags(tags)}</relation>\n'
        yield "</create>\n</osmChange>\n"


def tags_of(class_name: str) -> dict[str, str]:
    """OSM tags of a class, whatever its case."""
    return osm_tags(class_name) or {"maploop:class": class_name}


def _places(geometry: BaseGeometry) -> list[tuple[int, int]]:
    whole = np.rint(shapely.get_coordinates(geometry) * 10**DECIMALS).astype(np.int64)
    return [(x, y) for x, y in whole.tolist()]


def _degrees(value: int) -> str:
    return f"{value / 10**DECIMALS:.{DECIMALS}f}"


def _pieces(nodes: list[int]) -> list[list[int]]:
    """A long way in pieces that share their ends."""
    step = MAX_WAY_NODES - 1
    return [nodes[start : start + MAX_WAY_NODES] for start in range(0, max(len(nodes) - 1, 1), step)]


def _tags(tags: dict[str, str] | None) -> str:
    return "".join(f"<tag k={_attribute(key)} v={_attribute(value)}/>\n" for key, value in (tags or {}).items())


def _attribute(text: str) -> str:
    """A quoted XML attribute; characters that XML cannot hold are left out."""
    return quoteattr("".join(each for each in text if each.isprintable()))


def write_osm(job: Job) -> None:
    """`annotations.osc`, or the split asked for."""
    frame = feature_frame(job.snapshot, job.all_tiles, job.split)
    change = Change()
    count = len(frame)
    for index, (geometry, name) in enumerate(zip(frame.geometry.to_numpy(), frame["class"].to_numpy(), strict=True)):
        if index % _CHUNK == 0:
            job.step(index, count, "Making nodes and ways")
        change.add(geometry, tags_of(name))
    name = f"{job.split or 'annotations'}.osc"
    with job.path(name).open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(change.xml())
    job.add(name, count)
    job.step(count, count, "Written")
    unknown = [each.name for each in job.snapshot.classes if "maploop:class" in tags_of(each.name)]
    if unknown:
        job.notes.append(f"No OSM tags are known for {', '.join(unknown)}: tagged maploop:class, change before upload.")
