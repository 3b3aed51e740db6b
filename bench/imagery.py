"""How long a 512 px tile takes, from a local COG and from a folder of tiles: `python -m bench.imagery`.

Cold: drawn and encoded by a new store, the file's blocks possibly in the system's cache. Warm: from memory.
"""

import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import rasterio
import rasterio.shutil
from PIL import Image

from maploop.imagery.coverage import covered_tiles
from maploop.imagery.geotiff import GeoTiffSource
from maploop.imagery.source import describe, open_source
from maploop.imagery.store import TileStore
from maploop.imagery.tilemath import Tile

SIDE = 8192  # pixels
METRES = 0.15  # a pixel
ZOOMS = (17, 18, 19, 20, 21)
TILES = 60  # at most, a zoom
WANTED = 25.0  # ms


def main() -> None:
    """Print the medians and 95th percentiles."""
    folder = Path(tempfile.mkdtemp(prefix="maploop-bench-"))
    try:
        cog = _make_cog(folder)
        tiles = _make_folder(folder, cog)
        print(f"{'source':<12}{'zoom':>5}{'tiles':>7}{'cold median':>13}{'p95':>8}{'warm median':>13}{'p95':>8}   (ms)")
        slowest = max(_report("COG", cog, zoom) for zoom in ZOOMS)
        slowest = max(slowest, *(_report("tile folder", tiles, zoom) for zoom in (18, 19, 20)))
        opening = _times([lambda: _first_tile(cog)] * 10)
        print(f"file opened and its first tile drawn: median {statistics.median(opening):.1f} ms")
    finally:
        shutil.rmtree(folder)
    verdict = "holds" if slowest <= WANTED else "MISSED"
    print(f"slowest cold median {slowest:.1f} ms, wanted {WANTED:.0f} ms: {verdict}")
    sys.exit(0 if slowest <= WANTED else 1)


def _report(name: str, location: Path, zoom: int) -> float:
    """Print one line; returns the cold median in ms."""
    source = open_source(describe(location))
    found = list(covered_tiles(source, zoom))
    tiles = [found[index] for index in np.random.default_rng(zoom).permutation(len(found))[:TILES]]
    store = TileStore(lambda _: source, location.parent / f"cache-{name}-{zoom}")
    cold = _times([_asking(store, tile) for tile in tiles])
    warm = _times([_asking(store, tile) for tile in tiles])
    print(
        f"{name:<12}{zoom:>5}{len(tiles):>7}{statistics.median(cold):>13.1f}{np.percentile(cold, 95):>8.1f}"
        f"{statistics.median(warm):>13.3f}{np.percentile(warm, 95):>8.3f}"
    )
    return statistics.median(cold)


def _asking(store: TileStore, tile: Tile) -> Callable[[], object]:
    return lambda: store.tile(1, tile)


def _first_tile(cog: Path) -> None:
    source = open_source(describe(cog))
    source.read(next(covered_tiles(source, 20)), 512)


def _times(calls: list[Callable[[], object]]) -> list[float]:
    """Milliseconds of each call."""
    times = []
    for call in calls:
        started = time.perf_counter()
        call()
        times.append((time.perf_counter() - started) * 1000)
    return times


def _make_cog(folder: Path) -> Path:
    """A COG in UTM with structure at every scale, roughly as compressible as aerial imagery."""
    random = np.random.default_rng(3)
    pixels = np.zeros((3, SIDE, SIDE), dtype=np.float32)
    for cell, weight in ((512, 60), (64, 60), (8, 40), (1, 16)):
        coarse = random.random((3, SIDE // cell, SIDE // cell), dtype=np.float32) * weight
        pixels += coarse.repeat(cell, axis=1).repeat(cell, axis=2)
    raw, cog = folder / "raw.tif", folder / "cog.tif"
    transform = rasterio.Affine(METRES, 0.0, 454_900.0, 0.0, -METRES, 38_800.0)
    with rasterio.open(
        raw, "w", driver="GTiff", width=SIDE, height=SIDE, count=3, dtype="uint8", crs="EPSG:32636", transform=transform
    ) as dataset:
        dataset.write(pixels.astype(np.uint8))
    rasterio.shutil.copy(raw, cog, driver="COG", compress="DEFLATE")
    raw.unlink()
    return cog


def _make_folder(folder: Path, cog: Path) -> Path:
    """PNG tiles of 256 px of the middle of the COG, zooms 19 to 21."""
    source = GeoTiffSource(describe(cog))
    tiles = folder / "tiles"
    top = list(covered_tiles(source, 17))
    middle = top[len(top) // 2]
    for zoom in (19, 20, 21):
        for tile in middle.children(zoom):
            path = tiles / f"{tile}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(source.read(tile, 256)).save(path, compress_level=1)
    return tiles


if __name__ == "__main__":
    main()
