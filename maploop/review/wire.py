"""What the browser may send, as docs/review-map.md has it; anything else is refused before it reaches the database."""

import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel
from shapely.geometry.base import BaseGeometry

from db.types import HIGHEST_KEY
from maploop.errors import InputError
from maploop.vectors.geometry import GeometryType, parse_geojson_geometry

log = logging.getLogger(__name__)

Verdict = Literal["accept", "correct", "reject", "add", "unsure"]
FilterStatus = Literal["undecided", "accept", "correct", "reject", "add", "unsure"]
Order = Literal["uncertainty", "place", "random", "mixed"]
MAX_ENTRIES = 500
MAX_HOLDING = 500
MAX_VERTICES = 10_000  # of a geometry: as many as an import keeps
Id = Annotated[int, Field(ge=0, le=HIGHEST_KEY)]


class Wire(BaseModel):
    """Camel case on the wire, snake case here, nothing unknown."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True, frozen=True)


class TileFilter(Wire):
    """Which features make a tile worth opening."""

    class_name: str | None = Field(default=None, alias="class")
    min_score: float | None = Field(default=None, ge=0, le=1)
    max_score: float | None = Field(default=None, ge=0, le=1)
    status: FilterStatus | None = None

    @property
    def verdict(self) -> Verdict | None:
        """The verdict that is looked for; None when what is undecided is."""
        return None if self.status is None or self.status == "undecided" else self.status

    @property
    def is_empty(self) -> bool:
        """True when every tile will do."""
        return self == TileFilter()


class OpenRequest(Wire):
    """Open a tile by address, or the one the queue says."""

    tile: str | None = None
    ahead: bool = False
    holding: list[str] = Field(default_factory=list, max_length=MAX_HOLDING)
    back: str | None = None
    latest: bool = False
    order: Order = "mixed"
    random_share: float = Field(default=0.2, ge=0, le=1)
    filter: TileFilter = TileFilter()
    audit: Id | None = None


class DecisionEntry(Wire):
    """One decision about one feature."""

    type: Literal["decision"]
    id: UUID
    tile: str
    feature: Id | UUID | None = None
    verdict: Literal["accept", "correct", "reject", "add", "unsure", "undo"]
    reason: Literal["not_there", "duplicate", "wrong_class", "bad_imagery"] | None = None
    class_name: str = Field(alias="class")
    geometry: dict[str, Any] | None = None
    standing: UUID | None = None
    undoes: UUID | None = None
    seconds: float = Field(ge=0, le=86_400)
    made_at: datetime
    audit: Id | None = None
    _shapes: dict[GeometryType, BaseGeometry | InputError] = PrivateAttr(default_factory=dict)

    def shape(self, geometry_type: GeometryType) -> BaseGeometry:
        """The geometry that was sent, checked and repaired: worked out once, the answer kept. Raises InputError.

        Repairing may take its time, so that `read_entries` asks for it before the entry waits for the database.
        """
        if geometry_type not in self._shapes:
            try:
                found = parse_geojson_geometry(self.geometry, geometry_type, max_vertices=MAX_VERTICES)
                self._shapes[geometry_type] = found
            except InputError as error:
                self._shapes[geometry_type] = error
        known = self._shapes[geometry_type]
        if isinstance(known, InputError):
            raise known
        return known


class TileEntry(Wire):
    """One act about a whole tile."""

    type: Literal["tile"]
    id: UUID
    tile: str
    act: Literal["complete", "reopen", "release", "active"]
    seconds: float = Field(default=0, ge=0, le=864_000)
    made_at: datetime
    audit: Id | None = None


Entry = Annotated[DecisionEntry | TileEntry, Field(discriminator="type")]
_ENTRY: TypeAdapter[DecisionEntry | TileEntry] = TypeAdapter(Entry)


def parse_open(body: bytes) -> OpenRequest:
    """Read the body of an open request. Raises InputError."""
    try:
        return OpenRequest.model_validate_json(body)
    except ValidationError as error:
        raise InputError(_first_problem(error)) from error


def parse_entry(item: object) -> DecisionEntry | TileEntry:
    """Read one entry of the outbox. Raises InputError."""
    try:
        return _ENTRY.validate_python(item)
    except ValidationError as error:
        raise InputError(_first_problem(error)) from error


@dataclass(frozen=True)
class Incoming:
    """One entry of the outbox as far as it can be checked without the database: the entry, or why it is none."""

    id: str | None
    entry: DecisionEntry | TileEntry | None
    problem: str = ""


def read_entries(entries: object, types: Mapping[str, GeometryType]) -> list[Incoming]:
    """Read what a browser sent, and check and repair its geometries; `types` are those of the project's classes.

    Raises InputError when `entries` is no list of at most 500; an entry that does not fit is for itself.
    """
    if not isinstance(entries, list) or len(entries) > MAX_ENTRIES:
        msg = f"entries: send a list of at most {MAX_ENTRIES}."
        raise InputError(msg)
    return [_incoming(item, types) for item in entries]


def _incoming(item: object, types: Mapping[str, GeometryType]) -> Incoming:
    entry_id = str(item.get("id")) if isinstance(item, dict) else None
    try:
        entry = parse_entry(item)
        if isinstance(entry, DecisionEntry) and entry.geometry is not None and entry.class_name in types:
            with suppress(InputError):  # kept with the entry, for who stores it
                entry.shape(types[entry.class_name])
    except InputError as error:
        return Incoming(entry_id, None, str(error))
    except Exception as error:  # no entry blocks the others
        log.exception("Entry %s cannot be read", entry_id)
        return Incoming(entry_id, None, f"The server cannot read this ({type(error).__name__}); its log says more.")
    return Incoming(entry_id, entry)


def _first_problem(error: ValidationError) -> str:
    problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in problem["loc"]) or "the request"
    return f"{where}: {problem['msg'].lower()}."
