"""Models of a folder as a user adds and runs them: added to a project, opened, run over tiles, all through the port."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import shapely
from shapely.geometry.base import BaseGeometry

from maploop.database import Database
from maploop.errors import ConflictError, InputError, MaploopError
from maploop.imagery.tilemath import to_pixels
from maploop.predict.hub.opening import add_hub_model, open_hub_model
from maploop.predict.predictor import Assignment, Outcome
from maploop.project import ProjectView
from tests.builders import a_project
from tests.predict.ground import tile_at
from tests.predict.hub.ground import PALE, SIZE, WHY, Town

pytest.importorskip("torch", reason=WHY)
pytest.importorskip("transformers", reason=WHY)

Tiny = Callable[[str], Path]


@pytest.fixture
def town_project(sqlite_database: Database) -> ProjectView:
    """A project of buildings, roads and wells without any tile."""
    with sqlite_database.write() as connection:
        return a_project(connection)


@pytest.fixture
def town() -> Town:
    return Town()


def asked(
    database: Database, project: ProjectView, source: Path, town: Town, columns: range, **parameters: Any
) -> list[Outcome]:
    """What a model of a folder says of tiles."""
    model = add_hub_model(database, project, "tiny", str(source), parameters)
    predictor = open_hub_model(project, model, database=database)
    tiles = [tile_at(column) for column in columns]
    answers = [each for some in predictor.predict(Assignment(tiles, town.source_of, size=SIZE)) for each in some]
    assert sorted(each.tile for each in answers) == tiles
    return answers


def in_pixels(geometry: BaseGeometry) -> BaseGeometry:
    return to_pixels(geometry, tile_at(0), SIZE)


def iou(one: BaseGeometry, other: BaseGeometry) -> float:
    return float(one.intersection(other).area / one.union(other).area)


def test_a_segformer_draws_the_houses_and_tracks_it_sees(
    sqlite_database: Database, town_project: ProjectView, town: Town, tiny: Tiny
) -> None:
    houses = [shapely.box(100, 90, 190, 170), shapely.box(440, 100, 580, 200)]  # the second one across a border
    for house in houses:
        left, top, right, bottom = (int(each) for each in house.bounds)
        town.paint(left, top, right, bottom)
    town.paint(0, 380, 4096, 410, PALE)
    answers = asked(
        sqlite_database,
        town_project,
        tiny("pixels"),
        town,
        range(2),
        task="semantic",
        labels={"house": "building", "track": "road"},
        window=512,
        batch=3,
    )
    assert [each.failure for each in answers] == [None, None]
    found = [feature for each in answers for feature in each.features]
    buildings = [in_pixels(each.geometry) for each in found if each.class_name == "building"]
    for house in houses:
        assert max(iou(house, each) for each in buildings) > 0.7
    roads = [in_pixels(each.geometry) for each in found if each.class_name == "road"]
    assert sum(each.length for each in roads) == pytest.approx(1024, rel=0.1)
    assert all(abs(each.centroid.y - 395) < 8 for each in roads)
    assert all(0.5 <= (each.score or 0) <= 1 for each in found)


def test_only_labels_that_were_named_are_used(
    sqlite_database: Database, town_project: ProjectView, town: Town, tiny: Tiny
) -> None:
    town.paint(100, 100, 180, 180)
    town.paint(0, 380, 4096, 410, PALE)
    answers = asked(
        sqlite_database, town_project, tiny("pixels"), town, range(1), task="semantic", labels={"track": "road"}
    )
    assert {feature.class_name for each in answers for feature in each.features} == {"road"}


def test_a_detector_gives_a_box_for_every_window_and_points_for_classes_of_points(
    sqlite_database: Database, town_project: ProjectView, town: Town, tiny: Tiny
) -> None:
    """The network sees one thing in the middle of each window. A window is a tile here: they do not overlap."""
    answers = asked(
        sqlite_database,
        town_project,
        tiny("boxes"),
        town,
        range(8),
        task="detection",
        labels={"house": "building"},
        window=SIZE,
        overlap=0,
    )
    found = [in_pixels(each.geometry) for answer in answers for each in answer.features]
    assert [each.bounds for each in sorted(found, key=lambda each: each.bounds)] == [
        pytest.approx((column * SIZE + 128, 192, column * SIZE + 384, 320), abs=0.5) for column in range(8)
    ]
    model = add_hub_model(
        sqlite_database,
        town_project,
        "wells",
        str(tiny("boxes")),
        {"task": "detection", "labels": {"house": "well"}, "window": SIZE, "overlap": 0},
    )
    predictor = open_hub_model(town_project, model)
    (answer,) = next(iter(predictor.predict(Assignment([tile_at(0)], town.source_of, size=SIZE))))
    assert [each.geometry.geom_type for each in answer.features] == ["Point"] * len(answer.features)
    assert list(predictor.class_names) == ["well"]


def test_enlarging_shows_the_model_smaller_windows(
    sqlite_database: Database, town_project: ProjectView, town: Town, tiny: Tiny
) -> None:
    answers = asked(
        sqlite_database,
        town_project,
        tiny("boxes"),
        town,
        range(8),
        task="detection",
        labels={"house": "building"},
        window=SIZE,
        overlap=0,
        upscale=2,
    )
    boxes = [in_pixels(each.geometry) for answer in answers for each in answer.features]
    assert len(boxes) == 32
    assert {round(each.area) for each in boxes} == {128 * 64}


def test_a_score_below_the_threshold_is_left_out(
    sqlite_database: Database, town_project: ProjectView, town: Town, tiny: Tiny
) -> None:
    answers = asked(
        sqlite_database,
        town_project,
        tiny("boxes"),
        town,
        range(2),
        task="detection",
        labels={"house": "building"},
        threshold=0.99,
    )
    assert [each.features for each in answers] == [(), ()]


@pytest.mark.parametrize("task", ["instance", "semantic"])
def test_a_mask2former_answers_with_polygons(
    sqlite_database: Database, town_project: ProjectView, town: Town, tiny: Tiny, task: str
) -> None:
    """Its weights are from chance: that it says something valid is all there is to see."""
    answers = asked(
        sqlite_database,
        town_project,
        tiny("masks"),
        town,
        range(2),
        task=task,
        labels={"house": "building", "track": "building"},
        threshold=0,
    )
    found = [each for answer in answers for each in answer.features]
    assert found
    assert all(each.geometry.geom_type == "Polygon" and each.geometry.is_valid for each in found)
    assert all(0 <= (each.score or 0) <= 1 for each in found)


def test_a_sam_searches_windows_for_whatever_stands_out(
    sqlite_database: Database, town_project: ProjectView, town: Town, tiny: Tiny
) -> None:
    town.paint(200, 200, 300, 300)
    answers = asked(
        sqlite_database,
        town_project,
        tiny("prompted"),
        town,
        range(1),
        task="masks",
        labels={"mask": "building"},
        threshold=0,
        points=6,
    )
    assert {feature.class_name for each in answers for feature in each.features} <= {"building"}


def test_a_tile_that_cannot_be_read_fails_alone(
    sqlite_database: Database, town_project: ProjectView, town: Town, tiny: Tiny
) -> None:
    town.broken.add(tile_at(1))
    answers = asked(
        sqlite_database,
        town_project,
        tiny("boxes"),
        town,
        range(2),
        task="detection",
        labels={"house": "building"},
    )
    failures = {each.tile: each.failure for each in answers}
    assert failures[tile_at(0)] is None
    failure = failures[tile_at(1)]
    assert failure is not None
    assert failure.kind == "imagery"


def test_a_stopped_run_looks_at_no_more_windows(
    sqlite_database: Database, town_project: ProjectView, town: Town, tiny: Tiny
) -> None:
    model = add_hub_model(
        sqlite_database,
        town_project,
        "tiny",
        str(tiny("boxes")),
        {"task": "detection", "labels": {"house": "building"}, "batch": 1},
    )
    looks: list[float] = []
    assignment = Assignment(
        [tile_at(column) for column in range(8)],
        town.source_of,
        size=SIZE,
        stopped=lambda: len(looks) >= 2,
        report=looks.append,
    )
    assert list(open_hub_model(town_project, model).predict(assignment)) == []
    assert len(looks) == 2


@pytest.mark.parametrize(
    ("kind", "parameters", "says"),
    [
        (
            "pixels",
            {"task": "semantic", "labels": {"roof": "building"}},
            "no label 'roof': it has ground, House, track",
        ),
        ("pixels", {"task": "detection", "labels": {"house": "building"}}, "segformer model cannot do 'detection'"),
        ("pixels", {"task": "detection", "labels": {"house": "building"}}, "it can do semantic"),
        ("boxes", {"task": "sharpen", "sharpen": "first"}, "cannot do 'sharpen': use one of sam"),
        ("boxes", {"task": "detection", "labels": {"house": "road"}}, "boxes do not become lines"),
        ("boxes", {"task": "detection", "labels": {"house": "pond"}}, "'pond' is not a class of 'Town'"),
        ("prompted", {"task": "masks", "labels": {"thing": "building"}}, "no label 'thing': it has mask"),
        ("prompted", {"task": "sharpen", "sharpen": "nobody"}, "There is no model 'nobody'"),
    ],
)
def test_a_model_that_cannot_do_what_it_is_added_for_is_refused(
    sqlite_database: Database, town_project: ProjectView, tiny: Tiny, kind: str, parameters: dict[str, Any], says: str
) -> None:
    with pytest.raises(MaploopError, match=says):
        add_hub_model(sqlite_database, town_project, "tiny", str(tiny(kind)), parameters)


def test_weights_that_are_pickles_are_never_read(
    sqlite_database: Database, town_project: ProjectView, tiny: Tiny, tmp_path: Path
) -> None:
    import torch

    folder = tmp_path / "pickled"
    shutil.copytree(tiny("boxes"), folder)
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")
    model = add_hub_model(
        sqlite_database, town_project, "tiny", str(folder), {"task": "detection", "labels": {"house": "building"}}
    )
    with pytest.raises(InputError, match="no weights as safetensors"):
        open_hub_model(town_project, model)


def test_code_that_a_model_brings_is_never_run(
    sqlite_database: Database, town_project: ProjectView, tiny: Tiny, tmp_path: Path
) -> None:
    folder = tmp_path / "own"
    shutil.copytree(tiny("boxes"), folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "mine.Mine", "AutoModel": "mine.Mine"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "mine.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(InputError, match="brings code of its own, which is never run"):
        add_hub_model(
            sqlite_database, town_project, "tiny", str(folder), {"task": "detection", "labels": {"house": "building"}}
        )
    assert not (tmp_path / "ran").exists()


def test_a_folder_that_was_changed_since_is_not_opened(
    sqlite_database: Database, town_project: ProjectView, tiny: Tiny, tmp_path: Path
) -> None:
    folder = tmp_path / "changed"
    shutil.copytree(tiny("boxes"), folder)
    model = add_hub_model(
        sqlite_database, town_project, "tiny", str(folder), {"task": "detection", "labels": {"house": "building"}}
    )
    assert model.parameters["revision"].startswith("sha256:")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0")
    with pytest.raises(InputError, match="were changed after the model was added"):
        open_hub_model(town_project, model)


def test_weights_of_another_task_are_told_from_trained_ones(
    sqlite_database: Database, town_project: ProjectView, tiny: Tiny, tmp_path: Path
) -> None:
    """A backbone has no head; the library would make one up from chance."""
    from transformers import SegformerModel

    folder = tmp_path / "backbone"
    shutil.copytree(tiny("pixels"), folder)
    SegformerModel.from_pretrained(tiny("pixels")).save_pretrained(folder)
    model = add_hub_model(
        sqlite_database, town_project, "tiny", str(folder), {"task": "semantic", "labels": {"house": "building"}}
    )
    with pytest.raises(InputError, match="was not trained for 'semantic'"):
        open_hub_model(town_project, model)


def test_damaged_weights_are_one_clear_error(
    sqlite_database: Database, town_project: ProjectView, tiny: Tiny, tmp_path: Path
) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(tiny("boxes"), folder)
    (folder / "model.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0nonsense")
    model = add_hub_model(
        sqlite_database, town_project, "tiny", str(folder), {"task": "detection", "labels": {"house": "building"}}
    )
    with pytest.raises(InputError, match="cannot be opened"):
        open_hub_model(town_project, model)


def test_a_graphics_card_that_is_not_there_is_said_so(
    sqlite_database: Database, town_project: ProjectView, tiny: Tiny
) -> None:
    model = add_hub_model(
        sqlite_database,
        town_project,
        "tiny",
        str(tiny("boxes")),
        {"task": "detection", "labels": {"house": "building"}, "device": "cuda:7"},
    )
    with pytest.raises(InputError, match="no cuda:7 that torch can use: use cpu, or auto"):
        open_hub_model(town_project, model)


def test_what_is_to_be_sharpened_must_have_been_predicted(
    sqlite_database: Database, town_project: ProjectView, tiny: Tiny
) -> None:
    add_hub_model(
        sqlite_database,
        town_project,
        "first",
        str(tiny("boxes")),
        {"task": "detection", "labels": {"house": "building"}},
    )
    model = add_hub_model(
        sqlite_database, town_project, "sharper", str(tiny("prompted")), {"task": "sharpen", "sharpen": "first"}
    )
    with pytest.raises(ConflictError, match="'first' has predicted nothing yet"):
        open_hub_model(town_project, model, database=sqlite_database)
