"""What the trainers call the families of open vision models, and the dialect that each family speaks by itself."""

import re
from functools import lru_cache
from importlib import resources
from typing import Final

from pydantic import BaseModel, ConfigDict, TypeAdapter

from maploop.errors import InputError

_HUB_NAME: Final = re.compile(r"[\w.-]+(/[\w.-]+)*")
_MOST: Final = 200


class Family(BaseModel):
    """A family of models.

    pattern     found in the names of its models, whatever their case
    template    its name among LLaMA-Factory's chat templates
    dialect     in which it writes coordinates before it is tuned; None where nobody has said
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    pattern: str
    family: str
    template: str
    dialect: str | None


def family_of(base: str) -> Family | None:
    """The family of a base, None for one that is not in the table."""
    return next((each for each in _families() if re.search(each.pattern, base.lower())), None)


def check_base(base: str) -> str:
    """The name of a base as it goes into scripts: of the Hugging Face hub, or a folder. Raises InputError."""
    name = base.strip()
    if len(name) > _MOST or not _HUB_NAME.fullmatch(name.removeprefix("/")) or ".." in name:
        msg = f"{name[:60]!r} is not the name of a base: give one of the hub, such as Qwen/Qwen3-VL-4B-Instruct."
        raise InputError(msg)
    return name


@lru_cache(maxsize=1)
def _families() -> list[Family]:
    content = resources.files("maploop.tune.bundle").joinpath("bases.json").read_bytes()
    return TypeAdapter(list[Family]).validate_json(content)
