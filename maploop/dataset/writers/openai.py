"""OpenAI vision fine-tuning: chat JSONL, a line a tile, the picture as a data URL."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import orjson

from maploop.contract import Contract, render_answer
from maploop.dataset.check import check_openai_jsonl
from maploop.dataset.job import Job
from maploop.dataset.snapshot import Indices, Snapshot
from maploop.dataset.tokens import EPOCHS, estimate_training, line_tokens
from maploop.imagery.tilemath import Tile
from maploop.vectors.geometry import Geometries

ESTIMATED_FOR = "gpt-4o"  # whose image token formula the manifest's estimate uses


def training_line(contract: Contract, picture: bytes, answer: str) -> bytes:
    """One example: exactly what the model is asked, and the answer it should have given."""
    messages = [*contract.messages(picture), {"role": "assistant", "content": answer}]
    return orjson.dumps({"messages": messages}) + b"\n"


def annotations_by_tile(snapshot: Snapshot) -> Mapping[int, Indices]:
    """Tile index -> indices of the annotations on it."""
    placed = snapshot.placements
    kept = snapshot.annotated[placed.feature]
    tiles, features = placed.tile[kept], placed.feature[kept]
    names, starts = np.unique(tiles, return_index=True)
    return dict(zip(names.tolist(), np.split(features, starts[1:]), strict=True)) if len(names) else {}


def answer_for(snapshot: Snapshot, tile: Tile, features: Indices, classes: Indices, geometries: Geometries) -> str:
    """The answer for a tile with some features, given by index, drawn as `geometries` and of `classes`."""
    truth = [(snapshot.classes[int(classes[each])].name, geometries[each]) for each in features]
    return render_answer(truth, tile, snapshot.contract)


def right_answers(snapshot: Snapshot, tiles: Indices) -> Iterator[tuple[int, str]]:
    """Some tiles, given by index, each with the answer that a perfect model would give."""
    on_tile = annotations_by_tile(snapshot)
    nothing = np.zeros(0, dtype=np.int64)
    features = snapshot.features
    for tile in tiles.tolist():
        drawn = on_tile.get(tile, nothing)
        yield tile, answer_for(snapshot, snapshot.tile(tile), drawn, features.class_index, features.geometries)


def write_openai(job: Job) -> None:
    """`train.jsonl` and `validation.jsonl`, or the split asked for; checked against the vendor's limits."""
    snapshot = job.snapshot
    splits = job.splits("train", "validation")
    total = sum(len(job.tiles[split]) for split in splits)
    tokens: dict[str, int] = {}
    done = 0
    for split in splits:
        name = f"{split}.jsonl"
        tokens[split] = 0
        with job.path(name).open("wb") as file:
            for tile, answer in right_answers(snapshot, job.tiles[split]):
                job.step(done, total, f"Writing {name}")
                file.write(training_line(snapshot.contract, job.picture(tile), answer))
                tokens[split] += line_tokens(snapshot.contract, answer, ESTIMATED_FOR)
                done += 1
        job.add(name, len(job.tiles[split]))
        report = check_openai_jsonl(job.folder / name)
        advice = report.warnings if split == "train" else []  # the vendor asks no number of the others
        job.notes.extend(f"{name}: {each}" for each in (*report.problems, *advice))
    job.step(total, total, "Checked")
    job.facts["estimate"] = _estimate(tokens)


def _estimate(tokens: dict[str, int]) -> dict[str, Any]:
    """Training tokens and cost, which only the train split causes."""
    return {"tokens": tokens, **estimate_training(tokens.get("train", 0), EPOCHS)}
