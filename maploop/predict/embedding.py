"""Which tiles look alike: pictures as vectors, by whoever can make them, kept on disk."""

from collections.abc import Sequence
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray
from skimage.feature import local_binary_pattern

from maploop.errors import InputError
from maploop.imagery.cache import DiskCache
from maploop.imagery.info import ImagerySource
from maploop.imagery.render import over_black
from maploop.imagery.tilemath import Tile
from maploop.predict.hub.embedder import PREFIX, HubEmbedder
from maploop.settings import get_settings

Vector = NDArray[np.float32]
EMBEDDERS: Final = ("light", f"{PREFIX}FOLDER", f"{PREFIX}OWNER/NAME@COMMIT")
_CACHE_BYTES: Final = 500_000_000


class Embedder(Protocol):
    """Makes vectors that are near each other when pictures look alike; safe to use from many threads."""

    @property
    def name(self) -> str:
        """Changes whenever the same picture may give another vector: it is part of every key and prompt hash."""
        ...

    def embed(self, rgb: NDArray[np.uint8]) -> Vector:
        """The vector of a picture, (height, width, 3); always of the same length."""
        ...


class LightEmbedder:
    """Histograms of colour and texture; needs no weights and takes a few hundredths of a second a tile."""

    name: Final = "light-1"

    def embed(self, rgb: NDArray[np.uint8]) -> Vector:
        """Square roots of shares, so that the cosine of two vectors is how far their histograms overlap."""
        small = _halved(rgb.astype(np.float32))
        grey = small @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
        opponents = np.stack(
            [grey, 127.5 + (small[..., 0] - small[..., 1]) / 2, 127.5 + (small[..., 2] - grey) / 2], axis=-1
        )
        blocks = [_shares(opponents[..., channel], 24, (0, 256)) for channel in range(3)]
        for picture in (grey, _halved(grey[..., None])[..., 0]):
            patterns = _patterns(np.rint(picture).astype(np.uint8))
            blocks.append(_shares(patterns, 10, (0, 10)))
            down, across = np.gradient(picture)
            strength, direction = np.hypot(down, across), np.arctan2(down, across) % np.pi
            blocks.append(_shares(strength, 12, (0, 96)))
            blocks.append(_shares(direction, 8, (0, np.pi), weights=strength + 1e-3))
        return np.sqrt(np.concatenate(blocks) / len(blocks)).astype(np.float32)


def embedder_named(name: str) -> Embedder:
    """The embedder of a name. Raises InputError naming those there are."""
    if name == "light":
        return LightEmbedder()
    if name.startswith(PREFIX):
        return HubEmbedder(name.removeprefix(PREFIX))
    msg = f"{name!r} is not known to tell which tiles look alike: use {', '.join(EMBEDDERS)}."
    raise InputError(msg)


class Eyes:
    """Vectors of tiles as an embedder sees them, of length 1, kept in the data folder by imagery and tile."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._kept = DiskCache(get_settings().data / "embeddings", _CACHE_BYTES)

    def look(self, source: ImagerySource, tile: Tile, size: int) -> Vector:
        """The vector of a tile. Raises ImageryError."""
        key = f"{self._embedder.name}/{source.fingerprint}/{tile}/{size}"
        if (found := self._kept.get(key)) is not None:
            return np.frombuffer(found, dtype="<f4")
        vector = _unit(self._embedder.embed(over_black(source.read(tile, size))))
        self._kept.put(key, vector.astype("<f4").tobytes())
        return vector


def most_alike(vector: Vector, others: NDArray[np.float32], count: int, without: Sequence[int] = ()) -> list[int]:
    """Indices of the rows of `others` that are nearest to the vector, the nearest first; ties in their order."""
    nearness = others @ vector
    nearness[list(without)] = -np.inf
    order = np.argsort(-nearness, kind="stable")[:count]
    return [int(each) for each in order if np.isfinite(nearness[each])]


def _unit(vector: NDArray[Any]) -> Vector:
    length = float(np.linalg.norm(vector))
    return (vector / length if length else vector).astype(np.float32)


def _patterns(grey: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Which of ten uniform local binary patterns (Ojala and others, 2002) each pixel is the middle of."""
    return np.asarray(local_binary_pattern(grey, 8, 1, method="uniform"))  # type: ignore[no-untyped-call]


def _halved(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means of 2 by 2 pixels."""
    height, width = picture.shape[0] // 2 * 2, picture.shape[1] // 2 * 2
    parts = picture[:height, :width].reshape(height // 2, 2, width // 2, 2, -1)
    return np.asarray(parts.mean(axis=(1, 3)), dtype=np.float32)


def _shares(
    values: NDArray[Any], bins: int, within: tuple[float, float], weights: NDArray[Any] | None = None
) -> NDArray[np.float64]:
    """A histogram that sums up to 1; what is beyond the last bin falls into it."""
    inside = np.clip(values, within[0], np.nextafter(within[1], within[0]))
    counts, _ = np.histogram(inside, bins=bins, range=within, weights=weights)
    return np.asarray(counts / max(counts.sum(), 1e-9), dtype=np.float64)
