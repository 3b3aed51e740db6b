"""The files that a server is to train on: the dataset's export, found on its shelf or written there, and counted."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import orjson

from maploop.checksums import sha256_of
from maploop.contract import Contract
from maploop.database import Database
from maploop.dataset.check import CheckReport, check_openai_jsonl
from maploop.dataset.datasets import DatasetView
from maploop.dataset.reading import Sources
from maploop.dataset.shelf import StoredExport, shelve, stored_exports
from maploop.dataset.tokens import line_tokens
from maploop.errors import ConflictError
from maploop.tokens import image_tokens
from maploop.tune.plan import TrainingFile

FORMAT: Final = "openai"
FILES: Final[dict[Literal["train", "validation"], str]] = {
    "train": "train.jsonl",
    "validation": "validation.jsonl",
}


@dataclass(frozen=True)
class CountedFile:
    """A training file with what a vendor would say of it."""

    file: TrainingFile
    report: CheckReport


def written_files(
    database: Database,
    dataset: DatasetView,
    *,
    sources: Sources | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> StoredExport:
    """The export of a dataset for a server's training; written when it is not there, or not what it was.

    Raises LicenceError when no tile may be trained on, InputError, ImageryError, ConflictError.
    """
    stored = _stored(dataset)
    if stored is None or not _is_whole(stored):
        shelve(database, dataset, [FORMAT], sources=sources, progress=progress)
        stored = _stored(dataset)
    if stored is None:
        msg = f"The files of dataset {dataset.id[:12]} are gone again: is the datasets folder being cleared?"
        raise ConflictError(msg)
    return stored


def count_files(stored: StoredExport, contract: Contract, base: str) -> list[CountedFile]:
    """The files that hold something, with lines, pictures and about how many tokens they are for a base."""
    found = []
    for split, name in FILES.items():
        path = stored.folder / name
        if path.is_file() and path.stat().st_size:
            report = check_openai_jsonl(path)
            tokens = _tokens(path, contract, base)
            file = TrainingFile(split, sha256_of(path), path.stat().st_size, report.lines, report.images, tokens)
            found.append(CountedFile(file, report))
    return found


def confirmed_file(
    database: Database,
    dataset: DatasetView,
    split: Literal["train", "validation"],
    sha256: str,
    sources: Sources | None,
) -> Path:
    """The file that somebody has confirmed by its hash. Raises ConflictError when it would be another one now."""
    path = written_files(database, dataset, sources=sources).folder / FILES[split]
    if not path.is_file() or sha256_of(path) != sha256:
        msg = (
            f"The {split} file of dataset {dataset.id[:12]} is not the one that was confirmed, as another version of "
            "Maploop writes other bytes: nothing was sent; begin a new training."
        )
        raise ConflictError(msg)
    return path


def _stored(dataset: DatasetView) -> StoredExport | None:
    return next((each for each in stored_exports(dataset) if each.format == FORMAT), None)


def _is_whole(stored: StoredExport) -> bool:
    """Whether the training files are what the manifest says: both splits, each with its hash."""
    hashes: dict[str, Any] = {each["name"]: each["sha256"] for each in stored.manifest["export"]["files"]}
    paths = [stored.folder / name for name in FILES.values()]
    return all(path.is_file() and hashes.get(path.name) == sha256_of(path) for path in paths)


def _tokens(path: Path, contract: Contract, base: str) -> int | None:
    """About how many tokens a file is for a base; None where nobody knows what a picture is to it."""
    size = contract.image_size
    if image_tokens(size, size, base, contract.detail) is None:
        return None
    with path.open("rb") as file:
        return sum(line_tokens(contract, orjson.loads(line)["messages"][-1]["content"], base) for line in file)
