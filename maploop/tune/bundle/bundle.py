"""The bundle itself: pictures as files, the examples for each trainer, settings and scripts, README, manifest, card."""

import math
import shlex
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import jinja2
import orjson

from maploop.database import Database
from maploop.dataset.datasets import Progress, dataset_of
from maploop.dataset.export import ExportReport, write_export
from maploop.dataset.formats import Format
from maploop.dataset.job import Job
from maploop.dataset.reading import Sources
from maploop.dataset.shelf import zip_folder
from maploop.dataset.split import Split
from maploop.dataset.staging import put_in_place, staged
from maploop.dataset.writers.openai import right_answers
from maploop.dataset.writers.preference import preference_pairs
from maploop.errors import InputError
from maploop.project import ProjectView
from maploop.tune.bundle.bases import Family, check_base, family_of
from maploop.tune.bundle.lines import TRAINERS, Trainer, preference, supervised, told_by
from maploop.tune.remote import suffix_of

SPLITS: Final[tuple[Split, ...]] = ("train", "validation")
EPOCHS: Final = 3
_LENGTH_STEP: Final = 1024
_TOKENS_A_PATCH: Final = 28  # pixels a side of the smallest patch among the families: 512 pixels are 335 tokens
_SCRIPTS: Final = (".sh",)
_FILES: Final = {
    "trl/train.py": "train.py.jinja",
    "ms-swift/sft.sh": "swift_sft.sh.jinja",
    "ms-swift/dpo.sh": "swift_dpo.sh.jinja",
    "llamafactory/sft.yaml": "llamafactory_train.yaml.jinja",
    "llamafactory/dpo.yaml": "llamafactory_train.yaml.jinja",
    "llamafactory/merge_sft.yaml": "llamafactory_merge.yaml.jinja",
    "llamafactory/merge_dpo.yaml": "llamafactory_merge.yaml.jinja",
    "serve.sh": "serve.sh.jinja",
    "README.md": "README.md.jinja",
}
BundleReport = ExportReport


@dataclass(frozen=True)
class Wanted:
    """What the scripts are written for.

    base        of the Hugging Face hub, or a folder
    name        of the model to be, in the project and at its server
    """

    project: str
    base: str
    family: Family | None
    name: str
    epochs: int


def make_bundle(
    database: Database,
    project: ProjectView,
    dataset_id: str,
    base: str,
    out: Path | str,
    *,
    name: str | None = None,
    epochs: int = EPOCHS,
    sources: Sources | None = None,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> BundleReport:
    """Write a dataset of the project as a bundle to the folder `out`, or to `out` itself when it ends in .zip.

    The same dataset, base and name give the same bytes; test tiles are never among them. Raises InputError,
    LicenceError, ImageryError, ConflictError, ExportCancelledError.
    """
    dataset = dataset_of(database, project, dataset_id)
    checked = check_base(base)
    called = name or f"{checked.rpartition('/')[2].lower()}-{dataset.id[:8]}"
    wanted = Wanted(project.name, checked, family_of(checked), called, epochs)
    if suffix_of(called) == "":
        msg = f"{called!r} has no letter or digit that a server could call the model by: choose another name."
        raise InputError(msg)
    bundle = Format(
        "bundle",
        "Bundle for trl, ms-swift and LLaMA-Factory",
        partial(_write, wanted=wanted),
        training=True,
        pictures=True,
        shared=True,
    )
    write = partial(write_export, database, dataset, bundle, sources=sources, progress=progress, cancelled=cancelled)
    target = Path(out).expanduser().absolute()
    if target.suffix.lower() != ".zip" or target.is_dir():
        return write(target)
    with staged(target) as folder:
        report = write(folder / "bundle")
        with (folder / "bundle.zip").open("wb") as file:
            zip_folder(folder / "bundle", file)
        put_in_place(folder / "bundle.zip", target, folder)
    return ExportReport(report.dataset, report.format, target, report.files, report.left_out, report.notes)


def _write(job: Job, wanted: Wanted) -> None:
    """All files of a bundle but manifest and card."""
    splits = tuple(split for split in job.splits(*SPLITS) if len(job.tiles[split]))
    if "train" not in splits:
        msg = "The dataset has no train tile with imagery: approve tiles in other places too, and export again."
        raise InputError(msg)
    longest = _write_supervised(job, splits)
    pairs = _write_preference(job, splits)
    facts = _facts(job, wanted, splits, pairs, longest)
    _write_json(job, "llamafactory/dataset_info.json", _dataset_info(splits, pairs))
    for file, template in _FILES.items():
        _write_text(job, file, template, {**facts, "kind": "dpo" if "dpo" in file else "sft"})
    job.facts["bundle"] = {
        "base": wanted.base,
        "model": wanted.name,
        "pairs": pairs,
        "max_length": facts["max_length"],
    }
    job.notes.extend(_notes(job, wanted, pairs))


def _write_supervised(job: Job, splits: tuple[Split, ...]) -> int:
    """Pictures and answers -> characters of the longest example."""
    told = told_by(job.snapshot.contract)
    longest = done = 0
    total = sum(len(job.tiles[split]) for split in splits)
    for split in splits:
        with ExitStack() as stack:
            files = _opened(job, stack, "sft", split)
            for tile, answer in right_answers(job.snapshot, job.tiles[split]):
                job.step(done, total, "Writing pictures and answers")
                done += 1
                image = _image_name(job, split, tile)
                job.path(image).write_bytes(job.picture(tile))
                job.add(image, 1)
                longest = max(longest, len(told.system) + len(told.user) + len(answer))
                for trainer, file in files.items():
                    file.write(orjson.dumps(supervised(trainer, told, image, answer)) + b"\n")
        for trainer in TRAINERS:
            job.add(f"{trainer}/sft_{split}.jsonl", len(job.tiles[split]))
    return longest


def _write_preference(job: Job, splits: tuple[Split, ...]) -> dict[str, int]:
    """Pairs for every split that has any -> how many."""
    told = told_by(job.snapshot.contract)
    counts: dict[Split, int] = dict.fromkeys(splits, 0)
    with ExitStack() as stack:
        files = {split: _opened(job, stack, "dpo", split) for split in splits}
        for split, pair in preference_pairs(job, splits, "Writing pairs"):
            counts[split] += 1
            image = _image_name(job, split, pair.tile)
            for trainer, file in files[split].items():
                line = preference(trainer, told, image, pair.preferred, pair.non_preferred)
                file.write(orjson.dumps(line) + b"\n")
    for split, count in counts.items():
        for trainer in TRAINERS:
            if count:
                job.add(f"{trainer}/dpo_{split}.jsonl", count)
            else:
                (job.folder / f"{trainer}/dpo_{split}.jsonl").unlink()
    return {split: count for split, count in counts.items() if count}


def _opened(job: Job, stack: ExitStack, kind: str, split: Split) -> dict[Trainer, BinaryIO]:
    names = cast("tuple[Trainer, ...]", TRAINERS)
    return {each: stack.enter_context(job.path(f"{each}/{kind}_{split}.jsonl").open("wb")) for each in names}


def _image_name(job: Job, split: Split, tile: int) -> str:
    address = job.snapshot.tile(tile)
    suffix = "jpg" if job.snapshot.contract.image_format == "jpeg" else "png"
    return f"images/{split}/{address.z}-{address.x}-{address.y}.{suffix}"


def _facts(job: Job, wanted: Wanted, splits: tuple[Split, ...], pairs: dict[str, int], longest: int) -> dict[str, Any]:
    """What the templates speak of."""
    snapshot, size = job.snapshot, job.snapshot.contract.image_size
    picture = math.ceil(size / _TOKENS_A_PATCH) ** 2
    length = math.ceil((longest + picture) / _LENGTH_STEP) * _LENGTH_STEP  # no text has more tokens than characters
    return {
        "wanted": wanted,
        "dataset": job.dataset_id,
        "contract": snapshot.contract,
        "classes": snapshot.classes,
        "imagery": [each for each in snapshot.imagery if each.may_train],
        "counts": {split: len(job.tiles[split]) for split in splits},
        "pairs": {"train": 0, **pairs},
        "validates": "validation" in splits,
        "validates_pairs": "validation" in pairs,
        "max_length": length,
        "pixels": size * size,
        "template": wanted.family.template if wanted.family else "",
        "served_as": suffix_of(wanted.name).lower(),
    }


def _dataset_info(splits: tuple[Split, ...], pairs: dict[str, int]) -> dict[str, Any]:
    """LLaMA-Factory's description of its files."""
    tags = {
        "role_tag": "role",
        "content_tag": "content",
        "user_tag": "user",
        "assistant_tag": "assistant",
        "system_tag": "system",
    }
    common = {"formatting": "sharegpt", "tags": tags}
    columns = {"messages": "messages", "images": "images"}
    info: dict[str, Any] = {
        f"sft_{split}": {"file_name": f"sft_{split}.jsonl", **common, "columns": columns} for split in splits
    }
    ranked = {**columns, "chosen": "chosen", "rejected": "rejected"}
    for split in pairs:
        info[f"dpo_{split}"] = {"file_name": f"dpo_{split}.jsonl", "ranking": True, **common, "columns": ranked}
    return info


def _notes(job: Job, wanted: Wanted, pairs: dict[str, int]) -> list[str]:
    notes = []
    dialect = job.snapshot.contract.dialect
    if wanted.family is None:
        notes.append(
            f"{wanted.base} is of no family in the table: write its chat template into llamafactory/*.yaml yourself."
        )
    elif wanted.family.dialect not in (None, dialect):
        notes.append(
            f"{wanted.family.family} writes coordinates in the dialect {wanted.family.dialect!r}, the dataset in "
            f"{dialect!r}: change the project's dialect and freeze again, or let the training teach it."
        )
    if "train" not in pairs:
        notes.append("There are no preference pairs to train on: no reviewed prediction of a model was changed.")
    return notes


def _write_json(job: Job, name: str, content: Any) -> None:
    job.path(name).write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2) + b"\n")
    job.add(name, 0)


def _write_text(job: Job, name: str, template: str, facts: dict[str, Any]) -> None:
    path = job.path(name)
    path.write_text(_templates().get_template(template).render(**facts), encoding="utf-8")
    if path.suffix in _SCRIPTS:
        path.chmod(0o755)
    job.add(name, 0)


@lru_cache(maxsize=1)
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("maploop.tune.bundle", "templates"),
        autoescape=False,  # noqa: S701  scripts and Markdown, quoted by the filters
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["shell"] = shlex.quote
    environment.filters["json"] = lambda value: orjson.dumps(value).decode()
    environment.filters["n"] = lambda number: f"{number:,}"
    return environment
