"""What the command line prints: results on stdout, one line of trouble or progress on stderr."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

SHOWN_ROWS = 20
COUNTS_OF_PREDICTIONS = {
    "new": "new",
    "updated": "undecided ones updated",
    "confirmed": "confirmed by annotations",
    "remembered_rejects": "rejected before",
    "unsure": "unsure before",
    "held": "left as shown, under review now",
    "withdrawn": "earlier ones withdrawn",
    "below_cut": "below the score that the current model was promoted with, not shown",
}
_COUNTS = {
    "tiles": "tiles",
    "tiles_new": "of them new",
    "whole_tiles": "wholly within the area",
    "outside_area": "outside the area, set aside",
    **COUNTS_OF_PREDICTIONS,
    "added": "added",
    "accepted": "predictions accepted",
    "corrected": "predictions corrected",
    "already": "annotated before",
    "rejected": "predictions rejected",
    "completed": "tiles now complete",
    "empty": "of them empty",
    "reopened": "finished tiles open again",
    "left_open": "tiles left open",
    "outside_imagery": "outside all imagery",
}


def one_line(text: str) -> str:
    """Text for a terminal: one line, nothing that could steer it."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in " ".join(text.split()))


def fail(message: str, code: int) -> int:
    """One line on stderr -> the exit code."""
    print(_encodable(one_line(message)), file=sys.stderr)
    return code


def say(text: str) -> None:
    """One line on stdout."""
    print(_encodable(one_line(text)))


def hint(text: str) -> None:
    """One line on stderr that is no error: results on stdout stay as they are."""
    print(_encodable(one_line(text)), file=sys.stderr)


def listed(addresses: Sequence[object], shown: int = 5) -> str:
    """The first few of some addresses, and how many more there are."""
    more = len(addresses) - shown
    return ", ".join(map(str, addresses[:shown])) + (f" and {more:,} more" if more > 0 else "")


def say_lines(lines: Iterable[str]) -> None:
    """Lines of a table on stdout: as they are laid out, without what could steer a terminal."""
    for line in lines:
        print(_encodable("".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in line)))


def say_json(answer: Mapping[str, Any]) -> None:
    """A result as one line of ASCII JSON on stdout."""
    print(json.dumps(answer))


def say_import(answer: Mapping[str, Any], *, as_json: bool) -> None:
    """The answer of an import, as JSON or for people."""
    if as_json:
        say_json(answer)
        return
    if "imagery" in answer:
        say(f"{'Refreshed' if answer['refreshed'] else 'Imported'} the imagery.")
    elif answer.get("kind") == "area":
        say("The project has this area now.")
    else:
        read, imported, repaired = (answer[key] for key in ("read", "imported", "repaired"))
        say(f"Read {read:,} {_rows(read)}, imported {imported:,} {_features(imported)}, {repaired:,} repaired.")
    if "import" in answer:
        say(f"Import {answer['import']}: `maploop import undo` takes it back.")
    counts = counts_of(answer)
    if counts:
        say(counts)
    for line in [*pixels_of(answer), *answer.get("says", ())]:
        say(line)
    if answer.get("advice"):
        say(answer["advice"])
    for row in answer["skipped"][:SHOWN_ROWS]:
        say(f"Skipped row {row['row']}: {row['reason']}")
    if len(answer["skipped"]) > SHOWN_ROWS:
        say(f"... and {len(answer['skipped']) - SHOWN_ROWS:,} more; --json lists them all.")


def pixels_of(answer: Mapping[str, Any]) -> list[str]:
    """A line on how many tiles have pixels, where an answer counts them and not all simply have."""
    pixels = answer.get("pixels")
    if not pixels or not any(pixels[key] for key in ("partial", "unmeasured", "holes", "no_imagery")):
        return []
    words = {
        "with_pixels": "with pixels",
        "partial": "of them in part",
        "holes": "in holes of the imagery",
        "no_imagery": "outside all imagery",
        "unmeasured": "not looked at yet",
    }
    told = ", ".join(f"{pixels[key]:,} {text}" for key, text in words.items() if pixels[key] or key == "with_pixels")
    return [f"Tiles by pixels: {told}."]


def counts_of(answer: Mapping[str, Any]) -> str:
    """What an import came to, in one sentence; empty when there is nothing to tell."""
    counts = [f"{answer[key]:,} {text}" for key, text in _COUNTS.items() if answer.get(key)]
    return "; ".join(counts).capitalize() + "." if counts else ""


def _rows(count: int) -> str:
    return "row" if count == 1 else "rows"


def _features(count: int) -> str:
    return "feature" if count == 1 else "features"


def say_status(answer: Mapping[str, Any]) -> None:
    """The answer of `status`, for people."""
    say(f"{answer['project']}: zoom {answer['zoom']}, {', '.join(answer['classes'])}")
    seen, left, truth = (answer[key] for key in ("predictions", "undecided", "annotations"))
    say(f"{seen:,} predictions, {left:,} undecided, {truth:,} annotations")
    if answer["without_run"]:
        count = answer["without_run"]
        say(f"{count:,} {'tile' if count == 1 else 'tiles'} without a run: no model has looked there.")
    for line in pixels_of(answer):
        say(line)
    if answer["outside_area"]:
        count = answer["outside_area"]
        say(f"{count:,} {'tile' if count == 1 else 'tiles'} outside the area, not counted.")
    for name in ("tiles", "split", "decisions"):
        say(f"{name.capitalize()}: " + ", ".join(f"{count:,} {each}" for each, count in answer[name].items()))


def say_export(answer: Mapping[str, Any]) -> None:
    """The answer of `export`, for people."""
    say(f"Dataset {answer['dataset']} in {answer['path']}:")
    for file in answer["files"]:
        examples = f"{file['examples']:,} examples, " if file["examples"] else ""
        say(f"{file['name']}: {examples}SHA-256 {file['sha256']}")
    for note in answer["notes"]:
        say(note)


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """Says on stderr what is going on, when that is a terminal; the line is gone at the end."""
    shown = sys.stderr.isatty()

    def report(text: str) -> None:
        if shown:
            print(f"\r\033[K{one_line(text)} ...", end="", file=sys.stderr, flush=True)

    try:
        yield report
    finally:
        if shown:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def _encodable(text: str) -> str:
    """Text that any terminal's encoding takes."""
    encoding = sys.stdout.encoding or "utf-8"
    return text.encode(encoding, "replace").decode(encoding)
