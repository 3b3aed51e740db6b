"""The command that `maploop serve` becomes: Streamlit with every setting spelled out, whatever the folder."""

import json
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from maploop.errors import InputError

SETTINGS = Path(__file__).parent / "streamlit.toml"
_HOST = re.compile(r"(\*\.)?[a-z0-9]([a-z0-9.-]{0,252}[a-z0-9])?", re.IGNORECASE)


def streamlit_settings() -> dict[str, Any]:
    """The app's settings for Streamlit by their dotted names: `server.address` and so on."""
    return dict(_flat(tomllib.loads(SETTINGS.read_text(encoding="utf-8"))))


def serve_command(script: Path, port: int, hosts: Iterable[str] = ()) -> list[str]:
    """The command line that serves the app on this machine; `hosts` are names a proxy reaches it by, besides.

    Raises InputError for what is no host name. Options win over Streamlit's environment variables and files.
    """
    settings = streamlit_settings()
    settings["server.port"] = port
    settings["server.allowedHosts"] = [*settings["server.allowedHosts"], *(_checked(each) for each in hosts)]
    options = [option for name, value in settings.items() for option in _options(name, value)]
    return [sys.executable, "-P", "-m", "streamlit", "run", str(script), *options]


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _options(name: str, value: object) -> list[str]:
    """Streamlit takes lists of servers one by one, those of themes as JSON."""
    if isinstance(value, list) and not name.startswith("theme."):
        return [f"--{name}={each}" for each in value]
    if isinstance(value, str | int) and not isinstance(value, bool):
        return [f"--{name}={value}"]
    return [f"--{name}={json.dumps(value)}"]


def _checked(host: str) -> str:
    if not _HOST.fullmatch(host):
        msg = f"{host[:80]!r} is not a host name: write maps.example.org, without scheme and port."
        raise InputError(msg)
    return host.lower()
