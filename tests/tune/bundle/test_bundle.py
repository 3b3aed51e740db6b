"""The bundle for self-hosted trainers: complete, consistent, the same bytes each time, nothing of the test split."""

import hashlib
import os
import shlex
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from shapely.geometry import box
from sqlalchemy import update

from db.models import Imagery
from maploop.cli import run
from maploop.contract import parse_answer
from maploop.database import Database
from maploop.dataset.datasets import DatasetView, freeze
from maploop.dataset.export import export
from maploop.errors import InputError, LicenceError
from maploop.imagery.tilemath import Tile
from maploop.predict.models import load_model
from maploop.project import change_settings
from maploop.tune.bundle import BundleReport, make_bundle
from tests.dataset.ground import FIRST, Ground, lay_ground, on_tile

BASE = "Qwen/Qwen3-VL-4B-Instruct"
TRAINERS = ("trl", "ms-swift", "llamafactory")


def frozen(ground: Ground) -> DatasetView:
    return freeze(ground.database, ground.project, annotator="anna", sources=ground.sources)


def bundled(ground: Ground, out: Path, base: str = BASE, **options: Any) -> BundleReport:
    return make_bundle(ground.database, ground.project, frozen(ground).id, base, out, sources=ground.sources, **options)


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def text_of(content: Any) -> str:
    """The text of a message, with a mark where its picture stands."""
    if isinstance(content, str):
        return content
    return "".join("<image>" if part["type"] == "image" else part["text"] for part in content)


def test_every_trainer_gets_the_same_examples_as_the_openai_file(furnished: Ground, tmp_path: Path) -> None:
    folder = bundled(furnished, tmp_path / "bundle").path
    dataset = frozen(furnished)
    contract = dataset.snapshot().contract
    export(furnished.database, dataset.id, "openai", tmp_path / "openai", sources=furnished.sources)
    for split, count in (("train", 2), ("validation", 1)):
        expected = [each["messages"][-1]["content"] for each in lines_of(tmp_path / "openai" / f"{split}.jsonl")]
        for trainer in TRAINERS:
            lines = lines_of(folder / trainer / f"sft_{split}.jsonl")
            assert len(lines) == count
            for line, answer in zip(lines, expected, strict=True):
                messages = line.get("messages") or [*line["prompt"], *line["completion"]]
                assert [each["role"] for each in messages] == ["system", "user", "assistant"]
                told = [text_of(each["content"]) for each in messages]
                assert told == [contract.system, f"{contract.user}<image>", answer]
                (image,) = line["images"]
                assert (folder / image).read_bytes().startswith(b"\xff\xd8\xff")
                z, x, y = map(int, Path(image).stem.split("-"))
                parse_answer(answer, Tile(z, x, y), contract)


def test_preference_pairs_are_what_a_model_said_and_what_people_made_of_it(furnished: Ground, tmp_path: Path) -> None:
    folder = bundled(furnished, tmp_path / "bundle").path
    trl, swift, factory = (lines_of(folder / each / "dpo_train.jsonl") for each in TRAINERS)
    assert len(trl) == len(swift) == len(factory) >= 1
    for one, two, three in zip(trl, swift, factory, strict=True):
        chosen, rejected = text_of(one["chosen"][0]["content"]), text_of(one["rejected"][0]["content"])
        assert chosen != rejected
        assert (two["messages"][-1]["content"], two["rejected_response"]) == (chosen, rejected)
        assert (three["chosen"]["content"], three["rejected"]["content"]) == (chosen, rejected)
        assert [each["role"] for each in three["messages"]] == ["system", "user"]
        assert one["images"] == two["images"] == three["images"]
        assert sum(text_of(each["content"]).count("<image>") for each in one["prompt"]) == 1


def test_llamafactory_finds_every_file_that_its_settings_name(furnished: Ground, tmp_path: Path) -> None:
    folder = bundled(furnished, tmp_path / "bundle").path
    info = orjson.loads((folder / "llamafactory/dataset_info.json").read_bytes())
    for kind in ("sft", "dpo"):
        settings = yaml.safe_load((folder / f"llamafactory/{kind}.yaml").read_text("utf-8"))
        assert (settings["stage"], settings["template"]) == (kind, "qwen3_vl_nothink")
        assert (settings["model_name_or_path"], settings["image_max_pixels"]) == (BASE, 512 * 512)
        assert isinstance(settings["learning_rate"], float)
        named = [settings["dataset"], *([settings["eval_dataset"]] if "eval_dataset" in settings else [])]
        for each in named:
            described = info[each]
            lines = lines_of(folder / settings["dataset_dir"] / described["file_name"])
            assert all(set(described["columns"].values()) <= set(line) for line in lines)
            assert described.get("ranking", False) is (kind == "dpo")
            longest = max(len(orjson.dumps(line)) for line in lines)
            assert settings["cutoff_len"] > 300
            assert settings["cutoff_len"] >= longest - 600  # no text has more tokens than characters
            for line in lines:
                assert all((folder / settings["media_dir"] / image).is_file() for image in line["images"])
        merge = yaml.safe_load((folder / f"llamafactory/merge_{kind}.yaml").read_text("utf-8"))
        assert merge["adapter_name_or_path"] == settings["output_dir"]
        assert merge["template"] == settings["template"]


def test_scripts_run_and_say_what_is_missing(furnished: Ground, tmp_path: Path) -> None:
    folder = bundled(furnished, tmp_path / "bundle").path
    for script in ("ms-swift/sft.sh", "ms-swift/dpo.sh", "serve.sh"):
        assert os.access(folder / script, os.X_OK)
        subprocess.run(["sh", "-n", folder / script], check=True)
    compile((folder / "trl/train.py").read_text("utf-8"), "train.py", "exec")
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("swift", "vllm"):
        (tools / tool).write_text('#!/bin/sh\necho "$PWD" "$@" >> "$CALLS"\n')
        (tools / tool).chmod(0o755)
    calls = tmp_path / "calls"
    environment = {"PATH": f"{tools}:{os.environ['PATH']}", "CALLS": str(calls)}
    subprocess.run([folder / "ms-swift/sft.sh"], env=environment, check=True, capture_output=True, cwd=tmp_path)
    subprocess.run([folder / "ms-swift/dpo.sh", "merged/x"], env=environment, check=True, capture_output=True)
    subprocess.run([folder / "serve.sh", "merged/trl-sft"], env=environment, check=True, capture_output=True)
    sft, merge, dpo, _, serve = (shlex.split(line) for line in calls.read_text("utf-8").splitlines())
    assert sft[0] == str(folder)
    for command, kind in ((sft, "sft"), (dpo, "dpo")):
        assert (folder / command[command.index("--dataset") + 1]).name == f"{kind}_train.jsonl"
        assert (folder / command[command.index("--dataset") + 1]).is_file()
    assert (folder / sft[sft.index("--val_dataset") + 1]).is_file()
    assert dpo[dpo.index("--model") + 1] == "merged/x"
    assert merge[merge.index("--adapters") + 1].startswith(sft[sft.index("--output_dir") + 1])
    assert serve[1:3] == ["serve", "merged/trl-sft"]


def test_the_same_dataset_gives_the_same_bytes(furnished: Ground, tmp_path: Path) -> None:
    first, second = (bundled(furnished, tmp_path / f"{each}.zip").path for each in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()
    folder = bundled(furnished, tmp_path / "bundle").path
    with zipfile.ZipFile(first) as archive:
        names = set(archive.namelist())
        assert names == {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
        assert all(archive.read(name) == (folder / name).read_bytes() for name in names)
        assert archive.getinfo("serve.sh").external_attr >> 16 == 0o755
        manifest = orjson.loads(archive.read("manifest.json"))
        for each in manifest["export"]["files"]:
            assert hashlib.sha256(archive.read(each["name"])).hexdigest() == each["sha256"]
    listed = {each["name"] for each in manifest["export"]["files"]}
    assert listed == names - {"manifest.json"}
    assert bundled(furnished, tmp_path / "bundle").path == folder  # an earlier bundle is replaced


def test_nothing_of_the_test_split_is_in_it(furnished: Ground, tmp_path: Path) -> None:
    folder = bundled(furnished, tmp_path / "bundle").path
    tested = Tile(FIRST.z, FIRST.x + 3, FIRST.y)
    names = [str(path) for path in folder.rglob("*")]
    assert not any(f"{tested.z}-{tested.x}-{tested.y}" in name for name in names)
    assert len(list((folder / "images").rglob("*.jpg"))) == 3
    for path in folder.rglob("*.jsonl"):
        assert f"{tested.x}-{tested.y}".encode() not in path.read_bytes()


def test_the_readme_names_what_is_there(furnished: Ground, tmp_path: Path) -> None:
    folder = bundled(furnished, tmp_path / "bundle", name="Maps 'n' roofs").path
    readme = (folder / "README.md").read_text("utf-8")
    for line in readme.splitlines():
        words = shlex.split(line) if line.startswith("    ") else []
        for word in words:
            if word.startswith(("trl/", "ms-swift/", "llamafactory/", "./")):
                assert (folder / word).is_file(), line
    assert "2 train and 1 validation examples" in readme
    assert "test tiles are not among" in readme.lower().replace("\n", " ")
    (add,) = (line for line in readme.splitlines() if "maploop model add" in line)
    words = shlex.split(add)
    assert words[3:5] == ["town", "Maps 'n' roofs"]
    served = words[words.index("--identifier") + 1]
    assert f"--served-model-name {served} " in (folder / "serve.sh").read_text("utf-8")
    assert run(words[1:]) == 0  # typed as it is written
    with furnished.database.read() as connection:
        added = load_model(connection, furnished.project, "Maps 'n' roofs")
    assert (added.backend, added.identifier, added.dataset_id) == ("chat", served, frozen(furnished).id)
    assert added.parameters["dialect"] == "openai"


def test_a_base_of_no_known_family_or_of_another_dialect_is_said(furnished: Ground, tmp_path: Path) -> None:
    unknown = bundled(furnished, tmp_path / "unknown", "someone/odd-model")
    assert any("is of no family in the table" in note for note in unknown.notes)
    assert "write the name of its chat template" in (unknown.path / "README.md").read_text("utf-8")
    other = bundled(furnished, tmp_path / "other")
    assert any("'qwen', the dataset in 'openai'" in note for note in other.notes)
    with furnished.database.write() as connection:
        furnished.project = change_settings(connection, furnished.project, dialect="qwen")
    assert not any("dialect" in note for note in bundled(furnished, tmp_path / "same").notes)


@pytest.mark.parametrize("base", ["", "x; rm -rf /", "../../etc", "a b", "$(id)", "x" * 201])
def test_a_name_that_is_no_base_is_refused(furnished: Ground, tmp_path: Path, base: str) -> None:
    with pytest.raises(InputError, match="is not the name of a base"):
        bundled(furnished, tmp_path / "bundle", base)
    assert not (tmp_path / "bundle").exists()


def test_imagery_that_may_not_train_is_not_bundled(furnished: Ground, tmp_path: Path) -> None:
    furnished.change(update(Imagery).values(may_train=False))
    with pytest.raises(LicenceError, match="forbid training"):
        bundled(furnished, tmp_path / "bundle")
    assert list(tmp_path.glob("*bundle*")) == []


def test_a_prompt_that_looks_like_a_place_for_a_picture_is_refused(furnished: Ground, tmp_path: Path) -> None:
    with furnished.database.write() as connection:
        furnished.project = change_settings(connection, furnished.project, instructions="See <image> above.")
    with pytest.raises(InputError, match="The prompt says <image>"):
        bundled(furnished, tmp_path / "bundle")


def test_without_corrections_there_are_no_pairs_and_the_bundle_says_so(
    sqlite_database: Database, tmp_path: Path
) -> None:
    ground = lay_ground(sqlite_database)
    ground.feature("building", on_tile(0, box(10, 10, 60, 60)), "accept")
    report = bundled(ground, tmp_path / "bundle")
    assert any("There are no preference pairs to train on" in note for note in report.notes)
    assert list(report.path.rglob("dpo_*.jsonl")) == []
    assert "there are none: no reviewed" in (report.path / "README.md").read_text("utf-8")
    done = subprocess.run([report.path / "ms-swift/dpo.sh"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "This bundle has no preference pairs to train on.\n")
