"""Trainings: how far those under way are, and every one with its events, curves and checkpoints."""

from collections.abc import Sequence
from typing import Any, NoReturn

import streamlit as st

from maploop.errors import MaploopError
from maploop.tune.jobs import (
    CheckpointView,
    EventView,
    JobView,
    best_checkpoint,
    job_checkpoints,
    job_events,
    list_jobs,
)
from maploop.tune.records import pause_job
from maploop.tune.register import register_checkpoint
from maploop.tune.vendor_files import delete_files
from maploop.work import trainings
from maploop.work.office import foreman_of, wake, watch_of
from pages.acts import show_error
from pages.charts import lines_by_step
from pages.common import Context
from pages.links import plain
from pages.workshop.acts import act
from pages.workshop.asking import is_missing, show_key
from pages.workshop.words import (
    ENDED,
    NOTHING,
    SHORT,
    Way,
    counted,
    ended_since,
    filled,
    go_to,
    localized,
    money,
    say_next,
    tiles_are_left,
)

SECONDS_BETWEEN_LOOKS = 1.0
LOSSES = {"train_loss": "training", "valid_loss": "validation", "full_valid_loss": "validation, whole file"}
ACCURACIES = {
    "train_mean_token_accuracy": "training",
    "train_accuracy": "training",
    "valid_mean_token_accuracy": "validation",
    "valid_accuracy": "validation",
    "full_valid_mean_token_accuracy": "validation, whole file",
}
SHOWN_EVENTS, LATEST_EVENTS = 200, 3


def say_begun(found: Context, job: JobView) -> NoReturn:
    """Have a new training taken up, and redraw the page with it at work."""
    wake(found.database)
    st.session_state["training"] = job.id
    say_next(f"Training {job.id} is begun: it makes {job.name}.")
    st.rerun()


def show_at_work(found: Context, jobs: Sequence[JobView]) -> None:
    """Trainings that are not over; what ended since one looked last is told."""
    going = [each.id for each in jobs if not each.is_over]
    ended = ended_since("trainings_going", going)
    if over := [each for each in jobs if each.id in ended]:
        model = next((each.model for each in over if each.model), None)
        way = Way("Predict with it", part="Predict", values={"model": model}) if model else None
        is_done = all(each.status != "failed" for each in over)
        say_next(" ".join(_ended(each) for each in over), way, is_done=is_done)
        st.rerun()
    if going:
        st.fragment(_show, run_every=SECONDS_BETWEEN_LOOKS)(found, going)


def _show(found: Context, going: list[int]) -> None:
    with found.database.read() as connection:
        now = {each.id: each for each in list_jobs(connection, found.project)}
    for job_id in going:
        if not now[job_id].is_over:
            _show_going(found, now[job_id])
    if any(now[each].is_over for each in going):
        st.rerun()


def _ended(job: JobView) -> str:
    if job.status == "succeeded":
        return f"Training {job.id} is done: {job.model} can predict now."
    return f"Training {job.id} {ENDED[job.status]}. {job.error}".strip()


def _show_going(found: Context, job: JobView) -> None:
    watch = watch_of(found.database, *trainings.training_key(job.id))
    share = max(job.share, watch.share if watch else 0.0)
    with st.container(border=True, key=f"training_{job.id}"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**Training {job.id}** · {plain(job.name)} · {plain(job.destination)}", width="stretch")
            _acts(found, job)
        st.progress(share, text=plain(_how_far(job, watch.seconds_left if watch else None)))
        with found.database.read() as connection:
            events = job_events(connection, job.id)
        show_curves(events, [], f"going_{job.id}")
        for each in sorted(events, key=lambda event: event.id)[-LATEST_EVENTS:]:
            st.caption(plain(f"{each.at:%H:%M:%S} UTC · {each.message}"))


def _how_far(job: JobView, seconds_left: float | None) -> str:
    if job.wish:
        return f"{job.wish.capitalize()} is asked for"
    if job.status == "waiting":
        return job.doing or "Waits for its turn"
    if job.status == "interrupted":
        return "Left by the command line: resume it here, or there"
    state = "Paused" if job.status == "paused" else job.doing or job.status.capitalize()
    return f"{state}{tiles_are_left(seconds_left if job.trainer == 'local' else None)}"


def _acts(found: Context, job: JobView) -> None:
    """Pause, resume, cancel, where they make sense."""
    if job.can_pause and not job.wish and st.button("Pause", icon=":material/pause:", key=f"pause_{job.id}"):
        act(found, f"Training {job.id} is asked to pause.", lambda: pause(found, job))
    if job.status in ("paused", "interrupted") and st.button(
        "Resume", icon=":material/play_arrow:", key=f"go_on_{job.id}"
    ):
        act(found, f"Training {job.id} goes on.", lambda: trainings.resume(found.database, found.project, job.id))
    if job.can_cancel and job.wish != "cancel" and st.button("Cancel", icon=":material/stop:", key=f"cancel_{job.id}"):
        act(
            found,
            f"Training {job.id} is asked to end without a model.",
            lambda: trainings.cancel(found.database, found.project, job.id, foreman_of(found.database)),
        )


def pause(found: Context, job: JobView) -> None:
    """Ask for a training to be paused at the server."""
    with found.database.write() as connection:
        pause_job(connection, found.project, job.id)


def show_trainings(found: Context, jobs: Sequence[JobView]) -> None:
    """The table of all trainings, and the one picked below it."""
    if not jobs:
        return
    st.subheader("Trainings", anchor=False)
    st.dataframe(
        filled([job_row(each) for each in jobs]),
        hide_index=True,
        key="trainings",
        placeholder=NOTHING,
        column_config={
            **localized("trained tokens"),
            **dict.fromkeys(("cost", "estimated"), st.column_config.TextColumn(alignment="right")),
        },
    )
    by_id = {each.id: each for each in jobs}
    picked = st.selectbox(
        "Look at",
        list(by_id),
        format_func=lambda each: f"Training {each} · {by_id[each].name} · {by_id[each].created_at:%Y-%m-%d %H:%M}",
        key="training",
        width=420,
    )
    show_training(found, by_id[picked])


def job_row(job: JobView) -> dict[str, Any]:
    """A training as a row of the table."""
    hosted = job.trainer != "local"
    return {
        "training": job.id,
        "makes": job.name,
        "status": job.status if job.is_over else "under way",
        "base": job.parent or job.base,
        "dataset": job.dataset_id[:SHORT],
        "at": job.destination,
        "trained tokens": job.trained_tokens,
        "cost": money(job.cost) if hosted and job.is_over else None,
        "estimated": money(job.cost_estimated) if hosted else None,
        "begun (UTC)": f"{job.created_at:%Y-%m-%d %H:%M}",
    }


def show_training(found: Context, job: JobView) -> None:
    """One training: its model, why it failed, its curves, checkpoints and events."""
    with found.database.read() as connection:
        events, checkpoints = job_events(connection, job.id), job_checkpoints(connection, job.id)
    with st.container(border=True, key="one_training"):
        if job.error:
            st.error(plain(job.error), icon=":material/error:")
        with st.container(horizontal=True, vertical_alignment="center"):
            if job.model:
                st.markdown(f"It made **{plain(job.model)}**.", width="content")
                if st.button("Predict with it", type="primary", icon=":material/play_arrow:", key="predict_with_it"):
                    go_to("Predict", model=job.model)
            if (
                job.status == "failed"
                and job.can_resume
                and st.button("Try again", icon=":material/replay:", key="try_again")
            ):
                resume = trainings.resume
                act(found, f"Training {job.id} goes on.", lambda: resume(found.database, found.project, job.id))
        if job.has_files_left:
            ask_to_delete_files(found, job)
        show_curves(events, checkpoints, f"one_{job.id}")
        if checkpoints:
            show_checkpoints(found, job, checkpoints)
        if events:
            with st.expander(counted(len(events), "event"), key="training_events"):
                rows = [
                    {"at (UTC)": f"{each.at:%Y-%m-%d %H:%M:%S}", "": each.message}
                    for each in events[-SHOWN_EVENTS:][::-1]
                ]
                st.dataframe(rows, hide_index=True, key="events", height=280)


def ask_to_delete_files(found: Context, job: JobView) -> None:
    """Say that files of an ended training are at its server, with a button that asks once before it deletes them."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"Its training files are still at {plain(job.destination)}.", width="content")
        with st.popover("Delete them there", icon=":material/delete:", key="delete_files_there"):
            st.markdown("The model stays. Trying this training again would send the files anew.")
            show_key(job.key_name or None, job.base_url)
            if st.button(
                f"Delete the files at {plain(job.destination)}",
                type="primary",
                disabled=is_missing(job.key_name or None, job.base_url),
                key="confirm_delete_files",
            ):
                do_delete_files(found, job)


def do_delete_files(found: Context, job: JobView) -> None:
    """Delete the files of a training at its server, and say which there were; an error is shown in place."""
    try:
        deleted = delete_files(found.database, found.project, job.id, annotator=found.annotator)
    except MaploopError as error:  # the server is away, or another training needs them
        show_error(error)
        return
    say_next(deleted.to_text())
    st.rerun()


def show_curves(events: Sequence[EventView], checkpoints: Sequence[CheckpointView], key: str) -> None:
    """Loss and accuracy by step, where the trainer has told them more than once."""
    told = [
        *((each.metrics.get("step"), each.metrics) for each in events),
        *((each.step, each.metrics) for each in checkpoints),
    ]
    losses, accuracies = series(told, LOSSES), series(told, ACCURACIES)
    if not losses and not accuracies:
        return
    columns = st.columns(2 if losses and accuracies else 1, gap="large")
    if losses:
        columns[0].altair_chart(lines_by_step(losses, "loss"), key=f"loss_{key}", alt="Loss by step")
    if accuracies:
        chart = lines_by_step(accuracies, "token accuracy", percent=True)
        columns[-1].altair_chart(chart, key=f"accuracy_{key}", alt="Token accuracy by step")


def series(told: Sequence[tuple[Any, dict[str, Any]]], names: dict[str, str]) -> list[dict[str, Any]]:
    """The values of some figures as rows of a chart, each step once; none before there are two to join."""
    values = {
        (label, int(step)): float(metrics[name])
        for name, label in names.items()
        for step, metrics in told
        if isinstance(step, int | float) and isinstance(metrics.get(name), int | float)
    }
    if len({step for _, step in values}) < 2:
        return []
    return [{"series": label, "step": step, "value": value} for (label, step), value in values.items()]


def show_checkpoints(found: Context, job: JobView, checkpoints: Sequence[CheckpointView]) -> None:
    """The checkpoints; any of them becomes a model when asked for."""
    best = best_checkpoint(checkpoints)
    st.dataframe(
        filled(
            [
                {"step": each.step, "identifier": each.identifier, "model": each.model, **each.metrics}
                for each in checkpoints
            ]
        ),
        hide_index=True,
        key="checkpoints",
        placeholder=NOTHING,
    )
    free = {each.id: each for each in checkpoints if each.model is None}
    if not free:
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        picked = st.selectbox(
            "Checkpoint",
            list(free),
            format_func=lambda each: f"step {free[each].step}{' (the best)' if free[each] == best else ''}",
            key="checkpoint",
            width=240,
        )
        if st.button("Make it a model", icon=":material/add:", key="register_checkpoint"):
            act(found, "The checkpoint is a model now.", lambda: register(found, job, picked))


def register(found: Context, job: JobView, checkpoint_id: int) -> None:
    """Make a checkpoint a model of the project."""
    with found.database.write() as connection:
        register_checkpoint(connection, found.project, job.id, checkpoint_id)
