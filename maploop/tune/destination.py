"""Where training data goes, as people call it."""

from typing import Final
from urllib.parse import urlsplit

OPENAI_HOST: Final = "api.openai.com"


def host_of(base_url: str) -> str:
    """The host of a server's address; an empty address is OpenAI's."""
    return (urlsplit(base_url).hostname or base_url) if base_url else OPENAI_HOST


def destination_named(base_url: str) -> str:
    """`OpenAI (api.openai.com)`, or the host and port of another server."""
    if host_of(base_url) == OPENAI_HOST:
        return f"OpenAI ({OPENAI_HOST})"
    parts = urlsplit(base_url)
    host = parts.hostname or base_url
    try:
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        port = ""
    return f"Azure ({host})" if is_azure(base_url) else f"{host}{port}"


def is_azure(base_url: str) -> bool:
    """Whether a server is one of Azure's."""
    return host_of(base_url).endswith((".openai.azure.com", ".services.ai.azure.com", ".cognitiveservices.azure.com"))
