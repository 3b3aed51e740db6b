"""What the browser may send, as docs/review-map.md has it; anything else is refused before it reaches the database."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

from db.types import HIGHEST_KEY
from maploop.errors import InputError

Verdict = Literal["accept", "correct", "reject", "add", "unsure"]
FilterStatus = Literal["undecided", "accept", "correct", "reject", "add", "unsure"]
Order = Literal["uncertainty", "place", "random", "mixed"]
MAX_ENTRIES = 500
MAX_HOLDING = 500
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


def _first_problem(error: ValidationError) -> str:
    problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in problem["loc"]) or "the request"
    return f"{where}: {problem['msg'].lower()}."
