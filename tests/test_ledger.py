"""The ledger: runs and trainings of all projects, with what is unknown and what is not billed yet."""

from typing import Any

import pytest
from sqlalchemy import Connection, insert

from db.engine import Database
from db.models import Dataset, Run, TuningJob
from db.types import utc_now
from maploop.ledger import ledger_of, total, totals
from maploop.predict.models import add_model
from maploop.project import ProjectView
from tests.builders import a_person, a_project, a_run


@pytest.fixture
def project(database: Database) -> ProjectView:
    """A project with a run that cost something, one of unknown cost, and a file of predictions."""
    with database.write() as connection:
        project = a_project(connection)
        for name, cost in (("priced", 0.25), ("unpriced", None)):
            model = add_model(connection, project, name, "chat", identifier=name)
            connection.execute(
                insert(Run).values(
                    project_id=project.id,
                    model_id=model.id,
                    cost=cost,
                    input_tokens=70,
                    cached_tokens=20,
                    cache_write_tokens=10,
                    output_tokens=5,
                    parameters={"estimate": {"tokens": 120, "cost": cost}},
                )
            )
        a_run(connection, project, "from a file")
    return project


def a_training(connection: Connection, project: ProjectView, number: int, **values: Any) -> None:
    """A training at a server."""
    anna, dataset = a_person(connection, "anna"), f"{number:064x}"
    connection.execute(insert(Dataset).values(id=dataset, project_id=project.id, created_by=anna, manifest={}))
    values = {"trainer": "openai", "base": "gpt-4o", "name": f"tuned-{number}", "cost_estimated": 2.0, **values}
    connection.execute(
        insert(TuningJob).values(
            token=f"t{number}", project_id=project.id, dataset_id=dataset, created_by=anna, **values
        )
    )


def test_runs_that_asked_a_model_are_entered_with_what_was_expected(database: Database, project: ProjectView) -> None:
    with database.read() as connection:
        entries = {each.model: each for each in ledger_of(connection)}
    assert set(entries) == {"priced", "unpriced"}
    assert (entries["priced"].usage.cost, entries["priced"].expected_cost) == (0.25, 0.25)
    assert (entries["unpriced"].usage.cost, entries["unpriced"].expected_cost) == (None, None)
    assert entries["unpriced"].expected_tokens == 120


def test_an_unknown_cost_is_counted_and_never_taken_for_nothing(database: Database, project: ProjectView) -> None:
    with database.read() as connection:
        entries = ledger_of(connection)
    whole = total(entries)
    assert (whole.entries, whole.cost, whole.unpriced, whole.expected_cost) == (2, 0.25, 1, 0.25)
    assert whole.usage.cost is None
    by_model = {each.names: each for each in totals(entries, lambda each: (each.project, each.model))}
    assert (by_model["Town", "unpriced"].cost, by_model["Town", "unpriced"].unpriced) == (0.0, 1)


def test_a_training_is_billed_at_its_end(database: Database, project: ProjectView) -> None:
    with database.write() as connection:
        a_training(connection, project, 1, status="running")
        a_training(connection, project, 2, status="succeeded", cost=1.5, trained_tokens=60_000, finished_at=utc_now())
        a_training(connection, project, 3, status="failed", finished_at=utc_now())
        entries = {each.model: each for each in ledger_of(connection)}
    assert [entries[f"tuned-{number}"].is_billed for number in (1, 2, 3)] == [False, True, True]
    whole = total([entries[f"tuned-{number}"] for number in (1, 2, 3)])
    assert (whole.cost, whole.unpriced, whole.expected_cost) == (1.5, 1, 6.0)
    assert whole.usage.input_tokens == 60_000
