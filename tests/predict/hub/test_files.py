"""Where a model's files are: a folder, or a name of the hub."""

from pathlib import Path

import pytest

from maploop.errors import InputError, NotFoundError
from maploop.predict.hub.files import located, model_folder, pinned


def test_a_folder_is_kept_by_its_whole_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "roofs").mkdir()
    monkeypatch.chdir(tmp_path)
    assert located("roofs") == located("./roofs") == str(tmp_path / "roofs")


def test_names_of_the_hub_are_kept_as_they_are() -> None:
    assert located("nvidia/segformer-b0") == "nvidia/segformer-b0"


@pytest.mark.parametrize("text", ["", "a/b/c", "a b/c", "a/..", "https://somewhere/a/b", "-a/b"])
def test_what_is_neither_a_folder_nor_a_name_of_the_hub_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="neither a folder nor a name of the hub"):
        located(text)


def test_a_folder_that_is_not_there_is_said_so() -> None:
    with pytest.raises(NotFoundError, match=r"There is no folder './nowhere'"):
        located("./nowhere")


def test_a_folder_without_a_model_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"There is no config\.json"):
        pinned(str(tmp_path))


def test_the_hash_of_a_folder_changes_with_what_is_read_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    before = pinned(str(tmp_path))
    (tmp_path / "notes.md").write_text("mine")
    (tmp_path / "pytorch_model.bin").write_bytes(b"never read")
    assert pinned(str(tmp_path)) == before
    assert model_folder(str(tmp_path), before) == tmp_path
    (tmp_path / "model.safetensors").write_bytes(b"others")
    assert pinned(str(tmp_path)) != before
    with pytest.raises(InputError, match="were changed after the model was added"):
        model_folder(str(tmp_path), before)


def test_a_folder_has_no_branches(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="A folder has no revision 'main'"):
        pinned(str(tmp_path), "main")
