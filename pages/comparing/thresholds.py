"""Is a score worth its number, and from which score on need nobody look? Rules that accept, and taking them back."""

from collections.abc import Mapping
from functools import partial

import streamlit as st

from maploop.compare.promotion import current_model
from maploop.compare.reliability import Reliability
from maploop.compare.rounds import rounds_of
from maploop.compare.thresholds import (
    HELD_SHARE,
    Proposal,
    RuleView,
    apply_rule,
    list_rules,
    proposals,
    reliabilities,
    withdraw_rule,
)
from maploop.errors import MaploopError
from maploop.report.charts import ALL, reliability_plot, threshold_plot
from maploop.report.tables import share
from pages.acts import act
from pages.common import Context
from pages.comparing.showing import show_plot
from pages.links import plain

CONFIRMING = "confirming_rule"


def show_thresholds(found: Context, names: list[str]) -> None:
    """Reliability of one model's scores, what may be accepted by them, and the rules there are."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="threshold_inputs"):
        first = names.index(likely_model(found, names))
        model = str(st.selectbox("Scores of", names, index=first, key="threshold_model", width=320))
        wanted = st.number_input(
            "Wanted precision, %",
            50.0,
            99.9,
            98.0,
            0.5,
            "%.1f",
            key="wanted_precision",
            width=180,
            persist_state="page",
        )
        held = st.number_input(
            "Still looked at, %",
            0.0,
            50.0,
            100 * HELD_SHARE,
            1.0,
            "%.0f",
            key="held_share",
            width=170,
            persist_state="page",
            help="A random share of what a rule could accept stays in the queue: what people say of it shows drift.",
        )
    wanted, held = wanted / 100, held / 100
    try:
        with found.database.read() as connection:
            curves = reliabilities(connection, found.project, model)
            offers = proposals(connection, found.project, model, wanted, held_share=held)
    except MaploopError as error:
        st.info(plain(str(error)), icon=":material/info:")
    else:
        if not curves[None].judged:
            st.info(plain(f"Nobody has judged a prediction of {model} that has a score yet: review some first."))
        else:
            class_name = show_reliability(curves, wanted)
            show_offers(found, model, wanted, held, offers, class_name)
    show_rules(found)


def likely_model(found: Context, names: list[str]) -> str:
    """The model that runs today, or the one people reviewed last, or the newest."""
    with found.database.read() as connection:
        current = current_model(connection, found.project)
        if current is not None:
            return current.name
        rounds = rounds_of(connection, found.project)
    return rounds[-1].model if rounds else names[-1]


def show_reliability(curves: Mapping[str | None, Reliability], wanted: float) -> str | None:
    """The curve of one class, or of all, and its calibration error."""
    names = [name or ALL for name, curve in curves.items() if curve.judged]
    picked = st.segmented_control(
        "Class", names, default=names[0], required=True, format_func=plain, key="reliability_class"
    )
    class_name = None if picked == ALL else picked
    curve = curves[class_name]
    left, right = st.columns(2, gap="large")
    with left:
        show_plot(reliability_plot(curve, wanted), "reliability")
    with right:
        with st.container(horizontal=True, key="calibration"):
            st.metric("Predictions judged", f"{curve.judged:,}", border=True)
            st.metric("On tiles", f"{curve.tiles:,}", border=True)
            error = curve.calibration_error
            st.metric(
                "Calibration error",
                "–" if error.value is None else share(error.value),
                border=True,
                help=f"By how much scores promise too much or too little: {error.text()}.",
            )
        st.caption(
            "A dot stands for predictions of about the same score: how many of them people accepted unchanged, with "
            "Wilson's interval. On the diagonal a score is worth its number. The level line is the precision wanted."
        )
    return class_name


def show_offers(
    found: Context, model: str, wanted: float, held: float, offers: list[Proposal], class_name: str | None
) -> None:
    """For each class the score from which on nobody need look."""
    st.subheader("Accept without a look", anchor=False)
    st.caption(
        "Applying a rule accepts what is above the score, on tiles that nobody holds or has finished, never on test "
        "tiles. It is recorded, and can be taken back. Tiles still need their “nothing missing”."
    )
    for offer in offers:
        if class_name is not None and offer.class_name != class_name:
            continue
        with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"offer_{offer.class_name}"):
            st.markdown(f"**{plain(offer.class_name)}**: {plain(offer_text(offer))}", width="stretch")
            if offer.reach is not None and offer.reach.accepted:
                label = f"Apply to {offer.reach.accepted:,}"
                if st.button(label, key=f"apply_{offer.class_name}", icon=":material/done_all:"):
                    st.session_state[CONFIRMING] = (model, offer.class_name)
                if st.session_state.get(CONFIRMING) == (model, offer.class_name):
                    confirm_rule(found, model, offer, wanted, held)
    shown = next((each for each in offers if each.class_name == class_name), None)
    if shown is not None and shown.threshold.looks:
        show_plot(threshold_plot(shown.threshold), "threshold")
        st.caption(f"Lower bound: {shown.threshold.method}, {share(shown.threshold.confidence)}.")


def offer_text(offer: Proposal) -> str:
    """What is offered, or why nothing is."""
    found = offer.threshold
    if found.score is None:
        if found.reason:
            return f"the verdicts lie in {found.reason}: review tiles elsewhere too."
        best = max((look.lower for look in found.looks), default=None)
        if best is None:
            return "nobody has judged enough of them."
        return f"no score is sure to give {share(found.wanted)}; the best lower bound is {share(best)}."
    says = f"from {found.score:.2f} on {found.precision.text()} were right, at least {share(found.lower or 0)}"
    reach = offer.reach
    if reach is None:
        return f"{says}."
    left = "".join(f", {count:,} {reason}" for reason, count in reach.left.items() if count)
    saved = f"; about {reach.seconds_saved / 60:,.0f} minutes saved" if reach.seconds_saved >= 60 else ""
    alone = f" Left alone{left.replace(',', ':', 1)}." if left else ""
    return f"{says}; saves {reach.accepted:,} decisions, {reach.held:,} stay to be looked at{saved}.{alone}"


def stop_confirming() -> None:
    """The question was answered, or put away."""
    st.session_state.pop(CONFIRMING, None)


@st.dialog("Accept without a look?", on_dismiss=stop_confirming)
def confirm_rule(found: Context, model: str, offer: Proposal, wanted: float, held: float) -> None:
    """Say once more what is about to happen."""
    reach = offer.reach
    if reach is None:
        return
    st.markdown(
        f"{reach.accepted:,} predictions of class **{plain(offer.class_name)}** by **{plain(model)}** with a score of "
        f"at least {offer.threshold.score or 0:.2f} are accepted in your name. You can take the rule back."
    )
    if st.button("Apply", type="primary", key="confirm_apply"):
        stop_confirming()
        act(
            found,
            lambda rule: f"{rule.accepted:,} predictions are accepted; {rule.held:,} stay to be looked at.",
            lambda connection: apply_rule(
                connection, found.project, found.annotator_id, model, offer.class_name, wanted, held_share=held
            ),
        )


def show_rules(found: Context) -> None:
    """Rules that were applied, and what came of them since."""
    with found.database.read() as connection:
        rules = list_rules(connection, found.project)
    if not rules:
        return
    st.subheader("Rules", anchor=False)
    for rule in rules:
        with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"rule_{rule.id}"):
            with st.container():
                st.markdown(plain(rule_text(rule)))
                if rule.drift.drifted and rule.withdrawn_at is None:
                    st.warning(plain(rule.drift.text), icon=":material/trending_down:")
                else:
                    st.caption(plain(rule.drift.text))
            if rule.withdrawn_at is None and st.button("Withdraw", key=f"withdraw_{rule.id}", icon=":material/undo:"):
                act(
                    found,
                    lambda count: f"The rule is taken back: {count:,} decisions are undone.",
                    partial(withdraw_rule, project=found.project, annotator_id=found.annotator_id, rule_id=rule.id),
                )


def rule_text(rule: RuleView) -> str:
    """A rule in a sentence."""
    says = (
        f"{rule.class_name} of {rule.model} from {rule.score:.2f} on, wanted {share(rule.wanted)}: {rule.accepted:,} "
        f"accepted, {rule.standing:,} still stand, {rule.held:,} kept to be looked at. "
        f"{rule.applied_by}, {rule.applied_at:%Y-%m-%d %H:%M}."
    )
    if rule.withdrawn_at is not None:
        says += f" Withdrawn by {rule.withdrawn_by}, {rule.withdrawn_at:%Y-%m-%d %H:%M}."
    return says
