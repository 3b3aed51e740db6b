"""Blind test tiles: people annotate them without any prediction shown, so that their truth favours no model.

Whoever reviews predictions agrees with a good part of what is only nearly right, and overlooks what the model did;
truth made so favours that model. On a blind tile the features that models predicted are held out: stored for
evaluation, withdrawn from review. People draw what they see, and a finished blind tile holds nothing undecided. A tile
that is blind stays so.
"""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, exists, func, select, update

from db.bulk import in_lists, lock_project
from db.conditions import on_blind_tile
from db.models import Claim, Decision, Feature, Tile, TileFeature
from db.types import utc_now
from maploop.dataset.blocks import blocks_of
from maploop.errors import ConflictError, InputError
from maploop.imagery.tilemath import Tile as TileAddress
from maploop.predict.placing import places_of
from maploop.predict.uncertainty import refresh_uncertainty
from maploop.predict.withdrawal import withdraw
from maploop.project import ProjectView

_FINISHED = ("complete", "approved")


@dataclass(frozen=True)
class BlindTiles:
    """Test tiles of a project: `blind` of them are annotated without predictions, `finished` of these so far."""

    test: int
    blind: int
    finished: int

    def text(self) -> str:
        """In a sentence."""
        return f"{self.blind:,} of {self.test:,} test tiles are blind, {self.finished:,} of these are finished."

    def to_json(self) -> dict[str, Any]:
        """As the CLI prints it."""
        return {"test": self.test, "blind": self.blind, "finished": self.finished}


def blind_tiles(connection: Connection, project: ProjectView) -> BlindTiles:
    """Count the blind tiles of a project."""
    rows = connection.execute(
        select(Tile.blind, Tile.status, func.count())
        .where(Tile.project_id == project.id, Tile.split == "test", Tile.z == project.zoom)
        .group_by(Tile.blind, Tile.status)
    ).all()
    return BlindTiles(
        sum(count for _, _, count in rows),
        sum(count for blind, _, count in rows if blind),
        sum(count for blind, status, count in rows if blind and status in _FINISHED),
    )


def make_blind(connection: Connection, project: ProjectView, count: int) -> BlindTiles:
    """Make `count` test tiles blind in all, block by block in turn; needs a write transaction.

    Taken are open tiles with imagery that nobody holds and on which nobody has decided anything. Raises InputError for
    a count below what is blind already, as that cannot be taken back, ConflictError when there are too few such tiles.
    """
    lock_project(connection, project.id)
    before = blind_tiles(connection, project)
    if count < before.blind:
        msg = f"{before.blind:,} test tiles are blind already, and stay so: name that number or more, not {count:,}."
        raise InputError(msg)
    wanted = count - before.blind
    chosen = _candidates(connection, project)[:wanted]
    if len(chosen) < wanted:
        msg = (
            f"{before.blind + len(chosen):,} test tiles can be blind at most, not {count:,}: the others are finished, "
            "held by somebody, without imagery, or somebody has decided something on them."
        )
        raise ConflictError(msg)
    for some in in_lists(chosen):
        connection.execute(update(Tile).where(Tile.id.in_(some)).values(blind=True))
        shown = connection.execute(
            select(TileFeature.feature_id).where(TileFeature.tile_id.in_(some)).distinct()
        ).scalars()
        hold_out(connection, list(shown))
    return blind_tiles(connection, project)


def hold_out(connection: Connection, feature_ids: Collection[int]) -> int:
    """Withdraw those of some features that nobody has decided and that reach onto a blind tile -> how many."""
    held = withdraw(connection, feature_ids, on_blind_tile())
    tiles = places_of(connection, held)
    if tiles:
        (project_id,) = connection.execute(select(Tile.project_id).where(Tile.id.in_([min(tiles)]))).scalars()
        refresh_uncertainty(connection, project_id, sorted(tiles))
    return len(held)


def _candidates(connection: Connection, project: ProjectView) -> list[int]:
    """Ids of tiles that can be made blind, one of each block in turn, in the lasting mixed order of tiles."""
    decided = exists().where(
        TileFeature.tile_id == Tile.id, Feature.id == TileFeature.feature_id, Feature.verdict.is_not(None)
    )
    rows = connection.execute(
        select(Tile.id, Tile.x, Tile.y)
        .where(
            Tile.project_id == project.id,
            Tile.split == "test",
            Tile.z == project.zoom,
            Tile.status == "open",
            Tile.blind.is_(False),
            Tile.set_aside.is_(None),
            Tile.imagery_id.is_not(None),
            ~decided,
            ~exists().where(Decision.tile_id == Tile.id),
            ~exists().where(Claim.tile_id == Tile.id, Claim.expires_at > utc_now()),
        )
        .order_by(Tile.shuffle, Tile.id)
    ).all()
    taken: dict[int, int] = defaultdict(int)  # by block
    ranked: list[tuple[int, int]] = []
    addresses = [TileAddress(project.zoom, row.x, row.y) for row in rows]
    for place, block in enumerate(blocks_of(connection, project, addresses).tolist()):
        ranked.append((taken[block], place))
        taken[block] += 1
    return [rows[place].id for _, place in sorted(ranked)]
