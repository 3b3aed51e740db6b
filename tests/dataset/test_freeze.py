"""Freezing: what goes in, what stays out and why, and an id that stands for the bytes."""

from pathlib import Path

import pytest
from shapely.geometry import box
from sqlalchemy import func, select, update

from db.engine import Database
from db.models import Annotator, Dataset, Feature, FeatureClass, Imagery
from db.models import Tile as TileRow
from maploop.dataset.datasets import DatasetView, freeze, list_datasets, load_dataset
from maploop.dataset.export import export
from maploop.dataset.snapshot import Snapshot
from maploop.errors import ConflictError, DatabaseError, InputError, NotFoundError
from maploop.imagery.tilemath import Tile
from maploop.project import load_project
from tests.dataset.ground import FIRST, Ground, Painted, lay_ground, on_tile


def frozen(ground: Ground, tiles: str = "approved") -> DatasetView:
    return freeze(ground.database, ground.project, tiles=tiles, annotator="anna", sources=ground.sources)


def test_a_snapshot_holds_tiles_annotations_rejections_and_predictions(ground: Ground) -> None:
    snapshot = frozen(ground).snapshot()
    assert [snapshot.tile(index) for index in range(4)] == [Tile(19, FIRST.x + each, FIRST.y) for each in range(4)]
    assert snapshot.tiles.split.tolist() == ["train", "train", "validation", "test"]
    assert snapshot.features.verdict.tolist().count("reject") == 1
    assert snapshot.annotated.sum() == 8
    corrected = snapshot.features.verdict.tolist().index("correct")
    assert snapshot.features.geometries[corrected].interiors
    assert not snapshot.features.predicted_geometries[corrected].interiors
    added = snapshot.features.verdict.tolist().index("add")
    assert snapshot.features.predicted_geometries[added] is None
    assert snapshot.annotators == ("anna",)
    assert "secret" not in snapshot.to_bytes().decode()


def test_freezing_twice_gives_the_same_dataset_once(ground: Ground) -> None:
    first, second = frozen(ground), frozen(ground)
    assert first == second
    assert [each.id for each in list_datasets(ground.database, ground.project)] == [first.id]
    assert Snapshot.from_bytes(first.snapshot_path.read_bytes()).to_bytes() == first.snapshot_path.read_bytes()


def test_every_change_of_truth_prompt_or_pixels_gives_another_id(ground: Ground) -> None:
    ids = [frozen(ground).id]
    ground.feature("building", on_tile(1, box(10, 10, 40, 40)), "add")
    ids.append(frozen(ground).id)
    ground.change(update(FeatureClass).where(FeatureClass.name == "tree").values(definition="A crown."))
    with ground.database.read() as connection:
        ground.project = load_project(connection, "town")
    ids.append(frozen(ground).id)
    ground.painted = Painted("painted over")
    ids.append(frozen(ground).id)
    ground.change(update(Imagery).values(licence="none"))
    ids.append(frozen(ground).id)
    assert len(set(ids)) == 5


def test_an_undecided_prediction_on_a_finished_tile_changes_nothing_but_is_told(ground: Ground) -> None:
    before = frozen(ground)
    ground.feature("building", on_tile(0, box(400, 10, 440, 50)), None)
    ground.feature("building", on_tile(1, box(400, 10, 440, 50)), "add")
    after = frozen(ground)
    assert before.manifest["second_looks"] == 0
    assert after.manifest["second_looks"] == 1
    assert after.manifest["classes"]["building"]["total"] == before.manifest["classes"]["building"]["total"] + 1


def test_tiles_with_an_unsure_feature_are_held_out_by_name(ground: Ground, tmp_path: Path) -> None:
    ground.feature("building", on_tile(1, box(400, 10, 440, 50)), "unsure")
    dataset = frozen(ground)
    held = [f"19/{FIRST.x + 1}/{FIRST.y}"]
    assert dataset.manifest["held_out"] == held
    report = export(ground.database, dataset.id, "geojson", tmp_path / "unsure")
    assert report.left_out["somebody is unsure of a feature there"] == held
    assert any("left out, somebody is unsure of a feature there" in note for note in report.notes)
    assert dataset.manifest["tiles"]["total"] == 3


def test_complete_tiles_go_in_only_when_chosen(ground: Ground) -> None:
    ground.change(update(TileRow).where(TileRow.x == FIRST.x).values(status="complete"))
    ground.change(update(TileRow).where(TileRow.x == FIRST.x + 1).values(status="returned"))
    assert frozen(ground).manifest["tiles"]["total"] == 2
    assert frozen(ground, "complete").manifest["tiles"]["total"] == 3


def test_counts_follow_class_split_and_person(ground: Ground) -> None:
    manifest = frozen(ground).manifest
    assert manifest["tiles"] == {"train": 2, "validation": 1, "test": 1, "total": 4, "empty": 0}
    assert manifest["classes"]["building"] == {
        "geometry_type": "polygon",
        "train": 3,
        "validation": 2,
        "test": 2,
        "total": 6,
    }
    assert manifest["classes"]["tree"]["total"] == 1
    assert manifest["verdicts"] == {"accept": 6, "correct": 1, "add": 1, "reject": 1}
    assert manifest["annotators"] == [{"name": "anna", "tiles": 4, "decisions": 9}]
    assert manifest["imagery"][0]["name"] == "town.tif"
    assert manifest["prompt"]["dialect"] == "openai"
    assert manifest["agreement"]["audited_tiles"] == 0


@pytest.mark.parametrize(
    ("status", "expected"),
    [("open", "No tile of 'town' is approved yet"), ("complete", "4 are complete: approve them")],
)
def test_nothing_ready_says_what_to_do(ground: Ground, status: str, expected: str) -> None:
    ground.change(update(TileRow).values(status=status))
    with pytest.raises(ConflictError, match=expected):
        frozen(ground)
    with ground.database.read() as connection:
        assert connection.execute(select(func.count()).select_from(Dataset)).scalar() == 0


def test_only_unsure_tiles_left_says_so(ground: Ground) -> None:
    ground.change(update(Feature).values(verdict="unsure"))
    with pytest.raises(ConflictError, match="All 4 finished tiles of 'town' hold an unsure feature"):
        frozen(ground)


def test_an_unknown_scope_is_refused(ground: Ground) -> None:
    with pytest.raises(InputError, match="'all' does not say which tiles"):
        frozen(ground, "all")


def test_imagery_that_is_gone_does_not_stop_a_freeze(ground: Ground) -> None:
    dataset = freeze(ground.database, ground.project, annotator="anna")  # /secret/place/town.tif does not exist
    assert dataset.snapshot().imagery[0].fingerprint == ""


def test_a_dataset_is_found_by_the_beginning_of_its_id(ground: Ground) -> None:
    dataset = frozen(ground)
    assert load_dataset(ground.database, dataset.id[:8]) == dataset
    with pytest.raises(NotFoundError, match="There is no dataset '000000'"):
        load_dataset(ground.database, "000000")
    for bad in ("", "abc", "%%%%%%%%", "../../etc"):
        with pytest.raises(InputError, match="is not the id of a dataset"):
            load_dataset(ground.database, bad)


def test_a_snapshot_that_was_touched_is_refused(local_ground: Ground) -> None:
    dataset = frozen(local_ground)
    dataset.snapshot_path.write_bytes(dataset.snapshot_path.read_bytes().replace(b"train", b"test!"))
    with pytest.raises(DatabaseError, match="was changed after it was frozen"):
        dataset.snapshot()
    dataset.snapshot_path.unlink()
    with pytest.raises(NotFoundError, match="is missing"):
        dataset.snapshot()


def test_a_new_person_may_freeze(local_ground: Ground) -> None:
    dataset = freeze(local_ground.database, local_ground.project, annotator="bob", sources=local_ground.sources)
    assert dataset.created_by == "bob"
    with local_ground.database.read() as connection:
        assert "bob" in connection.execute(select(Annotator.name)).scalars().all()


def test_a_project_without_features_gives_empty_tiles(sqlite_database: Database) -> None:
    ground = lay_ground(sqlite_database)
    assert frozen(ground).manifest["tiles"]["empty"] == 4
