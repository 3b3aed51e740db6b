"""Verify says that all is well after every kind of act, and names what plain SQL changed since."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from db.models import Feature, Tile, TileFeature
from maploop.cli import run
from maploop.compare.promotion import promote, try_candidate
from maploop.database import Database
from maploop.imagery.tilemath import Tile as TileAddress
from maploop.imagery.tiles import ensure_tiles
from maploop.predict.blind import make_blind
from maploop.predict.file import import_predictions
from maploop.quality.acceptance import approve_annotator, approve_tile, return_tile
from maploop.quality.samples import audits_of
from maploop.quality.sampling import SampleWish, draw_sample
from maploop.review.truth import import_annotations
from maploop.review.undo_import import undo_import
from maploop.store.verify import Verification, verify_rows, verify_store
from tests.builders import CORNER, a_person, a_project, some_imagery
from tests.intake.files import block, square, write
from tests.review.ground import Ground, act, decision, geojson

FIRST, SECOND, THIRD = (f"{CORNER.z}/{CORNER.x + column}/{CORNER.y}" for column in range(3))


class Walk(Ground):
    """A project of 24 tiles in which people, models and files did one of everything."""

    def __init__(self, database: Database, folder: Path) -> None:
        with database.write() as connection:
            project = a_project(connection, block_zoom_offset=0)
            people = {name: a_person(connection, name) for name in ("anna", "ben", "rita")}
            imagery = some_imagery(connection, project)
            places = [(CORNER.x + column, CORNER.y + row) for column in range(6) for row in range(4)]
            ensure_tiles(connection, project, [TileAddress(CORNER.z, *place) for place in places], imagery)
        super().__init__(database, project, people)
        self.folder = folder

    def predict(self, name: str, *shapes: Any) -> str:
        """Import predictions of a model of that name -> the import's id."""
        path = write(self.folder / f"{name}.geojson", shapes)
        answer = import_predictions(
            self.database, self.project, path, model_name=name, class_name="building", annotator="anna"
        )
        return str(answer["import"])

    def know(self, *shapes: Any) -> str:
        """Import known truth, complete on the first three tiles -> the import's id."""
        path = write(self.folder / "truth.geojson", shapes)
        options: dict[str, Any] = {"area": block(3), "annotator": "rita", "class_name": "building"}
        return str(import_annotations(self.database, self.project, path, **options)["import"])

    def on(self, who: str, tile: str) -> list[int]:
        """Open a tile -> its undecided features, by id."""
        return sorted(each["id"] for each in self.deck(who, tile=tile)["features"] if each["verdict"] is None)

    def say(self, who: str, *entries: dict[str, Any]) -> None:
        """Send entries, all of which must be stored."""
        answer = self.send(who, *entries)
        assert answer["refused"] == []

    def undo(self, who: str, entry: dict[str, Any]) -> None:
        """Take a decision back."""
        last = {"standing": entry["id"], "undoes": entry["id"]}
        self.say(who, decision(entry["tile"], entry["feature"] or entry["id"], "undo", **last))

    def check(self) -> Verification:
        """Verify the store, which must be as it was stored."""
        found = verify_store(self.database)
        assert found.problems == []
        return found


def everything(walk: Walk) -> None:
    """Act in every way there is, and verify between."""
    project = walk.project
    walk.predict("first", *(square(column, row) for column in (1, 5, 9, 19, 25, 30, 45, 50, 65, 90) for row in (1, 9)))
    one, *others = walk.on("anna", FIRST)
    kept = [decision(FIRST, one, "accept"), decision(FIRST, others[0], "reject", reason="not_there")]
    moved = decision(FIRST, others[1], "correct", geometry=geojson(square(18, 12, size=3)))
    drawn = decision(FIRST, None, "add", geometry=geojson(square(19, 16)))
    doubted = decision(FIRST, others[2], "unsure")
    walk.say("anna", *kept, moved, drawn, doubted)
    walk.check()
    walk.undo("anna", moved)
    walk.undo("anna", drawn)
    walk.undo("anna", doubted)
    walk.say("anna", *(decision(FIRST, each, "accept") for each in others[1:]), act(FIRST, "complete"))
    walk.check()
    _check_each_other(walk)
    walk.check()
    _decide_from_beside(walk)
    walk.check()
    first_truth = walk.know(square(1, 1), square(12, 4), square(41, 1))
    second_truth = walk.know(square(1, 1), square(12, 4))
    walk.check()
    undo_import(walk.database, project, first_truth, "rita")
    walk.check()
    undo_import(walk.database, project, second_truth, "rita")
    second = walk.predict("second", square(45, 1), square(46, 12), square(64.5, 1))
    walk.check()
    undo_import(walk.database, project, second, "rita")
    walk.predict("third", square(45, 1, shift=0.2), square(46, 12))
    walk.check()
    with walk.database.write() as connection:
        make_blind(connection, project, 1)
    walk.check()
    with walk.database.read() as connection:
        bare = select(Tile.z, Tile.x, Tile.y).where(Tile.split == "test", Tile.blind.is_(False), Tile.y > CORNER.y)
        test_tile = "/".join(map(str, connection.execute(bare.order_by(Tile.id)).first() or ()))
    assert walk.on("anna", test_tile) == []
    walk.say("anna", act(test_tile, "complete"))
    with walk.database.write() as connection:
        trial = try_candidate(connection, project, "first")
        promote(connection, project, walk.people["anna"], trial, reason="It is the only one.", confirmed=True)
    assert run(["export", project.name, "--format", "geojson", "--out", str(walk.folder / "out")]) in (0, 2)


def _check_each_other(walk: Walk) -> None:
    """Ben finishes a tile; rita returns and approves; a spot check looks blind, and all of anna's is approved."""
    project = walk.project
    seen = walk.on("ben", SECOND)
    walk.say("ben", *(decision(SECOND, each, "accept") for each in seen), act(SECOND, "complete"))
    with walk.database.write() as connection:
        place = TileAddress(*map(int, SECOND.split("/")))
        return_tile(connection, project, place, walk.people["rita"], "Look again.")
    walk.check()
    standing = walk.feature("ben", SECOND, seen[-1])["standing"]
    walk.say("ben", decision(SECOND, seen[-1], "reject", standing=standing), act(SECOND, "complete"))
    with walk.database.write() as connection:
        approve_tile(connection, project, place, walk.people["rita"])
    walk.check()
    walk.on("ben", SECOND)
    walk.say("ben", act(SECOND, "reopen"), act(SECOND, "complete"))  # nothing has changed: it is approved still
    sample = draw_sample(walk.database, project, walk.people["rita"], SampleWish(size=5))
    with walk.database.read() as connection:
        audits = audits_of(connection, sample.id)
    for audit in audits:
        tile = str(audit.address)
        shown = walk.deck("rita", tile=tile, audit=audit.id)["features"]
        same = [decision(tile, each["id"], "accept", audit=audit.id) for each in shown]
        column = 20 * (audit.address.x - CORNER.x) + 1
        more = decision(tile, None, "add", audit=audit.id, geometry=geojson(square(column, 17)))
        walk.say("rita", *same, more, act(tile, "complete", audit=audit.id))
    walk.check()
    with walk.database.write() as connection:
        approved = approve_annotator(
            connection, project, sample.id, walk.people["anna"], walk.people["rita"], confirmed=True
        )
    assert approved.approved == 1


def _decide_from_beside(walk: Walk) -> None:
    """Anna rejects a feature that reaches onto ben's approved tile; he finishes that anew, and it is not approved."""
    shared = {each["id"] for each in walk.deck("ben", tile=SECOND)["features"]}
    onto = next(each for each in walk.deck("anna", tile=FIRST)["features"] if each["id"] in shared)
    walk.say("anna", decision(FIRST, onto["id"], "reject", standing=onto["standing"]), act(FIRST, "complete"))
    walk.check()
    walk.on("ben", SECOND)
    walk.say("ben", act(SECOND, "complete"))
    place = TileAddress(*map(int, SECOND.split("/")))
    with walk.database.read() as connection:
        status = connection.execute(select(Tile.status).where(Tile.x == place.x, Tile.y == place.y)).scalar_one()
        assert status == "complete"
    walk.check()
    with walk.database.write() as connection:
        approve_tile(connection, walk.project, place, walk.people["rita"])


@pytest.fixture
def walk(database: Database, tmp_path: Path) -> Walk:
    """The project before anything was done."""
    return Walk(database, tmp_path)


def test_verify_says_that_all_is_well_after_every_kind_of_act(walk: Walk) -> None:
    everything(walk)
    walk.check()


DECIDED = "(SELECT min(id) FROM feature WHERE verdict = 'accept')"
ASKING = "(SELECT min(id) FROM feature WHERE verdict IS NULL AND NOT withdrawn AND prediction_id IS NOT NULL)"
APPROVED = "(SELECT min(id) FROM tile WHERE status = 'approved')"


CHANGES = (
    (f"UPDATE feature SET verdict = NULL, decision_id = NULL WHERE id = {DECIDED}", "feature", "decision_id"),
    (f"UPDATE feature SET verdict = 'reject' WHERE id = {DECIDED}", "feature", "verdict"),
    (f"UPDATE feature SET class_id = class_id + 1 WHERE id = {DECIDED}", "feature", "class_id"),
    (
        "UPDATE feature SET geometry = (SELECT geometry FROM feature AS f WHERE f.id <> feature.id "
        f"AND f.geometry <> feature.geometry LIMIT 1) WHERE id = {DECIDED}",
        "feature",
        "geometry",
    ),
    (f"UPDATE feature SET withdrawn = TRUE WHERE id = {DECIDED}", "feature", "withdrawn"),
    (f"UPDATE feature SET withdrawn = TRUE WHERE id = {ASKING}", "feature", "withdrawn"),
    (
        "UPDATE feature SET withdrawn = TRUE, withdrawn_by = (SELECT max(id) FROM run) WHERE id = "
        "(SELECT max(id) FROM feature WHERE verdict IS NULL AND NOT withdrawn AND prediction_id IN "
        "(SELECT id FROM prediction WHERE run_id = 1))",
        "feature",
        "withdrawn_by",
    ),
    (f"UPDATE feature SET prediction_id = NULL WHERE id = {ASKING}", "feature", "prediction_id"),
    (f"UPDATE feature SET verdict = 'accept' WHERE id = {ASKING}", "feature", "verdict"),
    (f"DELETE FROM tile_feature WHERE feature_id = {ASKING}", "tile_feature", "tile"),
    (f"DELETE FROM tile_feature WHERE feature_id = {DECIDED}", "tile_feature", "tile"),
    (
        f"INSERT INTO tile_feature (feature_id, tile_id) VALUES ({DECIDED}, (SELECT max(id) FROM tile))",
        "tile_feature",
        "tile",
    ),
    (f"UPDATE tile SET status = 'complete' WHERE id = {APPROVED}", "tile", "status"),
    ("UPDATE tile SET status = 'approved' WHERE id = (SELECT max(id) FROM tile)", "tile", "status"),
    (f"UPDATE tile SET finished_by = NULL WHERE id = {APPROVED}", "tile", "finished_by"),
    ("UPDATE tile SET split = CASE split WHEN 'test' THEN 'train' ELSE 'test' END WHERE id = 5", "tile", "split"),
    ("DELETE FROM split_block WHERE split = 'test'", "tile", "split"),
    (
        'UPDATE "import" SET undone_at = made_at, undone_by = 1 WHERE id = (SELECT max(id) FROM import)',
        "import",
        "undone_at",
    ),
    ('UPDATE "import" SET undone_at = NULL, undone_by = NULL WHERE undone_at IS NOT NULL', "import", "undone_at"),
    ('UPDATE "import" SET undone_by = 1 WHERE undone_by = 3', "import", "undone_by"),
    ("UPDATE run SET withdrawn_at = started_at WHERE id = (SELECT max(id) FROM run)", "run", "withdrawn_at"),
    ("UPDATE run SET withdrawn_at = NULL WHERE withdrawn_at IS NOT NULL", "run", "withdrawn_at"),
)
OTHER = "CREATE FUNCTION other() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
GUARDS = {
    "sqlite": (
        ("DROP TRIGGER prediction_no_update",),
        ("CREATE TRIGGER helpful BEFORE INSERT ON decision BEGIN SELECT 1; END",),
        (
            "DROP TRIGGER tile_no_rewrite",
            "CREATE TRIGGER tile_no_rewrite BEFORE UPDATE OF id ON tile BEGIN SELECT 1; END",
        ),
    ),
    "postgresql": (
        ("ALTER TABLE prediction DISABLE TRIGGER prediction_no_change",),
        ("ALTER TABLE prediction ENABLE REPLICA TRIGGER prediction_no_change",),
        ("DROP TRIGGER tile_no_rewrite ON tile",),
        (
            "DROP TRIGGER annotator_no_rewrite ON annotator",
            "CREATE TRIGGER annotator_no_rewrite BEFORE UPDATE OF id, name ON annotator FOR EACH ROW "
            "WHEN (OLD.id IS DISTINCT FROM NEW.id OR OLD.name IS DISTINCT FROM OLD.name) "
            "EXECUTE FUNCTION refuse_rewrite()",
        ),
        ("CREATE OR REPLACE FUNCTION refuse_rewrite() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",),
        (
            OTHER,
            "DROP TRIGGER decision_no_change ON decision",
            "CREATE TRIGGER decision_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON decision "
            "FOR EACH STATEMENT EXECUTE FUNCTION other()",
        ),
        (OTHER, "CREATE TRIGGER helpful BEFORE INSERT ON decision FOR EACH ROW EXECUTE FUNCTION other()"),
    ),
}


def verified_after(database: Database, *statements: str) -> Verification:
    """Run plain SQL, verify the rows, and take the change back -> what verify found."""
    found = Verification()
    with database.engine.connect() as connection, connection.begin() as transaction:
        for statement in statements:
            assert connection.exec_driver_sql(statement).rowcount, statement
        verify_rows(connection, found)
        transaction.rollback()
    return found


def test_verify_names_what_plain_sql_changed(walk: Walk) -> None:
    everything(walk)
    missed = []
    for change, table, column in CHANGES:
        found = verified_after(walk.database, change)
        differences = {(each.table, each.column) for each in found.differences}
        if (table, column) not in differences or "Not as history leaves it: " not in found.problems[0]:
            missed.append((change, found.problems))
    assert missed == []
    walk.check()


UNGUARDED = (
    ("prediction", "UPDATE prediction SET score = 0.99 WHERE id = 3", "prediction", "digest"),
    ("prediction", "UPDATE prediction SET class_id = 2 WHERE id = 3", "prediction", "digest"),
    (
        "prediction",
        "UPDATE prediction SET geometry = (SELECT geometry FROM prediction WHERE id = 4) WHERE id = 3",
        "prediction",
        "digest",
    ),
    (
        "prediction",
        "INSERT INTO prediction (run_id, feature_id, class_id, geometry, source_row, properties) "
        "SELECT run_id, feature_id, class_id, geometry, 99, properties FROM prediction WHERE id = 3",
        "run",
        "predictions",
    ),
    ("record", "UPDATE record SET count = count + 1 WHERE seq = 2", "record", "link"),
    ("record", "DELETE FROM record WHERE seq = 2", "record", "link"),
)


def test_verify_names_predictions_that_were_changed_past_the_guards(walk: Walk) -> None:
    everything(walk)
    missed = []
    for guarded, change, table, column in UNGUARDED:
        names = {"prediction": "no_update", "record": "no_update record_no_delete"}[guarded]
        down = [f"DROP TRIGGER {guarded}_{name}".replace(f"{guarded}_record", "record") for name in names.split()]
        if not walk.database.is_sqlite:
            down = [f"ALTER TABLE {guarded} DISABLE TRIGGER USER"]
        found = verified_after(walk.database, *down, change)
        if (table, column) not in {(each.table, each.column) for each in found.differences}:
            missed.append((change, found.problems))
    assert missed == []


def test_verify_names_guards_that_were_taken_down_switched_off_or_made_toothless(database: Database) -> None:
    kind = "sqlite" if database.is_sqlite else "postgresql"
    found = [verified_after(database, *statements).problems for statements in GUARDS[kind]]
    assert all("Triggers that guard history are gone or changed: " in " ".join(problems) for problems in found)


def test_an_outline_reaches_onto_tiles_made_later_without_being_listed_there(walk: Walk) -> None:
    """A person draws over the rim of the imagery; more imagery comes, whose tiles did not exist then."""
    walk.predict("first", square(1, 1))
    (feature,) = walk.on("anna", FIRST)
    over = geojson(square(-3, 1, size=6))
    walk.say("anna", decision(FIRST, feature, "correct", geometry=over))
    with walk.database.write() as connection:
        ensure_tiles(connection, walk.project, [TileAddress(CORNER.z, CORNER.x - 1, CORNER.y)])
        assert connection.execute(select(TileFeature.tile_id).where(TileFeature.feature_id == feature)).all()
        assert len(connection.execute(select(Tile.id)).all()) == 25
        assert connection.execute(select(Feature.verdict).where(Feature.id == feature)).scalar_one() == "correct"
    walk.check()


def test_what_an_undone_import_had_hidden_stays_hidden_on_a_tile_that_is_blind_by_now(walk: Walk) -> None:
    with walk.database.read() as connection:
        test_tiles = select(Tile.x, Tile.y).where(Tile.split == "test").order_by(Tile.id)
        rows = connection.execute(test_tiles).all()
    column, row = 20 * (rows[0].x - CORNER.x), 20 * (rows[0].y - CORNER.y)
    walk.predict("first", square(column + 2, row + 3))
    second = walk.predict("second", square(column + 12, row + 12))
    with walk.database.write() as connection:
        make_blind(connection, walk.project, len(rows))
    undo_import(walk.database, walk.project, second, "rita")
    with walk.database.read() as connection:
        assert set(connection.execute(select(Feature.withdrawn)).scalars()) == {True}
    walk.check()
