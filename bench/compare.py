"""The worked case of comparing, on the sample project, without network: `python -m bench.compare`.

Three models: `local`, which comes with the sample and knows another town; `tuned`, made from it by what a scripted
annotator, who knows the truth, said of its predictions on the tiles for training; and `elsewhere`, a file of
predictions such as another program might write, made from the truth: a fifth is missed, outlines are off by half a
metre, one in eight is not there. They are held against each other on the finished tiles of the test split: the whole
table, the differences with their intervals, break-even, the verdict and what it assumes; then the gate and the
accepting score.

`--json` prints what `maploop compare --json` does. Seconds a decision are guesses here: nobody was timed.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import shapely
from shapely.affinity import translate
from shapely.geometry.base import BaseGeometry
from sqlalchemy import select

from bench.annotator import Annotator
from db.models import Tile as TileRow
from maploop.compare.evaluations import record_comparison, test_split_use
from maploop.compare.money import Assumptions, weigh
from maploop.compare.promotion import promote, try_candidate
from maploop.compare.report import comparison_as_json, comparison_as_text
from maploop.compare.sidebyside import Comparison, compare_models
from maploop.compare.spending import GUESSED_CORRECTED, GUESSES, Speeds
from maploop.compare.thresholds import proposals
from maploop.database import Database, open_database
from maploop.dataset.datasets import freeze
from maploop.imagery.tilemath import Tile
from maploop.predict.choosing import TileChoice
from maploop.predict.file import import_predictions
from maploop.predict.models import load_model
from maploop.predict.registry import open_predictor
from maploop.predict.run import predict_tiles
from maploop.project import ProjectView, annotator_id, load_project
from maploop.quality.statistics import Metric
from maploop.sample.seed import MODEL, NAME, add_sample
from maploop.settings import get_settings
from maploop.tune.tuning import tune
from maploop.vectors.geometry import as_geometries

MISSED, FALSE, OFF = 0.2, 0.125, 0.5 / 111_320  # shares; degrees at the equator
FILE_COST = 4.0  # USD for 1,000 tiles of the file's model: what its maker asks
WANTED = 0.9


def main() -> int:
    """Make the case and print what comes of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--volume", type=int, default=10_000, help="tiles to be mapped")
    parser.add_argument("--wage", type=float, default=20.0, help="USD an hour of review")
    parser.add_argument("--json", action="store_true", help="print the comparison as JSON, and nothing else")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="maploop-compare-") as folder:
        os.environ["MAPLOOP_DATA"] = folder
        os.environ.pop("MAPLOOP_DATABASE_URL", None)
        get_settings.cache_clear()
        started = time.perf_counter()
        database, project, names = worked_case(Path(folder))
        made = time.perf_counter() - started
        started = time.perf_counter()
        with database.read() as connection:
            comparison = compare_models(connection, project, names)
        compared = time.perf_counter() - started
        assumptions = Assumptions(guessed(), volume=told.volume, wage=told.wage, cost_per_1000={"elsewhere": FILE_COST})
        started = time.perf_counter()
        economy = weigh(comparison, assumptions)
        weighed = time.perf_counter() - started
        if told.json:
            print(json.dumps(comparison_as_json(comparison, economy)))
            return 0
        for line in comparison_as_text(comparison, economy):
            print(line)
        print()
        say_choices(database, project, comparison)
        print(f"\nMade in {made:.0f} s, compared in {compared:.2f} s, weighed in {1000 * weighed:.0f} ms.")
    return 0


def worked_case(folder: Path) -> tuple[Database, ProjectView, list[str]]:
    """The sample project with three models that have all answered for its test tiles."""
    database = open_database()
    add_sample(database)
    with database.read() as connection:
        project = load_project(connection, NAME)
        base = load_model(connection, project, MODEL)
    truth = geopandas.read_file(folder / "sample" / "truth.geojson")
    classes = truth["class"].tolist()
    geometries = as_geometries(truth.geometry.to_list())
    annotator = Annotator(database, project, classes, geometries)
    tiles = _tiles(database, project)
    predict_tiles(database, project, base, open_predictor(project, base), TileChoice(given=tiles["test"]))
    annotator.review([*tiles["train"], *tiles["validation"], *tiles["test"]])
    dataset = freeze(database, project, annotator=annotator.name)
    tuned = tune(database, project, dataset.id, "local", name="tuned")
    predict_tiles(database, project, tuned, open_predictor(project, tuned), TileChoice(given=tiles["test"]))
    path = folder / "elsewhere.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": list(_elsewhere(classes, geometries))}))
    import_predictions(database, project, path, model_name="elsewhere", class_field="class", score_field="score")
    return database, project, [base.name, tuned.name, "elsewhere"]


def _tiles(database: Database, project: ProjectView) -> dict[str, list[Tile]]:
    found: dict[str, list[Tile]] = {"train": [], "validation": [], "test": []}
    with database.read() as connection:
        for row in connection.execute(
            select(TileRow.z, TileRow.x, TileRow.y, TileRow.split)
            .where(TileRow.project_id == project.id)
            .order_by(TileRow.quadkey)
        ):
            found[row.split].append(Tile(row.z, row.x, row.y))
    return found


def _elsewhere(classes: list[str], geometries: Any) -> Iterator[dict[str, Any]]:
    """What another program might have found."""
    generator = np.random.default_rng(11)

    def feature(name: str, geometry: BaseGeometry, score: float) -> dict[str, Any]:
        shape = json.loads(shapely.to_geojson(geometry))
        return {"type": "Feature", "properties": {"class": name, "score": score}, "geometry": shape}

    for name, geometry in zip(classes, geometries, strict=True):
        if generator.random() >= MISSED:
            off = generator.normal(0, OFF, 2)
            yield feature(name, translate(geometry, *off), float(generator.uniform(0.5, 1.0)))
        if generator.random() < FALSE:
            yield feature(name, translate(geometry, 18 * OFF, 18 * OFF), float(generator.uniform(0.2, 0.8)))


def guessed() -> Speeds:
    """The seconds a decision that are taken where nobody was timed."""
    seconds = {name: Metric(value, 0, 0) for name, value in GUESSES.items()}
    return Speeds(**seconds, corrected=Metric(GUESSED_CORRECTED, 0, 0))


def say_choices(database: Database, project: ProjectView, comparison: Comparison) -> None:
    """What the gate and the accepting score make of it."""
    with database.write() as connection:
        person = annotator_id(connection, "bench")
        record_comparison(connection, project, person, comparison)
        promote(connection, project, person, try_candidate(connection, project, MODEL), confirmed=True)
        trial = try_candidate(connection, project, "tuned")
        print(trial.gate.rule.text())
        print(trial.gate.text())
        print(test_split_use(connection, project).text)
        for each in proposals(connection, project, MODEL, WANTED):
            threshold = each.threshold
            if threshold.score is None:
                print(f"{each.class_name}: no score is sure to be {100 * WANTED:g} % right.")
            else:
                print(
                    f"{each.class_name}: from score {threshold.score:g} on {threshold.precision.text()} right, "
                    f"at least {100 * (threshold.lower or 0):.1f} %."
                )


if __name__ == "__main__":
    sys.exit(main())
