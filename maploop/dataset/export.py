"""Exporting a frozen dataset: the same dataset gives the same bytes in every format, whole or not at all."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from maploop.database import Database
from maploop.dataset.card import card_of
from maploop.dataset.datasets import DatasetView, Progress, freeze, imagery_sources, load_dataset
from maploop.dataset.formats import Format, format_named
from maploop.dataset.job import ExportCancelledError, ExportedFile, Job, tiles_are
from maploop.dataset.manifest import imageless_tiles, tiles_that_stay, untrainable_tiles, versions
from maploop.dataset.reading import Sources
from maploop.dataset.seen import look_at, without_unseen
from maploop.dataset.snapshot import SPLITS, Indices, Snapshot
from maploop.dataset.split import Split
from maploop.dataset.staging import put_in_place, staged
from maploop.errors import InputError, LicenceError
from maploop.imagery.pixel_records import MEASURE_PIXELS, read_records
from maploop.imagery.pixels import PixelCoverage
from maploop.imagery.sharing import imagery_that_stays_among

__all__ = ["ExportCancelledError", "ExportReport", "check_request", "export", "freeze"]

MANIFEST = "manifest.json"
CARD = "card.md"
NAMED_TILES = 5
UNSURE = "somebody is unsure of a feature there"
UNSEEN = "annotations_without_pixels"  # a fact of the manifest


@dataclass(frozen=True)
class ExportReport:
    """What was written where, and what was not.

    left_out    tiles that stayed out, by reason
    notes       what a person should know of the files
    """

    dataset: str
    format: str
    path: Path
    files: tuple[ExportedFile, ...]
    left_out: dict[str, list[str]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As the CLI prints it."""
        return {
            "dataset": self.dataset,
            "format": self.format,
            "path": str(self.path),
            "files": [each.to_json() for each in self.files],
            "left_out": self.left_out,
            "notes": list(self.notes),
        }


def export(
    database: Database,
    dataset_id: str,
    format: str,
    out: Path | str,
    *,
    split: str | None = None,
    with_images: bool = False,
    sources: Sources | None = None,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> ExportReport:
    """Write a dataset in a format to the folder `out`, or to the file `out` if it has the suffix of a one-file format.

    A folder also gets `manifest.json` and `card.md`. Of an earlier export of the same format it is replaced; any other
    folder that is not empty is refused. `with_images` adds pictures to COCO, which else has none. Raises InputError,
    LicenceError when no tile may be used for training, ExportCancelledError when `cancelled` says so.
    """
    return write_export(
        database,
        load_dataset(database, dataset_id),
        format_named(format),
        out,
        split=split,
        with_images=with_images,
        sources=sources,
        progress=progress,
        cancelled=cancelled,
    )


def write_export(
    database: Database,
    dataset: DatasetView,
    format: Format,
    out: Path | str,
    *,
    split: str | None = None,
    with_images: bool = False,
    sources: Sources | None = None,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> ExportReport:
    """Write a dataset as `export` does, in a format that need not be one of those with a name."""
    wanted, target = _split_named(split), _place(out, format)
    snapshot = dataset.snapshot()
    stays = _imagery_that_stays(database, snapshot, format)
    tiles, left_out, barred = _tiles(snapshot, format, with_images, wanted, stays)
    if unsure := dataset.manifest.get("held_out"):
        left_out = {**left_out, UNSURE: list(unsure)}
    with staged(target) as folder:
        job = Job(
            dataset_id=dataset.id,
            snapshot=snapshot,
            folder=folder / "export",
            split=wanted,
            tiles=tiles,
            sources=sources or imagery_sources(database),
            progress=progress or (lambda _done, _total, _text: None),
            cancelled=cancelled or (lambda: False),
            with_images=with_images,
        )
        job.folder.mkdir()
        if (format.training or format.pictures or with_images) and len(job.all_tiles):
            left_out = merged(left_out, _look(job, database, dataset, pictures=format.pictures or with_images))
            if not len(job.all_tiles):
                raise _nothing(format, left_out, barred=barred)
        job.notes[:0] = _notes(job, left_out)
        format.write(job)
        if _is_one_file(target, format):
            put_in_place(job.folder / job.files[0].name, target, folder)
            (only,) = job.files
            files = (ExportedFile(target.name, only.sha256, only.examples),)
            return ExportReport(dataset.id, format.name, target.parent, files, left_out, tuple(job.notes))
        _describe(job, dataset, format, left_out)
        put_in_place(job.folder, target, folder)
    return ExportReport(dataset.id, format.name, target, tuple(job.files), left_out, tuple(job.notes))


def _look(job: Job, database: Database, dataset: DatasetView, *, pictures: bool) -> dict[str, list[str]]:
    """Look at the pixels of the job's tiles and leave out those without any -> these, by reason.

    Annotations wholly on ground without pixels go from the job's snapshot. With `pictures`, those are kept for the
    writer; else tiles that were measured before are not rendered again. Raises ConflictError.
    """
    snapshot, tiles = job.snapshot, job.all_tiles
    sight = look_at(
        snapshot,
        tiles,
        job.source,
        size=snapshot.contract.image_size if pictures else MEASURE_PIXELS,
        hear=job.keep_picture if pictures else lambda _tile, _pixels: None,
        known=None if pictures else _measured(job, database, dataset, tiles),
        step=lambda done, total: job.step(done, 2 * total, "Looking at the pixels"),
    )
    job.steps_before = len(tiles)
    job.coverages = sight.coverages
    job.tiles = {split: sight.with_pixels(each) for split, each in job.tiles.items()}
    job.snapshot, dropped = without_unseen(snapshot, sight.coverages)
    if dropped:
        job.facts[UNSEEN] = dropped
        are = "annotation lies" if dropped == 1 else "annotations lie"
        job.notes.append(f"{dropped:,} {are} wholly on ground without pixels and went into no example there.")
    return sight.left_out(snapshot)


def _measured(job: Job, database: Database, dataset: DatasetView, tiles: Indices) -> dict[int, PixelCoverage]:
    """Recorded pixel coverage of some tiles, by index."""
    snapshot = job.snapshot
    index_of = {snapshot.tile(index): index for index in tiles.tolist()}
    with database.read() as connection:
        records = read_records(connection, dataset.project_id, index_of)
    known = {}
    for tile, record in records.items():
        index = index_of[tile]
        now = snapshot.imagery[int(snapshot.tiles.imagery[index])].fingerprint  # empty: the imagery is gone
        if record.coverage and now in ("", record.fingerprint):
            known[index] = record.coverage
    return known


def check_request(format: str, out: Path | str, split: str | None = None) -> tuple[Format, Split | None, Path]:
    """What can be refused before anything is frozen: the format, the split and the place. Raises InputError."""
    chosen = format_named(format)
    return chosen, _split_named(split), _place(out, chosen)


def _split_named(text: str | None) -> Split | None:
    if text is not None and text not in SPLITS:
        msg = f"{text!r} is not a split: use {', '.join(SPLITS)}."
        raise InputError(msg)
    return text


def _is_one_file(target: Path, format: Format) -> bool:
    return bool(format.suffix) and target.suffix.lower() == format.suffix and not target.is_dir()


def _place(out: Path | str, format: Format) -> Path:
    """Where to write. Raises InputError unless it is free, or holds an earlier export that may be replaced."""
    target = Path(out).expanduser().absolute()
    if _is_one_file(target, format):
        return target
    if target.exists() and not target.is_dir():
        msg = f"{target} is a file: choose a folder for the {format.name} export."
        raise InputError(msg)
    if target.is_dir() and any(target.iterdir()):
        try:
            earlier = orjson.loads((target / MANIFEST).read_bytes())["export"]["format"]
        except (OSError, ValueError, KeyError, TypeError):
            earlier = None
        if earlier != format.name:
            what = f"holds an export to {earlier}" if earlier else "is not empty"
            msg = f"{target} {what}: choose another folder, or empty it."
            raise InputError(msg)
    return target


def _imagery_that_stays(database: Database, snapshot: Snapshot, format: Format) -> dict[int, str]:
    if not format.shared:
        return {}
    with database.read() as connection:
        return imagery_that_stays_among(connection, [each.id for each in snapshot.imagery])


def _tiles(
    snapshot: Snapshot, format: Format, with_images: bool, split: Split | None, stays: Mapping[int, str]
) -> tuple[dict[Split, Indices], dict[str, list[str]], bool]:
    """Indices of the tiles that go in, by split; those that do not, by reason; whether terms or licences bar some.

    Raises LicenceError, InputError when none is left.
    """
    left_out: dict[str, list[str]] = {}
    if format.training:
        left_out |= untrainable_tiles(snapshot)
    left_out |= tiles_that_stay(snapshot, stays)
    barred = len(left_out) > 0
    if format.training or format.pictures or with_images:
        left_out |= imageless_tiles(snapshot)
    names = {name for tiles in left_out.values() for name in tiles}
    kept = np.array([str(snapshot.tile(index)) not in names for index in range(len(snapshot.tiles.x))], dtype=np.bool_)
    if not kept.any():
        raise _nothing(format, left_out, barred=barred)
    nothing = np.zeros(0, dtype=np.int64)
    tiles = {
        each: np.flatnonzero(kept & (snapshot.tiles.split == each)) if split in (None, each) else nothing
        for each in SPLITS
    }
    return tiles, left_out, barred


def _nothing(format: Format, left_out: dict[str, list[str]], *, barred: bool) -> LicenceError | InputError:
    reasons = "; ".join(f"{reason} ({_some(tiles)})" for reason, tiles in left_out.items())
    msg = f"No tile can go into the {format.name} export: {reasons}."
    return LicenceError(msg) if barred else InputError(msg)


def merged(first: dict[str, list[str]], second: dict[str, list[str]]) -> dict[str, list[str]]:
    """Names by reason of both."""
    return {reason: [*first.get(reason, []), *second.get(reason, [])] for reason in [*first, *second]}


def _some(names: list[str]) -> str:
    more = len(names) - NAMED_TILES
    return ", ".join(names[:NAMED_TILES]) + (f" and {more:,} more" if more > 0 else "")


def _notes(job: Job, left_out: dict[str, list[str]]) -> list[str]:
    notes = [f"{tiles_are(len(tiles))} left out, {reason}: {_some(tiles)}." for reason, tiles in left_out.items()]
    empty = [split for split in job.splits(*SPLITS) if not len(job.tiles[split])]
    if empty:
        notes.append(f"No tile fell into {' and '.join(empty)}: blocks of neighbouring tiles stay together.")
    return notes


def _describe(job: Job, dataset: DatasetView, format: Format, left_out: dict[str, list[str]]) -> None:
    """Card and manifest; the manifest names every other file with its hash, so that it is the last."""
    job.path(CARD).write_text(card_of(dataset, job.snapshot, left_out, job.facts.get(UNSEEN, 0)), "utf-8")
    job.add(CARD, 0)
    manifest = {
        **dataset.manifest,
        "created_by": dataset.created_by,
        "created_at": dataset.created_at.isoformat(),
        "export": {
            "format": format.name,
            "split": job.split,
            "left_out": left_out,
            "notes": job.notes,
            "files": [each.to_json() for each in job.files],
            "versions": versions(),
            **job.facts,
        },
    }
    job.path(MANIFEST).write_bytes(orjson.dumps(manifest, option=orjson.OPT_INDENT_2) + b"\n")
