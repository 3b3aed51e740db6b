"""The record of imports on the import page, and taking one back."""

import streamlit as st

from maploop.errors import MaploopError
from maploop.import_records import ImportView, list_imports
from maploop.review.undo_import import preview_undo, undo_import, undo_sentence
from pages.acts import Notice, act_outside, show_error
from pages.common import Context
from pages.links import plain

_ASKED = "undo_asked"


def show_imports(found: Context) -> None:
    """What was imported, by whom, and the button that takes an import back as a whole."""
    with found.database.read() as connection:
        imports = list_imports(connection, found.project)
    if not imports:
        st.caption("Nothing was imported yet.")
        return
    st.dataframe([_row(each) for each in imports], hide_index=True, key="imports", placeholder="–")
    standing = {str(each.id): each for each in imports if each.undone_at is None}
    if not standing:
        return
    st.subheader("Take an import back", anchor=False)
    st.caption("What it brought goes, what people decided stays. It is on record who took it back, and when.")
    chosen = st.selectbox("Import", list(standing), key="undo_import", format_func=lambda each: _name(standing[each]))
    if st.button("Say what would go", key="preview_undo"):
        try:
            st.session_state[_ASKED] = preview_undo(found.database, found.project, chosen, found.annotator)
        except MaploopError as error:
            show_error(error)
            return
    asked = st.session_state.get(_ASKED)
    if asked is None or asked["import"] != chosen:
        return
    st.warning(plain(undo_sentence(asked)), icon=":material/undo:")
    if st.button("Take it back", type="primary", key="confirm_undo"):
        del st.session_state[_ASKED]
        act_outside(
            lambda answer: Notice(f"Import {answer['import']} was taken back: {undo_sentence(answer)}"),
            lambda: undo_import(found.database, found.project, chosen, found.annotator),
        )


def _name(each: ImportView) -> str:
    return f"{each.id}: {each.kind} {each.source}, {each.made_at:%Y-%m-%d %H:%M}"


def _row(each: ImportView) -> dict[str, object]:
    return {
        "id": each.id,
        "what": each.kind,
        "from": each.source,
        "by": each.annotator,
        "at": each.made_at,
        "taken back by": each.undone_by,
        "taken back at": each.undone_at,
    }
