"""The test split is guarded: what its tiles hold never gets into what a model learns from."""

import json
from pathlib import Path

import pytest
import shapely
from shapely.geometry import box
from sqlalchemy import select, update

from db.models import Feature
from db.models import Tile as TileRow
from maploop.dataset.datasets import freeze
from maploop.dataset.export import ExportReport, export
from maploop.dataset.formats import FORMATS
from maploop.dataset.split import Split
from maploop.tune.examples import TileExamples, tiles_with_pixels
from tests.dataset.ground import Ground, on_tile

LEARNING: tuple[Split, ...] = ("train", "validation")
TRAINING = [each.name for each in FORMATS.values() if each.training]
ABOUT = ("manifest.json", "card.md")


@pytest.fixture
def guarded(local_ground: Ground) -> Ground:
    """Tile 2 is for validation, tile 3 for tests; a building reaches from the one onto the other."""
    return local_ground


def change_the_test_tile(ground: Ground) -> None:
    """More features there, and other outlines of those there are, also of the one that reaches in from outside."""
    ground.feature("building", on_tile(3, box(10, 300, 90, 400)), "add")
    ground.feature("road", on_tile(3, shapely.LineString([(100, 10), (400, 480)])), "accept")
    ground.feature("building", on_tile(3, box(300, 300, 350, 350)), "reject")
    with ground.database.read() as connection:
        row = connection.execute(select(Feature.id, Feature.geometry).order_by(Feature.id)).all()
    leaking = next(each for each in row if each.geometry.equals_exact(on_tile(2, box(490, 100, 540, 150)), 1e-9))
    longer = on_tile(2, box(490, 100, 700, 150))  # the same on tile 2
    ground.change(update(Feature).where(Feature.id == leaking.id).values(geometry=longer))


def written(ground: Ground, format: str, out: Path) -> dict[str, bytes]:
    """What models would learn from and be checked on while they do."""
    dataset = freeze(ground.database, ground.project, annotator="anna", sources=ground.sources)
    found: dict[str, bytes] = {}
    for split in LEARNING:
        report = export(ground.database, dataset.id, format, out / split, split=split, sources=ground.sources)
        for path in sorted(report.path.rglob("*")):
            if path.is_file() and path.name not in ABOUT:
                found[f"{split}/{path.relative_to(report.path)}"] = nameless(path, report)
    return found


def nameless(path: Path, report: ExportReport) -> bytes:
    """The bytes of a file without the name of the dataset, which is another one after any change."""
    return path.read_bytes().replace(report.dataset.encode(), b"")


def everything(report: ExportReport) -> dict[str, bytes]:
    """All files of an export."""
    return {
        str(path.relative_to(report.path)): nameless(path, report) for path in report.path.rglob("*") if path.is_file()
    }


@pytest.mark.parametrize("format", TRAINING)
def test_exports_of_train_and_validation_know_nothing_of_test_tiles(
    guarded: Ground, format: str, tmp_path: Path
) -> None:
    before = written(guarded, format, tmp_path / "before")
    change_the_test_tile(guarded)
    assert written(guarded, format, tmp_path / "after") == before
    assert any(before.values())


@pytest.mark.parametrize("format", TRAINING)
def test_a_whole_export_keeps_the_test_tile_to_its_own_files(guarded: Ground, format: str, tmp_path: Path) -> None:
    dataset = freeze(guarded.database, guarded.project, annotator="anna", sources=guarded.sources)
    report = export(guarded.database, dataset.id, format, tmp_path / "out", sources=guarded.sources)
    before = everything(report)
    change_the_test_tile(guarded)
    dataset = freeze(guarded.database, guarded.project, annotator="anna", sources=guarded.sources)
    after = everything(export(guarded.database, dataset.id, format, tmp_path / "again", sources=guarded.sources))
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert changed
    assert {name for name in changed if Path(name).name not in ABOUT and "test" not in name} == set()


def test_what_is_trained_on_here_knows_nothing_of_test_tiles(guarded: Ground) -> None:
    def labels() -> str:
        snapshot = freeze(guarded.database, guarded.project, annotator="anna", sources=guarded.sources).snapshot()
        told = []
        for split in LEARNING:
            examples = TileExamples(snapshot, tiles_with_pixels(snapshot, split), guarded.sources)
            for number, (_, labelled) in enumerate(examples):
                drawn = sorted((each.class_name, each.geometry.wkt) for each in labelled)
                told.append([str(examples.address(number)), drawn])
        return json.dumps(told)

    before = labels()
    change_the_test_tile(guarded)
    assert labels() == before


def test_tiles_with_pixels_of_train_are_of_train(guarded: Ground) -> None:
    snapshot = freeze(guarded.database, guarded.project, annotator="anna", sources=guarded.sources).snapshot()
    with guarded.database.read() as connection:
        split_of = {
            (row.x, row.y): row.split for row in connection.execute(select(TileRow.x, TileRow.y, TileRow.split))
        }
    for split in LEARNING:
        addresses = [snapshot.tile(index) for index in tiles_with_pixels(snapshot, split).tolist()]
        assert {split_of[each.x, each.y] for each in addresses} == {split}
