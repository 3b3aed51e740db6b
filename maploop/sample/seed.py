"""The sample project: made in the background at the first start, so that the first screen has something to review."""

import logging
import threading
from dataclasses import dataclass, field

from sqlalchemy import Connection, select

from db.models import Run
from maploop.database import Database
from maploop.errors import MaploopError
from maploop.project import create_project, list_projects, load_project
from maploop.settings import get_settings

logger = logging.getLogger(__name__)

NAME = "Null Island"
MODEL = "local"
SPLIT_SEED = "sample"


@dataclass
class SampleProgress:
    """How far the making of the sample is; `error` when it failed."""

    share: float = 0.0
    text: str = "Drawing the town"
    error: str | None = None


@dataclass
class _Making:
    lock: threading.Lock = field(default_factory=threading.Lock)
    progress: SampleProgress | None = None


_making = _Making()


def sample_progress() -> SampleProgress | None:
    """How far the sample is; None when it is not being made."""
    return _making.progress


def start_sample(database: Database) -> threading.Thread | None:
    """Make the sample in the background when there is no other project; the thread, None when nothing is to do."""
    with database.read() as connection:
        if not _is_wanted(connection):
            return None
    with _making.lock:
        if _making.progress is not None and _making.progress.error is None:
            return None
        _making.progress = SampleProgress()
    thread = threading.Thread(target=_make, args=(database,), name="sample", daemon=True)
    thread.start()
    return thread


def _is_wanted(connection: Connection) -> bool:
    """True when there is no project, or only the sample's, left unfinished by a start that was cut short."""
    projects = list_projects(connection)
    return not projects or (projects == [NAME] and not connection.execute(select(Run.id).limit(1)).first())


def _make(database: Database) -> None:
    progress = _making.progress or SampleProgress()
    try:
        add_sample(database, progress)
    except (MaploopError, OSError) as error:
        logger.exception("the sample project could not be made")
        progress.error = str(error)
    else:
        _making.progress = None


def add_sample(database: Database, progress: SampleProgress | None = None) -> None:
    """Draw the town, run the local model on it and import both as a project. Raises MaploopError, OSError."""
    # The painter and the model take a second to import, and most starts do not need them.
    from maploop.imagery.register import register_imagery  # noqa: PLC0415
    from maploop.predict.file import import_predictions  # noqa: PLC0415
    from maploop.predict.local import LocalModel  # noqa: PLC0415
    from maploop.sample import place  # noqa: PLC0415
    from maploop.sample.project import make_sample  # noqa: PLC0415
    from maploop.tune.tuning import register_local_model  # noqa: PLC0415

    progress = progress or SampleProgress()

    def report(share: float, text: str) -> None:
        progress.share, progress.text = min(share * 0.95, 0.95), text

    files = make_sample(get_settings().data_folder / "sample", progress=report)
    progress.text = "Importing imagery and predictions"
    with database.write() as connection:
        if NAME in list_projects(connection):
            project = load_project(connection, NAME)
        else:
            classes = list(place.CLASSES.items())
            project = create_project(connection, NAME, classes, zoom=place.SAMPLE_ZOOM, seed=SPLIT_SEED)
    register_imagery(
        database,
        project,
        files.imagery,
        attribution=place.ATTRIBUTION,
        licence=place.LICENCE,
        may_train=True,
    )
    register_local_model(database, project, MODEL, LocalModel.load(files.model))
    import_predictions(database, project, files.predictions, model_name=MODEL, class_field="class", score_field="score")
