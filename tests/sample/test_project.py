import json
from pathlib import Path

import pytest
import shapely
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

from maploop.predict.local import LocalModel
from maploop.sample.place import CLASSES
from maploop.sample.project import SampleFiles, make_sample


@pytest.fixture(scope="module")
def heard() -> list[tuple[float, str]]:
    return []


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, heard: list[tuple[float, str]]) -> SampleFiles:
    return make_sample(
        tmp_path_factory.mktemp("sample"), seed=7, size=1024, progress=lambda share, what: heard.append((share, what))
    )


def features(path: Path, class_name: str) -> list[BaseGeometry]:
    collection = json.loads(path.read_text())
    return [shape(f["geometry"]) for f in collection["features"] if f["properties"]["class"] == class_name]


def test_predictions_name_a_class_and_an_honest_score(files: SampleFiles) -> None:
    collection = json.loads(files.predictions.read_text())
    assert collection["features"]
    for feature in collection["features"]:
        assert feature["properties"]["class"] in CLASSES
        assert 0 < feature["properties"]["score"] <= 1
        assert shape(feature["geometry"]).is_valid


def test_most_buildings_are_found_and_some_are_wrong(files: SampleFiles) -> None:
    truth, predicted = features(files.truth, "building"), features(files.predictions, "building")
    tree = shapely.STRtree(truth)
    hits = set()
    for outline in predicted:
        for i in tree.query(outline):
            if outline.intersection(truth[i]).area / outline.union(truth[i]).area >= 0.5:
                hits.add(i)
    f1 = 2 * len(hits) / (len(truth) + len(predicted))
    assert 0.6 < f1 < 0.97


def test_progress_rises_to_one(files: SampleFiles, heard: list[tuple[float, str]]) -> None:
    shares = [share for share, _ in heard]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_the_model_of_the_sample_can_be_used_again(files: SampleFiles) -> None:
    assert LocalModel.load(files.model).classes == CLASSES
