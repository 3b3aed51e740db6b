"""Preference pairs for DPO: the model's own answer for a tile against the corrected one, where they differ."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import orjson

from maploop.contract import Contract
from maploop.dataset.job import Job, tiles_are
from maploop.dataset.seen import have_pixels_on
from maploop.dataset.snapshot import NOBODY, Indices, Snapshot
from maploop.dataset.split import Split
from maploop.dataset.writers.openai import annotations_by_tile, answer_for
from maploop.imagery.pixels import PixelCoverage
from maploop.imagery.tilemath import Tile
from maploop.vectors.geometry import split_by_tiles


def preference_line(contract: Contract, picture: bytes, preferred: str, non_preferred: str) -> bytes:
    """One pair."""
    pair = {
        "input": {"messages": contract.messages(picture)},
        "preferred_output": [{"role": "assistant", "content": preferred}],
        "non_preferred_output": [{"role": "assistant", "content": non_preferred}],
    }
    return orjson.dumps(pair) + b"\n"


def predictions_by_tile(snapshot: Snapshot, coverages: Mapping[int, PixelCoverage]) -> dict[int, Indices]:
    """Tile index -> indices of the features whose prediction lies on it: decided ones, rejected or not.

    Predictions wholly on ground without pixels are left out, as annotations are; a tile that has none but such stays.
    """
    features = snapshot.features
    predicted = np.flatnonzero(features.predicted_class != NOBODY)
    split = split_by_tiles(features.predicted_geometries[predicted], snapshot.zoom)
    tile_at = {snapshot.tile(index): index for index in range(len(snapshot.tiles.x))}
    lists: dict[int, list[int]] = {}
    for feature, x, y in zip(predicted[split.feature].tolist(), split.x.tolist(), split.y.tolist(), strict=True):
        if (tile := tile_at.get(Tile(snapshot.zoom, x, y))) is not None:
            lists.setdefault(tile, []).append(feature)
    found = {tile: np.array(indices, dtype=np.int64) for tile, indices in lists.items()}
    for tile, coverage in coverages.items():
        if coverage.mask and tile in found:
            found[tile] = found[tile][have_pixels_on(snapshot, tile, found[tile], coverage, predicted=True)]
    return found


@dataclass(frozen=True)
class Pair:
    """A tile's right answer and the one that a model gave."""

    tile: int
    preferred: str
    non_preferred: str


def preference_pairs(job: Job, splits: Sequence[Split], text: str) -> Iterator[tuple[Split, Pair]]:
    """The pairs of some splits, one after another; afterwards the job's notes say what was left out, and why.

    Tiles without a prediction are left out: nobody knows whether a model has seen them.
    """
    snapshot, features = job.snapshot, job.snapshot.features
    truth, answers = annotations_by_tile(snapshot), predictions_by_tile(snapshot, job.coverages)
    nothing = np.zeros(0, dtype=np.int64)
    total = sum(len(job.tiles[split]) for split in splits)
    done = same = unseen = 0
    for split in splits:
        for tile in job.tiles[split].tolist():
            job.step(done, total, text)
            done += 1
            if tile not in answers:
                unseen += 1
                continue
            address = snapshot.tile(tile)
            preferred = answer_for(
                snapshot, address, truth.get(tile, nothing), features.class_index, features.geometries
            )
            given = answer_for(
                snapshot, address, answers[tile], features.predicted_class, features.predicted_geometries
            )
            if given == preferred:
                same += 1
                continue
            yield split, Pair(tile, preferred, given)
    if same:
        job.notes.append(f"{tiles_are(same)} left out: the model's answer is the right one.")
    if unseen:
        job.notes.append(f"{tiles_are(unseen)} left out: no prediction lies on them.")


def write_preference(job: Job) -> None:
    """`train.jsonl` and `validation.jsonl`, or the split asked for."""
    splits = job.splits("train", "validation")
    lines = dict.fromkeys(splits, 0)
    with ExitStack() as stack:
        files = {split: stack.enter_context(job.path(f"{split}.jsonl").open("wb")) for split in splits}
        for split, pair in preference_pairs(job, splits, "Writing pairs"):
            line = preference_line(job.snapshot.contract, job.picture(pair.tile), pair.preferred, pair.non_preferred)
            files[split].write(line)
            lines[split] += 1
    for split, count in lines.items():
        job.add(f"{split}.jsonl", count)
    total = sum(len(job.tiles[split]) for split in splits)
    job.step(total, total, "Written")
