"""Tiles that look alike have vectors that are near one another."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from maploop.errors import InputError
from maploop.predict.embedding import LightEmbedder, embedder_named, most_alike


def ground(kind: str, seed: int) -> NDArray[np.uint8]:
    """Fields, roofs or water, with noise and a place of their own for everything."""
    rng = np.random.default_rng(seed)
    picture = np.full((256, 256, 3), {"field": (90, 120, 60), "roofs": (110, 110, 100), "water": (40, 60, 90)}[kind])
    for _ in range({"field": 3, "roofs": 40, "water": 0}[kind]):
        x, y = rng.integers(0, 220, 2)
        picture[y : y + 24, x : x + 24] = (170, 80, 60) if kind == "roofs" else (120, 130, 70)
    noise = rng.normal(0, {"field": 9, "roofs": 12, "water": 3}[kind], picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def test_ground_of_a_kind_is_nearer_than_ground_of_another() -> None:
    kinds = ["field", "roofs", "water"] * 4
    vectors = np.stack([LightEmbedder().embed(ground(kind, seed)) for seed, kind in enumerate(kinds)])
    for index, kind in enumerate(kinds):
        best = most_alike(vectors[index], vectors, 3, without=[index])
        assert [kinds[each] for each in best] == [kind] * 3


def test_the_same_ground_in_brighter_light_stays_near() -> None:
    embed = LightEmbedder().embed
    roofs = ground("roofs", 1)
    brighter = np.clip(roofs.astype(np.float64) * 1.1, 0, 255).astype(np.uint8)
    assert embed(roofs) @ embed(brighter) > embed(roofs) @ embed(ground("field", 2))


@given(arrays(np.uint8, st.tuples(st.integers(8, 40), st.integers(8, 40), st.just(3))))
def test_any_picture_has_a_vector_of_length_one(picture: NDArray[np.uint8]) -> None:
    vector = LightEmbedder().embed(picture)
    assert vector.shape == LightEmbedder().embed(ground("water", 1)).shape
    assert np.isfinite(vector).all()
    assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-3)


def test_the_nearest_come_first_and_those_left_out_not_at_all() -> None:
    others = np.eye(4, dtype=np.float32)
    vector = np.array([0.5, 0.9, 0.1, 0.5], dtype=np.float32)
    assert most_alike(vector, others, 2) == [1, 0]
    assert most_alike(vector, others, 9, without=[1]) == [0, 3, 2]


def test_an_embedder_is_found_by_its_name() -> None:
    assert embedder_named("light").name == "light-1"
    with pytest.raises(InputError, match="use light"):
        embedder_named("heavy")
