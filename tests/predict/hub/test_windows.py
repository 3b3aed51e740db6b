"""Pictures in windows: every pixel is some window's own, once."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from maploop.predict.hub.parameters import read_parameters
from maploop.predict.hub.windows import batches, windows

LABELS = {"task": "semantic", "labels": {"house": "building"}}


@given(
    width=st.integers(1, 1500),
    height=st.integers(1, 1500),
    window=st.integers(32, 700),
    overlap=st.integers(0, 300),
    upscale=st.sampled_from([0.5, 1.0, 1.7, 3.0]),
)
def test_cores_fill_the_picture_and_lie_inside_their_windows(
    width: int, height: int, window: int, overlap: int, upscale: float
) -> None:
    overlap = min(overlap, window // 4)
    parameters = read_parameters({**LABELS, "window": window, "overlap": overlap, "upscale": upscale})
    owners = np.zeros((height, width), dtype=np.int64)
    for each in windows(width, height, parameters):
        left, top, right, bottom = each.core
        assert each.left <= left < right <= min(width, each.left + each.side)
        assert each.top <= top < bottom <= min(height, each.top + each.side)
        assert each.left % 2 == each.top % 2 == each.side % 2 == 0
        owners[top:bottom, left:right] += 1
        for begin, end, core, edge in ((each.left, left, right, width), (each.top, top, bottom, height)):
            assert begin == 0 or end - begin >= parameters.margin
            assert core == edge or begin + each.side - core >= parameters.margin
    assert (owners == 1).all()


def test_windows_come_in_batches_black_beyond_the_picture_and_tell_how_far_they_are() -> None:
    picture = np.full((100, 300, 3), 200, dtype=np.uint8)

    def read(left: int, top: int, wide: int, high: int) -> NDArray[np.uint8]:
        assert (max(left, 0), max(top, 0)) == (left, top)
        assert (min(left + wide, 300), min(top + high, 100)) == (left + wide, top + high)
        return picture[top : top + high, left : left + wide]

    heard: list[float] = []
    parameters = read_parameters({**LABELS, "window": 128, "overlap": 16, "batch": 2})
    seen = list(batches(read, 300, 100, parameters, heard.append))
    assert [len(some) for some, _ in seen] == [2, 1]
    assert heard == [2 / 3, 1.0]
    image = seen[0][1][0]
    assert image.shape == (128, 128, 3)
    assert (image[:100] == 200).all()
    assert (image[100:] == 0).all()


def test_enlarged_windows_are_as_large_as_the_network_wants() -> None:
    parameters = read_parameters({**LABELS, "window": 128, "overlap": 0, "upscale": 2})
    ((some, images),) = batches(lambda *_: np.zeros((64, 64, 3), dtype=np.uint8), 64, 64, parameters)
    assert [each.side for each in some] == [64]
    assert images[0].shape == (128, 128, 3)
