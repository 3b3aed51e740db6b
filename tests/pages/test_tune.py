"""Tuning on the Models page: from a dataset to a model here, and what a server is sent only after an agreement."""

import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import insert, update
from streamlit.testing.v1 import AppTest

from db.engine import Database
from db.models import TuningCheckpoint, TuningEvent, TuningJob
from db.types import utc_now
from maploop.dataset.datasets import DatasetView
from maploop.dataset.shelf import shelve
from maploop.predict.runs import new_worker
from maploop.tune.bundle import make_bundle
from maploop.tune.jobs import JobView, list_jobs
from maploop.tune.records import give_up_job
from maploop.work import trainings
from maploop.work.foreman import Foreman
from pages import links
from pages.workshop import bundle
from tests.tune.ground import Ground, lay_ground, models_of
from tests.tune.hosted import Office
from tests.vendor import KEY, Vendor, server_error

PAGE = str(Path(links.__file__).parent / "models.py")
CLOSED = "http://127.0.0.1:9/v1"  # nobody listens there


@pytest.fixture
def ground(sqlite_database: Database) -> Ground:
    """Two train tiles, one of validation, one of test."""
    return lay_ground(sqlite_database)


@pytest.fixture
def dataset(ground: Ground) -> DatasetView:
    """A frozen dataset of that ground, with its training files."""
    dataset = ground.freeze()
    shelve(ground.database, dataset, ["openai"], sources=ground.sources)
    return dataset


@pytest.fixture
def work_off(ground: Ground) -> Callable[[], None]:
    """Does what was begun."""
    return Foreman(ground.database, (lambda each: trainings.waiting_trainings(each, ground.sources),)).work_off


def page(**query: str) -> AppTest:
    """The part of the page after its first run."""
    app = AppTest.from_file(PAGE, default_timeout=60)
    app.query_params["part"] = "Tune"
    for name, value in query.items():
        app.query_params[name] = value
    return app.run()


def said(app: AppTest) -> str:
    """Everything the page says, as people read it."""
    texts = (*app.markdown, *app.caption, *app.info, *app.success, *app.error, *app.warning)
    return "\n".join(each.value for each in texts).replace("\\", "")


def has(app: AppTest, key: str) -> bool:
    """Whether there is such a button."""
    return any(each.key == key for each in app.button)


def jobs_of(ground: Ground) -> list[JobView]:
    """All trainings, newest first."""
    with ground.database.read() as connection:
        return list_jobs(connection, ground.project)


def test_a_model_is_made_here_and_leads_on_to_predicting(
    ground: Ground, dataset: DatasetView, work_off: Callable[[], None]
) -> None:
    app = page(dataset=dataset.id[:12])
    app.text_input(key="tune_name").set_value("mine").run()
    app.button(key="tune").click().run()
    assert not app.exception
    assert "it makes mine" in said(app)
    assert "Waits for its turn" in [each.proto.text for each in app.get("progress")]
    work_off()
    app.run()
    assert not app.exception
    assert "mine can predict now" in said(app)
    app.button(key="way_on").click().run()
    assert not app.exception
    assert (app.segmented_control(key="part").value, app.selectbox(key="model").value) == ("Predict", "mine")


def test_a_training_at_work_tells_how_far_it_is_and_is_cancelled(ground: Ground, dataset: DatasetView) -> None:
    job = trainings.begin_local(ground.database, ground.project, dataset, None, name="mine", annotator="anna")
    with ground.database.write() as connection:
        connection.execute(
            update(TuningJob).values(
                status="running", share=0.4, doing="Learning", worker=new_worker(), beat_at=utc_now()
            )
        )
    app = page()
    assert [each.proto.text for each in app.get("progress")] == ["Learning"]
    app.button(key=f"cancel_{job.id}").click().run()
    assert not app.exception
    assert jobs_of(ground)[0].wish == "cancel"
    assert [each.proto.text for each in app.get("progress")] == ["Cancel is asked for"]


def test_a_training_that_fails_while_one_looks_is_told_of_as_a_failure_and_begins_anew(
    ground: Ground, dataset: DatasetView
) -> None:
    job = trainings.begin_local(ground.database, ground.project, dataset, None, name="mine", annotator="anna")
    app = page()
    with ground.database.write() as connection:
        connection.execute(update(TuningJob).values(share=0.6))
        give_up_job(connection, job.id, "The memory is full.")
    app.run()
    assert [each.value for each in app.warning] == [f"Training {job.id} has failed. The memory is full."]
    assert list(app.success) == []
    app.button(key="try_again").click().run()
    assert not app.exception
    assert [(each.proto.text, each.proto.value) for each in app.get("progress")] == [("Waits for its turn", 0)]


def test_what_cannot_be_begun_says_why(ground: Ground, dataset: DatasetView) -> None:
    app = page()
    app.text_input(key="tune_name").set_value("x" * 200).run()
    app.button(key="tune").click().run()
    assert "is not a model name" in said(app)
    assert jobs_of(ground) == []


def test_nothing_is_sent_without_a_look_and_a_key(ground: Ground, dataset: DatasetView) -> None:
    app = page()
    app.segmented_control(key="trainer").set_value("At a server").run()
    assert app.button(key="preflight").disabled
    app.selectbox(key="hosted_base").set_value("gpt-4o").run()
    assert "The key OPENAI_API_KEY is not there" in said(app)
    app.button(key="preflight").click().run()
    assert not app.exception
    assert "are too few" in said(app)  # two train tiles are no training file
    assert "nothing can be sent" in said(app)
    assert not has(app, "confirm_tuning")
    assert jobs_of(ground) == []


def test_what_is_sent_where_and_for_how_much_is_agreed_to_first(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground = lay_ground(sqlite_database, splits=("train",) * 10)
    shelve(ground.database, ground.freeze(), ["openai"], sources=ground.sources)
    app = page()
    app.segmented_control(key="trainer").set_value("At a server").run()
    app.selectbox(key="hosted_base").set_value("gpt-4o").run()
    app.text_input(key="hosted_url").set_value(CLOSED).run()
    app.text_input(key="hosted_key").set_value("VENDOR_KEY").run()
    app.button(key="preflight").click().run()
    assert not app.exception
    question = said(app)
    assert "Send 10 examples with 10 pictures to 127.0.0.1:9 and train 'gpt-4o' on them?" in question
    assert "USD" in question
    assert app.button(key="confirm_tuning").disabled
    monkeypatch.setenv("VENDOR_KEY", "sk-secret-of-the-test")
    app.run()
    app.number_input(key="epochs").set_value(2).run()
    assert not has(app, "confirm_tuning")  # what was looked at is not what would be sent now
    app.button(key="preflight").click().run()
    app.checkbox(key="delete_files").check().run()
    assert "The files are deleted there when the training ends." in said(app)
    app.button(key="confirm_tuning").click().run()
    assert not app.exception
    (job,) = jobs_of(ground)
    assert job.delete_files
    assert (job.status, job.hyperparameters["epochs"], job.in_app) == ("waiting", 2, True)
    assert "sk-secret" not in said(app)


def test_a_hosted_training_shows_its_curves_and_any_checkpoint_becomes_a_model(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground = lay_ground(sqlite_database, splits=("train",) * 10)
    dataset = ground.freeze()
    job = trainings.begin_local(sqlite_database, ground.project, dataset, None, name="tuned", annotator="anna")
    at = utc_now()
    with sqlite_database.write() as connection:
        connection.execute(
            update(TuningJob).values(
                trainer="openai", base="gpt-4o", remote_id="ftjob-1", status="failed", remote_status="failed", cost=None
            )
        )
        connection.execute(
            update(TuningJob).values(error="The server <b>gave up</b>.", finished_at=at, cost_estimated=1.25)
        )
        for step in (1, 2):
            metrics = {"step": step, "train_loss": 1 / step, "train_mean_token_accuracy": step / 4}
            connection.execute(
                insert(TuningEvent).values(
                    job_id=job.id, remote_id=f"e{step}", at=at, level="info", message=f"Step {step}", metrics=metrics
                )
            )
            connection.execute(
                insert(TuningCheckpoint).values(
                    job_id=job.id,
                    step=step,
                    identifier=f"ft:gpt-4o:o::c{step}",
                    metrics={"step": step, "valid_loss": step / 10},
                    at=at,
                )
            )
    app = page()
    assert not app.exception
    assert "The server <b>gave up</b>." in said(app)
    assert len(app.get("vega_lite_chart")) == 2
    frame = next(each.value for each in app.dataframe if "training" in each.value.columns)
    assert (frame["cost"].tolist(), frame["estimated"].tolist()) == (["unknown"], ["1.25 USD"])
    app.selectbox(key="checkpoint").set_value(1).run()
    app.button(key="register_checkpoint").click().run()
    assert not app.exception
    assert models_of(ground) == ["tuned-step-1"]


def test_the_files_of_an_ended_training_are_deleted_at_the_server_after_a_question(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VENDOR_KEY", KEY)
    ground = lay_ground(sqlite_database, splits=("train",) * 10)
    with Vendor() as vendor:
        office = Office(ground, vendor)
        job = office.carry_out(office.start().id)
        app = page()
        assert not app.exception
        assert "Its training files are still at 127.0.0.1" in said(app)
        assert "The model stays." in said(app)
        vendor.faults.on_route("DELETE /v1/files/{id}", server_error())
        app.button(key="confirm_delete_files").click().run()
        assert not app.exception
        assert "is busy or failing" in said(app)
        app.button(key="confirm_delete_files").click().run()
        assert not app.exception
        assert f"127.0.0.1:{vendor.url.split(':')[2].split('/')[0]}: {job.training_file_id}." in said(app)
        assert [each["purpose"] for each in vendor.files.values()] == ["fine-tune-results"]
        assert not has(app, "confirm_delete_files")


def test_a_bundle_is_made_and_offered(ground: Ground, dataset: DatasetView, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "make_bundle", partial(make_bundle, sources=ground.sources))
    app = page()
    app.segmented_control(key="trainer").set_value("Elsewhere, with a bundle").run()
    app.text_input(key="bundle_name").set_value("!!!").run()
    app.button(key="make_bundle").click().run()
    assert "has no letter or digit" in said(app)
    app.text_input(key="bundle_name").set_value("").run()
    app.button(key="make_bundle").click().run()
    assert not app.exception
    assert "The bundle is made." in said(app)
    (path,) = (dataset.folder / "bundles").glob("*.zip")
    with zipfile.ZipFile(path) as archive:
        assert "README.md" in archive.namelist()
    assert len(app.get("download_button")) == 1
