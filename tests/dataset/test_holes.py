"""A tile without pixels is in no example, of no format; what lies on ground without pixels is not in an answer."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import shapely
from PIL import Image
from sqlalchemy import select

from db.models import Dataset
from maploop.contract import contract_of
from maploop.dataset.datasets import freeze
from maploop.dataset.export import ExportReport, export
from maploop.errors import InputError, NoPixelsError
from maploop.predict.chat.shown import gather_pool
from maploop.tune.bundle.bundle import make_bundle
from maploop.tune.examples import TileExamples, examples_with_pixels, tiles_with_pixels
from tests.dataset.ground import FIRST, Ground, lay_ground, on_tile

BARE, TORN, FAILING = FIRST.x, FIRST.x + 1, FIRST.x + 2  # columns: nothing, the western half, a server that refuses
NAMES = {column: f"19/{column}/{FIRST.y}" for column in (BARE, TORN, FAILING)}


@pytest.fixture
def holes(sqlite_database: Any) -> Ground:
    """Four training tiles: bare, torn, failing, whole; a building in each half of each."""
    ground = lay_ground(sqlite_database, splits=("train", "train", "train", "train"))
    for number in range(4):
        for left in (40, 400):
            drawn = on_tile(number, shapely.box(left, 100, left + 40, 140))
            ground.feature(
                "building", drawn, "correct", predicted=on_tile(number, shapely.box(left, 90, left + 50, 150))
            )
    ground.painted.bare, ground.painted.torn = frozenset({BARE}), frozenset({TORN})
    ground.painted.failing = frozenset({FAILING})
    return ground


def exported(ground: Ground, format: str, out: Path, **more: Any) -> ExportReport:
    dataset = freeze(ground.database, ground.project, annotator="anna", sources=ground.sources)
    return export(ground.database, dataset.id, format, out, sources=ground.sources, **more)


LEFT_OUT = {
    "the imagery has no pixels there": [NAMES[BARE]],
    "their pixels did not come, the imagery's server refuses (status 403)": [NAMES[FAILING]],
}


def pictures_in(report: ExportReport) -> list[bytes]:
    """Every picture of an export, wherever the format keeps it."""
    found = [path.read_bytes() for path in sorted(report.path.rglob("*.jpg"))]
    for path in report.path.glob("train.jsonl"):
        for line in path.read_bytes().splitlines():
            messages = (document := orjson.loads(line)).get("messages") or document["input"]["messages"]
            (url,) = [part["image_url"]["url"] for part in messages[1]["content"] if part["type"] == "image_url"]
            found.append(base64.b64decode(url.partition(",")[2]))
    return found


def is_black(picture: bytes) -> bool:
    return not np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")).max() > 8


@pytest.mark.parametrize("format", ["openai", "preference", "yolo", "coco"])
def test_no_format_holds_a_tile_without_pixels_and_each_names_those_left_out(
    holes: Ground, format: str, tmp_path: Path
) -> None:
    images: dict[str, Any] = {"with_images": True} if format == "coco" else {}
    report = exported(holes, format, tmp_path / "out", **images)
    assert report.to_json()["left_out"] == LEFT_OUT
    manifest = orjson.loads((report.path / "manifest.json").read_bytes())
    assert manifest["export"]["left_out"] == LEFT_OUT
    assert manifest["export"]["annotations_without_pixels"] == 1
    assert manifest["pixels"] == {"with_pixels": 2, "partial": 1, "unmeasured": 1, "holes": 1, "no_imagery": 0}
    card = (report.path / "card.md").read_text()
    for name in (NAMES[BARE], NAMES[FAILING]):
        assert name in card
    assert "2 of the 4 tiles have pixels, 1 of them in part" in card
    pictures = pictures_in(report)
    assert len(pictures) == (4 if format == "yolo" else 2)  # yolo: boxes and segments
    assert not any(is_black(picture) for picture in pictures)


def test_what_lies_on_ground_without_pixels_is_in_no_answer(holes: Ground, tmp_path: Path) -> None:
    report = exported(holes, "openai", tmp_path / "openai")
    answers = [orjson.loads(line)["messages"][-1]["content"] for line in (report.path / "train.jsonl").open()]
    assert [len(orjson.loads(answer)["features"]) for answer in answers] == [1, 2]
    pairs = exported(holes, "preference", tmp_path / "pairs").path / "train.jsonl"
    rejected = [orjson.loads(line)["non_preferred_output"][0]["content"] for line in pairs.open()]
    assert [len(orjson.loads(answer)["features"]) for answer in rejected] == [1, 2]
    labels = sorted((exported(holes, "yolo", tmp_path / "yolo").path / "detect" / "labels").rglob("*.txt"))
    assert [len(path.read_text().splitlines()) for path in labels] == [1, 2]
    for images in (False, True):
        coco = exported(holes, "coco", tmp_path / f"coco-{images}", with_images=images).path / "instances_train.json"
        document = orjson.loads(coco.read_bytes())
        assert [each["file_name"] for each in document["images"]] == [f"19/{FIRST.x + n}/{FIRST.y}.jpg" for n in (1, 3)]
        assert len(document["annotations"]) == 3


def test_a_bundle_leaves_them_out_too(holes: Ground, tmp_path: Path) -> None:
    dataset = freeze(holes.database, holes.project, annotator="anna", sources=holes.sources)
    report = make_bundle(
        holes.database,
        holes.project,
        dataset.id,
        "Qwen/Qwen3-VL-8B-Instruct",
        tmp_path / "bundle",
        sources=holes.sources,
    )
    assert report.left_out == LEFT_OUT
    assert not any(is_black(picture) for picture in pictures_in(report))


def test_training_here_learns_from_tiles_with_pixels_only(holes: Ground) -> None:
    snapshot = freeze(holes.database, holes.project, annotator="anna", sources=holes.sources).snapshot()
    seen, tiles, sight = examples_with_pixels(snapshot, tiles_with_pixels(snapshot, "train"), holes.sources)
    assert sight.left_out(snapshot) == LEFT_OUT
    examples = TileExamples(seen, tiles, holes.sources)
    assert [(str(examples.address(n)), len(examples[n][1])) for n in range(len(examples))] == [
        (NAMES[TORN], 1),
        (f"19/{FIRST.x + 3}/{FIRST.y}", 2),
    ]
    with pytest.raises(NoPixelsError, match="a hole in it"):
        TileExamples(snapshot, tiles_with_pixels(snapshot, "train"), holes.sources)[0]


def test_examples_that_a_model_is_shown_have_pixels(holes: Ground) -> None:
    with holes.database.read() as connection:
        pool = gather_pool(connection, holes.project, contract_of(holes.project), holes.sources)
    counts = {str(each.tile): len(orjson.loads(each.answer)["features"]) for each in pool.examples}
    assert counts == {NAMES[TORN]: 1, f"19/{FIRST.x + 3}/{FIRST.y}": 2}


def test_an_export_of_which_no_tile_has_pixels_is_refused_by_name(holes: Ground, tmp_path: Path) -> None:
    holes.painted.bare = frozenset(FIRST.x + number for number in range(4))
    holes.painted.torn = holes.painted.failing = frozenset()
    with pytest.raises(InputError, match=f"No tile can go into the openai export: .*no pixels there .{NAMES[BARE]}"):
        exported(holes, "openai", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    report = exported(holes, "geojson", tmp_path / "map")  # a map needs no pixels
    assert report.left_out == {}
    with holes.database.read() as connection:
        manifest = connection.execute(select(Dataset.manifest)).scalars().first()
    assert manifest is not None
    assert manifest["pixels"]["holes"] == 4
