"""Where a model's pictures go, and the tiles that may not go there."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Connection, select

from db.bulk import in_lists
from db.models import Tile as TileRow
from maploop.imagery.sharing import imagery_that_stays, is_own_server, reason_to_stay
from maploop.imagery.tilemath import Tile
from maploop.predict.chat.parameters import ChatParameters
from maploop.project import ProjectView


def server_of(backend: str, parameters: Mapping[str, Any]) -> str:
    """Return host and port of the server that a model is asked at; empty for one that runs in this process."""
    return urlsplit(ChatParameters.of(parameters).base_url).netloc if backend == "chat" else ""


def is_sent_away(backend: str, parameters: Mapping[str, Any]) -> bool:
    """Return whether pictures go to a server of another party."""
    return backend == "chat" and not is_own_server(ChatParameters.of(parameters).base_url)


def imagery_that_stays_here(
    connection: Connection, project: ProjectView, backend: str, parameters: Mapping[str, Any]
) -> dict[int, str]:
    """Return id and public name of each imagery that a model may not be shown; empty where nothing leaves."""
    return imagery_that_stays(connection, project.id) if is_sent_away(backend, parameters) else {}


def tiles_that_stay(
    connection: Connection, tiles: Mapping[int, Tile], stays: Mapping[int, str]
) -> dict[str, dict[int, Tile]]:
    """Return those of some tiles, by row id, whose imagery `stays`: by the reason, in the order given."""
    if not stays:
        return {}
    found: dict[int, int] = {}
    for ids in in_lists(list(tiles)):
        rows = connection.execute(
            select(TileRow.id, TileRow.imagery_id).where(TileRow.id.in_(ids), TileRow.imagery_id.in_(list(stays)))
        )
        found.update((row.id, row.imagery_id) for row in rows)
    reasons: dict[str, dict[int, Tile]] = {}
    for key, tile in tiles.items():
        if key in found:
            reasons.setdefault(reason_to_stay(stays[found[key]]), {})[key] = tile
    return reasons


def names_of(tiles: Mapping[str, Mapping[int, Tile]]) -> dict[str, list[str]]:
    """Return tiles by reason as `z/x/y` texts."""
    return {reason: [str(tile) for tile in found.values()] for reason, found in tiles.items()}
