"""Security headers of every answer: nothing is loaded from, sent to or framed by another place."""

import base64
import hashlib
import re
from collections.abc import Iterable

COMPONENTS = "/component/"
_INLINE = re.compile(r"<script>(.*?)</script>", re.DOTALL)
_COMMON = {
    "default-src": "'self'",
    "style-src": "'self' 'unsafe-inline'",  # Streamlit and Leaflet write styles into elements
    "img-src": "'self' data: blob:",
    "media-src": "'self' data: blob:",
    "font-src": "'self' data:",
    "connect-src": "'self'",
    "worker-src": "'self' blob:",
    "object-src": "'none'",
    "base-uri": "'self'",
    "form-action": "'self'",
    "frame-ancestors": "'self'",
}
_FIXED = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",  # addresses of tiles carry tokens
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "SAMEORIGIN",
}


def inline_scripts(document: str) -> list[str]:
    """The scripts that an HTML document holds without attributes, to be allowed by their hashes."""
    return _INLINE.findall(document)


def page_policy(scripts: Iterable[str] = ()) -> str:
    """The Content-Security-Policy of pages: scripts of the app itself, and inline those given.

    `blob:` is where Streamlit loads the scripts of its components from, WebAssembly is what it reads tables with.
    """
    hashes = (base64.b64encode(hashlib.sha256(each.encode()).digest()).decode() for each in scripts)
    allowed = " ".join(["'self'", "blob:", "'wasm-unsafe-eval'", *(f"'sha256-{each}'" for each in hashes)])
    return _policy({**_COMMON, "script-src": allowed})


def component_policy() -> str:
    """The Content-Security-Policy of streamlit-folium's frame, which runs the map's script as text."""
    return _policy({**_COMMON, "script-src": "'self' 'unsafe-inline' 'unsafe-eval'"})


def security_headers(path: str) -> dict[str, str]:
    """Headers of an answer under a path, by their lower-case names."""
    policy = component_policy() if path.startswith(COMPONENTS) else page_policy()
    return {**_FIXED, "content-security-policy": policy}


def _policy(directives: dict[str, str]) -> str:
    return "; ".join(f"{name} {value}" for name, value in directives.items())
