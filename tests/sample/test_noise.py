import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from maploop.sample.noise import Noise

place = st.integers(-5000, 5000)


@given(seed=st.integers(0, 2**31 - 1), left=place, top=place, wavelength=st.floats(1.5, 300))
def test_a_window_of_noise_is_the_same_however_the_plane_is_cut(
    seed: int, left: int, top: int, wavelength: float
) -> None:
    noise = Noise(seed, wavelength)
    whole = noise.window(left, top, 24, 16)
    np.testing.assert_allclose(whole[5:11, 7:20], noise.window(left + 7, top + 5, 13, 6), atol=1e-4)
    assert np.abs(whole).max() <= 1.8


def test_points_and_windows_of_noise_agree() -> None:
    noise = Noise(3, 7.0)
    point = noise.at(np.array([10.5]), np.array([20.5]))
    np.testing.assert_allclose(noise.window(0, 0, 32, 32)[20, 10], point[0], atol=1e-5)
