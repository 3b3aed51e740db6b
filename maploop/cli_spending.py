"""Consent on the command line: where pictures go and what they cost, named and agreed to before anything is sent."""

import sys
from typing import TYPE_CHECKING

import typer

from maploop.cli_output import hint
from maploop.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from maploop.predict.chat.estimate import Estimate
    from maploop.predict.models import ModelView


def agree_to_spend(
    model: "ModelView", expected: "Estimate | None", parameters: "Mapping[str, Any]", tiles: str, *, agreed: bool
) -> None:
    """Name destination, tiles and cost on stderr, and ask whether to go on unless that was `agreed` to.

    Nothing is asked where nothing leaves the machine and nothing is charged. Without a terminal there is nobody to
    ask. Raises InputError then, and typer.Abort when somebody says no.
    """
    from maploop.predict.destination import is_sent_away, server_of  # noqa: PLC0415

    if expected is None:
        return
    where = server_of(model.backend, model.parameters)
    announcement = f"{tiles} to {where}, model {model.identifier}: {cost_in_words(expected, parameters)}"
    leaves = is_sent_away(model.backend, model.parameters)
    is_charged = bool(expected.cost) or (expected.cost is None and leaves)
    if agreed or not (leaves or is_charged):
        hint(announcement)
        return
    if not sys.stdin.isatty():
        msg = f"Nothing was sent. {announcement} Say --yes to agree to that, or --estimate for the figures alone."
        raise InputError(msg)
    hint(announcement)
    typer.confirm("Go on?", abort=True, err=True)


def cost_in_words(expected: "Estimate", parameters: "Mapping[str, Any]") -> str:
    """Say what some tiles take: tokens, cost, the most it can be, and the budget where there is one."""
    tokens = expected.input_tokens + expected.output_tokens
    cost = "at an unknown price" if expected.cost is None else f"about {expected.cost:.2f} USD"
    most = "" if expected.most is None else f", {expected.most:.2f} USD at most"
    budget = parameters.get("budget")
    stops = "" if budget is None else f"; it stops before the run costs more than {budget:g} USD"
    return f"about {tokens:,} tokens, {cost}{most}{stops}."
