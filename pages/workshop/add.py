"""Adding a model that is there already: a chat model at a server that speaks OpenAI's API, or one of the hub."""

from typing import Any, Final

import streamlit as st

from maploop.contract import DIALECTS
from maploop.errors import MaploopError
from maploop.predict.chat.parameters import OPENAI, OPENAI_KEY, ChatParameters
from maploop.predict.registry import add_checked_model
from pages.acts import show_error
from pages.common import Context
from pages.workshop.add_hub import ask_hub_model
from pages.workshop.asking import show_key
from pages.workshop.words import Way, say_next

SERVERS: Final = {
    "OpenAI": OPENAI,
    "Azure": "https://RESOURCE.openai.azure.com/openai/v1",
    "Together": "https://api.together.xyz/v1",
    "Fireworks": "https://api.fireworks.ai/inference/v1",
    "vLLM on this machine": "http://localhost:8000/v1",
    "Ollama on this machine": "http://localhost:11434/v1",
    "llama-server on this machine": "http://localhost:8080/v1",
}
CHAT, HUB = "Chat model at a server", "Of the Hugging Face hub, or a folder"
AS_PROJECT = "as the project says"
SERVER_CHOOSES = "the server's own"
USUAL: Final = ChatParameters()


def show_add(found: Context) -> None:
    """The forms of models that are there already."""
    with st.expander("Add a model", icon=":material/add:", key="add_model"):
        kind = st.segmented_control("Kind", [CHAT, HUB], default=CHAT, required=True, key="add_kind")
        if kind == CHAT:
            ask_chat_model(found)
        else:
            ask_hub_model(found)


def ask_chat_model(found: Context) -> None:
    """The form of a chat model."""
    with st.container(key="add_chat"):
        server = st.selectbox("Server", [*SERVERS, "another"], key="add_server", width=420)
        known = SERVERS.get(server, "")
        with st.container(horizontal=True):
            url = st.text_input("Address of its routes", known, key=f"add_url_{server}", placeholder="https://host/v1")
            usual_key = OPENAI_KEY if server == "OpenAI" else ""
            key = st.text_input(
                "Name of its key",
                usual_key,
                key=f"add_key_{server}",
                placeholder="none",
                help="The variable or secret that holds the key. The key itself is never asked for, shown or kept.",
            ).strip()
        show_key(key, url)
        with st.container(horizontal=True):
            identifier = st.text_input("The server's id of the model", key="add_identifier", placeholder="gpt-6-luna")
            name = st.text_input("Name here", key="add_name", placeholder="as the server calls it")
        dialect = st.selectbox(
            "How it writes coordinates",
            [AS_PROJECT, *DIALECTS],
            key="add_dialect",
            width=420,
            help=f"The project says {found.project.settings.dialect}. Every family of models has a dialect of its own.",
        )
        with st.popover("More", key="add_more"):
            more = ask_more()
        if st.button("Add", type="primary", icon=":material/add:", disabled=not identifier.strip(), key="add"):
            values = {"base_url": url, "key": key or None, **more}
            if dialect != AS_PROJECT:
                values["dialect"] = dialect
            add(found, name.strip() or identifier.strip(), identifier.strip(), values)


def ask_more() -> dict[str, Any]:
    """What mostly stays as it is."""
    structured = st.selectbox(
        "Structured answers",
        ["auto", "strict", "plain"],
        key="add_structured",
        help="auto asks for a strict schema, and for plain text where the server has no such thing.",
    )
    max_tokens = st.number_input("Tokens of an answer, at most", 16, 1_000_000, USUAL.max_tokens, key="add_max_tokens")
    temperature = st.number_input("Temperature", 0.0, 2.0, USUAL.temperature, 0.1, key="add_temperature")
    effort = st.selectbox("Reasoning", [SERVER_CHOOSES, "none", "minimal", "low", "medium", "high"], key="add_effort")
    timeout = st.number_input("Seconds for one attempt", 1.0, 3600.0, USUAL.timeout, 10.0, "%.0f", key="add_timeout")
    priced_as = st.text_input("Name in the price table", key="add_priced_as", placeholder="as the server calls it")
    return {
        "structured": structured,
        "max_tokens": max_tokens,
        "temperature": temperature,
        "reasoning_effort": None if effort == SERVER_CHOOSES else effort,
        "timeout": timeout,
        "priced_as": priced_as.strip() or None,
    }


def add(found: Context, name: str, identifier: str, values: dict[str, Any]) -> None:
    """Add the model, and lead on to asking it."""
    try:
        model = add_checked_model(found.database, found.project, name, "chat", identifier, values)
    except MaploopError as error:
        show_error(error)
        return
    say_next(f"{model.name} is added.", Way("Predict with it", part="Predict", values={"model": model.name}))
    st.rerun()
