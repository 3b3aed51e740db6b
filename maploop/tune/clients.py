"""Clients of servers that train, with their keys."""

import openai

from maploop.keys import key_for
from maploop.predict.chat.parameters import ChatParameters
from maploop.predict.chat.server import plain_client

_SECONDS = 60.0
_NO_KEY = "none"  # the SDK wants one; servers without keys do not look


def client_of(parameters: ChatParameters) -> openai.OpenAI:
    """A client of the server that a model lies at. Raises InputError when the key may not go there or is not set."""
    key = key_for(parameters.key, parameters.base_url) if parameters.key else None
    return openai.OpenAI(
        api_key=key.get_secret_value() if key else _NO_KEY,
        base_url=parameters.base_url,
        timeout=_SECONDS,
        http_client=plain_client(parameters.base_url),
        max_retries=0,  # who carries a training out keeps the pace, and looks before anything is sent again
    )
