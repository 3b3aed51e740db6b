"""Two files against each other, from the command line, without a project or a database."""

import json
from pathlib import Path
from typing import Any

import pytest
import shapely
from shapely import affinity

from maploop.cli import run
from maploop.evaluate.files import evaluate_files
from maploop.evaluate.matching import Rules
from tests.intake.files import STEP, feature, square, write


class Command:
    """`maploop evaluate`, on files."""

    def __init__(self, folder: Path, output: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.output = output

    def file(self, name: str, features: list[Any]) -> Path:
        """A GeoJSON file of rows or bare geometries."""
        return write(self.folder / name, features)

    def __call__(self, truth: Path, predictions: Path, *arguments: str) -> Any:
        """The JSON answer."""
        code = run(["evaluate", "--truth", str(truth), "--predictions", str(predictions), "--json", *arguments])
        printed = self.output.readouterr()
        assert (code, printed.err) == (0, "")
        return json.loads(printed.out, parse_constant=pytest.fail)  # no NaN

    def refused(self, *arguments: str) -> str:
        """The one line of trouble."""
        code = run(["evaluate", *arguments])
        printed = self.output.readouterr()
        assert (code, printed.out) == (2, "")
        (line,) = printed.err.splitlines()
        return str(line)


@pytest.fixture
def command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(tmp_path, capsys)


def test_the_answer_has_the_keys_of_the_contract(command: Command) -> None:
    truth = command.file("t.geojson", [feature(square(1 + 4 * k), **{"class": "building"}) for k in range(4)])
    rows = [feature(square(1 + 4 * k, shift=0.2 * k), **{"class": "building"}, score=0.9 - 0.1 * k) for k in range(4)]
    answer = command(truth, command.file("p.geojson", rows))
    assert answer["truth"] == {"read": 4, "used": 4, "repaired": 0, "skipped": []}
    for scores in (answer["overall"], answer["classes"]["building"]):
        assert (scores["tp"], scores["fp"], scores["fn"]) == (4, 0, 0)
        assert (scores["precision"], scores["recall"], scores["f1"]) == (1, 1, 1)
        ious = [(2 - 0.2 * k) / (2 + 0.2 * k) for k in range(4)]
        assert scores["mean_iou"] == pytest.approx(sum(ious) / 4, abs=1e-6)
        assert scores["ap50"] == pytest.approx(1)
        assert scores["n"]["precision"] == 4
    stricter = command(truth, Path(command.folder / "p.geojson"), "--iou", "0.7")
    assert (stricter["overall"]["tp"], stricter["overall"]["fp"], stricter["overall"]["fn"]) == (2, 2, 2)


def test_a_file_against_itself_is_perfect_whatever_it_holds(command: Command) -> None:
    rows = [square(1), square(5), shapely.LineString([(0, 0), (0, 0.01)]), shapely.Point(32, 1)]
    path = command.file("t.geojson", rows)
    answer = command(path, path)
    assert set(answer["classes"]) == {"polygon", "line", "point"}
    assert (answer["overall"]["f1"], answer["overall"]["mean_iou"]) == (1, 1)
    assert answer["classes"]["line"]["quality"] == 1
    assert answer["classes"]["point"]["mean_distance_m"] == 0
    assert answer["classes"]["line"]["mean_iou"] is None


def test_two_empty_files_have_no_figures_and_one_empty_file_scores_zero(command: Command) -> None:
    nothing, something = command.file("n.geojson", []), command.file("s.geojson", [square(1)])
    empty = command(nothing, nothing)
    assert [empty["overall"][each] for each in ("tp", "fp", "fn", "precision", "recall", "f1", "mean_iou")] == [
        0,
        0,
        0,
        None,
        None,
        None,
        None,
    ]
    missed = command(something, nothing)["overall"]
    assert [missed[each] for each in ("tp", "fp", "fn", "precision", "recall", "f1")] == [0, 0, 1, 0, 0, 0]
    false = command(nothing, something)["overall"]
    assert [false[each] for each in ("tp", "fp", "fn", "precision", "recall", "f1")] == [0, 1, 0, 0, 0, 0]


def test_classes_are_found_in_the_files_whatever_their_case(command: Command) -> None:
    truth = command.file("t.geojson", [feature(square(1), label="Roof"), feature(square(5), label="Shed")])
    predictions = command.file("p.geojson", [feature(square(1), category="roof"), feature(square(5), category="roof")])
    answer = command(truth, predictions)
    assert {name: (each["tp"], each["fp"], each["fn"]) for name, each in answer["classes"].items()} == {
        "Roof": (1, 1, 0),
        "Shed": (0, 0, 1),
    }
    assert answer["confusion"]["table"] == [[1, 0], [1, 0]]
    named = command(truth, predictions, "--class", "house")
    assert (named["classes"]["house"]["tp"], named["overall"]["f1"]) == (2, 1)


def test_a_side_without_classes_takes_the_only_one_of_the_other(command: Command) -> None:
    truth = command.file("t.geojson", [feature(square(1), kind="roof"), feature(square(5), kind="roof")])
    predictions = command.file("p.geojson", [feature(square(1), kind="roof")])
    assert command(truth, predictions, "--class-field", "kind")["classes"]["roof"]["recall"] == 0.5
    bare = command.file("b.geojson", [square(1)])
    labelled = command.file("l.geojson", [feature(square(1), **{"class": "roof"})])
    assert command(labelled, bare)["classes"]["roof"]["f1"] == 1
    assert command(bare, labelled)["classes"]["roof"]["f1"] == 1


def test_scores_come_from_the_field_named(command: Command) -> None:
    truth = command.file("t.geojson", [square(1)])
    rows = [feature(square(1), sure=0.2), feature(square(1, shift=0.3), sure=0.8)]
    predictions = command.file("p.geojson", rows)
    assert command(truth, predictions, "--score-field", "sure")["overall"]["mean_iou"] == pytest.approx(1.7 / 2.3)
    assert command(truth, predictions)["overall"]["mean_iou"] == 1


def test_tolerances_are_metres(command: Command) -> None:
    truth = command.file("t.geojson", [shapely.Point(32, 0.5), shapely.LineString([(32, 0.6), (32.001, 0.6)])])
    off = 4 / 110_574  # degrees of latitude that are four metres there
    predictions = command.file(
        "p.geojson", [shapely.Point(32, 0.5 + off), shapely.LineString([(32, 0.6 + off), (32.001, 0.6 + off)])]
    )
    usual = command(truth, predictions)["classes"]
    assert (usual["point"]["tp"], usual["line"]["tp"], usual["line"]["completeness"]) == (1, 0, 0)
    assert usual["point"]["mean_distance_m"] == pytest.approx(4, rel=1e-3)
    told = command(truth, predictions, "--point-tolerance", "3.9", "--line-tolerance", "4.1")["classes"]
    assert (told["point"]["tp"], told["line"]["tp"], told["line"]["completeness"]) == (0, 1, 1)


def test_rows_that_cannot_be_used_are_told(command: Command) -> None:
    truth = command.file("t.geojson", [square(1)])
    predictions = command.file("p.geojson", [square(1), shapely.Point(0, 89)])
    assert command(truth, predictions)["predictions"]["skipped"][0]["row"] == 1
    assert run(["evaluate", "--truth", str(truth), "--predictions", str(predictions)]) == 0
    out = command.output.readouterr().out.splitlines()
    assert out[0].split() == ["class", "true", "found", "missed", "false", "precision", "recall", "F1"]
    assert out[-1].startswith("1 rows of the predictions are left out")


def test_intervals_come_from_places(command: Command) -> None:
    far = 30 * STEP
    truth = [affinity.translate(square(1), far * k, 0) for k in range(20)]
    predictions = [affinity.translate(square(1), far * k, 0 if k % 3 else 0.01) for k in range(20)]
    answer = command(command.file("t.geojson", truth), command.file("p.geojson", predictions))
    low, high = answer["overall"]["intervals"]["recall"]
    assert answer["tiles"] > 5
    assert low < answer["overall"]["recall"] < high


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--truth", "t.geojson"], "--predictions is missing"),
        (["--predictions", "t.geojson"], "--truth is missing"),
        ([], "Say what to evaluate"),
        (["Town"], "Say what to evaluate"),
        (["Town", "--truth", "t.geojson", "--predictions", "t.geojson"], "without a project"),
        (["--truth", "t.geojson", "--predictions", "none.geojson"], "none.geojson is missing"),
        (["--truth", "t.geojson", "--predictions", "bad.geojson"], "is not sound JSON"),
        (["--truth", "t.geojson", "--predictions", "t.geojson", "--iou", "2"], "2 is not an IoU threshold"),
        (["--truth", "t.geojson", "--predictions", "t.geojson", "--iou", "nan"], "nan is not an IoU threshold"),
        (["--truth", "t.geojson", "--predictions", "t.geojson", "--line-tolerance", "0"], "is not a line tolerance"),
        (["--truth", "t.geojson", "--predictions", "t.geojson", "--class-field", "kind"], "no class field 'kind'"),
        (["--truth", "t.geojson", "--predictions", "t.geojson", "--score-field", "sure"], "no score field 'sure'"),
    ],
)
def test_bad_input_is_one_line(
    command: Command, monkeypatch: pytest.MonkeyPatch, arguments: list[str], told: str
) -> None:
    command.file("t.geojson", [feature(square(1), name="x")])
    (command.folder / "bad.geojson").write_text('{"type": "FeatureColl', encoding="utf-8")
    monkeypatch.chdir(command.folder)
    assert told in command.refused(*arguments)


def test_kampala_against_itself_moved_by_a_metre(kampala: Path, tmp_path: Path) -> None:
    labels = kampala / "labels.geojson"
    document = json.loads(labels.read_text(encoding="utf-8"))
    for each in document["features"]:
        moved = affinity.translate(shapely.geometry.shape(each["geometry"]), 1 / 111_320, 0)
        each["geometry"] = shapely.geometry.mapping(moved)
    shifted = tmp_path / "shifted.geojson"
    shifted.write_text(json.dumps(document), encoding="utf-8")
    same, _ = evaluate_files(labels, labels, Rules(), class_name="building")
    moved_away, _ = evaluate_files(labels, shifted, Rules(), class_name="building")
    assert same.overall.figures["f1"].value == same.overall.figures["mean_iou"].value == 1
    assert 0.6 < (moved_away.overall.figures["mean_iou"].value or 0) < 0.95
