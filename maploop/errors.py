"""Every error that Maploop raises on purpose; pages and the CLI catch `MaploopError` and nothing else.

MaploopError
├── InputError              something from outside is not what it should be
│   ├── ImageryError        a source of pixels cannot be opened, read or reached
│   │   └── NoPixelsError   the source answers, and has no pixels for the tile
│   ├── VectorError         a file of features cannot be read
│   └── AnswerError         a model's answer does not fit the prompt contract
├── NotFoundError           a project, tile, dataset or file by that name does not exist
├── AccessError             the token is missing, expired or for something else
├── ConflictError           somebody else was faster, or the state does not allow it
│   └── ClaimError          the tile is held by somebody else
├── LicenceError            the imagery's terms forbid what was asked
└── DatabaseError           the database is too old, too new, busy, full, unreachable or damaged

Messages give the bad value and the remedy, in one line.
"""

from typing import Literal

ImageryReason = Literal[
    "hole",  # the source answers and has nothing here
    "beyond_zoom",  # nothing here, and the zoom is deeper than the source goes
    "refused",  # a missing, wrong or expired key, or terms: 401, 403
    "busy",  # asked too often: 429
    "failed",  # the server or the file failed
    "unreachable",  # no answer, or not in time
    "not_an_image",  # something else came: a login page, JSON, exception XML
]


class MaploopError(Exception):
    """Base of all; its text is shown to people as it is."""


class InputError(MaploopError):
    """Something from outside is not what it should be."""


class ImageryError(InputError):
    """A source of pixels cannot be opened, read or reached.

    `reason` says why for programs; `status` is the HTTP status of a server that answered, else None.
    """

    reason: ImageryReason = "failed"
    status: int | None = None

    def __init__(self, message: str = "", *, reason: ImageryReason = "failed", status: int | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.status = status


class NoPixelsError(ImageryError):
    """The source answers, and has no pixels for the tile: `reason` is `hole` or `beyond_zoom`."""


class VectorError(InputError):
    """A file of features cannot be read."""


class AnswerError(InputError):
    """A model's answer does not fit the prompt contract."""


class NotFoundError(MaploopError):
    """A project, tile, dataset or file by that name does not exist."""


class AccessError(MaploopError):
    """The token is missing, expired or was given for something else."""


class ConflictError(MaploopError):
    """Somebody else was faster, or the state does not allow it."""


class ClaimError(ConflictError):
    """The tile is held by somebody else."""


class LicenceError(MaploopError):
    """The imagery's terms forbid what was asked."""


class DatabaseError(MaploopError):
    """The database is too old, too new, unreachable or damaged.

    `kind` is busy, full, read_only, damaged, gone or failing where a running database is at fault, else empty.
    """

    def __init__(self, text: str, kind: str = "") -> None:
        super().__init__(text)
        self.kind = kind


def said_of(error: Exception) -> str:
    """What to write down of an error: its text, with the name of one that was not raised on purpose."""
    return str(error) if isinstance(error, MaploopError) else f"{type(error).__name__}: {error}"
