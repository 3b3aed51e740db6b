"""What is at work now: how far each run is, refreshed by itself, and a way to stop it."""

import streamlit as st

from maploop.errors import MaploopError
from maploop.predict.history import RunView, load_run
from maploop.work import runs
from maploop.work.office import foreman_of, watch_of
from pages.acts import show_error
from pages.common import Context
from pages.links import plain
from pages.workshop.words import (
    AT_WORK,
    ENDED,
    Way,
    cost_of,
    counted,
    duration,
    ended_since,
    say_next,
    tiles_are_left,
)

SECONDS_BETWEEN_LOOKS = 1.0


def show_at_work(found: Context, known: list[RunView]) -> None:
    """Runs that are not over; what ended since one looked last is told."""
    going = [each.id for each in known if each.status in AT_WORK]
    ended = ended_since("runs_going", going)
    if over := [each for each in known if each.id in ended]:
        way = Way("Review", "review") if any(each.features for each in over) else None
        is_done = all(each.status != "failed" for each in over)
        say_next(" ".join(_ended(each) for each in over), way, is_done=is_done)
        st.rerun()
    if going:
        st.fragment(_show, run_every=SECONDS_BETWEEN_LOOKS)(found, going)


def _show(found: Context, going: list[int]) -> None:
    with found.database.read() as connection:
        now = [load_run(connection, found.project, each) for each in going]
    for run in now:
        if run.status in AT_WORK:
            _show_run(found, run)
    if any(each.status not in AT_WORK for each in now):
        st.rerun()


def _ended(run: RunView) -> str:
    failed = f" {counted(run.failed, 'tile')} failed." if run.failed else ""
    found = f"{counted(run.features, 'feature')} on {counted(run.done, 'tile')}"
    became = ENDED.get(run.status, f"is {run.status}")
    return f"Run {run.id} of {run.model} {became}: {found}.{failed} {run.error}".strip()


def _show_run(found: Context, run: RunView) -> None:
    watch = watch_of(found.database, *runs.run_key(run.id))
    finished = (run.done + run.failed) / max(1, run.tiles)
    with st.container(border=True, key=f"run_{run.id}"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**Run {run.id}** · {plain(run.model)}", width="stretch")
            stops = run.status == "stopping"
            if st.button("Cancel", icon=":material/stop:", key=f"cancel_run_{run.id}", disabled=stops):
                _cancel(found, run)
        st.progress(
            max(finished, watch.share if watch else 0.0), text=_how_far(run, watch.seconds_left if watch else None)
        )
        st.caption(plain(_used(run)))


def _how_far(run: RunView, seconds_left: float | None) -> str:
    if run.status == "waiting":
        return f"Waits for its turn: {counted(run.pending, 'tile')} to do"
    if run.status == "stopping":
        return f"Stops when what is on its way is here: {run.done + run.failed:,} of {counted(run.tiles, 'tile')}"
    return f"{run.done + run.failed:,} of {counted(run.tiles, 'tile')}{tiles_are_left(seconds_left)}"


def _used(run: RunView) -> str:
    """Features, failures by kind, tokens, cost and seconds so far."""
    used = run.usage
    said = [counted(run.features, "feature")]
    said += [f"{count:,} failed: {kind}" for kind, count in run.failures.items()]
    tokens = used.input_tokens + used.cached_tokens + used.cache_write_tokens
    if tokens or used.output_tokens:
        said.append(f"{tokens:,} tokens in ({used.cached_tokens:,} from the cache), {used.output_tokens:,} out")
        said.append(f"cost {cost_of(run)}")
    said.append(f"{duration(used.seconds)} of work")
    return " · ".join(said)


def _cancel(found: Context, run: RunView) -> None:
    try:
        runs.cancel(found.database, found.project, run.id, foreman_of(found.database))
    except MaploopError as error:  # it ended meanwhile
        show_error(error)
        return
    say_next(f"Run {run.id} stops: what it has found and what is on its way are kept, and it can be resumed.")
    st.rerun()
