"""A model is held to the gate, promoted and used with the score cut that was chosen for it on validation tiles."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import shapely
from sqlalchemy import Connection, func, select

from db.conditions import undecided
from db.models import Feature, TileFeature
from maploop.cli import run
from maploop.compare.promotion import Trial, go_back, promote, promotions, try_candidate
from maploop.database import Database
from maploop.store.verify import verify_store
from tests.builders import PlacedTile, a_decision, a_person, a_prediction, a_project, a_tile, complete_history, shape_on

TESTS = 8


class Detectors:
    """On 8 test tiles and 2 validation tiles, `noisy` finds all, and as many false ones with a score of 0.3.

    `plain` finds half. Counted whole, `noisy` is not better; from 0.35 on it is right throughout.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        with database.write() as connection:
            self.project = a_project(connection, block_zoom_offset=0)
            self.anna = a_person(connection, "anna")
            done: dict[str, Any] = {"status": "complete", "finished_by": self.anna}
            for column in range(TESTS + 2):
                split = "test" if column < TESTS else "validation"
                tile = a_tile(connection, self.project, column, split=split, **done)
                for place in range(4):
                    geometry = shape_on(tile, place)
                    a_decision(connection, self.project, tile, None, "add", self.anna, geometry=geometry, seconds=10.0)
                for place in range(4):
                    a_prediction(connection, self.project, tile, place, model="noisy", score=0.9 - column / 1000)
                    for false in range(2):
                        a_prediction(connection, self.project, tile, 50 + 10 * place + false, model="noisy", score=0.3)
                    if place % 2:
                        a_prediction(connection, self.project, tile, place, model="plain", score=0.9)

    def take_over(self, model: str) -> Trial:
        with self.database.write() as connection:
            trial = try_candidate(connection, self.project, model)
            promote(connection, self.project, self.anna, trial, reason="The test says so.")
        return trial


@pytest.fixture
def detectors(database: Database) -> Detectors:
    return Detectors(database)


def test_the_gate_judges_a_candidate_with_the_cut_it_would_be_used_with(detectors: Detectors) -> None:
    detectors.take_over("plain")
    with detectors.database.read() as connection:
        trial = try_candidate(connection, detectors.project, "noisy")
    cut = trial.comparison.contender("noisy").score_cut
    assert 0.3 < (cut or 0) < 0.9
    assert (trial.gate.passed, trial.comparison.contender("noisy").figure("f1").value) == (True, 1.0)
    assert f"Of noisy only predictions with a score of {cut:g} or more count." in trial.basis()


def test_comparison_and_gate_count_the_same_predictions(
    detectors: Detectors, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    detectors.take_over("plain")
    command = ["compare", "Town", "--model", "plain", "--model", "noisy", "--json", "--db", database_url]
    assert run(command) == 0
    shown = json.loads(capsys.readouterr().out)
    with detectors.database.read() as connection:
        trial = try_candidate(connection, detectors.project, "noisy")
    noisy = trial.comparison.contender("noisy")
    (told,) = (each for each in shown["models"] if each["name"] == "noisy")
    assert (told["score_cut"], told["f1"]["value"]) == (noisy.score_cut, noisy.figure("f1").value)
    assert run([*command, "--cut", "noisy=0"]) == 0
    (whole,) = (each for each in json.loads(capsys.readouterr().out)["models"] if each["name"] == "noisy")
    assert whole["f1"]["value"] < 0.7


def test_what_is_promoted_carries_its_cut_and_keeps_it_whatever_validation_says_later(detectors: Detectors) -> None:
    cut = detectors.take_over("noisy").comparison.contender("noisy").score_cut
    with detectors.database.write() as connection:
        (act,) = promotions(connection, detectors.project)
        assert act.score_cut == cut
        done: dict[str, Any] = {"status": "complete", "finished_by": detectors.anna}
        for column in range(30, 40):  # validation tiles on which the low scores are right
            tile = a_tile(connection, detectors.project, column, split="validation", **done)
            for place in range(4):
                a_decision(
                    connection, detectors.project, tile, None, "add", detectors.anna, geometry=shape_on(tile, place)
                )
                a_prediction(connection, detectors.project, tile, place, model="noisy", score=0.3)
    trial = detectors.take_over("plain")
    assert trial.comparison.contender("noisy").score_cut == cut
    with detectors.database.write() as connection:
        back = go_back(connection, detectors.project, detectors.anna)
    assert (back.model, back.score_cut) == ("noisy", cut)


def a_file(folder: Path, model: str, tile: PlacedTile, scored: Mapping[int, float | None]) -> Path:
    """A file of predictions on one tile: places on it, and the score of each."""
    features = [
        {
            "type": "Feature",
            "geometry": shapely.geometry.mapping(shape_on(tile, place)),
            "properties": {"class": "building"} | ({} if score is None else {"score": score}),
        }
        for place, score in scored.items()
    ]
    path = folder / f"{model}.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def shown_on(connection: Connection, tile: PlacedTile) -> int:
    """Count the undecided features that are shown on a tile."""
    return connection.execute(
        select(func.count())
        .select_from(Feature)
        .join(TileFeature, TileFeature.feature_id == Feature.id)
        .where(TileFeature.tile_id == tile.id, undecided())
    ).scalar_one()


def test_predictions_of_the_current_model_below_its_cut_are_kept_but_not_shown(
    detectors: Detectors, database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    detectors.take_over("noisy")
    with detectors.database.write() as connection:
        tile = a_tile(connection, detectors.project, 70)
    for model, shown in (("noisy", 2), ("plain", 3)):
        path = a_file(tmp_path, model, tile, {0: 0.9, 5: 0.3, 7: None})
        command = ["import", "predictions", "Town", str(path), "--model", model, "--json", "--db", database_url]
        assert run(command) == 0
        assert json.loads(capsys.readouterr().out)["below_cut"] == 3 - shown
        with detectors.database.read() as connection:
            assert shown_on(connection, tile) == shown


def test_what_lies_below_the_cut_is_right_to_verify_and_stays_hidden_when_a_later_file_is_taken_back(
    detectors: Detectors, database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with detectors.database.write() as connection:
        tile = a_tile(connection, detectors.project, 70)
        complete_history(connection, detectors.project)
    detectors.take_over("noisy")
    for model in ("noisy", "plain"):
        path = a_file(tmp_path, model, tile, {0: 0.9, 5: 0.3})
        assert run(["import", "predictions", "Town", str(path), "--model", model, "--json", "--db", database_url]) == 0
        imported = json.loads(capsys.readouterr().out)["import"]
        assert verify_store(detectors.database).problems == []
    with detectors.database.read() as connection:
        assert shown_on(connection, tile) == 2
    assert run(["import", "undo", "Town", imported, "--yes", "--db", database_url]) == 0
    with detectors.database.read() as connection:
        assert shown_on(connection, tile) == 1
    assert verify_store(detectors.database).problems == []
