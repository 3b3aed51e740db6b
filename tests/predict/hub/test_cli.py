"""`maploop model add --backend transformers` and `maploop predict` with such a model, as a pipeline calls them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from maploop.cli import run
from tests.commands import refused
from tests.predict.hub.ground import WHY
from tests.tune.ground import painted_files

pytest.importorskip("torch", reason=WHY)
pytest.importorskip("transformers", reason=WHY)

Tiny = Callable[[str], Path]
TILES = 4


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """The JSON that a command prints; nothing but progress is on stderr."""
    code = run([*arguments, "--json"])
    out, error = capsys.readouterr()
    assert code == 0, error
    assert "Loading" not in error
    answer: dict[str, Any] = json.loads(out)
    return answer


def add(name: str, folder: Path, *options: str) -> list[str]:
    return ["model", "add", "Town", name, "--backend", "transformers", "--identifier", str(folder), *options]


@pytest.fixture
def town(sqlite_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    imagery, _ = painted_files(tmp_path, TILES)
    said(capsys, "project", "create", "Town", "--class", "building:polygon", "--zoom", "19", "--seed", "s")
    said(capsys, "import", "imagery", "Town", str(imagery))


@pytest.mark.usefixtures("town")
def test_a_detector_is_added_run_and_sharpened(tiny: Tiny, capsys: pytest.CaptureFixture[str]) -> None:
    options = (
        "--task",
        "detection",
        "--label",
        "house=building",
        "--parameter",
        "window=512",
        "--parameter",
        "overlap=0",
    )
    added = said(capsys, *add("boxes", tiny("boxes"), *options))
    revision = added["parameters"].pop("revision")
    assert revision.startswith("sha256:")
    assert added["parameters"] == {"task": "detection", "labels": {"house": "building"}, "window": 512, "overlap": 0}
    first = said(capsys, "predict", "Town", "--model", "boxes", "--all")
    assert (first["status"], first["predicted"], first["failed"], first["cost"]) == ("finished", TILES, 0, 0)
    assert first["features"] >= TILES
    said(capsys, *add("sharper", tiny("prompted"), "--task", "sharpen", "--sharpen", "boxes"))
    second = said(capsys, "predict", "Town", "--model", "sharper", "--all")
    assert (second["status"], second["predicted"], second["features"]) == ("finished", TILES, first["features"])
    assert said(capsys, "predict", "Town", "--model", "sharper", "--all")["known"] == TILES


@pytest.mark.usefixtures("town")
def test_what_does_not_work_is_refused_in_one_line_and_nothing_is_added(
    tiny: Tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    boxes, house = tiny("boxes"), ("--task", "detection", "--label", "house=building")
    assert "LABEL=CLASS" in refused(capsys, *add("new", boxes, "--task", "detection", "--label", "house"))
    assert "it has house, well" in refused(
        capsys, *add("new", boxes, "--task", "detection", "--label", "roof=building")
    )
    assert "'lake' is not a class of 'Town'" in refused(
        capsys, *add("new", boxes, "--task", "detection", "--label", "house=lake")
    )
    assert "task 'find'" in refused(capsys, *add("new", boxes, "--task", "find", "--label", "house=building"))
    assert "base_url" in refused(capsys, *add("new", boxes, *house, "--base-url", "http://localhost"))
    assert "A folder has no revision 'main'" in refused(capsys, *add("new", boxes, *house, "--revision", "main"))
    assert "There is no folder" in refused(capsys, *add("new", tmp_path / "nowhere", *house))
    assert said(capsys, "model", "list", "Town")["models"] == []
