"""The score from which predictions count: chosen on validation tiles, shown, kept, and never chosen on test tiles."""

import json
from typing import Any

import pytest
from sqlalchemy import update

from db.models import Tile
from maploop.cli import run
from maploop.compare.evaluations import list_evaluations, record_comparison
from maploop.compare.money import Assumptions, weigh
from maploop.compare.score_cuts import best_cut
from maploop.compare.sidebyside import compare_models
from maploop.database import Database
from maploop.errors import ConflictError
from maploop.report.remaking import remade
from tests.builders import a_decision, a_person, a_prediction, a_project, a_tile, shape_on
from tests.compare.ground import GUESSED


class Noisy:
    """A detector whose predictions below 0.5 are false on validation tiles, and right on test tiles."""

    def __init__(self, database: Database) -> None:
        self.database = database
        with database.write() as connection:
            self.project = a_project(connection)
            self.anna = a_person(connection, "anna")
            done: dict[str, Any] = {"status": "complete", "finished_by": self.anna}
            for column, split in enumerate(("validation", "validation", "test", "test")):
                tile = a_tile(connection, self.project, column, split=split, **done)
                for place in (0, 5):
                    geometry = shape_on(tile, place)
                    a_decision(connection, self.project, tile, None, "add", self.anna, geometry=geometry)
                a_prediction(connection, self.project, tile, 0, model="noisy", score=0.9)
                low = 5 if split == "test" else 50
                a_prediction(connection, self.project, tile, low, model="noisy", score=0.3)


@pytest.fixture
def noisy(database: Database) -> Noisy:
    return Noisy(database)


def test_the_best_cut_is_chosen_on_validation_tiles_shown_and_kept(noisy: Noisy) -> None:
    with noisy.database.write() as connection:
        cut = best_cut(connection, noisy.project, "noisy")
        assert 0.3 < cut <= 0.9
        comparison = compare_models(connection, noisy.project, ["noisy"], cuts={"noisy": cut})
        ids = record_comparison(connection, noisy.project, noisy.anna, comparison)
        again = remade(connection, noisy.project, ids)
        (kept,) = list_evaluations(connection, noisy.project)
    scores = comparison.contender("noisy").evaluation.overall
    assert (scores.tp, scores.fp, scores.fn) == (2, 0, 2)  # better without the cut, which nobody may know
    assert kept.basis["score_cut"] == again.contender("noisy").score_cut == cut
    notes = weigh(comparison, Assumptions(GUESSED)).notes
    assert f"Of noisy only predictions with a score of {cut:g} or more count." in notes


def test_the_command_takes_a_score_or_the_best_one(
    noisy: Noisy, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["compare", "Town", "--model", "noisy", "--db", database_url, "--json"]
    found = {}
    for wanted in ("best", "0.2", "1"):
        assert run([*command, "--cut", f"noisy={wanted}"]) == 0
        (model,) = json.loads(capsys.readouterr().out)["models"]
        found[wanted] = (model["evaluation"]["overall"]["tp"], model["score_cut"])
    assert found["best"][0] == 2
    assert (found["0.2"], found["1"]) == ((4, 0.2), (0, 1.0))
    for wanted in ("noisy=2", "noisy=x", "other=0.5"):
        assert run([*command, "--cut", wanted]) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_without_validation_tiles_no_cut_is_chosen(noisy: Noisy) -> None:
    with noisy.database.write() as connection:
        connection.execute(update(Tile).where(Tile.split == "validation").values(status="open"))
        with pytest.raises(ConflictError, match="No tile of the validation split"):
            best_cut(connection, noisy.project, "noisy")
