"""Kill -9 amid a freeze, a training, a comparison, a promotion and an upgrade: part of `python -m bench.kill`.

Each act is a process of its own, killed at a random moment of the time it usually takes. After every kill the store is
verified and has to be sound, nothing half made may bear its name, and the same act has to come to its end.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from alembic import command
from shapely.geometry import Point
from sqlalchemy import Connection, MetaData, func, insert, select

from bench.server import ROOT
from db.engine import connect
from db.models import Dataset, Evaluation, Model, Promotion, Tile, TuningJob
from db.shared import close_shared
from db.types import utc_now
from db.upgrade import alembic_config, known_revisions
from maploop.database import open_database
from maploop.dataset.datasets import freeze
from maploop.dataset.split import Split
from maploop.imagery.tilemath import Tile as Address
from maploop.settings import get_settings
from maploop.store.verify import verify_store
from tests.builders import PlacedTile, a_prediction, complete_history
from tests.tune.ground import lay_ground, put_on_disk

PROJECT = "Town"
SPLITS: tuple[Split, ...] = ("train",) * 10 + ("validation",) * 2 + ("test",) * 3
TEST = 3
SOON_SECONDS = 0.5
OLD_DECISIONS = 3000
# Everything that an act needs is imported before the clock starts: to kill a process that imports shows nothing.
CHILD = """
import sys
import maploop.compare.report, maploop.compare.promotion, maploop.dataset.export, maploop.tune.tuning
import maploop.report.document, sklearn.ensemble, rasterio
from maploop.cli import run
print("ready", flush=True)
sys.exit(run(sys.argv[1:]))
"""


@dataclass
class Outcome:
    """The kills of one act: how many fell before its end, and what was found wrong after any of them."""

    act: str
    kills: int = 0
    finished: int = 0
    wrong: list[str] = field(default_factory=list)


ACTS = ("freeze", "tune", "compare", "promote", "upgrade")


def run(kills: int, acts: Sequence[str] = ACTS, *, whole: bool = True, seed: int = 1) -> list[Outcome]:
    """So many kills of every act.

    `whole`: each act is timed before, and done again after every kill. Else it is killed within half a second.
    """
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="maploop-kill-", ignore_cleanup_errors=True) as folder:
        prepared, old = Path(folder) / "prepared", Path(folder) / "old"
        if set(acts) - {"upgrade"}:
            prepare(prepared)
        if "upgrade" in acts:
            prepare_old(old)
        outcomes = []
        for act in acts:
            outcome = Outcome(act)
            original = old if act == "upgrade" else prepared
            usual = _usual_seconds(act, original, Path(folder) / f"{act}-usual", outcome) if whole else SOON_SECONDS
            for number in range(kills):
                data = Path(folder) / f"{act}-{number}"
                _kill_once(act, original, data, draw.uniform(0, usual), outcome, again=whole)
                shutil.rmtree(data)
            outcomes.append(outcome)
        return outcomes


def prepare(data: Path) -> None:
    """A town with approved tiles of all splits, pixels on disk, a dataset, and two models that predicted."""
    data.mkdir(parents=True)
    with settings_of(data):
        database = open_database()
        ground = lay_ground(database, splits=SPLITS)
        put_on_disk(ground, data)
        with database.write() as connection:
            for column in range(len(SPLITS) - TEST, len(SPLITS)):
                tile = _tile(connection, column)
                for place in range(4):
                    for model in ("first", "second"):
                        a_prediction(connection, ground.project, tile, place, model=model)
            complete_history(connection, ground.project)
        freeze(database, ground.project, annotator="anna")  # by the pixels on disk


def _tile(connection: Connection, column: int) -> PlacedTile:
    row = connection.execute(select(Tile.id, Tile.z, Tile.x, Tile.y).order_by(Tile.x).offset(column).limit(1)).one()
    return PlacedTile(row.id, Address(row.z, row.x, row.y))


def prepare_old(data: Path) -> None:
    """A database of the first version, with decisions."""
    data.mkdir(parents=True)
    database = connect(f"sqlite:///{data / 'maploop.sqlite'}")
    config = alembic_config()
    with database.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    with database.write() as connection:
        tables = MetaData()
        tables.reflect(connection)
        now, point = utc_now().replace(tzinfo=None), bytes(Point(32.5, 0.35).wkb)

        def add(to: str, *rows: dict[str, object]) -> None:
            connection.execute(insert(tables.tables[to]), rows)

        add("annotator", {"id": 1, "name": "anna", "created_at": now})
        project = {"id": 1, "name": PROJECT, "zoom": 19, "tile_size": 512, "seed": "s", "settings": {}}
        add("project", {**project, "created_at": now})
        look = {"name": "b", "geometry_type": "point", "colour": "#0072b2", "digit": 1, "definition": ""}
        add("class", {"id": 1, "project_id": 1, **look})
        place = {"z": 19, "x": 1, "y": 2, "quadkey": "0", "shuffle": 0.5, "uncertainty": 0.0, "split": "train"}
        add("tile", {"id": 1, "project_id": 1, "status": "open", "comment": "", **place})
        ids = [str(uuid4()) for _ in range(OLD_DECISIONS)]
        feature = {"project_id": 1, "class_id": 1, "geometry": point, "withdrawn": False, "verdict": "add"}
        add("feature", *({**feature, "id": n, "decision_id": id, "added_as": id} for n, id in enumerate(ids, 1)))
        add("tile_feature", *[dict[str, object](tile_id=1, feature_id=n) for n in range(1, OLD_DECISIONS + 1)])
        shared = {"project_id": 1, "tile_id": 1, "annotator_id": 1, "verdict": "add", "class_id": 1, "geometry": point}
        times = {"seconds": 1.0, "made_at": now, "stored_at": now}
        add("decision", *({**shared, **times, "id": id, "feature_id": n} for n, id in enumerate(ids, 1)))
    database.close()


def _arguments(act: str, data: Path) -> list[str]:
    if act == "freeze":
        return ["export", PROJECT, "--format", "yolo", "--out", str(data / "out"), "--tiles", "complete"]
    if act == "tune":
        with settings_of(data), open_database().read() as connection:
            dataset = connection.execute(select(Dataset.id)).scalars().first()
        return ["tune", PROJECT, "--dataset", str(dataset), "--base", "local", "--name", "third"]
    if act == "compare":
        return ["compare", PROJECT, "--model", "first", "--model", "second", "--report", str(data / "report.html")]
    if act == "promote":
        return ["promote", PROJECT, "--model", "second", "--overrule", "to be killed", "--yes"]
    return ["upgrade"]


def _start(act: str, data: Path) -> "subprocess.Popen[str]":
    """The act's process, ready to begin."""
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, *_arguments(act, data)],
        cwd=ROOT,
        env={**os.environ, "MAPLOOP_DATA": str(data), "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    return process


def _usual_seconds(act: str, original: Path, data: Path, outcome: Outcome) -> float:
    """How long the act takes when it is let be; it has to succeed."""
    shutil.copytree(original, data)
    process = _start(act, data)
    began = time.monotonic()
    _, complaint = process.communicate()
    took = time.monotonic() - began
    if process.returncode:
        outcome.wrong.append(f"it fails without a kill: {complaint.strip()}")
    shutil.rmtree(data)
    return took


def _kill_once(act: str, original: Path, data: Path, after: float, outcome: Outcome, *, again: bool) -> None:
    shutil.copytree(original, data)
    process = _start(act, data)
    time.sleep(after)
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
        outcome.kills += 1
    else:
        outcome.finished += 1
    process.communicate()
    outcome.wrong += _wrong(act, data)
    if not again:
        return
    second = _start(act, data)
    _, complaint = second.communicate()
    # What a killed process had begun may be taken for its own by it for some seconds more: that is said, not lost.
    if second.returncode and not _is_done(act, data) and "at work" not in complaint and "under way" not in complaint:
        outcome.wrong.append(f"it cannot be done again: {complaint.strip()}")
    outcome.wrong += _wrong(act, data)


def _wrong(act: str, data: Path) -> list[str]:
    """Say what is not as it has to be after a kill."""
    found = []
    if act == "upgrade":
        database = connect(f"sqlite:///{data / 'maploop.sqlite'}")
        with database.read() as connection:
            revision = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one()
            count = connection.exec_driver_sql("SELECT count(*) FROM decision").scalar_one()
            sound = connection.exec_driver_sql("PRAGMA integrity_check").scalar_one()
        database.close()
        if revision not in ("0001", known_revisions()[-1]):
            found.append(f"half upgraded, to {revision}")
        if count != OLD_DECISIONS or sound != "ok":
            found.append(f"{count} decisions, {sound}")
        for copy in data.glob("maploop-backup-*.sqlite"):
            with_name = connect(f"sqlite:///{copy}")
            with with_name.read() as connection:
                if connection.exec_driver_sql("SELECT count(*) FROM decision").scalar_one() != OLD_DECISIONS:
                    found.append(f"{copy.name} is half a copy")
            with_name.close()
        if revision == "0001":
            return found
    with settings_of(data):
        database = open_database()
        found += verify_store(database).problems
        with database.read() as connection:
            found += _unfounded(connection)
    out, report = data / "out", data / "report.html"
    if out.exists() and not (out / "manifest.json").is_file():
        found.append("half an export bears the name of a whole one")
    if report.exists() and not report.read_text().rstrip().endswith("</html>"):
        found.append("half a report bears the name of a whole one")
    return found


def _unfounded(connection: Connection) -> list[str]:
    """Rows that say something is done that is not."""
    found = []
    succeeded = select(TuningJob.id).where(TuningJob.status == "succeeded", TuningJob.model_id.is_(None))
    if connection.execute(succeeded).first():
        found.append("a training succeeded without a model")
    promoted = connection.execute(select(func.count()).select_from(Promotion)).scalar_one()
    evaluated = connection.execute(select(func.count()).select_from(Evaluation)).scalar_one()
    if promoted and not evaluated:
        found.append("a promotion without the evaluation it rests on")
    return found


def _is_done(act: str, data: Path) -> bool:
    """Whether the killed process had come to the act's end, so that doing it again is refused."""
    with settings_of(data), open_database().read() as connection:
        if act == "promote":
            return connection.execute(select(Promotion.id)).first() is not None
        if act == "tune":
            return connection.execute(select(Model.id).where(Model.name == "third")).first() is not None
    return False


@contextmanager
def settings_of(data: Path) -> Iterator[None]:
    """Settings that name a data folder, and no database left open after it."""
    before = os.environ.get("MAPLOOP_DATA")
    os.environ["MAPLOOP_DATA"] = str(data)
    get_settings.cache_clear()
    try:
        yield
    finally:
        close_shared()
        if before is None:
            del os.environ["MAPLOOP_DATA"]
        else:
            os.environ["MAPLOOP_DATA"] = before
        get_settings.cache_clear()
