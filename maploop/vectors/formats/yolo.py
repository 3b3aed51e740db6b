"""YOLO labels: a text file an image, named after its tile; boxes and segments in shares of the image."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from maploop.errors import VectorError
from maploop.vectors.formats.drawn import Drawn, box, closed
from maploop.vectors.formats.folders import files_below
from maploop.vectors.formats.pixels import tile_named
from maploop.vectors.formats.table import SourceTable

MAX_FILES = 500_000
_LISTS = ("data.yaml", "data.yml", "dataset.yaml", "classes.txt")
MAX_BYTES = 16 * 2**20  # of one label file


def read_yolo(folder: Path, *, shown: Path) -> SourceTable:
    """The labels below a folder: `class x y w h [score]` or `class x y x y x y ... [score]` a line. Raises VectorError.

    The names of classes are those of data.yaml or classes.txt; without them the numbers stay. A label file without
    lines is an image that was looked at.
    """
    texts = (path for path in files_below(folder) if path.suffix == ".txt")
    files = sorted(path for path in texts if path.name not in ("classes.txt", "requirements.txt"))
    files = [path for path in files if "labels" in path.parts] or files
    if len(files) > MAX_FILES:
        msg = f"{shown} has {len(files):,} label files, more than {MAX_FILES:,}: split it."
        raise VectorError(msg)
    tiles = [tile_named(path.name) for path in files]
    if not any(tiles):
        example = files[0].name[:60] if files else "none"
        msg = (
            f"{shown} does not say which tiles its labels are of ({example!r}): name them ...-x-y-z.txt as the images."
        )
        raise VectorError(msg)
    names = _names(folder)
    drawn = Drawn()
    for path, tile in zip(files, tiles, strict=True):
        for number, line in _lines(path, shown):
            numbers = line.split()
            label = names.get(numbers[0], numbers[0])
            fields: dict[str, Any] = {"image": path.name, "line": number, "label": label}
            shape, score = _shape(numbers[1:])
            if score is not None:
                fields["score"] = score
            problem = "" if shape else f"{line[:40]!r} is not a line of YOLO labels"
            drawn.add(shape, fields, tile, problem=problem)
    table = drawn.table(tiles)
    if not names:
        table.unclassed = "it has no names of classes: put its data.yaml beside it, or say which class its rows are"
    return table


def _lines(path: Path, shown: Path) -> Iterator[tuple[int, str]]:
    try:
        if path.stat().st_size > MAX_BYTES:
            msg = f"{shown}: {path.name} is larger than {MAX_BYTES // 2**20} MB: it is no file of labels."
            raise VectorError(msg)
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{shown}: {path.name} cannot be read: it is no file of labels."
        raise VectorError(msg) from error
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            yield number, line.strip()


def _shape(texts: list[str]) -> tuple[dict[str, Any] | None, float | None]:
    """A box or a segment, and its score when there is one; oriented boxes have four corners."""
    try:
        values = [float(text) for text in texts]
    except ValueError:
        return None, None
    if len(values) in (4, 5):
        x, y, width, height = values[:4]
        score = values[4] if len(values) == 5 else None
        return box(x - width / 2, y - height / 2, x + width / 2, y + height / 2), score
    if len(values) < 6:
        return None, None
    score = values[-1] if len(values) % 2 else None
    flat = values[: len(values) // 2 * 2]
    ring = [list(pair) for pair in zip(flat[::2], flat[1::2], strict=True)]
    return {"type": "Polygon", "coordinates": [closed(ring)]}, score


def _names(folder: Path) -> dict[str, str]:
    """Number -> name, out of the data.yaml or classes.txt in or above the folder."""
    inside = sorted((each for each in files_below(folder) if each.name in _LISTS), key=lambda each: len(each.parts))
    above = [folder.parent / name for name in _LISTS if (folder.parent / name).is_file()]
    for path in [*inside, *above][:1]:
        text = path.read_text("utf-8", "replace")
        if path.suffix != ".txt":
            return _names_of_yaml(text)
        return {str(number): line.strip() for number, line in enumerate(text.splitlines()) if line.strip()}
    return {}


def _names_of_yaml(text: str) -> dict[str, str]:
    """The `names` of a data.yaml: a list on one line, a list, or numbers with names; all that Ultralytics writes."""
    lines = text.splitlines()
    start = next((place for place, line in enumerate(lines) if line.startswith("names:")), None)
    if start is None:
        return {}
    rest = lines[start].removeprefix("names:").split(" #")[0].strip()
    if rest.startswith("["):
        items = [_plain(each) for each in rest.strip("[]").split(",")]
        return {str(number): name for number, name in enumerate(items)}
    names: dict[str, str] = {}
    for line in lines[start + 1 :]:
        if line.strip() and not line.startswith((" ", "\t", "-")):
            break
        item = line.strip()
        if item.startswith("- "):
            names[str(len(names))] = _plain(item[2:])
        elif ":" in item:
            number, _, name = item.partition(":")
            names[number.strip()] = _plain(name)
    return names


def _plain(text: str) -> str:
    text = text.strip()
    if text.startswith('"'):
        try:
            return str(orjson.loads(text))
        except orjson.JSONDecodeError:
            return text.strip('"')
    return text.strip("'")
