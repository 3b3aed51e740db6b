"""The files that a server is to train on: the dataset's export, found on its shelf or written there, and counted."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import orjson

from maploop.checksums import sha256_of
from maploop.contract import Contract
from maploop.database import Database
from maploop.dataset.check import CheckReport, check_openai_jsonl
from maploop.dataset.datasets import DatasetView
from maploop.dataset.export import write_export
from maploop.dataset.formats import FORMATS, Format
from maploop.dataset.reading import Sources
from maploop.dataset.shelf import StoredExport, export_folder, stored_export
from maploop.dataset.tokens import line_tokens
from maploop.dataset.writers.openai import write_openai
from maploop.errors import ConflictError
from maploop.imagery.sharing import imagery_that_stays_among, is_own_server
from maploop.tokens import image_tokens
from maploop.tune.plan import TrainingFile

OPENAI: Final = "openai"
UPLOAD: Final = Format(
    "upload", "OpenAI vision fine-tuning, for upload", write_openai, training=True, pictures=True, shared=True
)
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
    base_url: str,
    *,
    sources: Sources | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> StoredExport:
    """The export of a dataset for a training at a server; written when it is not there, or not what it was.

    Tiles whose imagery may not be sent to other parties are not among it, unless the server is one's own. Raises
    LicenceError when no tile may be trained on or sent, InputError, ImageryError, ConflictError.
    """
    format, folder = _format(database, dataset, base_url)
    stored = stored_export(dataset, folder)
    if stored is None or not _is_whole(stored):
        write_export(database, dataset, format, export_folder(dataset, folder), sources=sources, progress=progress)
        stored = stored_export(dataset, folder)
    if stored is None:
        msg = f"The files of dataset {dataset.id[:12]} are gone again: is the datasets folder being cleared?"
        raise ConflictError(msg)
    return stored


def _format(database: Database, dataset: DatasetView, base_url: str) -> tuple[Format, str]:
    """The plain export, unless some of its pictures may not go where the server is; and the folder it is stored in.

    The folder names the imagery that stays, so that files written under other terms are never taken for these.
    """
    if not is_own_server(base_url):
        with database.read() as connection:
            stays = imagery_that_stays_among(connection, [each.id for each in dataset.snapshot().imagery])
        if stays:
            return UPLOAD, "-".join([UPLOAD.name, *map(str, stays)])
    return FORMATS[OPENAI], OPENAI


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
    base_url: str,
    split: Literal["train", "validation"],
    sha256: str,
    sources: Sources | None,
) -> Path:
    """The file that somebody has confirmed by its hash. Raises ConflictError when it would be another one now."""
    path = written_files(database, dataset, base_url, sources=sources).folder / FILES[split]
    if not path.is_file() or sha256_of(path) != sha256:
        msg = (
            f"The {split} file of dataset {dataset.id[:12]} is not the one that was confirmed: another version of "
            "Maploop writes other bytes, or rights in its imagery have changed. Nothing was ordered; begin anew."
        )
        raise ConflictError(msg)
    return path


def check_rights(
    database: Database,
    dataset: DatasetView,
    base_url: str,
    hashes: Mapping[Literal["train", "validation"], str],
    sources: Sources | None,
) -> None:
    """Check that files at a server hold no picture that may not be there now.

    Raises ConflictError when rights in the imagery have changed since they were confirmed, LicenceError when no picture
    may be sent any more.
    """
    if _format(database, dataset, base_url)[0] is UPLOAD:  # otherwise everything may be there
        for split, sha256 in hashes.items():
            confirmed_file(database, dataset, base_url, split, sha256, sources)


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
