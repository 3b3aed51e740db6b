"""Short-lived signed tokens bound to a user and a project: without one, no pixels and no decisions."""

import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal

from itsdangerous import BadData, BadSignature, URLSafeSerializer, URLSafeTimedSerializer

from maploop.errors import AccessError
from maploop.settings import get_settings

LIFETIME_SECONDS = 3600
Scope = Literal["decide", "tiles"]
_SALTS: Final[Mapping[Scope, str]] = MappingProxyType({"decide": "maploop.grant", "tiles": "maploop.tiles"})


@dataclass(frozen=True)
class Grant:
    """Who may work on what."""

    annotator_id: int
    project_id: int


@lru_cache(maxsize=8)
def _serializer(folder: Path, scope: Scope) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(_signing_key(folder), salt=_SALTS[scope])


def _signing_key(folder: Path) -> str:
    """The installation's key: a file only its owner may read, made at first use, never in the database."""
    path = folder / "signing.key"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = folder / f"signing.key.{os.getpid()}-{secrets.token_hex(4)}"
    if not path.exists():
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(48), encoding="ascii")
        try:
            os.link(draft, path)  # fails when another process was faster, whose key then holds
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text(encoding="ascii")


def issue_token(grant: Grant, folder: Path | None = None, *, scope: Scope = "decide") -> str:
    """A URL-safe token for `LIFETIME_SECONDS`, signed with the key in `folder` (the data folder unless told).

    One of the scope `tiles` reads pixels and nothing else: it stands in addresses, which end up in logs and histories.
    """
    return _serializer(folder.resolve() if folder else get_settings().data_folder, scope).dumps(
        [grant.annotator_id, grant.project_id]
    )


def read_token(token: str, scope: Scope = "decide") -> Grant:
    """The grant a token stands for; one that may decide may read tiles as well.

    Raises AccessError when it is forged, damaged, expired or not good for the scope.
    """
    try:
        grant, issued_at = _signed_for(scope, token)
    except BadSignature as error:
        msg = "This page has no access: open it from Maploop."
        raise AccessError(msg) from error
    if time.time() - issued_at > LIFETIME_SECONDS:
        msg = "This page's access has expired: reload it."
        raise AccessError(msg)
    return grant


def _signed_for(scope: Scope, token: str) -> tuple[Grant, float]:
    folder = get_settings().data_folder
    try:
        return _signed(folder, scope, token)
    except BadSignature:
        if scope == "decide":
            raise
        return _signed(folder, "decide", token)


@lru_cache(maxsize=1024)
def _signed(folder: Path, scope: Scope, token: str) -> tuple[Grant, float]:
    """Grant and time of a token whose signature holds: every decision of an hour comes with the same one."""
    (annotator_id, project_id), issued_at = _serializer(folder, scope).loads(token, return_timestamp=True)
    return Grant(annotator_id=annotator_id, project_id=project_id), issued_at.timestamp()


def seal_receipt(name: str) -> str:
    """The name of an upload, signed: a page that holds it may read that file."""
    return URLSafeSerializer(_signing_key(get_settings().data_folder), salt="maploop.upload").dumps(name)


def open_receipt(receipt: bytes) -> str | None:
    """The name that a receipt of this installation was sealed for; None for anything else."""
    try:
        name = URLSafeSerializer(_signing_key(get_settings().data_folder), salt="maploop.upload").loads(receipt)
    except BadData:
        return None
    return str(name)
