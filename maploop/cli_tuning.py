"""`maploop tune` and `maploop tuning`: new models from a project's datasets, and what becomes of their trainings."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from maploop.cli_options import AsJson, ProjectName, Url
from maploop.cli_output import progress, say, say_export, say_json
from maploop.errors import InputError, MaploopError

if TYPE_CHECKING:
    from maploop.database import Database
    from maploop.predict.models import ModelView
    from maploop.project import ProjectView
    from maploop.tune.jobs import CheckpointView, EventView, JobView
    from maploop.tune.plan import Preflight

JobId = Annotated[int, typer.Argument(metavar="JOB", help="The training, as maploop tuning list numbers it.")]
LAST_EVENTS = 10

tuning_app = typer.Typer(help="Trainings under way and done.", rich_markup_mode=None)


def tune(
    project: ProjectName,
    dataset: Annotated[str, typer.Option(metavar="ID", help="A frozen dataset, or the first digits of its id.")],
    base: Annotated[
        str, typer.Option(metavar="MODEL", help="A model of the project, the server's name of one, or local.")
    ],
    trainer: Annotated[
        str | None,
        typer.Option(
            metavar="T", help="local, openai (and servers like it) or bundle (for your own); else what the base needs."
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NEW", help="The new model's name; else after base and dataset.")
    ] = None,
    base_url: Annotated[
        str | None,
        typer.Option("--base-url", metavar="URL", help="The server's routes; else as the base, else OpenAI."),
    ] = None,
    key: Annotated[
        str | None, typer.Option(metavar="NAME", help="The variable or secret that holds the key, never the key.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(metavar="N", min=1, help="Times through the dataset; else 3.")] = None,
    batch_size: Annotated[int | None, typer.Option(metavar="N", min=1, help="Else the server chooses.")] = None,
    learning_rate: Annotated[
        float | None, typer.Option(metavar="X", help="Multiplier of the server's own; else it chooses.")
    ] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="Else the server chooses.")] = None,
    delete_files: Annotated[
        bool, typer.Option("--delete-files", help="Delete the files at the server when the training ends.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Send and pay what is asked about, without being asked.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only look: nothing is sent or trained.")] = False,
    out: Annotated[Path | None, typer.Option(metavar="PATH", help="Of a bundle: a folder, or a file .zip.")] = None,
    db: Url = None,
    as_json: AsJson = False,
) -> None:
    """Train a new model on a frozen dataset: on its train split, measured on its validation split."""
    database, view = _project(db, project)
    chosen = trainer or _trainer_of(database, view, base)
    given = {
        "--base-url": base_url,
        "--key": key,
        "--epochs": epochs,
        "--batch-size": batch_size,
        "--learning-rate": learning_rate,
        "--seed": seed,
        "--delete-files": delete_files or None,
    }
    _check(chosen, given, out, yes)
    if chosen == "bundle":
        _bundle(database, view, dataset, base, out, name, epochs, as_json=as_json)
    elif chosen == "local" and not dry_run:
        _tune_here(database, view, dataset, base, name, as_json=as_json)
    else:
        from maploop.tune.clients import client_of  # noqa: PLC0415
        from maploop.tune.plan import Hyperparameters  # noqa: PLC0415
        from maploop.tune.preflight import preflight  # noqa: PLC0415

        settings: dict[str, Any] = {
            "epochs": epochs,
            "batch_size": batch_size,
            "learning_rate_multiplier": learning_rate,
            "seed": seed,
        }
        with progress() as report:
            plan = preflight(
                database,
                view,
                dataset,
                base,
                trainer="local" if chosen == "local" else "openai",
                name=name,
                base_url=base_url,
                key=key,
                hyperparameters=replace(Hyperparameters(), **{k: v for k, v in settings.items() if v is not None}),
                clients=client_of,
                progress=lambda done, total, text: report(f"{text} {done:,}/{total:,}"),
            )
        plan = replace(plan, delete_files=delete_files)
        if dry_run:
            _say_plan(plan, as_json=as_json)
        else:
            _tune_there(database, view, plan, yes=yes, as_json=as_json)


def _check(trainer: str, given: dict[str, Any], out: Path | None, yes: bool) -> None:
    """Raises InputError for options that do not go with the trainer."""
    if trainer not in ("local", "openai", "bundle"):
        msg = f"{trainer!r} is not a trainer: use local, openai or bundle."
        raise InputError(msg)
    if trainer == "bundle" and out is None:
        msg = "--out is missing: say where the bundle goes, a folder or a file .zip."
        raise InputError(msg)
    taken = {"local": (), "openai": tuple(given), "bundle": ("--epochs",)}[trainer]
    wrong = [name for name, value in given.items() if value is not None and name not in taken]
    wrong += ["--out"] if out is not None and trainer != "bundle" else []
    wrong += ["--yes"] if yes and trainer == "bundle" else []
    if wrong:
        msg = f"{' and '.join(wrong)} means nothing to the {trainer} trainer: leave it out."
        raise InputError(msg)


def _trainer_of(database: "Database", project: "ProjectView", base: str) -> str:
    """The trainer for a base. Raises NotFoundError for one that is no model of the project."""
    from maploop.predict.models import load_model  # noqa: PLC0415
    from maploop.tune.naming import FRESH_LOCAL  # noqa: PLC0415

    if base == FRESH_LOCAL:
        return "local"
    with database.read() as connection:
        return "openai" if load_model(connection, project, base).backend == "chat" else "local"


def _tune_here(
    database: "Database", project: "ProjectView", dataset: str, base: str, name: str | None, *, as_json: bool
) -> None:
    from maploop.tune.tuning import tune as make_model  # noqa: PLC0415

    with progress() as report:
        model = make_model(
            database, project, dataset, base, name=name, hear=lambda share, text: report(f"{share:.0%} {text}")
        )
    if as_json:
        say_json(
            {
                "model": model.name,
                "backend": model.backend,
                "parent": model.parent,
                "dataset": model.dataset_id,
                **model.parameters,
            }
        )
    else:
        _say_local(model)


def _tune_there(database: "Database", project: "ProjectView", plan: "Preflight", *, yes: bool, as_json: bool) -> None:
    """Ask, start, and follow until it is done. Raises InputError when nobody agreed."""
    from maploop.tune.work import start_job  # noqa: PLC0415

    if not plan.may_start:
        raise InputError(" ".join(plan.stops))
    if not as_json:
        for check in plan.checks:
            if check.level == "warn":
                say(check.text)
    if not yes:
        if not sys.stdin.isatty():
            msg = f"Nothing was sent. {plan.question} Say so with --yes."
            raise InputError(msg)
        if not typer.confirm(plan.question, err=True):
            msg = "Nothing was sent, and nothing is paid."
            raise InputError(msg)
    job = start_job(database, project, plan, plan.confirmation)
    _follow(database, project, job, as_json=as_json)


def _follow(database: "Database", project: "ProjectView", job: "JobView", *, as_json: bool) -> None:
    """Carry a training out, or look on. Raises MaploopError when it failed."""
    from maploop.tune.work import carry_out_job  # noqa: PLC0415

    try:
        with progress() as report:
            ended = carry_out_job(database, project, job.id, hear=lambda share, text: report(f"{share:.0%} {text}"))
    except KeyboardInterrupt:
        left = f"Tuning job {job.id} is left as it is, and goes on at {job.destination} if it was sent"
        msg = f"{left}: maploop tuning resume follows it, maploop tuning cancel ends it."
        raise InputError(msg) from None
    if as_json:
        say_json(ended.to_json())
    elif ended.status == "succeeded":
        cost = "" if ended.cost is None else f", {ended.cost:,.2f} USD by the tokens it counted"
        say(f"Made {ended.model!r} at {ended.destination}{cost}.")
    else:
        _say_job(ended)
    if ended.status == "failed":
        raise MaploopError(ended.error)


def _bundle(
    database: "Database",
    project: "ProjectView",
    dataset: str,
    base: str,
    out: Path | None,
    name: str | None,
    epochs: int | None,
    *,
    as_json: bool,
) -> None:
    from maploop.tune.bundle import make_bundle  # noqa: PLC0415
    from maploop.tune.bundle.bundle import EPOCHS  # noqa: PLC0415

    assert out is not None  # noqa: S101  checked
    with progress() as report:
        written = make_bundle(
            database,
            project,
            dataset,
            base,
            out,
            name=name,
            epochs=epochs or EPOCHS,
            progress=lambda done, total, text: report(f"{text} {done:,}/{total:,}"),
        ).to_json()
    if as_json:
        say_json(written)
        return
    shown = [each for each in written["files"] if each["name"].endswith(".jsonl")]
    say_export({**written, "files": shown})
    say("Read README.md there: how to train, serve and register the result.")


@tuning_app.command("list")
def list_all(project: ProjectName, db: Url = None, as_json: AsJson = False) -> None:
    """Trainings of a project, newest first."""
    from maploop.tune.jobs import list_jobs  # noqa: PLC0415

    database, view = _project(db, project)
    with database.read() as connection:
        jobs = list_jobs(connection, view)
    if as_json:
        say_json({"jobs": [each.to_json() for each in jobs]})
        return
    for each in jobs:
        _say_job(each)
    if not jobs:
        say("No trainings yet: begin one with maploop tune.")


@tuning_app.command("show")
def show(project: ProjectName, job: JobId, db: Url = None, as_json: AsJson = False) -> None:
    """One training: its events, checkpoints and cost."""
    from maploop.tune.jobs import job_checkpoints, job_events, load_job  # noqa: PLC0415

    database, view = _project(db, project)
    with database.read() as connection:
        found = load_job(connection, view, job)
        events, checkpoints = job_events(connection, job), job_checkpoints(connection, job)
    if as_json:
        say_json(
            {
                **found.to_json(),
                "events": [each.to_json() for each in events],
                "checkpoints": [each.to_json() for each in checkpoints],
                "preflight": found.preflight,
            }
        )
        return
    _say_job(found)
    _say_course(events, checkpoints)


@tuning_app.command("pause")
def pause(project: ProjectName, job: JobId, db: Url = None, as_json: AsJson = False) -> None:
    """Have a training wait at its server."""
    from maploop.tune.records import pause_job  # noqa: PLC0415

    database, view = _project(db, project)
    with database.write() as connection:
        found = pause_job(connection, view, job)
    _settle(database, view, found, as_json=as_json)


@tuning_app.command("resume")
def resume(project: ProjectName, job: JobId, db: Url = None, as_json: AsJson = False) -> None:
    """Go on with a training that was paused, left or given up, and follow it to its end."""
    from maploop.tune.jobs import load_job  # noqa: PLC0415
    from maploop.tune.records import resume_job  # noqa: PLC0415

    database, view = _project(db, project)
    with database.read() as connection:
        found = load_job(connection, view, job)
    if found.is_over or found.can_resume:
        with database.write() as connection:
            found = resume_job(connection, view, job)
    if found.at_work:
        _say_asked(found, as_json=as_json)
    else:
        _follow(database, view, found, as_json=as_json)


@tuning_app.command("cancel")
def cancel(project: ProjectName, job: JobId, db: Url = None, as_json: AsJson = False) -> None:
    """End a training without a model, at its server too."""
    from maploop.tune.records import cancel_job  # noqa: PLC0415

    database, view = _project(db, project)
    with database.write() as connection:
        found = cancel_job(connection, view, job)
    _settle(database, view, found, as_json=as_json)


@tuning_app.command("delete-files")
def delete_files(project: ProjectName, job: JobId, db: Url = None, as_json: AsJson = False) -> None:
    """Delete the files of an ended training at its server; the model stays."""
    from maploop.tune.vendor_files import delete_files as delete_there  # noqa: PLC0415

    database, view = _project(db, project)
    found = delete_there(database, view, job)
    if as_json:
        say_json({"job": job, **found.to_json()})
    else:
        say(found.to_text())


def _settle(database: "Database", project: "ProjectView", job: "JobView", *, as_json: bool) -> None:
    """Meet a wish at the server now, unless somebody is at work on the training and will."""
    from maploop.tune.vendor_files import delete_when_asked  # noqa: PLC0415
    from maploop.tune.work import meet_wish  # noqa: PLC0415

    if not job.is_over and not job.at_work:
        job = meet_wish(database, project, job.id)
    elif job.is_over:
        delete_when_asked(database, project, job.id)
    _say_asked(job, as_json=as_json)


def _project(db: str | None, name: str) -> "tuple[Database, ProjectView]":
    from maploop.database import existing_database  # noqa: PLC0415
    from maploop.project import load_project  # noqa: PLC0415

    database = existing_database(db)
    with database.read() as connection:
        return database, load_project(connection, name)


def _say_plan(plan: "Preflight", *, as_json: bool) -> None:
    if as_json:
        say_json(plan.to_json())
        return
    words = {"ok": "", "warn": "Note: ", "stop": "Not possible: "}
    for check in plan.checks:
        say(f"{words[check.level]}{check.text}")
    if plan.may_start:
        say(plan.question)


def _say_asked(job: "JobView", *, as_json: bool) -> None:
    if as_json:
        say_json(job.to_json())
    else:
        _say_job(job)
        if job.wish:
            say(f"Whoever has it in hand was asked to {job.wish} it.")


def _say_job(job: "JobView") -> None:
    told = f" ({job.remote_status})" if job.remote_status and job.remote_status != job.status else ""
    made = f", made {job.model!r}" if job.model else ""
    say(f"Tuning job {job.id} of {job.name!r} at {job.destination}: {job.status}{told}{made}.")
    if job.error:
        say(job.error)
    elif job.doing and not job.is_over:
        say(f"{job.share:.0%} {job.doing}")
    if job.has_files_left:
        say(f"Its files are still at {job.destination}: delete them with maploop tuning delete-files.")


def _say_course(events: "list[EventView]", checkpoints: "list[CheckpointView]") -> None:
    for event in events[-LAST_EVENTS:]:
        say(f"{event.at:%Y-%m-%d %H:%M} {event.message}")
    for each in checkpoints:
        figures = ", ".join(f"{name} {value:g}" for name, value in each.metrics.items() if name != "step")
        kept = f", registered as {each.model!r}" if each.model else ""
        say(f"Checkpoint {each.id} at step {each.step}: {figures or 'no figures'}{kept}.")


def _say_local(model: "ModelView") -> None:
    say(f"Made {model.name!r} from {model.parameters['tiles']:,} tiles in {model.parameters['seconds']:.0f} s.")
    measured = model.parameters["validation"]
    if not measured:
        say("No tile of the dataset is for validation, so it was not measured.")
    elif measured["f1"] is None:
        say(f"Nothing is on the {measured['tiles']:,} validation tiles, and it found nothing there.")
    else:
        say(f"F1 {measured['f1']:.3f} on {measured['tiles']:,} validation tiles.")
