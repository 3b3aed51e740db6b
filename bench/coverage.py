"""Simulate the coverage of intervals of nominal 95 %, and the errors of the gate: `python -m bench.coverage`.

Tiles of some ten features each, 5 to 200 of them, are drawn from worlds whose true figures are known: in some, tiles
are independent and each is a block; in others, blocks of one to seven tiles share how hard they are, with effects of
standard deviation 0.7 on the logit scale. Each row is of `--projects` draws. Intervals are those of Maploop's own
functions; rows say "none" where these refuse one. Exit code 1: an interval covers less than 90 or more than 98 %, or
the gate promotes an equal in more than 5 % of the projects, by more than two standard errors of the simulation.

Below it, the error rate of spot checks: two strata of which the small one has the errors, looked at in equal parts.
"Unweighted" is what the sample says as it is. "Margin holds": how often a sample of the size that Maploop proposes for
a margin of 5 points is off by no more; "alike" is the intra-cluster correlation of the errors of a tile.
"""

import argparse
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from maploop.compare.gate import GateRule
from maploop.compare.sidebyside import subtracted
from maploop.quality.intervals import Folds, Interval, Replicates, f1_interval, plain_interval
from maploop.quality.stratified import stratified_rate, tiles_for_margin

Floats = NDArray[np.float64]

TILES = (5, 10, 24, 50, 100, 200)
LEAST, MOST = 0.90, 0.98
CANDIDATES = 5
FALSE_PROMOTIONS = 0.05
_TRUTH = 40_000  # tiles from which true figures are taken


@dataclass(frozen=True)
class World:
    """A population of tiles; `effect`: standard deviation of what a block shares, 0: its tiles are independent."""

    name: str
    recall: float
    false: float  # predictions without a feature, for each feature
    effect: float
    features: float = 10.0

    @property
    def clustered(self) -> bool:
        """Whether tiles of a block are alike."""
        return self.effect > 0


WORLDS = (
    World("F1 0.75", 0.70, 0.17, 0.0),
    World("F1 0.75", 0.70, 0.17, 0.7),
    World("F1 0.95", 0.95, 0.04, 0.0),
    World("F1 0.95", 0.95, 0.04, 0.7),
)


def two_errors(share: float, draws: int) -> float:
    """Twice the standard error of a share that so many draws show."""
    return 2 * math.sqrt(share * (1 - share) / draws)


@dataclass(frozen=True)
class Coverage:
    """How often intervals held the true figure, of how many that were given, and how wide they are in the middle."""

    held: int
    given: int
    width: float

    @property
    def share(self) -> float | None:
        """None where no interval was given."""
        return self.held / self.given if self.given else None

    @property
    def holds(self) -> bool:
        """Whether it is within what is wanted, where there are any."""
        if self.share is None:
            return True
        return LEAST - two_errors(LEAST, self.given) <= self.share <= MOST + two_errors(MOST, self.given)

    def text(self) -> str:
        """Percent, and the width."""
        return "none" if self.share is None else f"{100 * self.share:.1f} % ({self.width:.2f})"


def blocks_for(tiles: int, world: World, generator: np.random.Generator) -> NDArray[np.int64]:
    """The block of each tile."""
    if not world.clustered:
        return np.arange(tiles, dtype=np.int64)
    return np.repeat(np.arange(tiles), generator.integers(1, 8, tiles))[:tiles].astype(np.int64)


def draw_features(world: World, block: NDArray[np.int64], draws: int, generator: np.random.Generator) -> Floats:
    """Features of each tile, (draws, tiles): more in some blocks than in others."""
    dense = np.exp(generator.normal(0, world.effect / 2, (draws, block.max() + 1)))[:, block]
    return generator.poisson(world.features * dense * generator.gamma(2, 0.5, (draws, len(block)))).astype(np.float64)


def draw_models(
    world: World, features: Floats, block: NDArray[np.int64], models: int, generator: np.random.Generator
) -> list[Floats]:
    """Found, false and missed features by tile, (draws, tiles, 3), of equally good models that are alike in part."""
    draws, tiles = features.shape

    def hardness() -> Floats:
        shared = generator.normal(0, world.effect, (draws, block.max() + 1))[:, block]
        return np.asarray(shared + generator.normal(0, world.effect / 2, (draws, tiles)))

    common, crowded = hardness(), hardness()
    result = []
    for _ in range(models):
        own = 0.8 * common + 0.6 * hardness()
        found = generator.binomial(features.astype(np.int64), expit(logit(world.recall) + own))
        false = generator.poisson(features * world.false * np.exp(0.8 * crowded + 0.6 * hardness()))
        result.append(np.stack([found, false, features - found], axis=-1).astype(np.float64))
    return result


@cache
def true_f1(world: World) -> float:
    """The F1 over very many tiles, each in a block of its own."""
    generator = np.random.default_rng(99)
    block = np.arange(_TRUTH, dtype=np.int64)
    (counts,) = draw_models(world, draw_features(world, block, 1, generator), block, 1, generator)
    return float(f1_of(counts[0].sum(axis=0)))


def f1_of(sums: Floats) -> Floats:
    """F1 from found, false and missed in the last place; 0 of nothing."""
    found, false, missed = sums[..., 0], sums[..., 1], sums[..., 2]
    whole = 2 * found + false + missed
    return np.asarray(np.divide(2 * found, whole, out=np.zeros_like(whole), where=whole > 0))


def replicates_of(counts: Floats, folds: Folds) -> tuple[float, Replicates]:
    """F1 of a draw, and without each fold."""
    either = counts.sum(axis=1)
    support = folds.support(either)
    return float(f1_of(counts.sum(axis=0))), Replicates(f1_of(folds.left_out(counts)), support, int(either.sum()))


def covered(truth: float, found: list[Interval]) -> Coverage:
    """Count the intervals that hold the truth."""
    ends = np.array([(each.low, each.high) for each in found if each.low is not None], dtype=np.float64).reshape(-1, 2)
    held = int(((ends[:, 0] <= truth) & (truth <= ends[:, 1])).sum())
    return Coverage(held, len(ends), float(np.median(ends[:, 1] - ends[:, 0])) if len(ends) else 0.0)


def simulate(world: World, tiles: int, projects: int) -> tuple[float, Coverage, Coverage, float]:
    """Blocks in the middle, the coverage of F1 and of a paired difference of 0, and the share of false promotions.

    A promotion is false when any of `CANDIDATES` equals of the current model, one after the other, passes the gate.
    """
    generator = np.random.default_rng(tiles)
    rule = GateRule()
    single: list[Interval] = []
    paired: list[Interval] = []
    blocks, promoted, rounds = [], 0, 20
    for _ in range(rounds):  # so many layouts of blocks
        block = blocks_for(tiles, world, generator)
        folds = Folds(block)
        blocks.append(folds.blocks)
        draws = projects // rounds
        models = draw_models(world, draw_features(world, block, draws, generator), block, 1 + CANDIDATES, generator)
        for draw in range(draws):
            (value, current), *others = (replicates_of(each[draw], folds) for each in models)
            single.append(f1_interval(value, current))
            differences = [(other - value, subtracted(current, each)) for other, each in others]
            paired.append(plain_interval(*differences[0], least=-1, most=1))
            promoted += _promotes(rule, differences)
    return float(np.median(blocks)), covered(true_f1(world), single), covered(0.0, paired), promoted / len(single)


def _promotes(rule: GateRule, differences: list[tuple[float, Replicates]]) -> bool:
    """Whether the gate lets any of the candidates through, tried one after the other."""
    for tries, (value, replicates) in enumerate(differences, start=1):
        if value <= 0 or replicates.support.blocks < rule.blocks:
            continue
        low = plain_interval(value, replicates, least=-1, most=1, confidence=rule.confidence_of(tries)).low
        if low is not None and low > 0:
            return True
    return False


def rows(projects: int) -> Iterator[bool]:
    """Print a row for each world and number of tiles -> whether it is within what is wanted."""
    heads = ("tiles", "world", "blocks", "F1, 95 %", "difference, 95 %", "false promotions")
    print(f"{heads[0]:>5}  {heads[1]:<20}{heads[2]:>7}{heads[3]:>18}{heads[4]:>18}{heads[5]:>18}")
    most_false = FALSE_PROMOTIONS + two_errors(FALSE_PROMOTIONS, projects)
    for tiles in TILES:
        for world in WORLDS:
            blocks, single, paired, false = simulate(world, tiles, projects)
            name = f"{world.name}, {'clustered' if world.clustered else 'independent'}"
            print(
                f"{tiles:>5}  {name:<20}{blocks:>5.0f}{single.text():>18}{paired.text():>18}{100 * false:>16.1f} %",
                flush=True,
            )
            yield single.holds and paired.holds and false <= most_false


@dataclass(frozen=True)
class Lot:
    """Finished tiles of two annotators: a small stratum with many errors, looked at as closely as the large one.

    `alike`: intra-cluster correlation of the errors of a tile.
    """

    tiles: int
    looked_at: int
    alike: float

    def simulate(self, projects: int) -> tuple[float, float, float, Coverage, float]:
        """The true rate, that of the sample as it is, the estimate; coverage; how often the promised margin holds."""
        generator = np.random.default_rng(self.looked_at)
        small = self.tiles // 5
        strata = np.where(np.arange(self.tiles) < small, "new", "old")
        populations = {"new": small, "old": self.tiles - small}
        rates = np.where(strata == "new", 0.3, 0.03)
        half = self.looked_at // 2
        found: list[Interval] = []
        truths, plain, estimates = [], [], []
        for _ in range(projects):
            items = (generator.poisson(8, self.tiles) + 1).astype(np.float64)
            own = generator.beta(rates * (1 / self.alike - 1), (1 - rates) * (1 / self.alike - 1))
            errors = generator.binomial(items.astype(np.int64), own).astype(np.float64)
            chosen = np.concatenate([
                generator.choice(small, half, replace=False),
                small + generator.choice(self.tiles - small, self.looked_at - half, replace=False),
            ])  # fmt: skip
            metric = stratified_rate(errors[chosen], items[chosen], strata[chosen].tolist(), populations)
            truth = errors.sum() / items.sum()
            truths.append(truth)
            plain.append(errors[chosen].sum() / items[chosen].sum())
            estimates.append(metric.value or 0.0)
            if metric.low is not None and metric.high is not None:
                found.append(Interval(metric.low - truth, metric.high - truth, blocks=0))
        held = self._margin_holds(projects)
        return float(np.mean(truths)), float(np.mean(plain)), float(np.mean(estimates)), covered(0.0, found), held

    def _margin_holds(self, projects: int) -> float:
        """How often a proportional sample of the size for a margin of 5 points, 10 % expected, is off by no more."""
        generator = np.random.default_rng(self.tiles)
        held = 0
        for _ in range(projects):
            items = (generator.poisson(8, self.tiles) + 1).astype(np.float64)
            own = generator.beta(0.1 * (1 / self.alike - 1), 0.9 * (1 / self.alike - 1), self.tiles)
            errors = generator.binomial(items.astype(np.int64), own).astype(np.float64)
            crowding = float((items**2).sum() / items.sum())
            size = tiles_for_margin(0.05, self.tiles, float(items.mean()), crowding, 0.1)
            chosen = generator.choice(self.tiles, size, replace=False)
            metric = stratified_rate(errors[chosen], items[chosen], ["all"] * size, {"all": self.tiles})
            held += abs((metric.value or 0.0) - errors.sum() / items.sum()) <= 0.05
        return held / projects


LOTS = tuple(
    Lot(tiles, looked_at, alike)
    for tiles, looked_at in ((60, 20), (200, 20), (200, 50), (1000, 100))
    for alike in (0.01, 0.05)
)


def lots(projects: int) -> Iterator[bool]:
    """Print a row for each lot of finished tiles -> whether it is within what is wanted."""
    heads = ("tiles", "looked at", "alike", "true", "unweighted", "weighted", "error rate, 95 %", "margin holds")
    widths = (5, 11, 7, 8, 12, 10, 18, 14)
    print("\n" + "".join(f"{head:>{width}}" for head, width in zip(heads, widths, strict=True)))
    for lot in LOTS:
        truth, plain, estimate, coverage, held = lot.simulate(projects)
        print(
            f"{lot.tiles:>5}{lot.looked_at:>11}{lot.alike:>7.2f}{truth:>8.3f}{plain:>12.3f}{estimate:>10.3f}"
            f"{coverage.text():>18}{100 * held:>12.1f} %",
            flush=True,
        )
        yield coverage.holds and held >= 0.95 - two_errors(0.95, projects)


def main() -> int:
    """Print the tables; 1 when something is outside of what is wanted."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--projects", type=int, default=1000, help="draws for each row")
    projects = parser.parse_args().projects
    started = time.perf_counter()
    print(f"{projects:,} projects a row; in brackets the width of the interval in the middle.\n")
    good = [*rows(projects), *lots(projects)]
    print(f"\n{sum(good)} of {len(good)} rows hold. {time.perf_counter() - started:.0f} s.")
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
