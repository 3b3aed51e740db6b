"""Encoding, caches and the store: the same bytes, made once, bounded, shared."""

import io
import multiprocessing
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from maploop.errors import ImageryError, InputError
from maploop.imagery.cache import DiskCache, MemoryCache, SingleFlight
from maploop.imagery.info import Kind, SourceInfo
from maploop.imagery.render import Format, blank_tile, encode, tile_image
from maploop.imagery.store import TileStore
from maploop.imagery.tilemath import Tile

TILE = Tile(20, 619224, 523264)
FORMATS: tuple[Format, ...] = ("png", "jpeg", "webp")


class Painted:
    """A source that counts how often it is asked; it can be held up, made to fail, and be empty."""

    def __init__(self, kind: Kind = "geotiff", fingerprint: str = "1") -> None:
        self.info = SourceInfo(kind=kind, location="x", bounds=None, min_zoom=0, max_zoom=20)
        self.fingerprint = fingerprint
        self.reads = 0
        self.error: Exception | None = None
        self.empty = False
        self.gate = threading.Event()
        self.gate.set()
        self.asked = threading.Event()
        self._lock = threading.Lock()

    def read(self, tile: Tile, size: int) -> NDArray[np.uint8]:
        with self._lock:
            self.reads += 1
        self.asked.set()
        assert self.gate.wait(20)
        if self.error:
            raise self.error
        pixels = np.zeros((size, size, 4), dtype=np.uint8)
        if not self.empty:
            pixels[:] = (tile.x % 256, tile.y % 256, int(self.fingerprint), 255)
        return pixels


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("format", FORMATS)
def test_the_same_pixels_give_the_same_file(format: Format) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (256, 256, 4), dtype=np.uint8)
    first = encode(pixels, format)
    assert first == encode(pixels.copy(), format)
    with Image.open(io.BytesIO(first)) as image:
        assert (image.format or "").lower() == format
        assert image.size == (256, 256)


def test_png_keeps_every_pixel() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (64, 64, 4), dtype=np.uint8)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(encode(pixels, "png")))), pixels)


def test_transparent_is_black_in_jpeg() -> None:
    pixels = np.full((64, 64, 4), 255, dtype=np.uint8)
    pixels[:32, :, 3] = 0
    image = np.asarray(Image.open(io.BytesIO(encode(pixels, "jpeg"))))
    assert image[:30].max() < 10
    assert image[34:].min() > 245


def test_a_blank_tile_is_transparent_and_small() -> None:
    with Image.open(io.BytesIO(blank_tile(512, "webp"))) as image:
        assert not np.asarray(image.convert("RGBA"))[..., 3].any()
    assert len(blank_tile(512, "webp")) < 1000
    source = Painted()
    source.empty = True
    assert tile_image(source, TILE, 512, "webp") == blank_tile(512, "webp")


def test_an_unknown_format_or_size_is_refused() -> None:
    with pytest.raises(InputError, match="'gif' is not an image format"):
        encode(np.zeros((1, 1, 4), dtype=np.uint8), "gif")  # type: ignore[arg-type]
    for size in (0, -1, 100_000):
        with pytest.raises(InputError, match=f"{size} pixels"):
            tile_image(Painted(), TILE, size, "png")


def test_memory_is_bounded_and_keeps_the_latest_used() -> None:
    cache = MemoryCache(100)
    for name in "abc":
        cache.put(name, bytes(30))
    assert cache.get("a") is not None
    cache.put("d", bytes(30))
    assert cache.get("b") is None
    assert all(cache.get(name) for name in "acd")
    cache.put("a", bytes(10))
    assert cache.size == 70
    cache.put("huge", bytes(101))
    assert cache.get("huge") is None
    assert cache.size == 70


def test_the_folder_is_bounded_and_the_longest_unused_goes_first(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, 1000)
    for number in range(6):
        cache.put(f"key {number}", bytes([number]) * 100)
        for path in files_in(tmp_path):
            os.utime(path, (path.stat().st_mtime - 10, path.stat().st_mtime - 10))
    assert cache.get("key 0") is not None
    for number in range(6, 9):
        cache.put(f"key {number}", bytes([number]) * 100)
    assert sum(path.stat().st_size for path in files_in(tmp_path)) <= 1000
    assert cache.get("key 0") == bytes(100)
    assert cache.get("key 1") is None
    assert cache.get("key 8") == bytes([8]) * 100


def test_a_damaged_file_is_a_miss(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, 10_000)
    cache.put("key", b"pixels")
    (path,) = files_in(tmp_path)
    for content in (b"", path.read_bytes()[:-1], path.read_bytes() + b"x"):
        path.write_bytes(content)
        assert cache.get("key") is None
    cache.put("key", b"pixels")
    assert DiskCache(tmp_path, 10_000).get("key") == b"pixels"


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    cache = DiskCache(blocked, 1000)
    cache.put("key", b"pixels")
    assert cache.get("key") is None


def _fill(folder: Path, seed: int) -> int:
    cache = DiskCache(folder, 20_000)
    wrong = 0
    for step in range(200):
        number = (step * 7 + seed) % 40
        cache.put(f"{number}", bytes([number]) * 1000)
        found = cache.get(f"{(number + 1) % 40}")
        wrong += found not in (None, bytes([(number + 1) % 40]) * 1000)
    return wrong


def test_processes_share_the_folder_and_never_see_half_a_file(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        assert pool.starmap(_fill, [(tmp_path, seed) for seed in range(3)]) == [0, 0, 0]
    assert not list(tmp_path.rglob("*.part"))
    assert sum(path.stat().st_size for path in files_in(tmp_path)) <= 3 * 20_000


def test_an_unfinished_file_of_a_dead_process_is_swept_up(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, 200)
    (tmp_path / "ab").mkdir()
    left = tmp_path / "ab" / "cd.1-2-3.part"
    left.write_bytes(b"half")
    os.utime(left, (time.time() - 7200, time.time() - 7200))
    cache.put("key", bytes(100))
    assert not left.exists()


def test_many_who_ask_at_once_get_one_rendering(tmp_path: Path) -> None:
    source = Painted()
    source.gate.clear()
    store = TileStore(lambda _: source, tmp_path)
    with ThreadPoolExecutor(16) as workers:
        asked = [workers.submit(store.tile, 1, TILE) for _ in range(16)]
        assert source.asked.wait(20)
        source.gate.set()
        images = {future.result() for future in asked}
    assert len(images) == 1
    assert source.reads == 1
    store.tile(1, TILE)
    assert source.reads == 1


def test_a_failure_reaches_all_who_wait_and_is_not_kept(tmp_path: Path) -> None:
    source = Painted()
    source.error = ImageryError("the server is down")
    store = TileStore(lambda _: source, tmp_path)
    with pytest.raises(ImageryError, match="down"):
        store.tile(1, TILE)
    source.error = None
    assert store.tile(1, TILE)


def test_the_first_of_a_flight_makes_it_for_all() -> None:
    flight = SingleFlight()
    gate, started, made = threading.Event(), threading.Event(), []

    def make() -> int:
        started.set()
        assert gate.wait(20)
        made.append(1)
        return 7

    with ThreadPoolExecutor(2) as workers:
        first = workers.submit(flight.do, "key", make)
        assert started.wait(20)
        second = workers.submit(flight.do, "key", make)
        assert flight.do("other", lambda: 8) == 8
        gate.set()
        assert (first.result(), second.result()) == (7, 7)
    assert len(made) <= 2  # the second may have come after the first was done; never more


def test_size_format_imagery_and_fingerprint_are_kept_apart(tmp_path: Path) -> None:
    sources = {1: Painted(), 2: Painted(fingerprint="2")}
    store = TileStore(sources.__getitem__, tmp_path)
    images = {
        store.tile(1, TILE),
        store.tile(2, TILE),
        store.tile(1, TILE, 256),
        store.tile(1, TILE, 512, "png"),
        store.tile(1, Tile(20, 1, 1)),
    }
    assert len(images) == 5
    sources[1] = Painted(fingerprint="9")
    before = store.tile(1, TILE)
    store.forget(1)
    assert store.tile(1, TILE) != before


def test_a_source_is_opened_once_and_again_after_a_failure(tmp_path: Path) -> None:
    opened: list[int] = []

    def sources(imagery_id: int) -> Painted:
        opened.append(imagery_id)
        if len(opened) == 1:
            msg = "not there yet"
            raise ImageryError(msg)
        return Painted()

    store = TileStore(sources, tmp_path)
    with pytest.raises(ImageryError, match="not there yet"):
        store.tile(5, TILE)
    with ThreadPoolExecutor(8) as workers:
        list(workers.map(lambda x: store.tile(5, Tile(20, x, 0)), range(32)))
    assert opened == [5, 5]


def test_remote_tiles_outlive_the_process_and_empty_ones_do_not(tmp_path: Path) -> None:
    remote = Painted("xyz")
    image = TileStore(lambda _: remote, tmp_path).tile(1, TILE)
    assert TileStore(lambda _: remote, tmp_path).tile(1, TILE) == image
    assert remote.reads == 1
    remote.empty = True
    for _ in range(2):
        assert TileStore(lambda _: remote, tmp_path).tile(1, Tile(20, 5, 5)) == blank_tile(512, "webp")
    assert remote.reads == 3


def test_quick_local_tiles_stay_off_the_disk(tmp_path: Path) -> None:
    TileStore(lambda _: Painted(), tmp_path).tile(1, TILE, 16)
    assert files_in(tmp_path) == []
