"""OSM tags by class, as osm_tags.json has them: how classes are written to OSM and recognised in it."""

from functools import lru_cache
from importlib import resources

import orjson


def osm_tags(class_name: str) -> dict[str, str] | None:
    """OSM tags of a class, whatever its case; None for one that the table does not have."""
    return _table().get(class_name.casefold())


@lru_cache(maxsize=1)
def _table() -> dict[str, dict[str, str]]:
    content = resources.files("maploop.vectors").joinpath("osm_tags.json").read_bytes()
    table: dict[str, dict[str, str]] = orjson.loads(content)
    return table
