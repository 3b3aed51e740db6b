"""The whole loop, three rounds of predict, review, freeze, tune, without network: `python -m bench.rounds`.

A scripted annotator who knows the truth reviews the tiles of the test split, and each round a share of the others, by
what the model of that round predicted there. F1 is measured on the test split, as `maploop evaluate` measures it,
before and after each round. The first model is weak on purpose: it knows one very small town.

`--kampala` takes the tiles of `../shared/data/kampala` and the outlines there, which are OpenStreetMap's, for truth.
"""

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import geopandas
import numpy as np
from shapely.geometry.base import BaseGeometry
from sqlalchemy import select

from bench.annotator import Annotator
from db.models import Tile as TileRow
from maploop.database import Database, open_database
from maploop.dataset.datasets import freeze
from maploop.dataset.split import unit_hash
from maploop.evaluate.metrics import Evaluation
from maploop.evaluate.runs import evaluate_model, rules_of
from maploop.imagery.register import register_imagery
from maploop.imagery.tilemath import Tile
from maploop.predict.choosing import TileChoice
from maploop.predict.labels import LabelledGeometry
from maploop.predict.local import LocalModel
from maploop.predict.models import ModelView
from maploop.predict.registry import open_predictor
from maploop.predict.run import predict_tiles
from maploop.project import GeometryType, ProjectSettings, ProjectView, create_project
from maploop.sample.place import CLASSES, SAMPLE_ZOOM
from maploop.sample.town import checked_plan, make_town, paint_plan, truth_in_pixels
from maploop.settings import get_settings
from maploop.tune.naming import FRESH_LOCAL
from maploop.tune.tuning import register_local_model, tune
from maploop.vectors.geometry import Geometries, as_geometries, parts_of_type

ROUNDS = 3
KAMPALA = Path(__file__).resolve().parents[2] / "shared" / "data" / "kampala"
KAMPALA_ZOOM = 20  # 0.075 m a pixel; the files go one zoom deeper
SCHOOL_SEED, SCHOOL_SIZE = 42, 512  # the town the first model knows


@dataclass(frozen=True)
class Setting:
    """A project with its imagery, and the truth of its ground."""

    database: Database
    project: ProjectView
    names: list[str]
    geometries: Geometries


def main() -> int:
    """Turn the loop and print what each round brought."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kampala", action="store_true", help="on the Kampala tiles instead of the sample town")
    parser.add_argument("--size", type=int, default=4096, help="pixels a side of the sample town")
    parser.add_argument("--seed", type=int, default=7, help="of the sample town")
    parser.add_argument("--go-on", action="store_true", help="tune each model from the one before, not a fresh one")
    arguments = parser.parse_args()
    if arguments.kampala and not KAMPALA.is_dir():
        print(f"The Kampala tiles are not at {KAMPALA}.", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="maploop-rounds-") as folder:
        os.environ["MAPLOOP_DATA"] = folder
        os.environ.pop("MAPLOOP_DATABASE_URL", None)
        get_settings.cache_clear()
        started = time.perf_counter()
        setting = kampala() if arguments.kampala else town(Path(folder), arguments.seed, arguments.size)
        turn(setting, go_on=arguments.go_on)
        print(f"All in {time.perf_counter() - started:.0f} s.")
    return 0


def town(folder: Path, seed: int, size: int) -> Setting:
    """The sample town as a project."""
    made = make_town(folder / "town", seed=seed, size=size)
    return _setting("Rounds", CLASSES, SAMPLE_ZOOM, made.imagery, [
        (each.class_name, each.geometry) for each in made.truth
    ])  # fmt: skip


def kampala() -> Setting:
    """The Kampala tiles as a project."""
    outlines = geopandas.read_file(KAMPALA / "labels.geojson").to_crs("EPSG:4326").geometry.make_valid()
    truth = [("building", part) for outline in outlines for part in parts_of_type(outline, "polygon")]
    return _setting("Kampala", {"building": "polygon"}, KAMPALA_ZOOM, KAMPALA, truth)


def _setting(
    name: str, classes: dict[str, GeometryType], zoom: int, imagery: Path, truth: Sequence[tuple[str, BaseGeometry]]
) -> Setting:
    database = open_database()
    settings = ProjectSettings(test_share=0.25, validation_share=0.1)
    with database.write() as connection:
        project = create_project(connection, name, list(classes.items()), zoom=zoom, seed="rounds", settings=settings)
    register_imagery(database, project, imagery, may_train=True)
    return Setting(database, project, [each for each, _ in truth], as_geometries([shape for _, shape in truth]))


def turn(setting: Setting, *, go_on: bool) -> None:
    """Three rounds on a project nobody has reviewed yet."""
    database, project = setting.database, setting.project
    tiles = _tiles_by_split(setting)
    learning = sorted(tiles["train"] + tiles["validation"], key=lambda tile: unit_hash(project.seed, tile))
    shares = [part.tolist() for part in np.array_split(np.array(learning, dtype=object), ROUNDS)]
    annotator = Annotator(database, project, setting.names, setting.geometries)
    classes = [each.name for each in project.classes]
    print(", ".join(f"{len(tiles[split])} {split}" for split in tiles), f"tiles at zoom {project.zoom}")
    heads = f"{'F1':>7}  {'(95 %)':<15}{'precision':>9}{'recall':>8}" + "".join(f"{name:>12}" for name in classes)
    print(f"{'round':<7}{'model':<9}{'learned':>8}{'seconds':>9}{heads}")
    model = register_local_model(database, project, "first", _first_model(dict(project.geometry_types)))
    _predict(setting, model, tiles["test"])
    annotator.review(tiles["test"])
    _say(0, model, _evaluated(setting, model), classes)
    for number, share in enumerate(shares, start=1):
        _predict(setting, model, share)
        decisions = annotator.review(share)
        dataset = freeze(database, project, annotator=annotator.name)
        base = model.name if go_on and number > 1 else FRESH_LOCAL
        model = tune(database, project, dataset.id, base, name=f"round-{number}")
        _predict(setting, model, tiles["test"])
        _say(number, model, _evaluated(setting, model), classes, decisions, len(share))


def _first_model(classes: dict[str, GeometryType]) -> LocalModel:
    plan = checked_plan(SCHOOL_SEED, SCHOOL_SIZE)
    known = [LabelledGeometry(each.class_name, each.geometry) for each in truth_in_pixels(plan)]
    return LocalModel.train([(paint_plan(plan), [each for each in known if each.class_name in classes])], classes)


def _tiles_by_split(setting: Setting) -> dict[str, list[Tile]]:
    found: dict[str, list[Tile]] = {"train": [], "validation": [], "test": []}
    with setting.database.read() as connection:
        for row in connection.execute(
            select(TileRow.z, TileRow.x, TileRow.y, TileRow.split)
            .where(TileRow.project_id == setting.project.id, TileRow.imagery_id.is_not(None))
            .order_by(TileRow.quadkey)
        ):
            found[row.split].append(Tile(row.z, row.x, row.y))
    return found


def _predict(setting: Setting, model: ModelView, tiles: list[Tile]) -> None:
    predictor = open_predictor(setting.project, model)
    report = predict_tiles(setting.database, setting.project, model, predictor, TileChoice(given=tiles))
    assert report.run is None or report.run.failed == 0


def _evaluated(setting: Setting, model: ModelView) -> Evaluation:
    with setting.database.read() as connection:
        found, _ = evaluate_model(connection, setting.project, model.name, rules_of(setting.project), split="test")
    return found


def _say(
    number: int,
    model: ModelView,
    evaluation: Evaluation,
    classes: list[str],
    decisions: Counter[str] | None = None,
    reviewed: int = 0,
) -> None:
    overall = evaluation.overall.figures
    f1 = overall["f1"]
    interval = f"({f1.reason})" if f1.low is None or f1.high is None else f"({f1.low:.3f}-{f1.high:.3f})"
    by_class = "".join(f"{evaluation.classes[name].figures['f1'].value or 0:>12.3f}" for name in classes)
    learned, seconds = model.parameters.get("tiles", "-"), model.parameters.get("seconds")
    print(
        f"{number or 'before':<7}{model.name:<9}{learned:>8}{seconds if seconds is not None else '-':>9}"
        f"{f1.value or 0:>7.3f}  {interval:<15}"
        f"{overall['precision'].value or 0:>9.3f}{overall['recall'].value or 0:>8.3f}{by_class}"
    )
    if decisions is not None:
        total = max(1, decisions.total())
        words = ", ".join(f"{count} {verdict}" for verdict, count in sorted(decisions.items()))
        print(f"       from {reviewed} more tiles: {words}; {decisions['accept'] / total:.0%} of what was said was yes")


if __name__ == "__main__":
    sys.exit(main())
