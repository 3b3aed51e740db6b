"""The dataset page: with nothing, with tiles to export, with datasets to download, and when an export fails."""

import io
import zipfile
from pathlib import Path

import orjson
import pytest
import streamlit as st
from PIL import Image as Picture
from shapely.geometry import box
from sqlalchemy import update
from streamlit.testing.v1 import AppTest

from db.engine import Database
from db.models import FeatureClass, Imagery
from db.models import Tile as TileRow
from maploop.dataset.datasets import list_datasets
from maploop.dataset.shelf import shelve, stored_exports
from maploop.imagery.source import describe
from pages import common
from tests.builders import let_names_change
from tests.dataset.ground import FIRST, Ground, furnish, lay_ground, on_tile

PAGE = str(Path(common.__file__).parent / "dataset.py")


@pytest.fixture
def ground(sqlite_database: Database, tmp_path: Path) -> Ground:
    """Four approved tiles with features, and a folder of images of them."""
    ground = lay_ground(sqlite_database)
    furnish(ground)
    for tile in ground.tiles:
        path = tmp_path / "imagery" / f"{tile}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Picture.new("RGB", (256, 256), (tile.x % 251, 90, 60)).save(path)
    info = describe(tmp_path / "imagery")
    ground.change(update(Imagery).values(kind=info.kind, info=info.to_json()))
    return ground


def page() -> AppTest:
    """The page after its first run."""
    return AppTest.from_file(PAGE, default_timeout=60).run()


def said(app: AppTest) -> str:
    """Everything that the page says in passing."""
    return "\n".join(each.value for each in (*app.info, *app.success, *app.error, *app.caption))


def test_without_a_project_the_page_says_what_to_do(sqlite_database: Database) -> None:
    app = page()
    assert not app.exception
    assert any("no project yet" in each.value for each in app.info)


def test_without_finished_tiles_the_page_says_what_to_do(ground: Ground) -> None:
    ground.change(update(TileRow).values(status="complete"))
    app = page()
    assert not app.exception
    assert "No tile of 'town' is approved, 4 are complete" in said(app)
    assert [each.key for each in app.button if each.key == "export"] == []
    app.segmented_control(key="scope").set_value("complete").run()
    assert app.button(key="export")


def test_what_would_go_in_is_shown_before(ground: Ground) -> None:
    ground.feature("building", on_tile(1, box(400, 10, 440, 50)), "unsure")
    ground.change(update(Imagery).values(may_train=False))
    app = page()
    assert not app.exception
    counts = app.dataframe[0].value.set_index("")
    assert counts.loc["building"].to_dict() == {"train": 3, "validation": 2, "test": 2}
    assert counts.loc["tiles"].to_dict() == {"train": 1, "validation": 1, "test": 1}
    labels = [each.label for each in app.expander]
    assert labels[0].startswith("1 tile is held out")
    assert "3 tiles are refused by every training format: the terms of town.tif" in labels[1]
    assert f"19/{FIRST.x + 1}/{FIRST.y}" in app.text[0].value


def test_one_button_exports_and_the_files_can_be_downloaded(ground: Ground) -> None:
    app = page()
    app.multiselect(key="formats").set_value(["openai", "coco", "geojson"]).run()
    app.button(key="export").click().run()
    assert not app.exception
    assert "is exported" in said(app)
    assert "OpenAI trains on 10 or more" in said(app).replace("\\", "")
    assert "USD on gpt-4o" in said(app).replace("\\", "")
    (dataset,) = list_datasets(ground.database, ground.project)
    assert [each.format for each in stored_exports(dataset)] == ["openai", "coco", "geojson"]
    keys = [each.proto.id for each in app.get("download_button")]
    assert len(keys) == 3
    assert any("## What is in it" in each.value for each in app.code)
    assert orjson.loads(app.json[0].value)["exports"]["geojson"]["files"][0]["name"] == "annotations.geojson"


def test_a_dataset_leads_on_to_tuning_a_model_on_it(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    went: list[tuple[str, dict[str, str]]] = []

    def go(where: Path, *, query_params: dict[str, str]) -> None:
        went.append((where.name, query_params))
        st.stop()

    monkeypatch.setattr(st, "switch_page", go)
    app = page()
    app.button(key="export").click().run()
    (dataset,) = list_datasets(ground.database, ground.project)
    app.run()
    app.button(key=f"tune_{dataset.id[:12]}").click().run()
    project = ground.project.name
    assert went == [("models.py", {"project": project, "part": "Tune", "dataset": dataset.id[:12]})]


def test_a_download_is_the_same_zip_every_time(ground: Ground) -> None:
    app = page()
    app.button(key="export").click().run()
    (dataset,) = list_datasets(ground.database, ground.project)
    (stored,) = stored_exports(dataset)
    content = stored.zipped()
    shelve(ground.database, dataset, ["openai"])
    assert stored.zipped() == content
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert sorted(archive.namelist()) == ["card.md", "manifest.json", "train.jsonl", "validation.jsonl"]
        assert archive.testzip() is None


def test_a_failed_export_says_why_and_leaves_the_page_usable(ground: Ground, tmp_path: Path) -> None:
    for path in (tmp_path / "imagery").rglob("*.png"):
        path.unlink()
    app = page()
    app.button(key="export").click().run()
    assert not app.exception
    assert app.error
    assert app.button(key="export")
    (dataset,) = list_datasets(ground.database, ground.project)
    assert stored_exports(dataset) == []


def test_names_of_people_are_text_wherever_they_are_shown(ground: Ground) -> None:
    hostile = "<img src=x onerror=alert(1)> ![a](http://example.org/a.png)"
    with ground.database.write() as connection:
        let_names_change(connection, "class")
    ground.change(update(FeatureClass).where(FeatureClass.name == "tree").values(name=hostile))
    ground.change(update(Imagery).values(location=f"/x/{hostile}", may_train=False))
    app = page()
    app.multiselect(key="formats").set_value(["geojson"]).run()
    app.button(key="export").click().run()
    assert not app.exception
    shown = "\n".join(each.value for each in (*app.markdown, *app.caption, *app.success, *app.info))
    shown += "\n".join(each.label for each in app.expander)
    assert "![a]" not in shown
    assert "<img" not in shown.replace("\\<img", "")
