"""What is looked at before a training at a server: one plain sentence each, and whether it forbids the training."""

import math
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

import numpy as np

from maploop.dataset.check import MAX_FILE_BYTES, MAX_IMAGE_BYTES, MAX_IMAGES_A_LINE, MAX_LINES, MIN_LINES
from maploop.dataset.snapshot import Snapshot
from maploop.tune.destination import destination_named, host_of
from maploop.tune.explain import date_in, notices, ways_that_remain
from maploop.tune.files import CountedFile
from maploop.tune.plan import Check, Hyperparameters, Level
from maploop.tune.remote import Remote, ServerBusyError, ServerRefusedError

ENOUGH: Final = 50  # good examples that already move a model
SOON_DAYS: Final = 120  # a base that shuts down within these is hardly worth the money
PEOPLE_SHOW: Final = 0.05  # metres a pixel below which a person can be told on aerial imagery
_EQUATOR: Final = 40_075_016.686  # metres, of Web Mercator
_SHOWN: Final = 3


def check_base(remote: Remote | None, base_url: str, base: str, today: date) -> list[Check]:
    """Whether the server has the base, and for how long."""
    where = destination_named(base_url)
    said: str | None = None
    checks = []
    if remote is not None:
        try:
            said = remote.shutdown_date()
        except ServerBusyError as error:
            checks.append(Check("warn", "base", f"{error} Whether it has {base!r} is not known."))
        except ServerRefusedError as error:
            if error.status in (405, 501):
                checks.append(Check("warn", "base", f"{where} does not say which models it has."))
            else:
                return [Check("stop", "base", str(error))]
    return [*checks, *_last_days(base_url, base, said, today)]


def _last_days(base_url: str, base: str, said: str | None, today: date) -> list[Check]:
    where = destination_named(base_url)
    checks = []
    ends = notices().training_ends.get(host_of(base_url))
    read_on = f"as read on {notices().read_on}"
    if ends is not None and ends < today:
        return [Check("stop", "training ends", f"{where} trained until {ends} ({read_on}). {ways_that_remain()}")]
    if ends is not None:
        closed = notices().closed.get(host_of(base_url), "")
        checks.append(
            Check(
                "warn", "training ends", f"{where} ends training on {ends} ({read_on}). {closed} {ways_that_remain()}"
            )
        )
    day, source = (date_in(said), "as the server says") if said else (notices().shutdown_of(base_url, base), read_on)
    if day is None and said:
        checks.append(Check("warn", "shutdown", f"{base!r} is to shut down, the server says: {said[:40]!r}."))
    elif day is None:
        checks.append(Check("ok", "shutdown", f"No shutdown of {base!r} is announced."))
    elif day <= today:
        checks.append(
            Check(
                "stop",
                "shutdown",
                f"{base!r} was shut down on {day} ({source}): choose another base. {ways_that_remain()}",
            )
        )
    else:
        left = (day - today).days
        level: Level = "warn" if left <= SOON_DAYS else "ok"
        text = f"{base!r} shuts down on {day} ({source}), in {left:,} days, and with it what is tuned from it."
        checks.append(Check(level, "shutdown", f"{text} {ways_that_remain()}" if level == "warn" else text))
    return checks


def check_files(files: Sequence[CountedFile]) -> list[Check]:
    """Lines, size and pictures against what vendors take; and whether there is something to validate on."""
    checks = []
    by_split = {each.file.split: each for each in files}
    for each in files:
        about = f"{each.file.split} file"
        size = f"{each.file.lines:,} lines, {each.file.images:,} pictures, {each.file.size / 1e6:,.1f} MB"
        if each.report.problems:
            more = len(each.report.problems) - _SHOWN
            shown = " ".join(each.report.problems[:_SHOWN]) + (f" And {more} more." if more > 0 else "")
            checks.append(Check("stop", about, f"The {about} would be refused: {shown}"))
        else:
            limits = (
                f"{MAX_LINES:,} lines, {MAX_FILE_BYTES // 10**6} MB, {MAX_IMAGES_A_LINE} pictures a line of "
                f"{MAX_IMAGE_BYTES // 10**6} MB"
            )
            checks.append(Check("ok", about, f"{size}: within {limits}."))
    train = by_split["train"].file.lines if "train" in by_split else 0
    if train < MIN_LINES:
        checks.append(
            Check("stop", "examples", f"{train} train tiles are too few: {MIN_LINES} are the least, review more.")
        )
    elif train < ENOUGH:
        checks.append(
            Check(
                "warn", "examples", f"{train} train tiles are few: {ENOUGH} to 100 good ones are known to move a model."
            )
        )
    if "validation" not in by_split:
        text = "No tile fell into validation: nothing will tell when the model begins to learn by heart, and the last "
        checks.append(Check("warn", "validation", f"{text}checkpoint is taken for the best."))
    return checks


def check_tiles_left_out(refused: Mapping[str, Sequence[str]]) -> list[Check]:
    """Tiles of the dataset that are not in the files."""
    return [Check("warn", "left out", f"{len(tiles):,} tiles stay out: {reason}.") for reason, tiles in refused.items()]


def check_licences(snapshot: Snapshot, destination: str) -> list[Check]:
    """Under which terms the pixels are sent away."""
    checks = []
    for index, each in enumerate(snapshot.imagery):
        if not each.may_train or not np.any(snapshot.tiles.imagery == index):
            continue
        who = f"{each.name} ({each.attribution})" if each.attribution else each.name
        if each.licence:
            checks.append(Check("ok", "licence", f"Imagery of {who} is used under {each.licence}."))
        else:
            text = f"No licence is noted for imagery of {who}: make sure that its terms allow to train on it and to "
            checks.append(Check("warn", "licence", f"{text}send it to {destination}."))
    return checks


def check_people(snapshot: Snapshot) -> Check:
    """What the pictures show: the vendor drops those with people, faces or CAPTCHAs."""
    metres = metres_a_pixel(snapshot)
    contract = snapshot.contract
    text = (
        f"The files hold aerial pictures of map tiles, {contract.image_size} pixels a side at about {metres:.2f} m a "
        "pixel, the prompt, and outlines with class names; no names, addresses or notes of annotators. The vendor "
        "drops pictures that show people, faces or CAPTCHAs."
    )
    if metres < PEOPLE_SHOW:
        return Check("warn", "people", f"{text} At this resolution people may be told: look at the pictures first.")
    return Check("ok", "people", f"{text} At this resolution nobody can be recognised.")


def metres_a_pixel(snapshot: Snapshot) -> float:
    """Ground resolution of a dataset's pictures, at its middle."""
    rows = snapshot.tiles.y
    middle = math.pi * (1 - 2 * (float(np.mean(rows)) + 0.5) / 2**snapshot.zoom)
    across: float = _EQUATOR * math.cos(math.atan(math.sinh(middle))) / 2**snapshot.zoom / snapshot.contract.image_size
    return across


def check_cost(cost: float | None, currency: str, prices_of: str, base: str, base_url: str) -> Check:
    """What it will cost about, and whose price that is."""
    if cost is None:
        text = f"The price table of {prices_of} has no training price for {base!r}: the cost is not known."
        return Check("warn", "cost", f"{text} Look at the vendor's page, and enter it in the price table.")
    text = f"About {cost:,.2f} {currency} at the prices of {prices_of}; the vendor bills what it counts."
    if destination_named(base_url).startswith("OpenAI"):
        return Check("ok", "cost", text)
    return Check(
        "warn", "cost", f"{text} That is the price table's figure for {base!r}: {host_of(base_url)} may differ."
    )


def check_hyperparameters(hyperparameters: Hyperparameters) -> Check:
    """What the training is set to."""
    left = [
        name
        for name, value in (
            ("batch size", hyperparameters.batch_size),
            ("learning rate multiplier", hyperparameters.learning_rate_multiplier),
            ("seed", hyperparameters.seed),
        )
        if value is None
    ]
    given = {name.replace("_", " "): value for name, value in hyperparameters.to_json().items()}
    told = ", ".join(f"{name} {value}" for name, value in given.items())
    text = f"{told}; the server chooses {', '.join(left)}." if left else f"{told}."
    if hyperparameters.epochs > 10:
        return Check(
            "warn", "hyperparameters", f"{text} More than 10 epochs mostly learn by heart, and all are billed."
        )
    return Check("ok", "hyperparameters", text[:1].upper() + text[1:])


def check_earlier(jobs: Sequence[Any], dataset_id: str, base: str, base_url: str) -> list[Check]:
    """Whether the same has been trained already, or is being trained: that would be paid twice."""
    same = [
        each
        for each in jobs
        if (each.dataset_id, each.base, each.base_url) == (dataset_id, base, base_url)
        and each.status not in ("failed", "cancelled")
    ]
    return [
        Check(
            "warn", "again", f"Tuning job {each.id} is {each.status} with the same dataset and base: this is paid anew."
        )
        for each in same[:_SHOWN]
    ]
