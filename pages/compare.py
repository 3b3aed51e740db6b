"""Compare: is the tuned model worth it? In quality, on the map, in money; and which model runs from now on."""

import streamlit as st

from maploop.compare.evaluations import test_split_use
from maploop.compare.money import Economy
from maploop.compare.sidebyside import Comparison
from maploop.compare.spending import Speeds
from maploop.compare.verdict import truth_notes
from maploop.compare.wording import counted
from maploop.errors import InputError, MaploopError
from maploop.imagery.tilemath import Tile, parse_tile
from maploop.predict.blind import blind_tiles, make_blind
from maploop.predict.history import RunView, list_runs
from maploop.predict.models import ModelView, list_models
from pages.acts import act, show_notice
from pages.common import Context, context, heading
from pages.comparing.ground import show_ground
from pages.comparing.making import Made, Wish, compared
from pages.comparing.money import economy_of, measured, show_money
from pages.comparing.promotion import show_promotion
from pages.comparing.quality import show_quality
from pages.comparing.rounds import show_rounds
from pages.comparing.taking import show_report
from pages.comparing.thresholds import show_thresholds
from pages.links import open_page, plain

SPLITS = {"test": "Test split", "validation": "Validation split", "train": "Train split", "": "Tiles of my choice"}
VIEWS = ("Quality", "Map", "Money", "Thresholds", "Promotion", "Rounds", "Report")
MOST_MODELS = 6


def show_nothing(found: Context) -> None:
    """What to do when there is no model."""
    st.info(
        "There is no model yet. Import a file of predictions, or predict with a model: then they are compared here on "
        "tiles that people have finished.",
        icon=":material/compare_arrows:",
    )
    if st.button("Import predictions", key="go_import", icon=":material/upload_file:"):
        open_page("import", found.project.name)


def offered(models: list[ModelView], runs: list[RunView]) -> list[str]:
    """Models by name; and the newest run of each question that was put to a model, where there were several."""
    names = []
    for model in models:
        newest: dict[str, int] = {}
        for run in runs:
            if run.model == model.name and run.tiles:
                newest.setdefault(run.prompt_hash, run.id)
        names += [model.name, *(f"{model.name}@{each}" for each in sorted(newest.values()) if len(newest) > 1)]
    return names


def ask_wish(names: list[str]) -> Wish:
    """Which models or runs, and on which tiles. Raises InputError."""
    asked = st.session_state.get("models") or st.query_params.get_all("model")
    known = list(dict.fromkeys(each for each in asked if each in names))[:MOST_MODELS]
    usual = [name for name in names if "@" not in name] or names
    st.session_state["models"] = known or [usual[0], *usual[1:][-1:]]
    with st.container(horizontal=True, vertical_alignment="bottom", key="compare_wish"):
        picked = st.multiselect(
            "Models, the first is what others are compared with",
            names,
            max_selections=MOST_MODELS,
            key="models",
        )
        split = str(
            st.selectbox(
                "Tiles", list(SPLITS), format_func=SPLITS.__getitem__, key="split", width=220, persist_state="page"
            )
        )
    st.query_params["model"] = picked
    tiles: list[Tile] = []
    if not split:
        text = st.text_area("Addresses of finished tiles, z/x/y", key="tiles", persist_state="page", height=80)
        tiles = [parse_tile(each) for each in text.replace(",", " ").split()]
        if not tiles:
            msg = "Name finished tiles to compare on, for example 19/262144/262143."
            raise InputError(msg)
    cut = st.checkbox(
        "Count each model's predictions from its best score on",
        value=True,
        key="cut_scores",
        persist_state="page",
        help="Chosen on the validation split, never on the tiles compared, and what the model is promoted with; models "
        "without one count whole.",
    )
    return Wish(tuple(picked), split, tuple(tiles), cut)


def show_basis(found: Context, comparison: Comparison) -> None:
    """What is compared, on how much, and how worn the test split is."""
    tiles = f"{len(comparison.tiles):,} finished tiles" if len(comparison.tiles) != 1 else "1 finished tile"
    says = f"{tiles} in {counted(comparison.blocks, 'block')}, {comparison.km2:,.3g} km², "
    says += f"{counted(len(comparison.truth), 'true feature')}."
    if comparison.split == "test":
        with found.database.read() as connection:
            says += f" {test_split_use(connection, found.project).text}"
    elif comparison.split == "train":
        says += " Models may have learned from these tiles: figures flatter them."
    st.caption(plain(says))
    st.caption(plain(" ".join(truth_notes(comparison))))


def show_blind_tiles(found: Context) -> None:
    """How many test tiles are annotated without predictions shown, and making more of them so."""
    with found.database.read() as connection:
        now = blind_tiles(connection, found.project)
    with st.expander("Blind test tiles", key="blind_tiles", icon=":material/visibility_off:"), st.form("blind_form"):
        st.markdown(
            "Truth made by reviewing predictions favours the model that made them. On a blind test tile people draw "
            "what they see and no prediction is shown; a tile that is blind stays so. " + plain(now.text())
        )
        wanted = st.number_input("Blind test tiles in all", now.blind, max(now.test, now.blind), now.blind, key="blind")
        if st.form_submit_button("Make blind", key="make_blind"):
            act(
                found,
                lambda after: after.text(),
                lambda connection: make_blind(connection, found.project, int(wanted)),
            )


def show_compared(found: Context, made: Made, speeds: Speeds, economy: Economy, view: str) -> None:
    """The part of the page that needs a comparison."""
    if view == "Quality":
        show_quality(made.comparison)
    elif view == "Map":
        show_ground(found, made.comparison)
    elif view == "Money":
        show_money(made.comparison, speeds, economy)
    else:
        show_report(found, made.comparison, made.evaluation_ids, economy)


def show(found: Context, models: list[ModelView], runs: list[RunView]) -> None:
    """The whole page, where there are models."""
    trouble = ""
    try:
        made = compared(found, ask_wish(offered(models, runs)))
        usual = measured(found, made.comparison)
        economy = economy_of(made.comparison, usual)
    except MaploopError as error:
        trouble = str(error)
    else:
        show_basis(found, made.comparison)
        st.info(plain(economy.verdict), icon=":material/balance:")
    show_blind_tiles(found)
    names = [each.name for each in models]
    for name, tab in zip(VIEWS, st.tabs(VIEWS, key="view", on_change="rerun", bind="query-params"), strict=True):
        if not tab.open:
            continue
        with tab:
            if name == "Thresholds":
                show_thresholds(found, names)
            elif name == "Promotion":
                show_promotion(found, names, economy.assumptions if not trouble else measured(found))
            elif name == "Rounds":
                show_rounds(found)
            elif trouble:
                show_trouble(found, trouble)
            else:
                show_compared(found, made, usual.speeds, economy, name)


def show_trouble(found: Context, trouble: str) -> None:
    """Why there is nothing to compare, and the way on."""
    st.info(plain(trouble), icon=":material/hourglass_empty:")
    if st.button("Review tiles", key="go_review", icon=":material/fact_check:"):
        open_page("review", found.project.name)


found = context()
heading("Compare", found)
show_notice()
with found.database.read() as connection:
    models, runs = list_models(connection, found.project), list_runs(connection, found.project)
if models:
    show(found, models, runs)
else:
    show_nothing(found)
