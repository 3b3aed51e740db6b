"""Files as they come from other tools, each with the place its features are at."""

import gzip
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas
import pyogrio
import pytest
import shapely
from shapely.geometry.base import BaseGeometry

from maploop.errors import VectorError
from maploop.evaluate.files import evaluate_files
from maploop.evaluate.matching import Rules
from maploop.imagery.tilemath import Tile, to_pixels
from maploop.vectors.geometry import GeometryType, as_geometries
from maploop.vectors.geometry.measure import project
from maploop.vectors.read import read_features

WriteJson = Callable[..., Path]
Classes = dict[str, GeometryType]

TILE = Tile(18, 138901, 76251)
BOX = shapely.box(64, 64, 128, 96)
FLAT = [64, 64, 128, 64, 128, 96, 64, 96]
METRES = [shapely.box(597979.9 + 60 * number, 6643119, 597999.9 + 60 * number, 6643134) for number in range(3)]
IMAGE = {"id": 1, "file_name": f"{TILE}.png", "width": 256, "height": 256}
CATEGORIES = [{"id": 1, "name": "building"}]


@pytest.fixture
def classes() -> Classes:
    return {"building": "polygon"}


@pytest.fixture
def squares() -> geopandas.GeoDataFrame:
    frame = {"class": ["building"] * 3, "score": [0.5, 0.6, 0.7]}
    return geopandas.GeoDataFrame(frame, geometry=METRES, crs="EPSG:25832").to_crs("EPSG:4326")


def on_tile(geometry: BaseGeometry) -> BaseGeometry:
    return to_pixels(geometry, TILE, 256)


def check_box(path: Path, classes: Classes, expected: BaseGeometry = BOX, **told: Any) -> None:
    """The file holds the box on the tile, once, and nothing is left out."""
    table, report = read_features(path, classes=classes, **told)
    assert report.skipped == []
    assert len(table) == 1
    assert on_tile(table.geometries[0]).symmetric_difference(expected).area < 0.02 * expected.area


def check_squares(path: Path, classes: Classes, **told: Any) -> None:
    """The file holds the three squares, and nothing is left out."""
    table, report = read_features(path, classes=classes, **told)
    assert report.skipped == []
    assert len(table) == 3
    found = sorted(project(table.geometries, "EPSG:25832"), key=lambda each: each.bounds)
    for each, square in zip(found, METRES, strict=True):
        assert each.symmetric_difference(square).area < 1


def coco(*annotations: dict[str, Any], image: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    rows = [{"id": number, "image_id": 1, "category_id": 1, **row} for number, row in enumerate(annotations)]
    return {"images": [{**IMAGE, **(image or {})}], "annotations": rows, "categories": CATEGORIES, **more}


@pytest.mark.parametrize("name", ["drone_2024-05-12.png", "crop_1024-2048-12.png", "crop_1024-2048-18.png"])
def test_dates_and_crops_are_no_tiles(name: str, write_json: WriteJson, classes: Classes) -> None:
    path = write_json(document=coco({"segmentation": [FLAT]}, image={"file_name": name}))
    with pytest.raises(VectorError, match="do not say which tiles they are"):
        read_features(path, classes=classes)


@pytest.mark.parametrize(
    "image",
    [
        {"file_name": "138901-76251-18_png.rf.1a2b3c4d5e6f.jpg"},
        {"file_name": "a_jpg.rf.1a2b.jpg", "extra": {"name": "138901-76251-18.png"}},
    ],
)
def test_roboflow_names_are_understood(image: dict[str, Any], write_json: WriteJson, classes: Classes) -> None:
    check_box(write_json(document=coco({"segmentation": [FLAT]}, image=image)), classes)


def test_coco_results_are_read_with_the_list_of_images(write_json: WriteJson, classes: Classes) -> None:
    results = [{"image_id": 1, "category_id": 1, "bbox": [64, 64, 64, 32], "score": 0.87}]
    path = write_json(document=results, name="results.json")
    listing = write_json(document=coco(), name="listing.json")
    check_box(path, classes, images=listing)
    table, report = read_features(path, classes=classes, images=listing)
    assert table.scores.tolist() == [0.87]
    assert report.looked_at == [], "what a model found was not looked at by anybody"
    with pytest.raises(VectorError, match=r"does not say which tiles its images are: .* \(--images FILE\)"):
        read_features(path, classes=classes)


def test_coco_results_are_held_against_the_truth_whose_images_they_mean(write_json: WriteJson) -> None:
    truth = write_json(document=coco({"segmentation": [FLAT]}), name="truth.json")
    results = [{"image_id": 1, "category_id": 1, "bbox": [64, 64, 64, 32], "score": 0.87}]
    evaluation, _ = evaluate_files(truth, write_json(document=results, name="results.json"), Rules())
    assert (evaluation.overall.tp, evaluation.overall.fp, evaluation.overall.fn) == (1, 0, 0)


@pytest.mark.parametrize(
    "named", [{"image_id": "138901-76251-18"}, {"image_id": 7, "file_name": "138901-76251-18.jpg"}]
)
def test_ultralytics_predictions_name_their_tiles(
    named: dict[str, Any], write_json: WriteJson, classes: Classes
) -> None:
    path = write_json(document=[{**named, "category_id": 0, "bbox": [64, 64, 64, 32], "score": 0.9}])
    check_box(path, classes, image_size=256, class_name="building")
    with pytest.raises(VectorError, match=r"how large its images are: .*--image-size 512"):
        read_features(path, classes=classes, class_name="building")
    with pytest.raises(VectorError, match=r"no names of classes: .*--class NAME"):
        read_features(path, classes=classes, image_size=256)


def test_a_mask_lies_where_its_own_size_says(write_json: WriteJson, classes: Classes) -> None:
    column = [32, 256 - 32]
    runs = [64 * 256 + 64, *(column * 64)[:-1], 256 - 96 + 128 * 256]
    mask = {"size": [256, 256], "counts": runs}
    for side in (256, 512):
        check_box(write_json(document=coco({"segmentation": mask}, image={"width": side, "height": side})), classes)


def test_shares_of_the_image_are_refused(write_json: WriteJson, classes: Classes) -> None:
    path = write_json(document=coco({"segmentation": [[value / 256 for value in FLAT]]}))
    with pytest.raises(VectorError, match="shares of the image, 0 to 1: COCO has pixels"):
        read_features(path, classes=classes)


def test_boxes_of_cvat_are_turned(write_json: WriteJson, classes: Classes) -> None:
    box = {"bbox": [64, 64, 64, 32], "segmentation": [], "attributes": {"rotation": 30.0}}
    turned = shapely.affinity.rotate(BOX, 30, origin=(96, 80))  # y is down, so that this is clockwise as seen
    check_box(write_json(document=coco(box)), classes, turned)
    table, report = read_features(write_json(document=coco({"bbox": [96, 80, 64, 32, 30]})), classes=classes)
    assert len(table) == 0
    assert "its box has 5 numbers" in report.skipped[0]["reason"]


def test_coco_without_categories_is_read_as_the_class_told(write_json: WriteJson, classes: Classes) -> None:
    document = coco({"segmentation": [FLAT]})
    del document["categories"]
    path = write_json(document=document)
    check_box(path, classes, class_name="building")
    with pytest.raises(VectorError, match=r"without a list of categories: .*\(--class NAME\)"):
        read_features(path, classes=classes)


def test_a_class_told_overrides_what_the_file_says(write_json: WriteJson, classes: Classes) -> None:
    document = {**coco({"segmentation": [FLAT]}), "categories": [{"id": 1, "name": "bygning"}]}
    check_box(write_json(document=document), classes, class_name="building")


def test_crowds_count_as_with_pycocotools(write_json: WriteJson, classes: Classes) -> None:
    crowd = {"segmentation": [[10, 10, 210, 10, 210, 210, 10, 210]], "iscrowd": 1}
    house = {"segmentation": [[220, 220, 240, 220, 240, 240, 220, 240]], "iscrowd": 0}
    within = {"segmentation": [[50, 50, 70, 50, 70, 70, 50, 70]], "score": 0.8}
    beside = {"segmentation": [[205, 100, 255, 100, 255, 120, 205, 120]], "score": 0.7}
    truth = write_json(document=coco(crowd, house), name="truth.json")
    for more, false in (([], 0), ([beside], 1)):
        predictions = write_json(document=coco({**house, "score": 0.9}, within, *more), name="predictions.json")
        overall = evaluate_files(truth, predictions, Rules())[0].overall
        assert (overall.tp, overall.fp, overall.fn) == (1, false, 0)
    half_within = {"segmentation": [[180, 40, 230, 40, 230, 60, 180, 60]], "score": 0.95}  # six tenths of it
    predictions = write_json(document=coco({**house, "score": 0.9}, half_within), name="predictions.json")
    figures = evaluate_files(truth, predictions, Rules())[0].overall.figures
    assert figures["ap50"].value == pytest.approx(1.0)
    assert figures["ap"].value == pytest.approx(0.3 * 1 + 0.7 * 0.5)
    table, report = read_features(truth, classes=classes)
    assert len(table) == 1
    assert report.skipped == [{"row": 0, "reason": "it is ground with many features, none of its own (iscrowd)"}]


def task(*regions: dict[str, Any], **more: Any) -> dict[str, Any]:
    sized = [{"original_width": 256, "original_height": 256, **each} for each in regions]
    return {
        "data": {"image": f"/data/upload/1/2308-{TILE.x}-{TILE.y}-{TILE.z}.png"},
        "annotations": [{"result": sized, **more}],
    }


def test_ellipses_of_label_studio_are_outlines(write_json: WriteJson, classes: Classes) -> None:
    value = {"x": 50, "y": 50, "radiusX": 12.5, "radiusY": 6.25, "rotation": 90, "ellipselabels": ["building"]}
    expected = shapely.affinity.scale(shapely.Point(128, 128).buffer(1, quad_segs=32), 16, 32)
    check_box(write_json(document=[task({"type": "ellipselabels", "value": value})]), classes, expected)


def packed(mask_alpha: list[int]) -> list[int]:
    """Label Studio's packing of an RGBA mask whose three colours are 255 where alpha is: thi.ng's rle-pack."""
    values = [value for alpha in mask_alpha for value in (alpha, alpha, alpha, alpha)]
    bits = f"{len(values):032b}{7:05b}" + f"{2:04b}{3:04b}{7:04b}{15:04b}"
    place = 0
    while place < len(values):
        end = place
        while end < len(values) and values[end] == values[place] and end - place < 2**16:
            end += 1
        bits += "1" + "11" + f"{end - place - 1:016b}" + f"{values[place]:08b}"
        place = end
    bits += "0" * (-len(bits) % 8)
    return [int(bits[start : start + 8], 2) for start in range(0, len(bits), 8)]


def test_brushes_of_label_studio_are_traced(write_json: WriteJson, classes: Classes) -> None:
    alpha = [255 if 64 <= x < 128 and 64 <= y < 96 else 0 for y in range(256) for x in range(256)]
    value = {"format": "rle", "rle": packed(alpha), "brushlabels": ["building"]}
    check_box(write_json(document=[task({"type": "brushlabels", "value": value})]), classes)
    for bad in ({**value, "rle": value["rle"][:40]}, {**value, "rle": "abc"}, {**value, "rle": [300]}):
        _, report = read_features(write_json(document=[task({"type": "brushlabels", "value": bad})]), classes=classes)
        assert "its brush cannot be read" in report.skipped[0]["reason"]


def test_of_a_crossed_feature_collection_the_crs_told_counts(
    write_json: WriteJson, make_feature: Callable[..., Any], classes: Classes, squares: geopandas.GeoDataFrame
) -> None:
    metres = [make_feature(each) for each in METRES]
    degrees = [make_feature(each) for each in squares.geometry]
    code = {"type": "EPSG", "properties": {"code": 25832}}
    check_squares(write_json(*metres, crs=code), classes)
    link = write_json(
        *degrees, crs={"type": "link", "properties": {"href": "http://spatialreference.org/ref/epsg/4326/"}}
    )
    check_squares(link, classes, source_crs="EPSG:4326")
    with pytest.raises(VectorError, match=r"crs member .* is not a known CRS: give it, such as --crs"):
        read_features(link, classes=classes)
    wrong = write_json(*metres, crs={"type": "name", "properties": {"name": "EPSG:25833"}})
    check_squares(wrong, classes, source_crs="EPSG:25832")


def test_the_crs_inside_geometries_counts(write_json: WriteJson, classes: Classes) -> None:
    crs = {"type": "name", "properties": {"name": "EPSG:25832"}}
    shapes = [{**shapely.geometry.mapping(each), "crs": crs} for each in METRES]
    path = write_json(*({"type": "Feature", "properties": {}, "geometry": shape} for shape in shapes))
    check_squares(path, classes)


def test_heights_that_some_positions_have_are_dropped(write_json: WriteJson, classes: Classes) -> None:
    square = [[10, 60, 5], [10.001, 60], [10.001, 60.001, 5], [10, 60.001], [10, 60, 5]]
    shapes = [
        {"type": "Polygon", "coordinates": [square]},
        {"type": "MultiPolygon", "coordinates": [[square], [square]]},
    ]
    path = write_json(*({"type": "Feature", "properties": {}, "geometry": shape} for shape in shapes))
    table, report = read_features(path, classes=classes)
    assert report.skipped == []
    assert all(each.equals(shapely.box(10, 60, 10.001, 60.001)) for each in table.geometries)


def test_longitudes_beyond_180_are_wrapped_and_cut(
    write_json: WriteJson, make_feature: Callable[..., Any], classes: Classes
) -> None:
    jumping = shapely.Polygon([(179.9995, -16.8), (-179.9995, -16.8), (-179.9995, -16.8005), (179.9995, -16.8005)])
    shapes = [
        shapely.box(349, 59.9, 349.0005, 59.9005),
        shapely.box(179.9995, -16.8005, 180.0005, -16.8),
        jumping,
        shapely.box(-180.5, 1, -180.25, 1.25),
    ]
    table, report = read_features(write_json(*map(make_feature, shapes)), classes=classes)
    assert report.skipped == []
    assert [each["row"] for each in report.repaired] == [0, 1, 2, 3]
    assert table.rows.tolist() == [0, 1, 1, 2, 2, 3]
    assert table.geometries[0].equals_exact(shapely.box(-11, 59.9, -10.9995, 59.9005), 1e-9, normalize=True)
    west, east = shapely.box(-180, -16.8005, -179.9995, -16.8), shapely.box(179.9995, -16.8005, 180, -16.8)
    for first in (1, 3):
        found = sorted(table.geometries[first : first + 2], key=lambda each: each.bounds)
        assert found[0].equals_exact(west, 1e-9, normalize=True)
        assert found[1].equals_exact(east, 1e-9, normalize=True)
    assert table.geometries[5].equals_exact(shapely.box(179.5, 1, 179.75, 1.25), 1e-9, normalize=True)


def lines_of(frame: geopandas.GeoDataFrame, **fields: Any) -> list[str]:
    shapes = [shapely.geometry.mapping(each) for each in frame.geometry]
    return [json.dumps({"type": "Feature", "properties": fields, "geometry": shape}) for shape in shapes]


def test_confidence_of_minus_one_is_none(tmp_path: Path, squares: geopandas.GeoDataFrame, classes: Classes) -> None:
    path = tmp_path / "footprints.geojsonl"
    path.write_text("\n".join(lines_of(squares, height=-1.0, confidence=-1.0)))
    check_squares(path, classes)
    table, report = read_features(path, classes=classes)
    assert report.repaired == []
    assert all(score != score for score in table.scores.tolist())


def test_microsofts_lines_of_json_in_a_csv_gz_are_read(
    tmp_path: Path, squares: geopandas.GeoDataFrame, classes: Classes
) -> None:
    path = tmp_path / "footprints.csv.gz"
    path.write_bytes(gzip.compress("\n".join(lines_of(squares, confidence=-1.0)).encode()))
    check_squares(path, classes)
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(VectorError, match=r"csv.gz is a damaged gzip"):
        read_features(path, classes=classes)


def test_latin_1_is_called_by_its_name(tmp_path: Path, squares: geopandas.GeoDataFrame, classes: Classes) -> None:
    features = ",".join(lines_of(squares, name="Grønland")).replace("\\u00f8", "ø")
    path = tmp_path / "latin1.geojson"
    path.write_bytes(f'{{"type": "FeatureCollection", "features": [{features}]}}'.encode("latin-1"))
    with pytest.raises(VectorError, match=r"is not UTF-8 \(byte \d+\): save it as UTF-8"):
        read_features(path, classes=classes)


@pytest.mark.parametrize("kind", ["collections", "records", "geometries", "array", "array of collections"])
def test_sequences_and_arrays_of_geojson_are_read(
    kind: str, tmp_path: Path, squares: geopandas.GeoDataFrame, classes: Classes
) -> None:
    features = lines_of(squares)
    collections = [f'{{"type": "FeatureCollection", "features": [{each}]}}' for each in features]
    texts = {
        "collections": "\n".join(collections),
        "records": "".join(f"\x1e{each}\n" for each in features),
        "geometries": "\n".join(shapely.to_geojson(squares.geometry.to_numpy())),
        "array": f"[{','.join(features)}]",
        "array of collections": f"[{','.join(collections)}]",
    }
    path = tmp_path / ("many.json" if kind.startswith("array") else "many.geojsonl")
    path.write_text(texts[kind])
    check_squares(path, classes)


def test_csv_with_well_known_text_is_read(tmp_path: Path, squares: geopandas.GeoDataFrame, classes: Classes) -> None:
    rows = [f'{number},building,0.5,"{each.wkt}"' for number, each in enumerate(squares.geometry)]
    path = tmp_path / "wkt.csv"
    path.write_text("\n".join(["id,class,score,WKT", *rows]) + "\n")
    check_squares(path, classes)
    table, _ = read_features(path, classes=classes)
    assert table.properties[0] == {"id": "0", "class": "building", "score": "0.5"}
    path.write_text(
        "\n".join(["id;geometry", *(f"{n};SRID=4326;{each.wkt}" for n, each in enumerate(squares.geometry))])
    )
    table, report = read_features(path, classes=classes)
    assert report.read == 3
    path.write_text("id,geometry\n1,POLYGON((1 2\n2,nonsense\n")
    _, report = read_features(path, classes=classes)
    assert ["is not well-known text" in each["reason"] for each in report.skipped] == [True, True]
    path.write_text("id,name\n1,house\n")
    with pytest.raises(VectorError, match="no column of geometries, such as wkt, or of lon and lat: it has id, name"):
        read_features(path, classes=classes)


def test_csv_of_places_is_read(tmp_path: Path) -> None:
    path = tmp_path / "taps.csv"
    path.write_text("name,lat,lon\nfirst,59.9,10.75\nsecond,,10\n")
    table, report = read_features(path, classes={"tap": "point"})
    assert table.geometries[0].equals(shapely.Point(10.75, 59.9))
    assert [each["row"] for each in report.skipped] == [1]


@pytest.mark.parametrize(
    ("name", "driver"),
    [
        ("v.kml", "KML"),
        ("v.kml", "LIBKML"),
        ("v.kmz", "LIBKML"),
        ("v.gml", "GML"),
        ("v.tab", "MapInfo File"),
        ("v.mif", "MapInfo File"),
        ("v.gdb", "OpenFileGDB"),
    ],
)
def test_formats_of_desktops_are_read_plain_and_zipped(
    name: str, driver: str, tmp_path: Path, squares: geopandas.GeoDataFrame, classes: Classes
) -> None:
    frame = squares if driver in ("KML", "LIBKML") else squares.to_crs("EPSG:25832")
    folder = tmp_path / "made"
    folder.mkdir()
    pyogrio.write_dataframe(frame.rename(columns={"class": "klasse"}), folder / name, driver=driver, layer="v")
    before = sorted(folder.rglob("*"))
    check_squares(folder / name, classes)
    assert sorted(folder.rglob("*")) == before, "reading leaves nothing beside the file"
    if name != "v.kmz":
        zipped = tmp_path / "v.zip"
        with zipfile.ZipFile(zipped, "w") as archive:
            for part in folder.rglob("*"):
                archive.write(part, part.relative_to(folder))
        check_squares(zipped, classes)


def osm(frame: geopandas.GeoDataFrame, tag: str = "building", value: str = "yes") -> str:
    nodes, ways = [], []
    for way, polygon in enumerate(frame.geometry):
        ids = []
        for corner, (x, y) in enumerate(polygon.exterior.coords[:-1]):
            ids.append(way * 10 + corner + 1)
            nodes.append(f'<node id="{ids[-1]}" version="1" lat="{y:.9f}" lon="{x:.9f}"/>')
        refs = "".join(f'<nd ref="{each}"/>' for each in [*ids, ids[0]])
        ways.append(f'<way id="{way + 100}" version="1">{refs}<tag k="{tag}" v="{value}"/></way>')
    return f'<?xml version="1.0"?><osm version="0.6">{"".join(nodes + ways)}</osm>'


def test_osm_xml_is_read_by_its_tags(tmp_path: Path, squares: geopandas.GeoDataFrame, classes: Classes) -> None:
    path = tmp_path / "josm.osm"
    path.write_text(osm(squares))
    check_squares(path, classes)
    check_squares(path, {"building": "polygon", "pond": "polygon"})
    table, _ = read_features(path, classes={"Building": "polygon", "road": "line"})
    assert list(table.class_names) == ["Building"] * 3
    path.write_text(osm(squares, "natural", "water"))
    table, report = read_features(path, classes=classes)
    assert len(table) == 0
    assert report.skipped[0]["reason"] == "none of its tags names a class: building"


@pytest.mark.parametrize("name", ["squares.geojson", "squares.gpkg", "squares.fgb", "squares.parquet"])
def test_zips_of_any_format_are_read(
    name: str, tmp_path: Path, squares: geopandas.GeoDataFrame, classes: Classes
) -> None:
    squares.to_parquet(tmp_path / name) if name.endswith("parquet") else squares.to_file(tmp_path / name)
    path = tmp_path / "delivery.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(tmp_path / name, f"delivery/{name}")
        archive.writestr("delivery/readme.txt", "hello")
    check_squares(path, classes)


def test_a_zipped_shapefile_without_its_index_is_read(
    tmp_path: Path, squares: geopandas.GeoDataFrame, classes: Classes
) -> None:
    (tmp_path / "shape").mkdir()
    squares.to_file(tmp_path / "shape" / "squares.shp")
    path = tmp_path / "squares.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for part in (tmp_path / "shape").iterdir():
            if part.suffix != ".shx":
                archive.write(part, part.name)
    check_squares(path, classes)


@pytest.mark.parametrize("beside", ["", "projection/"])
def test_a_zipped_shapefile_is_read_with_its_metadata_and_parts_in_other_folders(
    beside: str, tmp_path: Path, squares: geopandas.GeoDataFrame, classes: Classes
) -> None:
    (tmp_path / "shape").mkdir()
    squares.to_crs("EPSG:25832").to_file(tmp_path / "shape" / "squares.shp")
    path = tmp_path / "squares.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for part in (tmp_path / "shape").iterdir():
            archive.write(part, f"data/{beside if part.suffix == '.prj' else ''}{part.name}")
        archive.writestr("data/squares.shp.xml", '<?xml version="1.0"?><metadata xml:lang="en"><Esri/></metadata>')
    check_squares(path, classes)


def test_a_zip_of_foreign_xml_alone_says_what_is_read(tmp_path: Path, classes: Classes) -> None:
    path = tmp_path / "metadata.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("squares.shp.xml", "<metadata/>")
    with pytest.raises(VectorError, match=r"metadata\.zip: squares\.shp\.xml is in no format known here"):
        read_features(path, classes=classes)


def test_parquet_without_geo_metadata_is_read_by_its_geometry_column(
    tmp_path: Path, squares: geopandas.GeoDataFrame, classes: Classes
) -> None:
    path = tmp_path / "overture.parquet"
    plain = squares.to_wkb()
    geopandas.pd.DataFrame(plain).to_parquet(path)
    check_squares(path, classes)


def test_a_yolo_folder_is_read(tmp_path: Path, classes: Classes) -> None:
    folder = tmp_path / "yolo"
    (folder / "labels" / "train").mkdir(parents=True)
    (folder / "data.yaml").write_text("path: .\nnames:\n  0: building\n")
    label = folder / "labels" / "train" / "138901-76251-18.txt"
    label.write_text("0 0.375 0.3125 0.25 0.125 0.91\n")
    (folder / "labels" / "train" / "138902-76251-18.txt").write_text("")
    check_box(folder, classes)
    table, report = read_features(folder, classes=classes)
    assert table.scores.tolist() == [0.91]
    assert report.looked_at == [TILE, Tile(18, 138902, 76251)]
    label.write_text("0 0.25 0.25 0.5 0.25 0.5 0.375 0.25 0.375\n0 1 2\n")
    table, report = read_features(folder, classes=classes)
    assert on_tile(table.geometries[0]).equals_exact(BOX, 1e-3, normalize=True)
    assert [each["reason"] for each in report.skipped] == ["'0 1 2' is not a line of YOLO labels"]
    (folder / "data.yaml").unlink()
    with pytest.raises(VectorError, match=r"no names of classes: .*\(--class NAME\)"):
        read_features(folder, classes=classes)


def test_a_zipped_yolo_folder_is_read(tmp_path: Path, classes: Classes) -> None:
    path = tmp_path / "yolo.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("run/labels/138901-76251-18.txt", "0 0.375 0.3125 0.25 0.125\n")
        archive.writestr("run/data.yaml", "names: ['building', tree]\n")
        archive.writestr("run/images/138901-76251-18.jpg", b"no picture")
    check_box(path, classes)


def test_cvat_for_images_is_read(tmp_path: Path, classes: Classes) -> None:
    path = tmp_path / "annotations.xml"
    shape = '<polygon label="building" points="64.0,64.0;128.0,64.0;128.0,96.0;64.0,96.0"/>'
    image = f'<image id="0" name="{TILE}.png" width="256" height="256">'
    path.write_text(f'<?xml version="1.0"?><annotations><version>1.1</version>{image}{shape}</image></annotations>')
    check_box(path, classes)
    turned = '<box label="building" xtl="64" ytl="64" xbr="128" ybr="96" rotation="30"/>'
    path.write_text(f"<annotations>{image}{turned}</image></annotations>")
    check_box(path, classes, shapely.affinity.rotate(BOX, 30, origin=(96, 80)))
    path.write_text(f'<!DOCTYPE a [<!ENTITY a "b">]><annotations>{image}{shape}</image></annotations>')
    with pytest.raises(VectorError, match="declares a document type"):
        read_features(path, classes=classes)


def test_pascal_voc_is_read(tmp_path: Path, classes: Classes) -> None:
    path = tmp_path / "one.xml"
    box = "<bndbox><xmin>64</xmin><ymin>64</ymin><xmax>128</xmax><ymax>96</ymax></bndbox>"
    path.write_text(
        "<annotation><filename>138901-76251-18.png</filename><size><width>256</width><height>256</height></size>"
        f"<object><name>building</name>{box}</object></annotation>"
    )
    check_box(path, classes)


def test_labelme_is_read(write_json: WriteJson, classes: Classes) -> None:
    shape = {"label": "building", "points": [[64, 64], [128, 96]], "shape_type": "rectangle"}
    document = {"shapes": [shape], "imagePath": "138901-76251-18.png", "imageHeight": 256, "imageWidth": 256}
    check_box(write_json(document=document, name="labelme.json"), classes)


@pytest.mark.parametrize(
    ("document", "way"),
    [
        ({"a.png123": {"filename": "a.png", "size": 123, "regions": []}}, "VGG Image Annotator: export .* in COCO"),
        ({"size": {"height": 256, "width": 256}, "objects": []}, "Supervisely: export the project to COCO"),
        ([{"id": 1, "image": "a.png", "label": [{"x": 1}]}], "JSON-MIN: export it as JSON"),
        ({"type": "Topology", "objects": {}}, "TopoJSON: convert it to GeoJSON"),
        ({"geometryType": "esriGeometryPolygon", "features": []}, "Esri JSON: export it as GeoJSON"),
    ],
)
def test_what_is_not_read_says_how_to_convert_it(
    document: Any, way: str, write_json: WriteJson, classes: Classes
) -> None:
    with pytest.raises(VectorError, match=way):
        read_features(write_json(document=document, name="other.json"), classes=classes)


def test_a_folder_of_anything_else_is_refused_in_words(tmp_path: Path, classes: Classes) -> None:
    (tmp_path / "photo.png").write_bytes(b"")
    with pytest.raises(VectorError, match="no File Geodatabase and no YOLO folder"):
        read_features(tmp_path, classes=classes)


def test_swapped_axes_are_read_as_they_are_for_the_import_to_refuse(
    write_json: WriteJson, make_feature: Callable[..., Any], squares: geopandas.GeoDataFrame, classes: Classes
) -> None:
    swapped = shapely.transform(as_geometries(squares.geometry), lambda points: points[:, ::-1])
    table, _ = read_features(write_json(*map(make_feature, swapped)), classes=classes)
    assert table.geometries[0].bounds[0] > 59
