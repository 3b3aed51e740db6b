"""Which model runs today, what a candidate must show to take over, and who decided what."""

from typing import Any

import streamlit as st

from maploop.compare.gate import GateRule
from maploop.compare.money import Assumptions
from maploop.compare.promotion import (
    Promotion,
    Trial,
    current_model,
    go_back,
    going_back,
    promote,
    promotions,
    rule_of,
    try_candidate,
)
from maploop.errors import MaploopError
from maploop.predict.models import list_models
from maploop.project import change_settings
from maploop.report.charts import figure_name
from maploop.report.freshness import stamp_of
from maploop.report.remaking import kept_ids
from pages.acts import act
from pages.common import Context
from pages.links import plain

TRIED, TRIAL = "candidate_tried", "candidate_trial"
METRICS = ("f1", "precision", "recall", "mean_iou", "ap50", "ap")
ACTS = {"promote": "promoted", "overrule": "promoted against the rule", "return": "went back"}


def show_promotion(found: Context, names: list[str], assumptions: Assumptions) -> None:
    """Current model, rule, candidate, history; costs under the assumptions that the verdict above is made with."""
    with found.database.read() as connection:
        current = current_model(connection, found.project)
        history = promotions(connection, found.project)
        undone = going_back(connection, found.project)
    show_current(found, current.name if current else None, history[0] if history else None, undone)
    show_rule(found)
    candidates = [name for name in names if current is None or name != current.name]
    if candidates:
        show_candidate(found, candidates, current.name if current else None, assumptions)
    show_history(history)


def show_current(found: Context, current: str | None, newest: Promotion | None, undone: Promotion | None) -> None:
    """The model in charge, and the way back to the one before."""
    with st.container(border=True, horizontal=True, vertical_alignment="center", key="current_model"):
        if current is None:
            st.markdown("No model is the current one: the next to be promoted has nobody to beat.", width="stretch")
        elif newest is not None:
            st.markdown(
                f"**{plain(current)}** is the current model, since {newest.made_at:%Y-%m-%d %H:%M}, by "
                f"{plain(newest.made_by)}.",
                width="stretch",
            )
        if undone is None:
            return
        if st.button(plain(f"Go back to {undone.previous or 'no model'}"), key="go_back", icon=":material/undo:"):
            act(
                found,
                lambda done: f"{done.model or 'No model'} is the current model again.",
                lambda connection: go_back(connection, found.project, found.annotator_id),
            )


def show_rule(found: Context) -> None:
    """The project's rule, to read and to change."""
    rule = rule_of(found.project)
    st.subheader("Rule", anchor=False)
    st.markdown(plain(rule.text()))
    with st.expander("Change the rule", key="change_rule"), st.form("gate_rule", border=False):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            metric = st.selectbox(
                "Figure",
                METRICS,
                index=METRICS.index(rule.metric),
                format_func=figure_name,
                key="gate_metric",
                width=180,
            )
            margin = st.number_input("Better by at least", 0.0, 1.0, rule.margin, 0.01, key="gate_margin", width=180)
            confidence = st.number_input(
                "Confidence, %", 50.0, 99.9, 100 * rule.confidence, 1.0, key="gate_confidence", width=180
            )
            loss = st.number_input(
                "No class worse by more than", 0.0, 1.0, rule.class_loss, 0.01, key="gate_class_loss", width=220
            )
            blocks = st.number_input("Split blocks at least", 3, 1000, rule.blocks, 1, key="gate_blocks", width=180)
        if st.form_submit_button("Keep", key="keep_rule"):
            changed = GateRule(str(metric), float(margin), float(confidence) / 100, float(loss), int(blocks))
            act(
                found,
                f"The rule is: {changed.text()}",
                lambda connection: change_settings(connection, found.project, **settings_of(changed)),
            )


def settings_of(rule: GateRule) -> dict[str, Any]:
    """A rule as the project's settings keep it."""
    return {
        "promotion_metric": rule.metric,
        "promotion_margin": rule.margin,
        "promotion_confidence": rule.confidence,
        "promotion_class_loss": rule.class_loss,
        "promotion_blocks": rule.blocks,
    }


def show_candidate(found: Context, candidates: list[str], current: str | None, assumptions: Assumptions) -> None:
    """Hold a candidate to the rule, and let it take over."""
    st.subheader("Candidate", anchor=False)
    with st.container(horizontal=True, vertical_alignment="bottom", key="candidate"):
        name = str(st.selectbox("Model", candidates, index=len(candidates) - 1, key="candidate_model", width=320))
        if st.button("Hold it to the rule", key="try_candidate", icon=":material/gavel:"):
            st.session_state[TRIED] = name
    if st.session_state.get(TRIED) != name:
        st.caption("Both models are compared on the test split. Promoting counts as one use of it to choose.")
        return
    try:
        trial = tried(found, name, current, assumptions)
    except MaploopError as error:
        st.info(plain(str(error)), icon=":material/hourglass_empty:")
        return
    show_trial(found, trial)


def tried(found: Context, name: str, current: str | None, assumptions: Assumptions) -> Trial:
    """The candidate held to the rule, now or before when nothing has changed since. Raises MaploopError."""
    with found.database.read() as connection:
        names = [name, *([current] if current else [])]
        everything = [each.name for each in list_models(connection, found.project)]
        key = (name, current, assumptions, stamp_of(connection, found.project, everything or names))
        kept_key, kept = st.session_state.get(TRIAL, (None, None))
        if kept_key == key and isinstance(kept, Trial):
            return kept
        with st.spinner("Comparing"):
            trial = try_candidate(connection, found.project, name, assumptions)
    with found.database.write() as connection:  # a look at the test split, whatever follows
        kept_ids(connection, found.project, found.annotator_id, trial.comparison)
    st.session_state[TRIAL] = (key, trial)
    return trial


def show_trial(found: Context, trial: Trial) -> None:
    """What the gate says and why, and the button that follows."""
    gate = trial.gate
    show = st.success if gate.passed else st.warning
    show(plain(gate.text()), icon=":material/check_circle:" if gate.passed else ":material/block:")
    for check in gate.checks:
        st.markdown(f":material/{'check' if check.passed else 'close'}: {plain(check.text)}")
    st.caption(plain(trial.basis()))
    if trial.objections:
        st.warning(plain(trial.asks()), icon=":material/warning:")
    if gate.passed:
        sure = not trial.objections or st.checkbox("Promote it all the same", key="promote_confirmed")
        label = plain(f"Promote {gate.candidate}")
        if st.button(label, type="primary", key="promote", icon=":material/upgrade:", disabled=not sure):
            do_promote(found, trial, "", confirmed=True)
        return
    with st.form("overrule", border=True):
        reason = st.text_area("Why it should take over all the same", key="overrule_reason", max_chars=2000, height=80)
        if st.form_submit_button("Overrule", key="do_overrule", icon=":material/warning:"):
            do_promote(found, trial, reason)


def do_promote(found: Context, trial: Trial, reason: str, *, confirmed: bool = False) -> None:
    """Let the candidate take over."""
    st.session_state.pop(TRIED, None)
    act(
        found,
        lambda done: f"{done.model} is the current model.",
        lambda connection: promote(
            connection, found.project, found.annotator_id, trial, reason=reason, confirmed=confirmed
        ),
    )


def show_history(history: list[Promotion]) -> None:
    """Who took over when, by whose word."""
    if not history:
        return
    st.subheader("History", anchor=False)
    st.dataframe(
        [
            {
                "when": f"{each.made_at:%Y-%m-%d %H:%M}",
                "model": each.model or "none",
                "before": each.previous or "none",
                "act": ACTS[each.act],
                "by": each.made_by,
                "reason": each.reason,
            }
            for each in history
        ],
        hide_index=True,
        key="promotions",
    )
    with st.expander("Evidence", key="evidence"):
        shown = {f"{each.id}: {each.model}": each.evidence for each in history}
        st.json(shown, expanded=1)
