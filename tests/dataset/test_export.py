"""Exports: whole or not at all, the same bytes for the same dataset, and nobody's imagery against its terms."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import orjson
import pytest
from shapely.geometry import box
from sqlalchemy import insert, select, update

from db.models import Imagery
from db.models import Tile as TileRow
from maploop.dataset.datasets import freeze
from maploop.dataset.export import ExportCancelledError, ExportReport, export
from maploop.dataset.formats import FORMATS
from maploop.errors import ConflictError, InputError, LicenceError
from maploop.settings import get_settings
from tests.dataset.ground import FIRST, Ground, Painted, on_tile


def exported(ground: Ground, format: str, out: Path, **more: Any) -> ExportReport:
    dataset = freeze(ground.database, ground.project, annotator="anna", sources=ground.sources)
    return export(ground.database, dataset.id, format, out, sources=ground.sources, **more)


def tree(folder: Path) -> dict[str, str]:
    """Every file below a folder with its hash."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("format", FORMATS)
def test_the_same_dataset_gives_the_same_bytes(ground: Ground, format: str, tmp_path: Path) -> None:
    images: dict[str, Any] = {"with_images": True} if format == "coco" else {}
    first = exported(ground, format, tmp_path / "first", **images)
    time.sleep(0.01)
    ground.feature("building", on_tile(1, box(10, 300, 40, 340)), "add")  # what comes later is not in it
    again = export(ground.database, first.dataset, format, tmp_path / "again", sources=ground.sources, **images)
    assert tree(first.path) == tree(again.path)
    assert first.to_json()["files"] == again.to_json()["files"]


@pytest.mark.parametrize("format", FORMATS)
def test_manifest_and_report_name_every_file_with_its_hash(local_ground: Ground, format: str, tmp_path: Path) -> None:
    report = exported(local_ground, format, tmp_path / "out")
    manifest = orjson.loads((report.path / "manifest.json").read_bytes())
    there = tree(report.path)
    there.pop("manifest.json")
    assert {each["name"]: each["sha256"] for each in manifest["export"]["files"]} == there
    assert {each.name: each.sha256 for each in report.files} == there
    assert manifest["dataset"] == report.dataset
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "out"]


@pytest.mark.parametrize("format", [name for name, each in FORMATS.items() if each.training])
def test_imagery_that_forbids_training_is_refused_by_name(local_ground: Ground, format: str, tmp_path: Path) -> None:
    local_ground.change(update(Imagery).values(may_train=False))
    with pytest.raises(LicenceError, match=rf"forbid training \(19/{FIRST.x}/{FIRST.y}, 19/"):
        exported(local_ground, format, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_only_the_tiles_of_such_imagery_stay_out(local_ground: Ground, tmp_path: Path) -> None:
    forbidden = {"kind": "geotiff", "location": "/maps/other.tif", "info": {}, "may_train": False}
    local_ground.change(insert(Imagery).values(project_id=local_ground.project.id, **forbidden))
    other = select(Imagery.id).where(Imagery.may_train.is_(False)).scalar_subquery()
    local_ground.change(update(TileRow).where(TileRow.x == FIRST.x).values(imagery_id=other))
    report = exported(local_ground, "coco", tmp_path / "out")
    assert report.left_out == {"the terms of other.tif forbid training": [f"19/{FIRST.x}/{FIRST.y}"]}
    assert any("1 tile is left out" in note for note in report.notes)
    train = orjson.loads((report.path / "instances_train.json").read_bytes())
    assert [each["file_name"] for each in train["images"]] == [f"19/{FIRST.x + 1}/{FIRST.y}.jpg"]


def test_maps_may_be_drawn_from_imagery_that_forbids_training(local_ground: Ground, tmp_path: Path) -> None:
    local_ground.change(update(Imagery).values(may_train=False))
    assert exported(local_ground, "geojson", tmp_path / "out").left_out == {}


def test_coco_without_pictures_does_not_list_pictures_that_cannot_exist(local_ground: Ground, tmp_path: Path) -> None:
    local_ground.change(update(TileRow).where(TileRow.x == FIRST.x).values(imagery_id=None))
    local_ground.painted.bare = frozenset({FIRST.x + 1})
    report = exported(local_ground, "coco", tmp_path / "out")
    assert report.left_out == {
        "no imagery covers them": [f"19/{FIRST.x}/{FIRST.y}"],
        "the imagery has no pixels there": [f"19/{FIRST.x + 1}/{FIRST.y}"],
    }
    listed = [
        each["file_name"]
        for path in report.path.glob("instances_*.json")
        for each in orjson.loads(path.read_bytes())["images"]
    ]
    assert sorted(listed) == [f"19/{FIRST.x + column}/{FIRST.y}.jpg" for column in (2, 3)]


def test_tiles_without_imagery_stay_out_of_formats_with_pictures(local_ground: Ground, tmp_path: Path) -> None:
    local_ground.change(update(TileRow).where(TileRow.x == FIRST.x).values(imagery_id=None))
    report = exported(local_ground, "openai", tmp_path / "out")
    assert report.left_out == {"no imagery covers them": [f"19/{FIRST.x}/{FIRST.y}"]}
    local_ground.change(update(TileRow).values(imagery_id=None))
    with pytest.raises(InputError, match="No tile can go into the yolo export: no imagery covers them"):
        exported(local_ground, "yolo", tmp_path / "other")


def test_pictures_that_changed_since_are_refused(local_ground: Ground, tmp_path: Path) -> None:
    dataset = freeze(local_ground.database, local_ground.project, annotator="anna", sources=local_ground.sources)
    local_ground.painted = Painted("repainted")
    with pytest.raises(ConflictError, match=r"town\.tif has changed since"):
        export(local_ground.database, dataset.id, "openai", tmp_path / "out", sources=local_ground.sources)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_an_earlier_export_of_the_format_is_replaced_and_nothing_else(local_ground: Ground, tmp_path: Path) -> None:
    out = tmp_path / "out"
    exported(local_ground, "geojson", out)
    local_ground.feature("building", on_tile(1, box(10, 300, 40, 340)), "add")
    report = exported(local_ground, "geojson", out)
    assert report.files[0].examples == 9
    with pytest.raises(InputError, match="holds an export to geojson"):
        exported(local_ground, "coco", out)
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="is not empty"):
        exported(local_ground, "coco", mine)
    with pytest.raises(InputError, match="is a file"):
        exported(local_ground, "coco", mine / "thesis.txt")
    assert (mine / "thesis.txt").read_text() == "years of work"


def test_a_format_of_one_file_can_go_to_that_file(local_ground: Ground, tmp_path: Path) -> None:
    (tmp_path / "town.geojson").write_text("old")
    report = exported(local_ground, "geojson", tmp_path / "town.geojson")
    assert (report.path, [each.name for each in report.files]) == (tmp_path, ["town.geojson"])
    document = orjson.loads((tmp_path / "town.geojson").read_bytes())
    assert len(document["features"]) == 8
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "town.geojson"]


def test_progress_is_told_and_a_cancelled_export_leaves_nothing(local_ground: Ground, tmp_path: Path) -> None:
    told: list[tuple[int, int, str]] = []
    exported(local_ground, "openai", tmp_path / "done", progress=lambda *step: told.append(step))
    assert told[0][0] == 0
    assert told[-1][0] == told[-1][1] == 4 + 3  # tiles looked at, examples written
    assert [step[0] for step in told] == sorted(step[0] for step in told)
    with pytest.raises(ExportCancelledError, match="nothing was written"):
        exported(local_ground, "openai", tmp_path / "out", cancelled=lambda: len(told) > 0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "done"]


def test_a_page_that_reruns_in_the_middle_leaves_nothing(local_ground: Ground, tmp_path: Path) -> None:
    class Rerun(BaseException):
        """What Streamlit raises inside the script that it ends."""

    def rerun(done: int, _total: int, _text: str) -> None:
        if done:
            raise Rerun

    with pytest.raises(Rerun):
        exported(local_ground, "yolo", tmp_path / "out", progress=rerun)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_killed_export_leaves_no_half_file_and_the_next_one_clears_up(local_ground: Ground, tmp_path: Path) -> None:
    dataset = freeze(local_ground.database, local_ground.project, annotator="anna", sources=local_ground.sources)
    script = f"""
import sys, time
from pathlib import Path
from maploop.database import open_database
from maploop.dataset.export import export
from tests.dataset.ground import Painted

def slowly(done, total, text):
    if done:
        print("writing", flush=True)
        time.sleep(60)

export(open_database(), {dataset.id!r}, "openai", Path({str(tmp_path / "out")!r}),
       sources=lambda _: Painted(), progress=slowly)
"""
    environment = {**os.environ, "MAPLOOP_DATA": str(get_settings().data), "PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, env=environment)
    assert process.stdout is not None
    assert process.stdout.readline() == b"writing\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert not (tmp_path / "out").exists()
    left = [path for path in tmp_path.iterdir() if path.name.startswith(".out.partial-")]
    assert left
    exported(local_ground, "openai", tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "out"]


def test_one_split_can_be_picked(local_ground: Ground, tmp_path: Path) -> None:
    report = exported(local_ground, "openai", tmp_path / "out", split="test")
    assert [(each.name, each.examples) for each in report.files] == [("test.jsonl", 1), ("card.md", 0)]
    with pytest.raises(InputError, match="'exam' is not a split: use train, validation, test"):
        exported(local_ground, "openai", tmp_path / "other", split="exam")


def test_an_unknown_format_is_refused_with_those_there_are(local_ground: Ground, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'pdf' is not an export format: use openai, preference, coco, yolo"):
        exported(local_ground, "pdf", tmp_path / "out")


def test_the_card_shows_names_as_they_were_typed(local_ground: Ground, tmp_path: Path) -> None:
    report = exported(local_ground, "geojson", tmp_path / "out")
    card = (report.path / "card.md").read_text("utf-8")
    assert r"© the \<b\>town\</b\>" in card
    assert "| building | polygon | 3 | 2 | 2 | 6 |" in card
    assert "- **building**: Anything with a roof." in card


def test_a_split_without_tiles_is_told(local_ground: Ground, tmp_path: Path) -> None:
    local_ground.change(update(TileRow).where(TileRow.split != "test").values(status="open"))
    report = exported(local_ground, "openai", tmp_path / "out")
    assert [(each.name, each.examples) for each in report.files[:2]] == [("train.jsonl", 0), ("validation.jsonl", 0)]
    assert any(note.startswith("No tile fell into train and validation") for note in report.notes)
