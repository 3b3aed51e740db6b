"""The pixels of a project's imagery by id: one store a process, opened from what the database says."""

import hashlib
import threading
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from sqlalchemy import select

from db.models import Imagery
from db.types import HIGHEST_KEY
from maploop.database import open_database
from maploop.errors import AccessError, NotFoundError
from maploop.imagery.info import ImagerySource, SourceInfo
from maploop.imagery.pixels import PixelCoverage
from maploop.imagery.render import MEDIA_TYPES, Format, no_pixels
from maploop.imagery.source import open_source
from maploop.imagery.store import TileImage, TileStore
from maploop.imagery.tilemath import Tile
from maploop.settings import get_settings

TILE_PIXELS = 512
_BROWSER_FORMAT: Format = "webp"


class ProjectImagery:
    """The tile store of one database, which knows the project that each imagery belongs to."""

    def __init__(self, url: str, cache_folder: Path) -> None:
        self._url = url
        self._projects: dict[int, int] = {}
        self._lock = threading.Lock()
        self.store = TileStore(self._open, cache_folder)

    def _open(self, imagery_id: int) -> ImagerySource:
        with open_database(self._url).read() as connection:
            info = connection.execute(select(Imagery.info).where(Imagery.id == imagery_id)).scalar()
        if info is None:
            msg = f"There is no imagery {imagery_id}."
            raise NotFoundError(msg)
        return open_source(SourceInfo.from_json(info))

    def require(self, project_id: int, imagery_id: int) -> None:
        """Make sure the imagery belongs to the project. Raises AccessError."""
        owner = self._projects.get(imagery_id)
        if owner is None and imagery_id <= HIGHEST_KEY:
            with open_database(self._url).read() as connection:
                owner = connection.execute(select(Imagery.project_id).where(Imagery.id == imagery_id)).scalar()
            if owner is not None:
                with self._lock:
                    self._projects[imagery_id] = owner
        if owner != project_id:
            msg = f"Imagery {imagery_id} belongs to another project: this page has no access to it."
            raise AccessError(msg)


@lru_cache(maxsize=4)
def _imagery(url: str, cache_folder: Path) -> ProjectImagery:
    return ProjectImagery(url, cache_folder)


def project_imagery() -> ProjectImagery:
    """The imagery of the database in force."""
    settings = get_settings()
    return _imagery(settings.database, settings.data_folder / "cache" / "tiles")


def etag_of(project_id: int, imagery_id: int, tile: Tile) -> str:
    """A tag that changes when the tile's pixels may have. Raises AccessError, ImageryError."""
    imagery = project_imagery()
    imagery.require(project_id, imagery_id)
    subject = f"{imagery_id}/{imagery.store.source(imagery_id).fingerprint}/{tile}/{TILE_PIXELS}.{_BROWSER_FORMAT}"
    return f'"{hashlib.sha256(subject.encode()).hexdigest()[:24]}"'


def tile_image(
    project_id: int, imagery_id: int, tile: Tile, record: Callable[[PixelCoverage, str], None] | None = None
) -> tuple[TileImage, str]:
    """The image of a tile for the browser, with its share of pixels, and its media type.

    `record` hears where the tile has pixels, with the fingerprint of the imagery, whether it has any or not.
    Raises AccessError; NoPixelsError where the imagery has nothing; ImageryError when it fails.
    """
    imagery = project_imagery()
    imagery.require(project_id, imagery_id)
    image = imagery.store.image(imagery_id, tile, TILE_PIXELS, _BROWSER_FORMAT)
    if record is not None:
        record(image.coverage, imagery.store.source(imagery_id).fingerprint)
    if not image.share:
        raise no_pixels(imagery.store.source(imagery_id).info, tile)
    return image, MEDIA_TYPES[_BROWSER_FORMAT]
