"""The tiles of a snapshot looked at: which have pixels, where, and which annotations lie on ground that has some."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from maploop.dataset.reading import Sources
from maploop.dataset.snapshot import Indices, Placements, Snapshot
from maploop.errors import ConflictError, ImageryError, ImageryReason
from maploop.imagery.info import ImagerySource
from maploop.imagery.pixel_records import MEASURE_PIXELS
from maploop.imagery.pixels import PixelCoverage
from maploop.imagery.render import TilePixels, no_pixels, render

WORKERS = 4
AT_ONCE = 32  # tiles whose pixels are in memory together

REASONS: dict[ImageryReason, str] = {
    "hole": "the imagery has no pixels there",
    "beyond_zoom": "the imagery has no pixels there, it ends at a lower zoom",
    "refused": "their pixels did not come, the imagery's server refuses",
    "busy": "their pixels did not come, the imagery's server is asked too often",
    "failed": "their pixels did not come, the imagery failed",
    "unreachable": "their pixels did not come, the imagery's server does not answer",
    "not_an_image": "their pixels did not come, the imagery's server sent something else than an image",
}


@dataclass
class Sight:
    """Where tiles of a snapshot, given by index, have pixels, and why no pixels came of the others."""

    coverages: dict[int, PixelCoverage] = field(default_factory=dict)
    errors: dict[int, ImageryError] = field(default_factory=dict)

    def left_out(self, snapshot: Snapshot) -> dict[str, list[str]]:
        """Names of the tiles without pixels, by reason."""
        reasons: dict[str, list[str]] = defaultdict(list)
        for tile in sorted(self.errors):
            error = self.errors[tile]
            status = f" (status {error.status})" if error.status else ""
            reasons[REASONS[error.reason] + status].append(str(snapshot.tile(tile)))
        return dict(reasons)

    def with_pixels(self, tiles: Indices) -> Indices:
        """Select the tiles that have pixels."""
        return np.array([tile for tile in tiles.tolist() if tile not in self.errors], dtype=np.int64)


def sources_by_index(snapshot: Snapshot, sources: Sources) -> Callable[[int], ImagerySource]:
    """Open the imagery of an index of the snapshot, each once.

    What it answers raises ImageryError, and ConflictError when the pixels are not those that were frozen.
    """
    opened: dict[int, ImagerySource] = {}

    def source_of(index: int) -> ImagerySource:
        if index not in opened:
            imagery = snapshot.imagery[index]
            source = sources(imagery.id)
            if source.fingerprint != imagery.fingerprint:
                msg = f"The imagery {imagery.name} has changed since the dataset was frozen: freeze a new one."
                raise ConflictError(msg)
            opened[index] = source
        return opened[index]

    return source_of


def look_at(
    snapshot: Snapshot,
    tiles: Indices,
    source_of: Callable[[int], ImagerySource],
    *,
    size: int = MEASURE_PIXELS,
    known: Mapping[int, PixelCoverage] | None = None,
    hear: Callable[[int, TilePixels], None] = lambda _tile, _pixels: None,
    step: Callable[[int, int], None] = lambda _done, _total: None,
) -> Sight:
    """Render tiles that have imagery, given by index, and say where each has pixels.

    `source_of` opens the imagery of an index of the snapshot; what it raises beside ImageryError is passed on. Tiles in
    `known` are not rendered again. `hear` is given the pixels of each tile that has some, `step` how far the work is.
    """
    sight = Sight()
    with ThreadPoolExecutor(WORKERS, thread_name_prefix="look") as workers:
        for start in range(0, len(tiles), AT_ONCE):
            step(start, len(tiles))
            some = tiles[start : start + AT_ONCE].tolist()
            unknown = [tile for tile in some if known is None or tile not in known]
            for tile, answer in zip(
                unknown, workers.map(lambda tile: _rendered(snapshot, tile, source_of, size), unknown), strict=True
            ):
                if isinstance(answer, ImageryError):
                    sight.errors[tile] = answer
                    continue
                sight.coverages[tile] = answer.coverage
                hear(tile, answer)
            for tile in set(some) - set(unknown):
                sight.coverages[tile] = (known or {})[tile]
                if not sight.coverages[tile].share:
                    sight.errors[tile] = no_pixels(
                        source_of(int(snapshot.tiles.imagery[tile])).info, snapshot.tile(tile)
                    )
    step(len(tiles), len(tiles))
    return sight


def _rendered(
    snapshot: Snapshot, tile: int, source_of: Callable[[int], ImagerySource], size: int
) -> TilePixels | ImageryError:
    try:
        source = source_of(int(snapshot.tiles.imagery[tile]))
        pixels = render(source, snapshot.tile(tile), size)
    except ImageryError as error:
        return error
    return pixels if pixels.share else no_pixels(source.info, snapshot.tile(tile))


def without_unseen(snapshot: Snapshot, coverages: Mapping[int, PixelCoverage]) -> tuple[Snapshot, int]:
    """The snapshot without annotations on tiles where they lie wholly on ground without pixels -> it, and how many.

    Only tiles in `coverages` that have pixels in part are looked at; a feature stays on its other tiles.
    """
    placed = snapshot.placements
    kept = np.ones(len(placed.tile), dtype=np.bool_)
    for tile, rows in _partly_seen(placed, coverages):
        kept[rows] = have_pixels_on(snapshot, tile, placed.feature[rows], coverages[tile])
    if kept.all():
        return snapshot, 0
    dropped = len(np.unique(placed.feature[~kept & snapshot.annotated[placed.feature]]))
    return replace(snapshot, placements=Placements(placed.tile[kept], placed.feature[kept])), dropped


def have_pixels_on(
    snapshot: Snapshot, tile: int, features: Indices, coverage: PixelCoverage, *, predicted: bool = False
) -> NDArray[np.bool_]:
    """Which features, given by index, have pixels under some of what lies on the tile; as drawn, or as `predicted`."""
    geometries = snapshot.features.predicted_geometries if predicted else snapshot.features.geometries
    return coverage.under(geometries[features], snapshot.tile(tile))


def _partly_seen(placed: Placements, coverages: Mapping[int, PixelCoverage]) -> Iterator[tuple[int, Indices]]:
    """Tiles that have pixels in part, with the rows of what lies on them."""
    partial: Collection[int] = [tile for tile, each in coverages.items() if each.mask]
    for tile in partial:
        first, end = np.searchsorted(placed.tile, [tile, tile + 1]).tolist()
        if first < end:
            yield tile, np.arange(first, end, dtype=np.int64)
