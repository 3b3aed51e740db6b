"""Encoders of the CLIP, SigLIP and DINO kind: pictures as vectors, for finding the tiles that look alike."""

from pathlib import Path
from threading import Lock
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from maploop.errors import InputError
from maploop.predict.hub.files import located, model_folder, pinned
from maploop.predict.hub.loading import Opened, open_encoder

PREFIX: Final = "transformers:"


class HubEmbedder:
    """Vectors of a transformers encoder, of length 1; opened when the first picture comes.

    `source`: a folder, or `owner/name@commit` of the hub. Raises InputError, NotFoundError; of the hub without a commit
    too, because vectors of two models must never be held against each other.
    """

    def __init__(self, source: str, device: str = "auto") -> None:
        path, _, revision = source.partition("@") if not Path(source).is_absolute() else (source, "", "")
        self._identifier = located(path)
        self._revision = pinned(self._identifier, revision)
        if not Path(self._identifier).is_absolute() and revision != self._revision:
            msg = f"{source!r} may change: write {PREFIX}{self._identifier}@{self._revision}."
            raise InputError(msg)
        self._device = device
        self._opened: Opened | None = None
        self._lock = Lock()

    @property
    def name(self) -> str:
        """The model and its revision: another revision may give other vectors."""
        return f"{PREFIX}{self._identifier}@{self._revision}"

    def embed(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The vector of a picture, (height, width, 3)."""
        with self._lock:
            if self._opened is None:
                self._opened = open_encoder(model_folder(self._identifier, self._revision), self._device)
            vector = _vector(self._opened, rgb)
        length = float(np.linalg.norm(vector))
        return (vector / length if length else vector).astype(np.float32)


def _vector(opened: Opened, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    import torch  # noqa: PLC0415
    from PIL import Image  # noqa: PLC0415

    inputs = opened.processor(images=Image.fromarray(rgb), return_tensors="pt")
    pixels = inputs["pixel_values"].to(opened.device)
    with torch.inference_mode():
        if hasattr(opened.network, "get_image_features"):
            answer = opened.network.get_image_features(pixel_values=pixels)
        else:
            answer = opened.network(pixel_values=pixels)
    found: Any = answer if isinstance(answer, torch.Tensor) else getattr(answer, "pooler_output", None)
    if found is None or opened.lacking:  # a pooler that was never trained says nothing: the class token does
        found = answer.last_hidden_state[:, 0]
    return np.asarray(found[0].flatten().float().cpu().numpy(), dtype=np.float32)
