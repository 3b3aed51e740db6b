"""What each format holds, read back by the tools it is for."""

import base64
import io
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import geopandas
import numpy as np
import orjson
import pytest
import shapely
from PIL import Image
from shapely.geometry import box

from maploop.contract import contract_of, parse_answer
from maploop.database import Database
from maploop.dataset.check import check_openai_jsonl
from maploop.dataset.parts import bridge_holes
from maploop.dataset.writers.osm import MAX_WAY_NODES, Change
from maploop.imagery.tilemath import Tile, tile_of_file, to_pixels
from maploop.vectors.geometry import as_geometries, repair_polygons
from maploop.vectors.read import read_features
from tests.dataset.ground import FIRST, SPLITS, Ground, lay_ground, on_tile
from tests.dataset.test_export import exported


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def test_openai_lines_hold_the_prompt_the_picture_and_the_truth_of_a_tile(local_ground: Ground, tmp_path: Path) -> None:
    report = exported(local_ground, "openai", tmp_path / "out")
    contract = contract_of(local_ground.project)
    train = lines_of(report.path / "train.jsonl")
    assert len(train) == 2
    assert len(lines_of(report.path / "validation.jsonl")) == 1
    system, user, assistant = train[0]["messages"]
    assert system == {"role": "system", "content": contract.system}
    url = user["content"][1]["image_url"]["url"]
    picture = base64.b64decode(url.removeprefix("data:image/jpeg;base64,"))
    assert user == contract.messages(picture)[1]
    with Image.open(io.BytesIO(picture)) as image:
        assert image.size == (512, 512)
        assert abs(np.asarray(image)[10, 10, 0] - FIRST.x % 251) < 4
    found = parse_answer(assistant["content"], FIRST, contract)
    assert [each.class_name for each in found] == ["building"] * 3 + ["road"]
    drawn = [to_pixels(each.geometry, FIRST, 512) for each in found]
    assert shapely.hausdorff_distance(drawn[0], box(10, 10, 60, 60)) < 0.6
    assert drawn[1].interiors  # type: ignore[attr-defined]
    assert drawn[2].bounds[2] == pytest.approx(512)  # cut at the border
    assert not check_openai_jsonl(report.path / "train.jsonl").problems
    assert any("2 examples are few" in note for note in report.notes)


def test_the_manifest_estimates_tokens_and_cost(local_ground: Ground, tmp_path: Path) -> None:
    report = exported(local_ground, "openai", tmp_path / "out")
    estimate = orjson.loads((report.path / "manifest.json").read_bytes())["export"]["estimate"]
    assert 2 * (255 + 300) < estimate["tokens"]["train"] < 2 * (255 + 1500)
    assert estimate["billed_tokens"] == 3 * estimate["tokens"]["train"]
    assert estimate["cost"]["gpt-4o"] == pytest.approx(estimate["billed_tokens"] * 25e-6, abs=0.01)


def test_preference_pairs_are_the_models_answer_against_the_corrected_one(local_ground: Ground, tmp_path: Path) -> None:
    report = exported(local_ground, "preference", tmp_path / "out")
    contract = contract_of(local_ground.project)
    (pair, _) = lines_of(report.path / "train.jsonl")
    assert [each["role"] for each in pair["input"]["messages"]] == ["system", "user"]
    preferred = parse_answer(pair["preferred_output"][0]["content"], FIRST, contract)
    given = parse_answer(pair["non_preferred_output"][0]["content"], FIRST, contract)
    assert len(preferred) == 4
    assert len(given) == 5  # with the rejected building, and the corrected one as it was
    assert lines_of(report.path / "validation.jsonl") == []
    assert "1 tile is left out: the model's answer is the right one." in report.notes


def test_coco_reads_back_and_keeps_test_apart(local_ground: Ground, tmp_path: Path) -> None:
    report = exported(local_ground, "coco", tmp_path / "out", with_images=True)
    documents = {
        split: orjson.loads((report.path / f"instances_{split}.json").read_bytes())
        for split in ("train", "validation", "test")
    }
    train = documents["train"]
    assert [tile_of_file(each["file_name"]) for each in train["images"]] == [
        FIRST,
        Tile(FIRST.z, FIRST.x + 1, FIRST.y),
    ]
    for image in train["images"]:
        with Image.open(report.path / "images" / image["file_name"]) as picture:
            assert picture.size == (image["width"], image["height"])
    buildings = [each for each in train["annotations"] if each["category_id"] == 1]
    assert len(buildings) == 4  # the one across the border on both sides
    assert buildings[0]["bbox"] == pytest.approx([10, 10, 50, 50], abs=0.01)
    assert buildings[0]["area"] == pytest.approx(2500, rel=1e-3)
    courtyard = buildings[1]
    assert courtyard["area"] == pytest.approx(10_000 - 1600, rel=1e-3)
    ring = shapely.Polygon(np.reshape(courtyard["segmentation"][0], (-1, 2)))
    ((mended,), _) = repair_polygons(as_geometries([ring]))
    assert mended.area == pytest.approx(10_000 - 1600, rel=1e-3)
    (tree,) = [each for each in train["annotations"] if each["category_id"] == 3]
    assert tree["keypoints"] == pytest.approx([100, 100, 2], abs=0.01)
    assert [len(each["polyline"]) for each in train["polylines"]] == [1, 1]
    ids = [each["id"] for document in documents.values() for each in (*document["annotations"], *document["polylines"])]
    assert len(set(ids)) == len(ids)
    images = [{each["id"] for each in document["images"]} for document in documents.values()]
    assert not images[0] & images[2]
    assert not images[0] & images[1]


def test_coco_comes_back_through_the_import(local_ground: Ground, tmp_path: Path) -> None:
    from maploop.vectors.formats.coco import read_coco

    report = exported(local_ground, "coco", tmp_path / "out")
    table = read_coco(orjson.loads((report.path / "instances_train.json").read_bytes()))
    assert not table.problems
    assert shapely.hausdorff_distance(to_pixels(table.geometries[0], FIRST, 512), box(10, 10, 60, 60)) < 0.02


def test_the_coco_that_was_written_comes_back_whole(local_ground: Ground, tmp_path: Path) -> None:
    ground = local_ground
    wings = shapely.MultiPolygon([box(300, 10, 340, 50), box(360, 10, 400, 50)])
    ground.feature("building", on_tile(1, wings), "add")
    report = exported(ground, "coco", tmp_path / "out")
    classes = ground.project.geometry_types
    table, read = read_features(report.path / "instances_train.json", classes=classes)
    assert read.skipped == []
    assert read.looked_at == [FIRST, Tile(FIRST.z, FIRST.x + 1, FIRST.y)]
    assert sorted(table.class_names) == ["building"] * 4 + ["road", "tree"]
    courtyard = box(100, 100, 200, 200).difference(box(130, 130, 170, 170))
    across, road = box(480, 300, 560, 360), shapely.LineString([(20, 400), (1000, 420)])
    whole = [box(10, 10, 60, 60), courtyard, across, road, to_pixels(on_tile(1, wings), FIRST, 512)]
    found = [to_pixels(each, FIRST, 512) for each in table.geometries]
    for expected in whole:
        nearest = min(found, key=expected.hausdorff_distance)
        assert expected.hausdorff_distance(nearest) < 0.02, "what tiles cut is one feature again"
        assert expected.geom_type == nearest.geom_type
        assert shapely.symmetric_difference(expected, nearest).area < 3
    empty = {SPLITS.index("validation"), SPLITS.index("test")}
    for place, name in ((min(empty), "validation"), (max(empty), "test")):
        _, read = read_features(report.path / f"instances_{name}.json", classes=classes)
        assert read.looked_at == [Tile(FIRST.z, FIRST.x + place, FIRST.y)]


def test_an_empty_tile_of_a_coco_export_comes_back_as_looked_at(sqlite_database: Database, tmp_path: Path) -> None:
    ground = lay_ground(sqlite_database)
    ground.feature("building", on_tile(0, box(10, 10, 60, 60)), "accept")
    report = exported(ground, "coco", tmp_path / "out")
    table, read = read_features(report.path / "instances_train.json", classes=ground.project.geometry_types)
    assert len(table) == 1
    assert len(read.looked_at) == 2


def test_a_feature_of_several_parts_is_one_in_every_format(local_ground: Ground, tmp_path: Path) -> None:
    wings = shapely.MultiPolygon([box(300, 10, 340, 50), box(360, 10, 400, 50)])
    feature = local_ground.feature("building", on_tile(1, wings), "add")
    coco = orjson.loads((exported(local_ground, "coco", tmp_path / "coco").path / "instances_train.json").read_bytes())
    (annotation,) = [each for each in coco["annotations"] if each["feature_id"] == feature]
    assert len(annotation["segmentation"]) == 2
    assert annotation["bbox"] == pytest.approx([300, 10, 100, 40])
    yolo = exported(local_ground, "yolo", tmp_path / "yolo").path
    stem = f"labels/train/{FIRST.x + 1}-{FIRST.y}-{FIRST.z}.txt"
    boxes, segments = ((yolo / kind / stem).read_text().splitlines() for kind in ("detect", "segment"))
    assert (len(boxes), len(segments)) == (2, 3)  # with the building that reaches in from the west
    created = ET.parse(exported(local_ground, "osm", tmp_path / "osm").path / "annotations.osc").getroot()
    assert ["outer", "outer"] in [
        [each.attrib["role"] for each in found.iter("member")] for found in created.iter("relation")
    ]
    geojson = orjson.loads(
        (exported(local_ground, "geojson", tmp_path / "geojson").path / "annotations.geojson").read_bytes()
    )
    (row,) = [each for each in geojson["features"] if each["properties"]["feature_id"] == feature]
    assert row["geometry"]["type"] == "MultiPolygon"
    train = lines_of(exported(local_ground, "openai", tmp_path / "openai").path / "train.jsonl")
    answer = parse_answer(
        train[1]["messages"][2]["content"], Tile(FIRST.z, FIRST.x + 1, FIRST.y), contract_of(local_ground.project)
    )
    assert sum(each.class_name == "building" for each in answer) == 3  # each part is an entry of the answer


def test_yolo_has_boxes_and_segments_of_polygons(local_ground: Ground, tmp_path: Path) -> None:
    report = exported(local_ground, "yolo", tmp_path / "out")
    assert (report.path / "segment" / "data.yaml").read_text().splitlines() == [
        "path: .",
        "train: images/train",
        "val: images/val",
        "test: images/test",
        "names:",
        '  0: "building"',
    ]
    stem = f"{FIRST.x}-{FIRST.y}-{FIRST.z}"
    assert tile_of_file(stem) == FIRST
    boxes = (report.path / "detect" / "labels" / "train" / f"{stem}.txt").read_text().splitlines()
    assert len(boxes) == 3
    assert [float(each) for each in boxes[0].split()] == pytest.approx(
        [0, 35 / 512, 35 / 512, 50 / 512, 50 / 512], abs=1e-4
    )
    segments = (report.path / "segment" / "labels" / "train" / f"{stem}.txt").read_text().splitlines()
    assert len(segments) == 3
    assert len(segments[0].split()) == 9
    for kind in ("detect", "segment"):
        images = sorted(path.name for path in (report.path / kind / "images").rglob("*.jpg"))
        labels = sorted(path.name for path in (report.path / kind / "labels").rglob("*.txt"))
        assert [each[:-4] for each in images] == [each[:-4] for each in labels]
        assert len(images) == 4
    assert "YOLO has polygons only: road, tree left out." in report.notes


@pytest.mark.parametrize(
    ("format", "name"),
    [("geojson", "annotations.geojson"), ("geopackage", "annotations.gpkg"), ("geoparquet", "annotations.parquet")],
)
def test_vector_formats_hold_every_annotation_once_and_whole(
    local_ground: Ground, format: str, name: str, tmp_path: Path
) -> None:
    report = exported(local_ground, format, tmp_path / "out")
    path = report.path / name
    if format == "geoparquet":
        frame = geopandas.read_parquet(path)
    elif format == "geojson":
        frame = geopandas.read_file(path)
    else:
        parts = [geopandas.read_file(path, layer=layer) for layer in ("polygons", "lines", "points")]
        assert [len(each) for each in parts] == [6, 1, 1]
        return
    assert len(frame) == 8
    assert frame["feature_id"].is_unique
    road = frame[frame["class"] == "road"].iloc[0]
    assert road.geometry.equals_exact(on_tile(0, shapely.LineString([(20, 400), (1000, 420)])), 1e-7)
    assert frame.crs.to_epsg() == 4326


def test_what_touches_a_test_tile_is_never_in_the_train_file(local_ground: Ground, tmp_path: Path) -> None:
    splits = {
        split: geopandas.read_file(
            exported(local_ground, "geojson", tmp_path / split, split=split).path / f"{split}.geojson"
        )
        for split in ("train", "validation", "test")
    }
    assert {split: len(frame) for split, frame in splits.items()} == {"train": 5, "validation": 1, "test": 2}
    seen = [set(frame["feature_id"]) for frame in splits.values()]
    assert sum(map(len, seen)) == len(set().union(*seen))


def test_osm_changes_are_nodes_ways_and_multipolygons(local_ground: Ground, tmp_path: Path) -> None:
    report = exported(local_ground, "osm", tmp_path / "out")
    root = ET.parse(report.path / "annotations.osc").getroot()
    assert root.tag == "osmChange"
    create = root.find("create")
    assert create is not None
    assert [each.tag for each in create] == sorted((each.tag for each in create), key="node way relation".index)
    ids = [int(each.attrib["id"]) for each in create]
    assert len(set(ids)) == len(ids)
    assert all(each < 0 for each in ids)
    known = {each.attrib["id"] for each in create}
    assert {each.attrib["ref"] for each in (*create.iter("nd"), *create.iter("member"))} <= known
    (courtyard,) = create.iter("relation")
    assert {each.attrib["k"]: each.attrib["v"] for each in courtyard.iter("tag")} == {
        "type": "multipolygon",
        "building": "yes",
    }
    assert [each.attrib["role"] for each in courtyard.iter("member")] == ["outer", "inner"]
    tagged = [each for each in create.iter("node") if each.find("tag") is not None]
    assert len(tagged) == 1
    roads = [way for way in create.iter("way") if any(tag.attrib["k"] == "highway" for tag in way.iter("tag"))]
    assert len(roads) == 1
    closed = [way for way in create.iter("way") if way not in roads]
    assert all(way.findall("nd")[0].attrib == way.findall("nd")[-1].attrib for way in closed)


def test_osm_neighbours_share_nodes_and_long_ways_are_cut() -> None:
    change = Change()
    change.add(box(0, 0, 1, 1), {"building": "yes"})
    change.add(box(1, 0, 2, 1), {"building": "yes"})
    assert len(change.nodes) == 6
    circle = shapely.Point(10, 10).buffer(1, quad_segs=1500)
    change.add(circle, {"natural": "water"})
    ((_, members, tags),) = change.relations
    assert tags == {"type": "multipolygon", "natural": "water"}
    pieces = [nodes for identifier, nodes, _ in change.ways if identifier in {way for way, _ in members}]
    assert max(map(len, pieces)) <= MAX_WAY_NODES
    assert all(pieces[i][-1] == pieces[(i + 1) % len(pieces)][0] for i in range(len(pieces)))


def test_osm_names_cannot_break_out_of_their_attribute() -> None:
    change = Change()
    change.add(shapely.Point(1, 2), {"maploop:class": "\"/><way id='1'/>\x00\ufffe&"})
    (node,) = ET.fromstring("".join(change.xml())).iter("node")
    (tag,) = node.iter("tag")
    assert tag.attrib["v"] == "\"/><way id='1'/>&"


def test_holes_are_bridged_without_losing_area() -> None:
    polygon = shapely.Polygon(
        box(0, 0, 100, 100).exterior,
        [box(10 + 30 * i, 10 + 30 * j, 30 + 30 * i, 30 + 30 * j).exterior for i in range(3) for j in range(3)],
    )
    ring = bridge_holes(polygon)
    assert (ring[0] == ring[-1]).all()
    (parts, _) = repair_polygons(as_geometries([shapely.Polygon(ring)]))
    assert shapely.union_all(parts).symmetric_difference(polygon).area < 1e-6
