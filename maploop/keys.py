"""Keys of servers: which names may be asked for, and which server each may be sent to.

A model keeps the name of its key, and anybody at the pages may give one beside any address. So a name is either a
vendor's own, which goes to that vendor alone; or listed with its server by whoever starts Maploop (`MAPLOOP_KEYS`); or
it begins with `MAPLOOP_KEY_` and goes to servers on this machine. No other variable of the environment is ever read.
"""

import ipaddress
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from pydantic import SecretStr

from maploop.errors import InputError
from maploop.settings import key_named, listed_keys

PREFIX: Final = "MAPLOOP_KEY_"
LISTED: Final = "MAPLOOP_KEYS"
_AZURE: Final = ("*.openai.azure.com", "*.services.ai.azure.com", "*.cognitiveservices.azure.com")
VENDORS: Final[Mapping[str, Sequence[str]]] = MappingProxyType(
    {
        "OPENAI_API_KEY": ("api.openai.com", "*.api.openai.com"),
        "AZURE_OPENAI_API_KEY": _AZURE,
        "AZURE_API_KEY": _AZURE,
        "ANTHROPIC_API_KEY": ("api.anthropic.com",),
        "GEMINI_API_KEY": ("generativelanguage.googleapis.com",),
        "GOOGLE_API_KEY": ("generativelanguage.googleapis.com",),
        "MISTRAL_API_KEY": ("api.mistral.ai",),
        "TOGETHER_API_KEY": ("api.together.xyz", "api.together.ai"),
        "FIREWORKS_API_KEY": ("api.fireworks.ai",),
        "GROQ_API_KEY": ("api.groq.com",),
        "OPENROUTER_API_KEY": ("openrouter.ai",),
        "DEEPINFRA_API_KEY": ("api.deepinfra.com",),
        "NEBIUS_API_KEY": ("api.studio.nebius.com", "api.studio.nebius.ai", "api.tokenfactory.nebius.com"),
        "DASHSCOPE_API_KEY": ("dashscope.aliyuncs.com", "dashscope-intl.aliyuncs.com"),
        "XAI_API_KEY": ("api.x.ai",),
        "NVIDIA_API_KEY": ("integrate.api.nvidia.com",),
        "HF_TOKEN": ("router.huggingface.co",),  # endpoints are anybody's: list one's own
    }
)


def check_key(name: str, base_url: str) -> None:
    """Raise InputError when a key of that name may not be sent to that server, or to any."""
    where = urlsplit(base_url)
    servers = _listed().get(name, [])
    if any(_fits(pattern, where.netloc) for pattern in servers):
        return
    if name in VENDORS:
        if (
            where.scheme == "https"
            and where.port in (None, 443)
            and any(_fits(pattern, where.netloc) for pattern in VENDORS[name])
        ):
            return
        goes = f"https://{' or https://'.join([*VENDORS[name], *servers])}"
    elif servers:
        goes = " or ".join(servers)
    elif name.startswith(PREFIX):
        if _is_this_machine(where.hostname or ""):
            return
        goes = "servers on this machine"
    else:
        msg = (
            f"{name!r} is not the name of a key that Maploop may send: use a vendor's own, such as OPENAI_API_KEY, or "
            f"list it with its server before the start: {LISTED}={name}={where.netloc}."
        )
        raise InputError(msg)
    msg = (
        f"The key {name} goes to {goes} only, not to {where.scheme}://{where.netloc}: name that server's own key, or "
        f"list this one for it before the start: {LISTED}={name}={where.netloc}."
    )
    raise InputError(msg)


def key_for(name: str, base_url: str) -> SecretStr:
    """The key of that name for that server. Raises InputError when it may not be sent there, is not set or is none."""
    check_key(name, base_url)
    key = key_named(name)
    if key is None:
        msg = f"The key {name} is not set: put it into the environment or Streamlit's secrets."
        raise InputError(msg)
    if not key.get_secret_value().isascii():
        msg = f"The key in {name} is not one: it has characters that no key has. Copy it again."
        raise InputError(msg)
    return key


def secrets_to_hand_on(name: str, base_url: str) -> dict[str, str]:
    """What a process of its own needs to find the key of a server again; nothing when the key is refused or missing."""
    try:
        key = key_for(name, base_url)
    except InputError:
        return {}
    return {name: key.get_secret_value(), LISTED: listed_keys()}


def _listed() -> dict[str, list[str]]:
    """Name -> servers, of `NAME=host[:port]` with commas or spaces between; a name may come more than once."""
    found: dict[str, list[str]] = {}
    for entry in listed_keys().replace(",", " ").split():
        name, separator, server = entry.partition("=")
        if not separator or not name or not server or "/" in server:
            msg = f"{LISTED} has {entry[:80]!r}: write NAME=host or NAME=host:port, with commas between."
            raise InputError(msg)
        found.setdefault(name, []).append(server.lower())
    return found


def _fits(pattern: str, netloc: str) -> bool:
    """Whether a server is the one of a pattern: a host without a port stands for all of its ports."""
    wanted, given = urlsplit(f"//{pattern}"), urlsplit(f"//{netloc.lower()}")
    host = given.hostname or ""
    if pattern.startswith("*."):
        return host.endswith(pattern[1:])
    return host == wanted.hostname and wanted.port in (None, given.port)


def _is_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
