"""How long the sample project takes and how good its predictions are: `python -m bench.sample [--size N] [--seed N]`.

Buildings match one to one at IoU >= 0.5, best score first; tanks within 1.5 m; lines by completeness and correctness
within a buffer of 2 m, whose harmonic mean stands under F1. All in metres (EPSG:32631).
"""

import argparse
import tempfile
import time
from pathlib import Path

import geopandas
import numpy as np
import shapely
from numpy.typing import NDArray

from maploop.sample.place import CLASSES, SAMPLE_CRS, SAMPLE_SIZE
from maploop.sample.project import make_sample
from maploop.sample.town import make_town

Shapes = NDArray[np.object_]


def matched(truth: Shapes, predicted: Shapes, kind: str) -> int:
    """How many predictions, given best first, find a feature of the truth that none before them took."""
    tree = shapely.STRtree(truth)
    taken: set[int] = set()
    for shape in predicted:
        near = [i for i in tree.query(shape.buffer(0 if kind == "polygon" else 1.5)) if i not in taken]
        if kind == "polygon":
            ious = [(shape.intersection(truth[i]).area / shape.union(truth[i]).area, i) for i in near]
            good = [(iou, i) for iou, i in ious if iou >= 0.5]
        else:
            good = [(-shape.distance(truth[i]), i) for i in near if shape.distance(truth[i]) <= 1.5]
        if good:
            taken.add(max(good)[1])
    return len(taken)


def covered(lines: Shapes, others: Shapes) -> float:
    """The share of the length of `lines` that lies within 2 m of `others`."""
    whole, reach = shapely.union_all(lines), shapely.union_all(others).buffer(2.0)
    return float(whole.intersection(reach).length / whole.length) if whole.length else 0.0


def main() -> None:
    """Make the sample in a scratch folder and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=SAMPLE_SIZE)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        start = time.perf_counter()
        make_town(Path(scratch) / "alone", seed=arguments.seed, size=arguments.size)
        town = time.perf_counter() - start
        start = time.perf_counter()
        files = make_sample(Path(scratch), seed=arguments.seed, size=arguments.size)
        print(f"town {arguments.size} px: {town:.1f} s; whole sample: {time.perf_counter() - start:.1f} s; ", end="")
        print(f"imagery {files.imagery.stat().st_size / 1e6:.1f} MB, model {files.model.stat().st_size / 1e6:.2f} MB")
        truth = geopandas.read_file(files.truth).to_crs(SAMPLE_CRS)
        predictions = geopandas.read_file(files.predictions).to_crs(SAMPLE_CRS).sort_values("score", ascending=False)
    print(f"{'class':<12}{'truth':>7}{'predicted':>11}{'precision':>11}{'recall':>8}{'F1':>7}   score of right / wrong")
    for name, kind in CLASSES.items():
        real = truth[truth["class"] == name].geometry.to_numpy()
        chosen = predictions[predictions["class"] == name]
        found = chosen.geometry.to_numpy()
        if kind == "line":
            precision, recall = covered(found, real), covered(real, found)
        else:
            hits = matched(real, found, kind)
            precision, recall = hits / max(len(found), 1), hits / max(len(real), 1)
        f1 = 2 * precision * recall / max(precision + recall, 1e-9)
        right = [matched(real, found[i : i + 1], kind) > 0 for i in range(len(found))] if kind != "line" else [
            covered(found[i : i + 1], real) > 0.5 for i in range(len(found))
        ]  # fmt: skip
        scores = chosen["score"].to_numpy()
        means = " / ".join(
            f"{scores[mask].mean():.2f}" if mask.any() else "-" for mask in (np.array(right), ~np.array(right))
        )
        print(f"{name:<12}{len(real):>7}{len(found):>11}{precision:>11.3f}{recall:>8.3f}{f1:>7.3f}   {means}")


if __name__ == "__main__":
    main()
