"""The formats a dataset can be exported to, by name."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from maploop.dataset.job import Job
from maploop.dataset.writers.coco import write_coco
from maploop.dataset.writers.openai import write_openai
from maploop.dataset.writers.osm import write_osm
from maploop.dataset.writers.preference import write_preference
from maploop.dataset.writers.vector import write_vector
from maploop.dataset.writers.yolo import write_yolo
from maploop.errors import InputError


@dataclass(frozen=True)
class Format:
    """One format.

    training    it is made for training: tiles whose imagery forbids that stay out
    pictures    it holds images: tiles without imagery stay out
    shared      its files are made to be handed to another party: tiles whose imagery forbids that stay out
    suffix      of its one file; empty when it has several
    """

    name: str
    label: str
    write: Callable[[Job], None]
    training: bool = False
    pictures: bool = False
    shared: bool = False
    suffix: str = ""


FORMATS: dict[str, Format] = {
    each.name: each
    for each in (
        Format("openai", "OpenAI vision fine-tuning (JSONL)", write_openai, training=True, pictures=True),
        Format("preference", "Preference pairs (JSONL)", write_preference, training=True, pictures=True),
        Format("coco", "COCO instances", write_coco, training=True),
        Format("yolo", "YOLO boxes and segments", write_yolo, training=True, pictures=True),
        Format("geojson", "GeoJSON", partial(write_vector, format="geojson"), suffix=".geojson"),
        Format("geopackage", "GeoPackage", partial(write_vector, format="geopackage"), suffix=".gpkg"),
        Format("geoparquet", "GeoParquet", partial(write_vector, format="geoparquet"), suffix=".parquet"),
        Format("osm", "OSM change file", write_osm, suffix=".osc"),
    )
}


def format_named(name: str) -> Format:
    """The format of that name. Raises InputError naming those there are."""
    found = FORMATS.get(name.strip().lower())
    if found is None:
        msg = f"{name!r} is not an export format: use {', '.join(FORMATS)}."
        raise InputError(msg)
    return found
