"""What is kept of a transformers model: wrong values are named, labels are found."""

from typing import Any

import pytest

from maploop.errors import InputError
from maploop.predict.hub.parameters import read_parameters, wanted_labels

HOUSES = {"task": "semantic", "labels": {"house": "building"}}


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, "task"),
        ({"task": "segment", "labels": {"a": "b"}}, "task 'segment': Input should be 'semantic', 'instance'"),
        ({"task": "semantic"}, "labels must say which of the model's labels stand for which class"),
        ({"task": "sharpen"}, "sharpen must name the model"),
        ({"task": "sharpen", "sharpen": "first", "labels": {"a": "b"}}, "leave them out"),
        ({**HOUSES, "sharpen": "first"}, "sharpen goes with the task sharpen, not semantic"),
        ({**HOUSES, "threshold": 1.5}, "threshold '1.5'"),
        ({**HOUSES, "window": 128, "overlap": 64}, "overlap 64 leaves nothing of a window of 128"),
        ({**HOUSES, "device": "gpu"}, "device 'gpu'"),
        ({**HOUSES, "revision": "main"}, "revision 'main'"),
        ({**HOUSES, "trust_remote_code": True}, "trust_remote_code 'True': Extra inputs are not permitted"),
        ({**HOUSES, "batch": 0}, "batch '0'"),
    ],
)
def test_parameters_that_do_not_work_are_named(values: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError) as caught:
        read_parameters(values)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_labels_are_found_whatever_their_case() -> None:
    known = {0: "background", 1: "Building", 2: "Road"}
    assert wanted_labels({"building": "house", "Road": "street"}, known) == {1: "house", 2: "street"}


def test_an_unknown_label_is_answered_with_those_there_are() -> None:
    known = {number: f"thing {number}" for number in range(150)}
    with pytest.raises(InputError, match=r"no label 'roof': it has thing 0, .*thing 39 and 110 more\."):
        wanted_labels({"roof": "building"}, known)


def test_enlarged_windows_show_less_of_the_picture() -> None:
    parameters = read_parameters({**HOUSES, "window": 512, "overlap": 64, "upscale": 2})
    assert (parameters.side, parameters.margin, parameters.step) == (256, 32, 192)
