"""Short-lived signed tokens bound to a user and a project: without one, no pixels and no decisions."""

import os
import secrets
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from itsdangerous import BadSignature, URLSafeTimedSerializer

from maploop.errors import AccessError
from maploop.settings import get_settings

LIFETIME_SECONDS = 3600


@dataclass(frozen=True)
class Grant:
    """Who may work on what."""

    annotator_id: int
    project_id: int


@lru_cache(maxsize=4)
def _serializer(folder: Path) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(_signing_key(folder), salt="maploop.grant")


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


def issue_token(grant: Grant, folder: Path | None = None) -> str:
    """A URL-safe token for `LIFETIME_SECONDS`, signed with the key in `folder` (the data folder unless told)."""
    return _serializer(folder.resolve() if folder else get_settings().data_folder).dumps(
        [grant.annotator_id, grant.project_id]
    )


def read_token(token: str) -> Grant:
    """The grant a token stands for. Raises AccessError when it is forged, damaged or expired."""
    try:
        grant, issued_at = _signed(get_settings().data_folder, token)
    except BadSignature as error:
        msg = "This page has no access: open it from Maploop."
        raise AccessError(msg) from error
    if time.time() - issued_at > LIFETIME_SECONDS:
        msg = "This page's access has expired: reload it."
        raise AccessError(msg)
    return grant


@lru_cache(maxsize=1024)
def _signed(folder: Path, token: str) -> tuple[Grant, float]:
    """Grant and time of a token whose signature holds: every decision of an hour comes with the same one."""
    (annotator_id, project_id), issued_at = _serializer(folder).loads(token, return_timestamp=True)
    return Grant(annotator_id=annotator_id, project_id=project_id), issued_at.timestamp()
