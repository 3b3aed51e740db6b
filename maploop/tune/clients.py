"""Clients of servers that train, with their keys."""

import openai
from pydantic import SecretStr

from maploop.errors import InputError
from maploop.predict.chat.parameters import ChatParameters
from maploop.settings import key_named

_SECONDS = 60.0
_NO_KEY = "none"  # the SDK wants one; servers without keys do not look


def client_of(parameters: ChatParameters) -> openai.OpenAI:
    """A client of the server that a model lies at. Raises InputError naming the key that is not set."""
    key: SecretStr | None = None
    if parameters.key:
        key = key_named(parameters.key)
        if key is None:
            msg = f"The key {parameters.key} is not set: put it into the environment or Streamlit's secrets."
            raise InputError(msg)
    return openai.OpenAI(
        api_key=key.get_secret_value() if key else _NO_KEY,
        base_url=parameters.base_url,
        timeout=_SECONDS,
        max_retries=0,  # who carries a training out keeps the pace, and looks before anything is sent again
    )
