"""The sample project: made in the background at the first start, so that the first screen has something to review."""

import logging
import threading
from dataclasses import dataclass, field

from sqlalchemy import select

from db.models import Project
from maploop.database import Database
from maploop.errors import MaploopError
from maploop.project import create_project, load_project
from maploop.settings import get_settings

logger = logging.getLogger(__name__)

NAME = "Sample town"
MODEL = "local pixels v1"
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
    """Make the sample in the background when the database holds no project; the thread, None when nothing is to do."""
    with database.read() as connection:
        if connection.execute(select(Project.id).limit(1)).first():
            return None
    with _making.lock:
        if _making.progress is not None and _making.progress.error is None:
            return None
        _making.progress = SampleProgress()
    thread = threading.Thread(target=_make, args=(database,), name="sample", daemon=True)
    thread.start()
    return thread


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
    from maploop.sample.project import ATTRIBUTION, CLASSES, LICENCE, SAMPLE_ZOOM, make_sample  # noqa: PLC0415

    progress = progress or SampleProgress()

    def report(share: float, text: str) -> None:
        progress.share, progress.text = min(share * 0.9, 0.9), text

    files = make_sample(get_settings().data.resolve() / "sample", progress=report)
    progress.share, progress.text = 0.9, "Importing imagery and predictions"
    with database.write() as connection:
        create_project(connection, NAME, list(CLASSES.items()), zoom=SAMPLE_ZOOM, seed=SPLIT_SEED)
    with database.read() as connection:
        project = load_project(connection, NAME)
    register_imagery(database, project, str(files.imagery), attribution=ATTRIBUTION, licence=LICENCE, may_train=True)
    import_predictions(database, project, files.predictions, model_name=MODEL, class_field="class", score_field="score")
