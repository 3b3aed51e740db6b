"""A comparison, its money, rules and promotions as JSON and as text: what the CLI prints and reports are made from."""

from collections.abc import Iterator
from typing import Any

from maploop.compare.money import Economy
from maploop.compare.sidebyside import Comparison


def comparison_as_json(comparison: Comparison, economy: Economy | None = None) -> dict[str, Any]:
    """All of it; null where something is not known."""
    raise NotImplementedError


def comparison_as_text(comparison: Comparison, economy: Economy | None = None) -> Iterator[str]:
    """A table of the models, the differences, the verdict, the assumptions."""
    raise NotImplementedError
