"""Quality: spot checks, what they found, and what comes of it."""

from collections.abc import Iterable
from typing import Any

import streamlit as st

from maploop.errors import MaploopError
from maploop.quality.acceptance import (
    Approval,
    approve_all_own,
    approve_annotator,
    approve_sample,
    approve_tile,
    complete_when_alone,
    ground_of_approval,
    return_tile,
)
from maploop.quality.agreement import AuditComparison, Results, Scores, results_of
from maploop.quality.audits import close_sample
from maploop.quality.comparison import FeatureComparison
from maploop.quality.samples import SampleView, audits_of, list_samples, next_audit
from maploop.quality.sampling import SamplePlan, SampleWish, draw_sample, nothing_to_draw, plan_sample
from pages.acts import Notice, act, show_error, show_notice
from pages.charts import intervals
from pages.common import Context, context, heading
from pages.links import open_page, plain
from pages.random_share import show_random_share

FINDINGS = {
    "wrongly_kept": "kept, but not there",
    "wrongly_rejected": "rejected, but there",
    "wrong_class": "other class",
    "missed": "missed",
}
EVERYTHING = 0  # stands for all spot checks where one may be picked


def approved(approval: Approval) -> Notice:
    """What an approval came to, naming the tiles that could not be."""
    says = f"{approval.approved:,} tiles approved." if approval.approved != 1 else "1 tile approved."
    if approval.refused:
        named = "; ".join(f"{each.address}: {each.reason}" for each in approval.refused[:5])
        more = f"; and {len(approval.refused) - 5} more" if len(approval.refused) > 5 else ""
        says += f" Not approved: {named}{more}."
    return Notice(says, is_done=bool(approval.approved))


def ask_wish() -> SampleWish:
    """The widgets that say what to draw."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="wish"):
        by = st.segmented_control(
            "Choose", ["Margin", "Tiles"], default="Margin", required=True, key="sample_by", width="content"
        )
        wished: dict[str, Any] = {}
        if by == "Tiles":
            wished["size"] = int(st.number_input("Tiles", 1, 10_000, 20, key="sample_size", width=140))
        else:
            wished["margin"] = (
                st.number_input("Margin, ± %", 1.0, 30.0, 5.0, 1.0, "%.1f", key="sample_margin", width=140) / 100
            )
        wished["expected_rate"] = (
            st.number_input(
                "Expected errors, %",
                1.0,
                50.0,
                10.0,
                1.0,
                "%.1f",
                key="sample_expected",
                width=160,
                help="The share of features you expect to be wrong: the closer to half, the more tiles it takes.",
            )
            / 100
        )
    with st.container(horizontal=True, key="strata"):
        by_annotator = st.checkbox("Every annotator", value=True, key="sample_by_annotator")
        by_class = st.checkbox("Every class", value=True, key="sample_by_class")
        again = st.checkbox("Approved tiles too", key="sample_approved")
    return SampleWish(
        by_annotator=by_annotator,
        by_class=by_class,
        statuses=("complete", "approved") if again else ("complete",),
        **wished,
    )


def show_plan(plan: SamplePlan) -> None:
    """What drawing would come to."""
    features = round(plan.features * plan.size / plan.tiles)
    left_out = f" {plan.own:,} tiles are left out as your own work." if plan.own else ""
    st.markdown(
        f"**{plan.size:,} of {plan.tiles:,} tiles**, about {features:,} features: "
        f"the error rate will be known within ± {plan.margin:.1%}, if it is as expected.{left_out}"
    )
    with st.expander(f"{len(plan.strata)} strata"):
        st.dataframe(
            [
                {
                    "annotator": each.annotator,
                    "class": each.class_name,
                    "finished tiles": each.population,
                    "drawn": each.size,
                }
                for each in plan.strata
            ],
            hide_index=True,
            key="strata_table",
        )


def show_draw(found: Context) -> None:
    """Draw a new spot check."""
    wish = ask_wish()
    with found.database.read() as connection:
        plan = plan_sample(connection, found.project, found.annotator_id, wish)
    if not plan.tiles:
        st.info(nothing_to_draw(plan), icon=":material/info:")
        return
    show_plan(plan)
    if st.button("Draw and begin", type="primary", icon=":material/casino:", key="draw_sample"):
        try:
            sample = draw_sample(found.database, found.project, found.annotator_id, wish)
        except MaploopError as error:  # somebody else was faster
            show_error(error)
            return
        open_page("review", found.project.name, audit=str(sample.id))


def show_progress(found: Context, sample: SampleView) -> None:
    """How far one's own open spot check is, and the way back into it."""
    with found.database.read() as connection:
        following = next_audit(connection, sample.id, found.annotator_id)
    st.progress(sample.finished / max(1, sample.total), text=f"{sample.finished} of {sample.total} tiles looked at")
    if following is None:
        st.info("The tiles that are left are being worked on again: wait for them, or close this spot check.")
    with st.container(horizontal=True):
        if following and st.button("Go on, blind", type="primary", icon=":material/visibility:", key="go_on"):
            open_page("review", found.project.name, audit=str(sample.id))
        if st.button("Close it here", key="close_sample", help="What was looked at counts, the rest is let go."):
            act(
                found,
                "The spot check is closed.",
                lambda connection: close_sample(connection, found.project.id, sample.id),
            )


def show_spot_check(found: Context, samples: list[SampleView]) -> None:
    """One's own open spot check, or the way to a new one."""
    st.subheader("Spot check", anchor=False)
    mine = [each for each in samples if each.is_open and each.reviewer_id == found.annotator_id]
    if mine:
        show_progress(found, mine[-1])
        return
    st.caption(
        "Decide a random sample of finished tiles again, without seeing what the annotator said. "
        "Your own tiles are never drawn."
    )
    show_draw(found)


def show_own_work(found: Context) -> None:
    """Approval of everything, for somebody who works alone."""
    with found.database.read() as connection:
        complete = complete_when_alone(connection, found.project, found.annotator_id)
    if not complete:
        return
    with st.container(border=True, horizontal=True, vertical_alignment="center", key="own_work"):
        st.markdown(
            "You are the only annotator of this project, so nobody else can check your tiles. You may approve them "
            "yourself; figures for their quality need a second person.",
            width="stretch",
        )
        if st.button(f"Approve all {complete:,} complete tiles", key="approve_all_own"):
            act(found, approved, lambda connection: approve_all_own(connection, found.project, found.annotator_id))


def pick_sample(samples: list[SampleView]) -> SampleView | None:
    """The spot check whose results to show; None for all of them."""
    by_id = {each.id: each for each in samples}
    names = {
        each.id: f"{each.created_at:%Y-%m-%d %H:%M} · {each.reviewer} · {each.finished} of {each.total} tiles"
        for each in samples
    }
    names[EVERYTHING] = "All spot checks"
    picked = st.selectbox("Results of", list(names), format_func=lambda each: names[each], key="results_of", width=420)
    return by_id.get(picked)


def show_results(results: Results) -> None:
    """Figures by annotator and class, with intervals."""
    overall = results.overall
    with st.container(horizontal=True, key="figures"):
        st.metric("Tiles looked at", f"{overall.tiles:,}", border=True)
        st.metric("Errors", overall.errors.text().split(" (")[0], border=True, help=overall.errors.text())
        st.metric("Missed", overall.missed.text().split(" (")[0], border=True, help=overall.missed.text())
        st.metric("Kappa", f"{overall.kappa.value:.2f}" if overall.kappa.value is not None else "–", border=True)
        st.metric("Overlap", overall.overlap.text(percent=False).split(" (")[0], border=True)
    by = st.segmented_control(
        "By", ["Annotator", "Class", "Both"], default="Annotator", required=True, key="results_by"
    )
    chosen = {"Annotator": results.by_annotator, "Class": results.by_class}.get(str(by), results.by_both)
    rows = [
        {
            "name": name_of(each),
            "value": each.errors.value,
            "low": each.errors.low,
            "high": each.errors.high,
            "n": each.errors.scored,
        }
        for each in chosen
        if each.errors.value is not None
    ]
    if rows:
        st.altair_chart(intervals(rows, "error rate"), key="error_rates", alt="Error rates with their intervals")
    st.dataframe([scores_row(each) for each in (*chosen, overall)], hide_index=True, key="results_table")
    st.caption(
        "Errors: predicted features on which the reviewer says otherwise. Missed: of what is there, what nobody kept "
        "or drew. Overlap: IoU of polygons, shared length of lines, closeness of points. All are estimates for the "
        "tiles that the spot check stands for: strata weigh by how many tiles they have. Intervals hold with 95 % "
        "confidence and take tiles, not features, as what was drawn."
    )
    if results.uncovered:
        st.caption(f"{results.uncovered:,} tiles lie in strata of which none was looked at: nothing is known of them.")
    if results.reviewers > 1:
        st.caption(f"Krippendorff's alpha over {results.reviewers} reviewers: {results.alpha.text(percent=False)}.")


def name_of(scores: Scores) -> str:
    """Whose figures they are."""
    return " · ".join(each for each in (scores.annotator, scores.class_name) if each) or "all"


def scores_row(scores: Scores) -> dict[str, Any]:
    """Figures as a row of the table, each with its interval and number."""
    return {
        "of": name_of(scores),
        "tiles": scores.tiles,
        "errors": scores.errors.text(),
        "missed": scores.missed.text(),
        "kappa": scores.kappa.text(percent=False),
        "overlap": scores.overlap.text(percent=False),
        "only the annotator drew": scores.only_annotator,
    }


def show_acceptance(found: Context, sample: SampleView) -> None:
    """Approve what a spot check of one's own stands for."""
    with found.database.read() as connection:
        audits = audits_of(connection, sample.id)
    people = {each.annotator_id: each.annotator for each in audits}
    left = {each.annotator_id for each in audits if each.finished_at is None}
    ready = [each for each in people if each not in left]
    whom = st.session_state.get("approve_whom", ready[0] if ready else None)
    with found.database.read() as connection:
        ground = ground_of_approval(connection, found.project, sample.id)
        of_person = ground_of_approval(connection, found.project, sample.id, whom if whom in ready else None)
    st.caption(plain(of_person.text() if whom in ready else ground.text()))
    objections = dict.fromkeys(each.asks() for each in ((of_person, ground) if whom in ready else (ground,)))
    confirmed = False
    if any(objections):
        for each in filter(None, objections):
            st.warning(plain(each), icon=":material/warning:")
        confirmed = st.checkbox("Approve all the same", key="approve_confirmed")
    with st.container(horizontal=True, vertical_alignment="bottom", key="acceptance"):
        looked_at = f"{sample.finished} tiles" if sample.finished != 1 else "tile"
        held_back = bool(ground.objections) and not confirmed
        if st.button(f"Approve the {looked_at} looked at", key="approve_sample", disabled=held_back):
            act(
                found,
                approved,
                lambda connection: approve_sample(
                    connection, found.project, sample.id, found.annotator_id, confirmed=confirmed
                ),
            )
        if ready:
            whom = st.selectbox(
                "Everything the sample stands for, of",
                ready,
                format_func=lambda each: people[each],
                key="approve_whom",
                width=260,
            )
            held_back = bool(of_person.objections) and not confirmed
            if st.button("Approve all of it", key="approve_annotator", disabled=held_back):
                act(
                    found,
                    approved,
                    lambda connection: approve_annotator(
                        connection, found.project, sample.id, whom, found.annotator_id, confirmed=confirmed
                    ),
                )


def show_audited(found: Context, audits: Iterable[AuditComparison]) -> None:
    """The tiles looked at, worst first: what was found, and what is to come of it."""
    by_id = {each.audit_id: each for each in sorted(audits, key=lambda each: -len(each.disagreements))}
    st.subheader("Tiles looked at", anchor=False)
    picked = st.selectbox(
        "Tile",
        list(by_id),
        format_func=lambda each: tile_name(by_id[each]),
        key="audited_tile",
        width=420,
    )
    audit = by_id[picked]
    if audit.disagreements:
        rows = [finding_row(found, each) for each in audit.disagreements]
        st.dataframe(
            rows,
            hide_index=True,
            key="disagreements",
            placeholder="–",
            column_config=dict.fromkeys(("longitude", "latitude"), st.column_config.NumberColumn(format="%.6f")),
        )
    else:
        st.caption("Nothing to find fault with.")
    if st.button("Open in review", icon=":material/open_in_new:", key="open_tile"):
        open_page("review", found.project.name, tile=str(audit.address))
    if audit.tile_status in ("complete", "approved"):
        show_verdict(found, audit)


def tile_name(audit: AuditComparison) -> str:
    """A tile in the list."""
    count = len(audit.disagreements)
    errors = "no errors" if not count else "1 error" if count == 1 else f"{count} errors"
    return f"{audit.address} · {audit.annotator} · {errors} · {audit.tile_status}"


def finding_row(found: Context, feature: FeatureComparison) -> dict[str, Any]:
    """One disagreement as a row: what, of which class, where."""
    place = feature.geometry.representative_point()
    return {
        "what": FINDINGS[feature.finding],
        "class": found.project.class_with_id(feature.class_id).name,
        "longitude": round(place.x, 6),
        "latitude": round(place.y, 6),
        "overlap": feature.overlap,
    }


def show_verdict(found: Context, audit: AuditComparison) -> None:
    """Return a tile with a comment, or approve it."""
    rests_on = audit.audit_id if audit.reviewer_id == found.annotator_id else None
    comment = st.text_area(
        "What should be looked at again?", key=f"comment_{audit.audit_id}", max_chars=2000, height=80
    )
    with st.container(horizontal=True):
        if st.button("Return", icon=":material/undo:", key="return_tile", disabled=not comment.strip()):
            act(
                found,
                f"Tile {audit.address} goes back to {audit.annotator}, first in the queue.",
                lambda connection: return_tile(
                    connection, found.project, audit.address, found.annotator_id, comment, audit_id=rests_on
                ),
            )
        if audit.tile_status == "complete" and st.button("Approve", icon=":material/check:", key="approve_tile"):
            act(
                found,
                f"Tile {audit.address} is approved.",
                lambda connection: approve_tile(
                    connection, found.project, audit.address, found.annotator_id, audit_id=rests_on
                ),
            )


def show_findings(found: Context, samples: list[SampleView]) -> None:
    """What was found by the spot check picked, or all of them."""
    st.subheader("Results", anchor=False)
    begun = [each for each in samples if each.finished]
    if not begun:
        st.caption("Nothing has been looked at yet: agreement, errors and missed features appear with the first tile.")
        return
    sample = pick_sample(begun)
    with found.database.read() as connection:
        results = results_of(connection, found.project, sample.id if sample else None)
    show_results(results)
    if sample and sample.reviewer_id == found.annotator_id:
        show_acceptance(found, sample)
    show_audited(found, results.audits)


found = context()
heading("Quality", found)
show_notice()
with found.database.read() as connection:
    samples = list_samples(connection, found.project)
show_spot_check(found, samples)
show_own_work(found)
show_findings(found, samples)
show_random_share(found)
