"""Trying out imagery on a server before it is imported: a few real tiles, or real maps, and what came of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from maploop.errors import ImageryError, ImageryReason
from maploop.imagery.info import ImagerySource, SourceInfo
from maploop.imagery.render import render
from maploop.imagery.tilemath import Tile, tile_at
from maploop.imagery.xyz import XyzSource

MOST = 5  # tiles tried at first,
PATIENCE = 12  # at most, while none has pixels
PIXELS = 256
FAR = 2  # zooms a tile may be enlarged over without a warning
# What says that nothing will ever come, wherever one asks.
HOPELESS: frozenset[ImageryReason] = frozenset({"refused", "busy", "unreachable", "not_an_image"})


@dataclass
class Trial:
    """Results of the tiles that were asked for.

    came        tiles with pixels
    holes       tiles that the server answered without pixels
    failed      tiles that failed, with the error of each
    zoom        the deepest zoom at which the server had a picture, None where it is asked for no zoom or had none
    """

    came: list[Tile] = field(default_factory=list)
    holes: list[Tile] = field(default_factory=list)
    failed: dict[Tile, ImageryError] = field(default_factory=dict)
    zoom: int | None = None

    @property
    def tried(self) -> int:
        """How many tiles were asked for."""
        return len(self.came) + len(self.holes) + len(self.failed)

    def to_json(self) -> dict[str, Any]:
        """As the answer of an import holds it."""
        return {
            "tried": self.tried,
            "came": len(self.came),
            "holes": [str(tile) for tile in self.holes],
            "failed": {str(tile): str(error) for tile, error in self.failed.items()},
            "zoom": self.zoom,
        }


def try_out(source: ImagerySource, places: Sequence[Tile]) -> Trial:
    """Ask for some of the tiles, evenly spread; more while none has pixels, none after an answer without hope."""
    trial = Trial()
    asked: set[Tile] = set()
    for count in (MOST, PATIENCE):
        for tile in spread(places, count):
            if tile not in asked:
                asked.add(tile)
                _ask(source, tile, trial)
            if not trial.came and any(error.reason in HOPELESS for error in trial.failed.values()):
                return trial
        if trial.came:
            break
    return trial


def _ask(source: ImagerySource, tile: Tile, trial: Trial) -> None:
    try:
        if isinstance(source, XyzSource):
            zoom = source.zoom_with_pixels(tile)
            seen = zoom is not None
            trial.zoom = max((each for each in (trial.zoom, zoom) if each is not None), default=None)
        else:
            seen = render(source, tile, PIXELS).share > 0
    except ImageryError as error:
        trial.failed[tile] = error
        return
    (trial.came if seen else trial.holes).append(tile)


def spread(tiles: Sequence[Tile], count: int) -> list[Tile]:
    """At most so many of the tiles, evenly spread over their order, the middle one first."""
    if not tiles:
        return []
    last = len(tiles) - 1
    places = {round(number * last / max(count - 1, 1)) for number in range(count)}
    return [tiles[place] for place in sorted(places, key=lambda place: (abs(place - last / 2), place))]


def centre_of(info: SourceInfo, zoom: int) -> list[Tile]:
    """The tile in the middle of the bounds, if any."""
    if info.bounds is None:
        return []
    west, south, east, north = info.bounds
    return [tile_at((west + east) / 2, (south + north) / 2, zoom)]


def require_pixels(trial: Trial, *, sure: bool) -> None:
    """Raise ImageryError saying what came instead when not one tile had pixels.

    Not `sure` that the server should have the tiles: only what says that nothing will ever come is an error.
    """
    if trial.came or not trial.tried:
        return
    remedy = "Nothing was imported; --no-check imports it all the same"
    hopeless = [error for error in trial.failed.values() if error.reason in HOPELESS or (error.status or 0) >= 500]
    if hopeless or (sure and trial.failed):
        first = hopeless[0] if hopeless else next(iter(trial.failed.values()))
        msg = f"{str(first).rstrip('.')}. {remedy}."
        raise type(first)(msg, reason=first.reason, status=first.status) from first
    if sure:
        named = ", ".join(str(tile) for tile in trial.holes[:3])
        msg = (
            f"The server answers, but no picture came for any of the {trial.tried} tiles tried ({named}): check the "
            f"address, the bounds and the zoom. {remedy}."
        )
        raise ImageryError(msg, reason="hole")


def ended_at(info: SourceInfo, trial: Trial, zoom: int) -> SourceInfo:
    """The source with its deepest zoom as it turned out, where it ends above the zoom that is wanted."""
    if trial.zoom is None or trial.zoom >= min(zoom, info.max_zoom):
        return info
    return replace(info, max_zoom=max(trial.zoom, info.min_zoom))


def says_of(info: SourceInfo, trial: Trial, zoom: int) -> list[str]:
    """Lines for people: what came, and how far tiles are enlarged."""
    lines = []
    if trial.tried:
        lines.append(f"Tried {trial.tried} {'tile' if trial.tried == 1 else 'tiles'}: {len(trial.came)} with pixels.")
    else:
        lines.append(
            f"No tile of zoom {zoom} was tried, as nobody knows yet where it should have any: give --bounds to be sure."
        )
    if trial.holes:
        lines.append(f"No picture came for {', '.join(str(tile) for tile in trial.holes[:5])}.")
    if trial.failed:
        tile, error = next(iter(trial.failed.items()))
        lines.append(f"{tile} failed: {error}")
    if info.kind == "xyz" and zoom > info.max_zoom:
        blurred = f", 1 pixel of it for {2 ** (zoom - info.max_zoom)} a side: too coarse for small things"
        lines.append(
            f"The server ends at zoom {info.max_zoom}: tiles of zoom {zoom} are enlarged from it"
            f"{blurred if zoom - info.max_zoom > FAR else ''}."
        )
    return lines
