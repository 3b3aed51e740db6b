from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import shapely
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage
from shapely import LineString, Point
from shapely.affinity import rotate
from shapely.geometry.base import BaseGeometry

from maploop.errors import InputError, NotFoundError
from maploop.predict.local import LabelledGeometry, LocalModel, PredictedFeature

CLASSES = {"house": "polygon", "track": "line", "well": "point"}
TOY = 384


def toy(seed: int) -> tuple[NDArray[np.uint8], list[LabelledGeometry]]:
    """Red houses, one pale track and dark round wells on green, with noise."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (TOY, TOY), (90, 120, 60))
    draw = ImageDraw.Draw(image)
    height = int(rng.integers(150, 230))
    track = LineString([(0, height), (TOY, height + int(rng.integers(-60, 60)))])
    draw.line(list(track.coords), fill=(200, 180, 150), width=14)
    features = [LabelledGeometry("track", track)]
    taken: list[BaseGeometry] = [track.buffer(20)]
    while len(features) < 16:
        x, y = rng.uniform(30, TOY - 30, 2)
        if len(features) % 3 == 0:
            thing: BaseGeometry = Point(x, y)
            area = thing.buffer(9)
        else:
            sides = rng.uniform(13, 22, 2)
            area = rotate(shapely.box(x - sides[0], y - sides[1], x + sides[0], y + sides[1]), rng.uniform(0, 90))
            thing = area
        if any(area.distance(other) < 12 for other in taken):
            continue
        taken.append(area)
        colour = (40, 40, 60) if thing.geom_type == "Point" else (180, 70, 50)
        draw.polygon(list(area.exterior.coords), fill=colour)
        features.append(LabelledGeometry("well" if thing.geom_type == "Point" else "house", thing))
    pixels = np.asarray(image).astype(float) + rng.normal(0, 8, (TOY, TOY, 3))
    return np.clip(pixels, 0, 255).astype(np.uint8), features


@pytest.fixture(scope="module")
def model() -> LocalModel:
    return LocalModel.train([toy(seed) for seed in range(4)], CLASSES)


def iou(a: BaseGeometry, b: BaseGeometry) -> float:
    return float(a.intersection(b).area / a.union(b).area)


def of_class(found: Sequence[LabelledGeometry | PredictedFeature], name: str) -> list[BaseGeometry]:
    return [f.geometry for f in found if f.class_name == name]


def test_what_was_learned_is_found_in_images_never_seen(model: LocalModel) -> None:
    hits = {"house": 0, "well": 0}
    total = {"house": 0, "well": 0}
    for seed in range(100, 103):
        image, truth = toy(seed)
        found = model.predict(image)
        for name, close in (("house", lambda a, b: iou(a, b) > 0.7), ("well", lambda a, b: a.distance(b) < 4)):
            real, predicted = of_class(truth, name), of_class(found, name)
            hits[name] += 2 * sum(any(close(p, t) for p in predicted) for t in real)
            total[name] += len(real) + len(predicted)
        track, lines = of_class(truth, "track")[0], shapely.union_all(of_class(found, "track"))
        assert lines.intersection(track.buffer(5)).length > 0.9 * track.length
        assert lines.difference(track.buffer(8)).length < 0.1 * track.length
    assert hits["house"] / total["house"] > 0.9
    assert hits["well"] / total["well"] > 0.9


def test_geometry_is_valid_and_scores_are_probabilities(model: LocalModel) -> None:
    image, _ = toy(200)
    for feature in model.predict(image):
        assert feature.geometry.is_valid
        assert not feature.geometry.is_empty
        assert 0 < feature.score <= 1
        assert shapely.box(0, 0, TOY, TOY).covers(feature.geometry)


def test_a_clear_house_scores_higher_than_a_faint_one(model: LocalModel) -> None:
    image, truth = toy(201)
    house = of_class(truth, "house")[0]
    clear = next(f for f in model.predict(image) if f.class_name == "house" and iou(f.geometry, house) > 0.5)
    canvas = Image.new("L", (TOY, TOY))
    ImageDraw.Draw(canvas).polygon(shapely.get_coordinates(house).ravel().tolist(), fill=255)
    weight = ndimage.gaussian_filter(np.asarray(canvas) / 255 * 0.42, 1)[..., None]
    faint = (image * (1 - weight) + np.array([90, 120, 60]) * weight).astype(np.uint8)
    scores = [f.score for f in model.predict(faint) if f.class_name == "house" and iou(f.geometry, house) > 0.3]
    assert not scores or max(scores) < clear.score


@pytest.mark.parametrize("block", [96, 130, 1024])
def test_features_at_block_borders_are_whole_and_come_once(model: LocalModel, block: int) -> None:
    image, _ = toy(300)
    whole = model.predict(image)
    cut = model.predict_area(lambda x, y, w, h: image[y : y + h, x : x + w], TOY, TOY, block=block)
    assert len(cut) == len(whole)
    for a, b in zip(whole, cut, strict=True):
        assert a.class_name == b.class_name
        assert a.score == pytest.approx(b.score, abs=0.01)
        assert shapely.hausdorff_distance(a.geometry, b.geometry) < 3


def test_odd_sizes_and_tiny_images_work(model: LocalModel) -> None:
    image, _ = toy(301)
    frame = shapely.box(0, 0, 201, 133)
    assert all(frame.covers(f.geometry) for f in model.predict(image[:133, :201]))
    assert isinstance(model.predict(image[:3, :5]), list)


def test_a_saved_model_predicts_the_same(model: LocalModel, tmp_path: Path) -> None:
    path = tmp_path / "toy.model"
    model.save(path)
    image, _ = toy(302)
    assert LocalModel.load(path).predict(image) == model.predict(image)
    assert [p.name for p in tmp_path.iterdir()] == ["toy.model"]


def test_training_twice_gives_the_same_model() -> None:
    image, _ = toy(303)
    examples = [toy(0)]
    assert LocalModel.train(examples, CLASSES).predict(image) == LocalModel.train(examples, CLASSES).predict(image)


def test_a_class_nobody_drew_is_never_predicted() -> None:
    image, features = toy(0)
    model = LocalModel.train([(image, [f for f in features if f.class_name != "well"])], CLASSES)
    assert "well" not in {f.class_name for f in model.predict(image)}


def test_nothing_to_learn_from_is_said_plainly() -> None:
    image, _ = toy(0)
    with pytest.raises(InputError, match="approve more tiles first"):
        LocalModel.train([(image, [])], CLASSES)
    with pytest.raises(InputError, match="0 images"):
        LocalModel.train([], CLASSES)


def test_wrong_images_and_classes_are_refused(model: LocalModel) -> None:
    with pytest.raises(InputError, match=r"\(8, 8\)"):
        model.predict(np.zeros((8, 8), dtype=np.uint8))
    with pytest.raises(InputError, match="'blob' is no geometry type"):
        LocalModel.train([toy(0)], {"house": "blob"})
    with pytest.raises(InputError, match="block of 7"):
        model.predict_area(lambda *_: np.zeros((8, 8, 3), dtype=np.uint8), 8, 8, block=7)


def test_files_that_are_no_models_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no model at"):
        LocalModel.load(tmp_path / "none.model")
    (tmp_path / "text.model").write_text("hello")
    with pytest.raises(InputError, match="not a saved local model"):
        LocalModel.load(tmp_path / "text.model")
