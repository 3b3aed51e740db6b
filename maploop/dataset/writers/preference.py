"""Preference pairs for DPO: the model's own answer for a tile against the corrected one, where they differ."""

import numpy as np
import orjson

from maploop.contract import Contract
from maploop.dataset.job import Job, tiles_are
from maploop.dataset.snapshot import NOBODY, Indices, Snapshot
from maploop.dataset.writers.openai import annotations_by_tile, answer_for
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


def predictions_by_tile(snapshot: Snapshot) -> dict[int, Indices]:
    """Tile index -> indices of the features whose prediction lies on it: decided ones, rejected or not."""
    features = snapshot.features
    predicted = np.flatnonzero(features.predicted_class != NOBODY)
    split = split_by_tiles(features.predicted_geometries[predicted], snapshot.zoom)
    tile_at = {snapshot.tile(index): index for index in range(len(snapshot.tiles.x))}
    lists: dict[int, list[int]] = {}
    for feature, x, y in zip(predicted[split.feature].tolist(), split.x.tolist(), split.y.tolist(), strict=True):
        if (tile := tile_at.get(Tile(snapshot.zoom, x, y))) is not None:
            lists.setdefault(tile, []).append(feature)
    return {tile: np.array(indices, dtype=np.int64) for tile, indices in lists.items()}


def write_preference(job: Job) -> None:
    """`train.jsonl` and `validation.jsonl`, or the split asked for.

    Tiles without a prediction are left out: nobody knows whether a model has seen them.
    """
    snapshot, features = job.snapshot, job.snapshot.features
    truth, answers = annotations_by_tile(snapshot), predictions_by_tile(snapshot)
    nothing = np.zeros(0, dtype=np.int64)
    splits = job.splits("train", "validation")
    total = sum(len(job.tiles[split]) for split in splits)
    done = same = unseen = 0
    for split in splits:
        name = f"{split}.jsonl"
        lines = 0
        with job.path(name).open("wb") as file:
            for tile in job.tiles[split].tolist():
                job.step(done, total, f"Writing {name}")
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
                file.write(preference_line(snapshot.contract, job.picture(tile), preferred, given))
                lines += 1
        job.add(name, lines)
    job.step(total, total, "Written")
    if same:
        job.notes.append(f"{tiles_are(same)} left out: the model's answer is the right one.")
    if unseen:
        job.notes.append(f"{tiles_are(unseen)} left out: no prediction lies on them.")
