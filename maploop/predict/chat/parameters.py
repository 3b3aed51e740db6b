"""What a chat model is asked with, as it is kept beside the model. A key is known by its name only."""

from collections.abc import Mapping
from typing import Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from maploop.contract import DIALECTS, Contract, contract_of
from maploop.contract.prompt import DETAIL, Detail
from maploop.errors import InputError
from maploop.project import ProjectView

OPENAI: Final = "https://api.openai.com/v1"
OPENAI_KEY: Final = "OPENAI_API_KEY"


class ChatParameters(BaseModel):
    """Parameters of a model of the backend `chat`.

    base_url            where the server's routes begin
    key                 name of the environment variable or secret with the key; None: the server asks for none
    dialect             how the model writes coordinates; None: as the project says
    structured          ask for strict structured output: auto falls back to plain text where the server has it not
    max_tokens          of an answer, with its reasoning; None: as many as the server likes
    temperature         None: the server's own
    timeout             seconds for one attempt
    attempts            at a tile while the server is busy, failing or away
    malformed_attempts  at a tile while the answer does not fit the contract; each is paid for
    priced_as           the name of the model in the price table, where it differs: of an Azure deployment
    shots, retrieve, embedder   the examples that it is always shown, as runs ask for them: see `predict.set_ups`
    training            what is remembered of a tuned model's making; asks nothing
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    base_url: str = OPENAI
    key: str | None = None
    dialect: str | None = None
    detail: Detail = DETAIL
    structured: Literal["auto", "strict", "plain"] = "auto"
    max_tokens: int | None = Field(default=8192, ge=16, le=1_000_000)
    temperature: float | None = Field(default=0.0, ge=0, le=2)
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high"] | None = None
    timeout: float = Field(default=180.0, ge=0.1, le=3600)
    attempts: int = Field(default=6, ge=1, le=20)
    malformed_attempts: int = Field(default=2, ge=1, le=5)
    priced_as: str | None = Field(default=None, min_length=1, max_length=200)
    shots: int = Field(default=0, ge=0, le=20)
    retrieve: bool = False
    embedder: str = Field(default="light", max_length=100)
    training: dict[str, Any] = {}

    @field_validator("base_url")
    @classmethod
    def _is_plain_url(cls, url: str) -> str:
        parts = urlsplit(url.strip())
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("give the address of the server's routes, as https://host/v1")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("leave out user, password and whatever follows a ? or #: keys come by their name")
        return url.strip().rstrip("/")

    @field_validator("key")
    @classmethod
    def _is_name(cls, name: str | None) -> str | None:
        if name is not None and not (name.isascii() and name.isidentifier() and name.isupper() and len(name) <= 64):
            raise ValueError("give the name of the variable that holds the key, in capitals, and never the key itself")
        return name

    @field_validator("dialect")
    @classmethod
    def _is_dialect(cls, name: str | None) -> str | None:
        if name is not None and name not in DIALECTS:
            raise ValueError(f"use one of {', '.join(DIALECTS)}")
        return name

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Read what is kept beside a model. Raises InputError; what was given for a key or an address is not shown."""
        try:
            found = cls.model_validate(dict(values))
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(str(step) for step in first["loc"])
            if first["type"] == "extra_forbidden":
                msg = f"{name!r} is not a parameter of a chat model: use {', '.join(cls.model_fields)}."
                raise InputError(msg) from None
            given = "" if name in ("key", "base_url") else f" {first['input']!r:.60}:"
            reason = first["msg"].removeprefix("Value error, ")
            msg = f"The parameter {name} of a chat model does not fit:{given} {reason[:1].lower()}{reason[1:]}."
            raise InputError(msg) from None  # the cause would show the value
        if found.key is None and found.base_url == OPENAI:
            return found.model_copy(update={"key": OPENAI_KEY})
        return found

    def to_json(self) -> dict[str, Any]:
        """Plain values to be kept, without what goes without saying."""
        return self.model_dump(mode="json", exclude_defaults=True)

    def contract(self, project: ProjectView) -> Contract:
        """The contract that the model is asked under. Raises InputError."""
        return contract_of(project, dialect=self.dialect, detail=self.detail)

    def price_name(self, identifier: str) -> str:
        """What the model is called in the price table."""
        return self.priced_as or identifier
