"""The origin of the truth that models are held against: whose predictions it was made from, and how much without any.

Who reviews predictions agrees with a good part of what is only nearly right: truth made so favours the model whose
predictions were reviewed. In one project reviewed truth turned a difference of -0.024 F1 into +0.044.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, func, select

from db.bulk import in_lists
from db.models import Decision, Feature, Model, Prediction, Run, Tile, TileFeature
from maploop.compare.wording import counted
from maploop.dataset.selection import ANNOTATED


@dataclass(frozen=True)
class TruthOrigin:
    """True features by origin, on so many tiles.

    reviewed    features accepted or corrected, by the model whose prediction was shown
    drawn       features that people drew, or that a file of known truth brought, with no prediction behind them
    tiles       how many there are, and `blind` of them were annotated without any prediction shown
    """

    reviewed: Mapping[str, int] = field(default_factory=dict)
    drawn: int = 0
    tiles: int = 0
    blind: int = 0

    @property
    def total(self) -> int:
        """All true features."""
        return self.drawn + sum(self.reviewed.values())

    def sentences(self) -> Iterator[str]:
        """Say it in sentences; nothing where there is no truth."""
        if self.reviewed:
            parts = [f"{count:,} by reviewing predictions of {name}" for name, count in self.reviewed.items()]
            favoured = " and ".join(self.reviewed)
            yield (
                f"Of {counted(self.total, 'true feature')}, {', '.join(parts)} were made, {self.drawn:,} were drawn: "
                f"truth made by reviewing favours {favoured}."
            )
        elif self.total:
            yield f"All {counted(self.total, 'true feature')} were drawn, none by reviewing predictions."
        if self.tiles:
            blind = f"{self.blind:,} of {counted(self.tiles, 'tile')} are blind: annotated without any prediction shown"
            yield f"{blind}." if self.blind else f"{blind}; `maploop blind` makes test tiles so."

    def to_json(self) -> dict[str, Any]:
        """As the CLI prints it."""
        return {
            "reviewed": dict(self.reviewed),
            "drawn": self.drawn,
            "tiles": self.tiles,
            "blind_tiles": self.blind,
        }


def origin_of_truth(connection: Connection, tile_ids: Sequence[int]) -> TruthOrigin:
    """Count the annotations on some tiles, each once, by whose prediction the decision that stands was about."""
    models: dict[int, str | None] = {}
    blind = 0
    for some in in_lists(list(tile_ids)):
        rows = connection.execute(
            select(Feature.id, Feature.verdict, Model.name)
            .select_from(TileFeature)
            .join(Feature, Feature.id == TileFeature.feature_id)
            .outerjoin(Decision, Decision.id == Feature.decision_id)
            .outerjoin(Prediction, Prediction.id == Decision.prediction_id)
            .outerjoin(Run, Run.id == Prediction.run_id)
            .outerjoin(Model, Model.id == Run.model_id)
            .where(
                TileFeature.tile_id.in_(some),
                Feature.verdict.in_(ANNOTATED),
                Feature.withdrawn.is_(False),
            )
        )
        models.update({row.id: None if row.verdict == "add" else row.name for row in rows})
        blind += connection.execute(
            select(func.count()).select_from(Tile).where(Tile.id.in_(some), Tile.blind.is_(True))
        ).scalar_one()
    counts = Counter(models.values())
    reviewed = {name: count for name, count in counts.most_common() if name is not None}
    return TruthOrigin(reviewed, counts[None], len(tile_ids), blind)


def blind_among(connection: Connection, tile_ids: Sequence[int]) -> set[int]:
    """Ids of those tiles that are blind."""
    found: set[int] = set()
    for some in in_lists(list(tile_ids)):
        found.update(connection.execute(select(Tile.id).where(Tile.id.in_(some), Tile.blind.is_(True))).scalars())
    return found
