"""Encoders as eyes: the same picture gives the same vector, another one another."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from maploop.errors import InputError
from maploop.predict.embedding import Eyes, embedder_named
from maploop.predict.hub.embedder import HubEmbedder
from tests.predict.ground import tile_at
from tests.predict.hub.ground import SIZE, WHY, Town, painted

pytest.importorskip("torch", reason=WHY)
pytest.importorskip("transformers", reason=WHY)

Tiny = Callable[[str], Path]


@pytest.mark.parametrize(("kind", "length"), [("clip", 12), ("dino", 16)])
def test_pictures_that_look_alike_have_vectors_that_are_near(tiny: Tiny, kind: str, length: int) -> None:
    eyes = HubEmbedder(str(tiny(kind)))
    town, other = painted(1, 128)[0], np.zeros((128, 128, 3), dtype=np.uint8)
    vector = eyes.embed(town)
    assert vector.shape == (length,)
    assert vector.dtype == np.dtype(np.float32)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    assert HubEmbedder(str(tiny(kind))).embed(town) == pytest.approx(vector, abs=1e-6)
    bright = np.clip(town.astype(int) + 3, 0, 255).astype(np.uint8)
    assert eyes.embed(bright) @ vector > eyes.embed(other) @ vector


def test_the_name_changes_with_the_weights(tiny: Tiny, tmp_path: Path) -> None:
    folder = tiny("dino")
    copy = tmp_path / "dino"
    copy.mkdir()
    for path in folder.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    before = HubEmbedder(str(copy)).name
    assert before.startswith(f"transformers:{copy}@sha256:")
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0")
    assert HubEmbedder(str(copy)).name != before


def test_an_encoder_whose_pooling_was_never_trained_answers_with_its_class_token(tiny: Tiny, tmp_path: Path) -> None:
    """A classifier was trained without one; the library would make one up from chance, another one each time."""
    import torch
    import transformers

    torch.manual_seed(0)
    config = transformers.ViTConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=32, patch_size=8
    )
    transformers.ViTForImageClassification(config).save_pretrained(tmp_path)
    transformers.ViTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(tmp_path)
    picture = painted(1)[0]
    torch.manual_seed(1)
    first = HubEmbedder(str(tmp_path)).embed(picture)
    torch.manual_seed(2)
    assert HubEmbedder(str(tmp_path)).embed(picture) == pytest.approx(first, abs=1e-6)


def test_tiles_are_compared_by_the_encoder_that_was_named(tiny: Tiny) -> None:
    named = embedder_named(f"transformers:{tiny('clip')}")
    town = Town()
    eyes = Eyes(named)
    vectors = [eyes.look(town, tile_at(column), SIZE) for column in range(2)]
    town.paint(0, 0, SIZE, SIZE)
    assert eyes.look(town, tile_at(0), SIZE) == pytest.approx(vectors[0])  # kept on disk
    assert vectors[0] == pytest.approx(vectors[1])


def test_a_model_of_the_hub_must_be_named_with_its_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    monkeypatch.setattr("maploop.predict.hub.embedder.pinned", lambda *_: commit)
    with pytest.raises(InputError, match=f"may change: write transformers:a/clip@{commit}"):
        HubEmbedder("a/clip")
    assert HubEmbedder(f"a/clip@{commit}").name == f"transformers:a/clip@{commit}"
