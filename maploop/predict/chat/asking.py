"""What a run of a chat model asks for beside its tiles, as it is kept among the run's parameters."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from maploop.errors import InputError


class Asking(BaseModel):
    """Examples, budget and pace of a run.

    shots           reviewed training tiles that are shown first, with their answers
    retrieve        those most like the tile, in place of the same for all
    embedder        by whose eyes tiles are alike
    pool            hash of the examples that the shots are taken from, once they were gathered
    budget          USD for the run, with all its resumptions
    concurrency     requests under way at once
    batch           all of them in files, answered within a day at a part of the price
    """

    model_config = ConfigDict(extra="ignore", frozen=True)  # others keep things beside these

    shots: int = Field(default=0, ge=0, le=20)
    retrieve: bool = False
    embedder: str = "light"
    pool: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    budget: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    concurrency: int = Field(default=4, ge=1, le=64)
    batch: bool = False

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> Self:
        """Read a run's parameters. Raises InputError."""
        try:
            found = cls.model_validate(dict(parameters))
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(str(step) for step in first["loc"])
            msg = f"{first['input']!r:.60} does not fit as {name} of a run: {first['msg'].lower()}."
            raise InputError(msg) from error
        if found.retrieve and not found.shots:
            msg = "Examples cannot be retrieved when none is shown: say how many with --shots."
            raise InputError(msg)
        return found

    def to_json(self) -> dict[str, Any]:
        """Plain values to be kept with a run, without what goes without saying."""
        return self.model_dump(mode="json", exclude_defaults=True)
