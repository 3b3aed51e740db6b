"""Predictions from a file: a model that ran elsewhere."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from shapely.geometry.base import BaseGeometry

from db.types import utc_now
from maploop.database import Database
from maploop.predict.intake import Choice, as_json, fingerprint, read_file
from maploop.predict.models import check_model_name
from maploop.predict.store import NewRun, Progress, check_not_stored, store_run
from maploop.project import ProjectView


def import_predictions(
    database: Database,
    project: ProjectView,
    path: Path | str,
    *,
    model_name: str,
    class_name: str | None = None,
    class_field: str | None = None,
    score_field: str | None = None,
    source_crs: str | None = None,
    layer: str | None = None,
    images: str | None = None,
    image_size: int | None = None,
    again: bool = False,
    annotator: str | None = None,
    outside_imagery: bool = False,
    area: BaseGeometry | None = None,
    apart: bool = False,
    progress: Progress = lambda _: None,
) -> dict[str, Any]:
    """Import a file of predictions as a run of the model, which is made when new -> the `import` answer of the CLI.

    Classes, scores, CRS and layer are found out unless told, as `vectors.read_features` does, which says too what
    `images` and `image_size` are for. All rows that fit go in together, or nothing does. `annotator`: who brings them
    in, for the record; `area` (EPSG:4326): the ground that the model looked at, beside the tiles that they touch and
    those whose pictures the file lists. `apart`: the file is read in a process of its own.

    Raises VectorError, InputError, also when the project has imagery and all of them lie outside of it, unless they
    may (`outside_imagery`), and ConflictError when the model has this very file, unless it is wanted `again`.
    """
    path = Path(path)
    choice = Choice(class_name, class_field, score_field, source_crs, layer, images, image_size)
    run = NewRun(
        model=check_model_name(model_name),
        backend="file",
        source=str(path.resolve()),
        started_at=utc_now(),
        fingerprint=fingerprint(path, choice),
        again=again,
        annotator=annotator,
        outside_imagery=outside_imagery,
        area=area,
    )
    with database.read() as connection:
        check_not_stored(connection, project, run)
    progress("Reading")
    table, report = read_file(path, project, choice, apart=apart, progress=progress)
    counts = {"read": report.read, "repaired": len(report.repaired), "skipped": len(report.skipped)}
    import_id, stored = store_run(
        database, project, table, replace(run, report=counts, looked_at=report.looked_at), progress
    )
    return {"import": str(import_id), **as_json(report, stored.imported), "model": run.model, **asdict(stored)}
