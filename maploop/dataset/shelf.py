"""Exports kept beside their dataset in the datasets folder, to be downloaded again."""

import io
import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from maploop.database import Database
from maploop.dataset.datasets import DatasetView, Progress
from maploop.dataset.export import CARD, MANIFEST, ExportReport, export
from maploop.dataset.formats import FORMATS
from maploop.dataset.reading import Sources

_OLDEST = (1980, 1, 1, 0, 0, 0)  # zip files know no time before; a fixed one keeps equal exports equal


@dataclass(frozen=True)
class StoredExport:
    """An export on the shelf."""

    format: str
    folder: Path
    manifest: dict[str, Any]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())

    @property
    def notes(self) -> list[str]:
        """What a person should know of the files."""
        return [str(each) for each in self.manifest["export"]["notes"]]

    @property
    def card(self) -> str:
        """The card as Markdown."""
        return (self.folder / CARD).read_text("utf-8")

    def zipped(self) -> bytes:
        """All files as one zip file; equal exports give equal bytes."""
        file = io.BytesIO()
        zip_folder(self.folder, file)
        return file.getvalue()


def zip_folder(folder: Path, out: BinaryIO) -> None:
    """All files of a folder as one zip file; equal folders give equal bytes."""
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                name = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _OLDEST)
                name.compress_type = zipfile.ZIP_DEFLATED
                name.external_attr = (0o755 if os.access(path, os.X_OK) else 0o644) << 16
                with path.open("rb") as source, archive.open(name, "w", force_zip64=True) as target:
                    while block := source.read(1 << 20):
                        target.write(block)


def shelve(
    database: Database,
    dataset: DatasetView,
    formats: Sequence[str],
    *,
    coco_images: bool = False,
    sources: Sources | None = None,
    progress: Progress | None = None,
) -> list[ExportReport]:
    """Export a dataset in some formats onto its shelf, each whole or not at all."""
    return [
        export(
            database,
            dataset.id,
            format,
            export_folder(dataset, format),
            with_images=coco_images and format == "coco",
            sources=sources,
            progress=progress,
        )
        for format in formats
    ]


def stored_exports(dataset: DatasetView) -> list[StoredExport]:
    """What lies on a dataset's shelf, in the order of the formats."""
    return [stored for format in FORMATS if (stored := stored_export(dataset, format)) is not None]


def stored_export(dataset: DatasetView, format: str) -> StoredExport | None:
    """Return the stored export of a format by name, None when there is none."""
    manifest = export_folder(dataset, format) / MANIFEST
    return StoredExport(format, manifest.parent, orjson.loads(manifest.read_bytes())) if manifest.is_file() else None


def export_folder(dataset: DatasetView, format: str) -> Path:
    """Return the folder where a dataset's export of a format is stored."""
    return dataset.folder / "exports" / format
