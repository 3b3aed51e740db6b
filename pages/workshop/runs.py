"""Every run that was recorded, and one of them in full: what failed and why, going on, asking again."""

from typing import Any
from urllib.parse import urlencode

import streamlit as st

from maploop.cli_output import COUNTS_OF_PREDICTIONS
from maploop.predict.choosing import TileChoice
from maploop.predict.history import FailedTile, RunView, failed_tiles
from maploop.predict.models import load_model
from maploop.work import runs
from pages.common import Context
from pages.links import open_page, plain
from pages.workshop.acts import act
from pages.workshop.words import AT_WORK, NOTHING, SHORT, cost_of, counted, filled, localized

FAILURES = {
    "imagery": "the imagery cannot be read",
    "refused": "the model would not answer",
    "truncated": "the answer stops before its end",
    "malformed": "the answer does not fit the contract",
    "rate_limit": "the server had enough for now",
    "timeout": "the server took too long",
    "server": "the server failed",
    "unreachable": "the server was not there",
    "licence": "the terms of the imagery keep it here",
}
REPORTED = {
    "imported": "features stored",
    **COUNTS_OF_PREDICTIONS,
    "repaired": "mended",
    "unanswered": "attempts without a reply, perhaps charged all the same",
}


def show_runs(found: Context, known: list[RunView]) -> None:
    """The table of all runs, and the one picked below it."""
    st.subheader("Runs", anchor=False)
    if not known:
        st.caption("No model has run here yet.")
        return
    st.dataframe(
        filled([run_row(each) for each in known]),
        hide_index=True,
        key="runs",
        placeholder=NOTHING,
        column_config={
            **localized("run", "tiles", "done", "failed", "features", "tokens in", "cached", "out"),
            "cost": st.column_config.TextColumn(alignment="right"),
            "seconds": st.column_config.NumberColumn(format="localized", help="Of work, summed over tiles."),
            "prompt": st.column_config.TextColumn(
                help="The hash of everything beside model and pixels that shapes an answer."
            ),
        },
    )
    by_id = {each.id: each for each in known}
    picked = st.selectbox(
        "Look at",
        list(by_id),
        format_func=lambda each: f"Run {each} · {by_id[each].model} · {by_id[each].started_at:%Y-%m-%d %H:%M}",
        key="run",
        width=420,
    )
    show_run(found, by_id[picked])


def run_row(run: RunView) -> dict[str, Any]:
    """A run as a row of the table."""
    from_file = run.backend == "file" or bool(run.source)
    used = run.usage
    status = "imported" if from_file else run.status
    if run.status in AT_WORK:  # how far it is stands above, and changes while one looks
        status = "under way"
    row = {"run": run.id, "model": run.model, "status": status, "tiles": run.tiles}
    if run.status in AT_WORK:
        return row
    return {
        **row,
        "done": None if from_file else run.done,
        "failed": None if from_file else run.failed,
        "features": run.report.get("imported") if from_file else run.features,
        "tokens in": used.input_tokens + used.cache_write_tokens or None,
        "cached": used.cached_tokens or None,
        "out": used.output_tokens or None,
        "cost": None if from_file else cost_of(run),
        "seconds": None if from_file else round(used.seconds, 1),
        "prompt": run.prompt_hash[:SHORT] or None,
        "begun (UTC)": f"{run.started_at:%Y-%m-%d %H:%M}",
    }


def show_run(found: Context, run: RunView) -> None:
    """One run: what came of its features, why it stopped, its failed tiles, and what may be done now."""
    if run.status in AT_WORK:
        st.caption("It is under way: what comes of it is told here when it is over.")
        return
    with st.container(border=True, key="one_run"):
        counts = [f"{run.report[name]:,} {words}" for name, words in REPORTED.items() if run.report.get(name)]
        st.markdown(plain(", ".join(counts) or "Nothing was found.").capitalize())
        if run.error:
            st.error(plain(run.error), icon=":material/error:")
        with found.database.read() as connection:
            failed = failed_tiles(connection, run.id) if run.failed else []
        if failed:
            show_failed(found, failed)
        show_acts(found, run, failed)
        with st.expander("Parameters", key="run_parameters"):
            st.json({"prompt_hash": run.prompt_hash, **run.parameters, "report": run.report})


def show_failed(found: Context, failed: list[FailedTile]) -> None:
    """Failed tiles with the reason, each with a way to review it by hand."""
    st.dataframe(
        [
            {
                "tile": review_address(found, each),
                "what": FAILURES.get(each.kind, each.kind),
                "said": each.message,
            }
            for each in failed
        ],
        hide_index=True,
        key="failed_tiles",
        column_config={"tile": st.column_config.LinkColumn(display_text=r"tile=(.*)$", help="Review it by hand.")},
    )


def review_address(found: Context, failed: FailedTile) -> str:
    """Where a tile is reviewed, beside this page; the tile comes last and as it is written."""
    return f"review?{urlencode({'project': found.project.name})}&tile={failed.tile}"


def show_acts(found: Context, run: RunView, failed: list[FailedTile]) -> None:
    """The buttons of a run."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="run_acts"):
        if run.can_resume and run.status != "waiting":
            changed = ask_budget(run)
            text = (
                f"Go on with the {counted(run.pending, 'tile')} that are left"
                if run.pending > 1
                else "Do the last tile"
            )
            if st.button(text, type="primary", icon=":material/play_arrow:", key="resume_run"):
                act(found, f"Run {run.id} goes on.", lambda: runs.resume(found.database, found.project, run, **changed))
        if failed and st.button(
            f"Ask again for {counted(len(failed), 'failed tile')}", icon=":material/replay:", key="retry"
        ):
            act(found, "The failed tiles are asked for again.", lambda: ask_again(found, run, failed))
        if run.features and st.button("Review", icon=":material/fact_check:", key="review_run"):
            open_page("review", found.project.name)


def ask_budget(run: RunView) -> dict[str, Any]:
    """A budget to go on with, for a run that has one."""
    before = run.parameters.get("budget")
    if before is None:
        return {}
    budget = st.number_input("Budget, USD", 0.01, None, float(before), 0.5, key=f"budget_{run.id}", width=160)
    return {"budget": budget} if budget != before else {}


def ask_again(found: Context, run: RunView, failed: list[FailedTile]) -> None:
    """A new run over the tiles that failed in this one, with its parameters."""
    with found.database.read() as connection:
        model = load_model(connection, found.project, run.model)
    choice = TileChoice(given=[each.tile for each in failed])
    runs.begin(found.database, found.project, model, choice, parameters=run.parameters)
