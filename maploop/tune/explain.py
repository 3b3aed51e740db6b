"""Plain words for what a server refuses, and for bases that are about to go; with the ways that remain.

Dates change: they are in notices.json, with the day they were read.
"""

import re
from datetime import date
from functools import lru_cache
from importlib import resources

from pydantic import BaseModel, ConfigDict

from maploop.tune.destination import OPENAI_HOST, host_of

ABOUT_THE_BASE = "tell about the base"
OUT_OF_MONEY = frozenset({"insufficient_quota", "billing_hard_limit_reached", "exceeded_current_quota"})
_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})")


class Notices(BaseModel):
    """What vendors have announced about training, as it was read on a day.

    training_ends   last day on which a host trains at all
    closed          what a host has closed already
    shutdowns       by host: the beginning of a model's name -> its last day
    ways            where the same dataset can be trained, best first
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    read_on: date
    training_ends: dict[str, date]
    closed: dict[str, str]
    shutdowns: dict[str, dict[str, date]]
    ways: list[str]

    def shutdown_of(self, base_url: str, base: str) -> date | None:
        """The announced last day of a base at a server, for when the server itself does not say."""
        known = self.shutdowns.get(host_of(base_url), {})
        name = base.removeprefix("ft:")
        found = [each for each in known if name == each or name.startswith((f"{each}-", f"{each}:"))]
        return known[max(found, key=len)] if found else None


@lru_cache(maxsize=1)
def notices() -> Notices:
    """The notices that come with Maploop."""
    return Notices.model_validate_json(resources.files("maploop.tune").joinpath("notices.json").read_bytes())


def ways_that_remain() -> str:
    """One sentence."""
    return "Ways that remain for the same dataset: " + "; ".join(notices().ways) + "."


def why_refused(where: str, what: str, base: str, status: int, code: str | None, said: str) -> str:
    """One line for people about a refusal: what, why in the server's words, and what to do."""
    if code == "training_not_available":
        closed = notices().closed.get(OPENAI_HOST, "")
        return (
            f"{where} no longer trains models for this organisation (HTTP {status}: {said}). {closed} Nothing was "
            f"trained or charged. {ways_that_remain()}"
        )
    told = f"(HTTP {status}: {said})"
    no_routes = f"{where} cannot {what} {told}: it may have no fine-tuning routes. {ways_that_remain()}"
    reasons = {
        401: f"{where} does not know the key {told}: check the key and which server it is for.",
        402: f"{where} wants money first {told}: raise the limit or the balance there, then resume.",
        403: f"{where} does not allow this key to {what} {told}: ask who manages the key, or use another.",
        404: no_routes,
        405: no_routes,
        413: f"{where} finds the file too large {told}: export a smaller dataset.",
        501: no_routes,
    }
    if status == 404 and what == ABOUT_THE_BASE:
        return f"{where} does not know {base!r} {told}: check the name of the base and the server."
    return reasons.get(402 if code in OUT_OF_MONEY else status, f"{where} will not {what} {told}.")


def why_failed(where: str, code: str | None, said: str) -> str:
    """One line about a training that the server gave up."""
    told = ": ".join(each for each in (code, said) if each) or "it gives no reason"
    return f"The training failed at {where} ({told}): correct that, and begin a new one."


def date_in(text: str) -> date | None:
    """The day in what a server says, None when nobody can read one."""
    found = _DATE.search(text)
    if found is None:
        return None
    try:
        return date(*map(int, found.groups()))
    except ValueError:
        return None
