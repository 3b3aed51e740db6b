"""Real tiles and outlines, through the import, into training examples and back."""

import base64
import io
from pathlib import Path

import orjson
import pytest
import shapely
from PIL import Image as Picture

from db.engine import Database
from maploop.contract import parse_answer
from maploop.dataset.check import check_openai_jsonl
from maploop.dataset.datasets import load_dataset
from maploop.dataset.export import export, freeze
from maploop.dataset.snapshot import SPLITS
from maploop.dataset.writers.openai import annotations_by_tile
from maploop.imagery.register import register_imagery
from maploop.imagery.tilemath import to_pixels
from maploop.project import ProjectSettings, create_project
from maploop.review.truth import import_annotations
from maploop.vectors.geometry import clip_to_tile


@pytest.mark.parametrize("dialect", ["openai", "gemini"])
def test_examples_read_back_into_the_same_geometries(
    sqlite_database: Database, kampala: Path, tmp_path: Path, dialect: str
) -> None:
    with sqlite_database.write() as connection:
        project = create_project(
            connection, "kampala", [("building", "polygon")], zoom=20, settings=ProjectSettings(dialect=dialect)
        )
    register_imagery(sqlite_database, project, kampala, licence="CC BY 4.0")
    import_annotations(
        sqlite_database, project, kampala / "labels.geojson", annotator="osm", class_name="building", complete_all=True
    )
    dataset = freeze(sqlite_database, project, tiles="complete", annotator="osm")
    snapshot = load_dataset(sqlite_database, dataset.id).snapshot()
    limit = snapshot.contract.limit
    on_tile = annotations_by_tile(snapshot)
    compared = 0
    for split in SPLITS:
        report = export(sqlite_database, dataset.id, "openai", tmp_path / split, split=split)
        path = report.path / f"{split}.jsonl"
        assert not check_openai_jsonl(path).problems
        refused = {name for names in report.left_out.values() for name in names}
        tiles = [
            index
            for index in range(len(snapshot.tiles.x))
            if snapshot.tiles.split[index] == split and str(snapshot.tile(index)) not in refused
        ]
        lines = [orjson.loads(line) for line in path.read_bytes().splitlines()]
        assert len(lines) == len(tiles)
        for index, line in zip(tiles, lines, strict=True):
            tile = snapshot.tile(index)
            found = parse_answer(line["messages"][-1]["content"], tile, snapshot.contract)
            there = [
                part
                for each in on_tile.get(index, [])
                for part in clip_to_tile(snapshot.features.geometries[each], tile)
            ]
            assert len(found) >= len(there)
            drawn = shapely.union_all([to_pixels(each.geometry, tile, limit) for each in found])
            truth = shapely.union_all([to_pixels(part, tile, limit) for part in there])
            assert drawn.buffer(1.01).covers(truth)
            assert truth.buffer(1.01).covers(drawn)
            compared += len(there)
    assert compared > 100
    url = line["messages"][1]["content"][1]["image_url"]["url"]
    with Picture.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) as picture:
        assert (picture.mode, picture.size) == ("RGB", (512, 512))
