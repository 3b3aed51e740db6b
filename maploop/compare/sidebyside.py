"""Models of a project held against the same truth: each with its evaluation, and the differences between any two."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from maploop.compare.spending import Spent, spent_on, training_cost_of, training_seconds_of
from maploop.compare.truth_origin import TruthOrigin, blind_among, origin_of_truth
from maploop.compare.wording import fixed
from maploop.errors import InputError, NotFoundError
from maploop.evaluate.answers import AnswerCounts, Answers, on_tiles
from maploop.evaluate.layers import Indices, Layer
from maploop.evaluate.lines import join_lines
from maploop.evaluate.matching import NOTHING, Rules
from maploop.evaluate.metrics import SHARES, Detail, Evaluation, evaluate_in_detail, spread_over
from maploop.evaluate.runs import Ground, load_answers, load_ground, load_truth, load_unsure, rules_of
from maploop.imagery.tilemath import Tile
from maploop.predict.models import ModelView, list_models, load_model
from maploop.project import ProjectView
from maploop.quality.intervals import MIN_BLOCKS, Interval, Replicates, draw_totals, plain_interval
from maploop.quality.statistics import CONFIDENCE, Metric
from maploop.vectors.geometry import GeometryType, area_m2, as_geometries

FIGURE_NAMES = {
    "f1": "F1",
    "precision": "precision",
    "recall": "recall",
    "mean_iou": "mean IoU",
    "ap50": "AP50",
    "ap": "AP[.5:.95]",
    "completeness": "completeness",
    "correctness": "correctness",
    "quality": "quality",
    "count_error": "count error",
    "count_error_per_tile": "count error per tile",
    "mean_distance_m": "m mean distance",
}


@dataclass(frozen=True)
class Difference:
    """The second model's figure minus the first's, on the same tiles: below 0 it is lower.

    class_name      None: over all
    low, high       of the difference in each split block, so that what is hard for both cancels out
    n               how many items the smaller of the two figures rests on
    blocks          how many split blocks have something to measure
    reason          why there is no interval, in words; empty where there is one
    """

    first: str
    second: str
    figure: str
    class_name: str | None
    value: float | None
    low: float | None
    high: float | None
    n: int
    tiles: int
    blocks: int = 0
    reason: str = ""

    @property
    def is_certain(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)

    def text(self) -> str:
        """As people read it: `+0.12 F1, 0.07 to 0.17, 240 tiles in 24 blocks`."""
        name = FIGURE_NAMES.get(self.figure, self.figure)
        tiles = "1 tile" if self.tiles == 1 else f"{self.tiles:,} tiles"
        if self.blocks:
            tiles += " in 1 block" if self.blocks == 1 else f" in {self.blocks:,} blocks"
        if self.value is None:
            return f"– {name}, {tiles}"
        interval = f", no interval: {self.reason}" if self.reason else ""
        if self.low is not None:
            interval = f", {_signed(self.low)} to {_signed(self.high or 0.0)}"
        if self.low is not None and self.low > 0:
            interval = f", {self.low:.2f} to {self.high or 0.0:.2f}"
        return f"{_signed(self.value)} {name}{interval}, {tiles}"


@dataclass(frozen=True)
class Contender:
    """One model of a comparison, or one run of it.

    name            as it was asked for: the model's, or `NAME@RUN`; `model` is the model's own
    detail          its evaluation, the predictions that count, and how each fared; `evaluation` is the short way
    failed          of each tile, whether it gave no usable answer there: what is there counts as missed
    failures        such tiles by kind: refused, malformed, ...
    answers         all finished tiles of the comparison by what became of them, those that are left out of it too
    is_whole        whether it answered enough of them to be compared; else its figures are of what it was asked, alone
    score_cut       the score from which its predictions count; None: all of them
    spent           what its answers on these tiles took
    training_cost   USD of making it; None where that is not known
    training_seconds    of a machine of ours; 0 for a model that was made elsewhere
    """

    name: str
    backend: str
    identifier: str
    parent: str | None
    dataset_id: str | None
    runs: tuple[int, ...]
    prompt_hashes: tuple[str, ...]
    detail: Detail
    failed: NDArray[np.bool_]
    failures: Mapping[str, int]
    answers: AnswerCounts
    spent: Spent
    training_cost: float | None
    training_seconds: float = 0.0
    model: str = ""
    is_whole: bool = True
    score_cut: float | None = None

    @property
    def model_name(self) -> str:
        """The name of the model itself."""
        return self.model or self.name

    @property
    def evaluation(self) -> Evaluation:
        """Its figures, per class and over all."""
        return self.detail.evaluation

    @property
    def predictions(self) -> Layer:
        """Those that count, cut at tiles."""
        return self.detail.predictions

    def figure(self, name: str, class_name: str | None = None) -> Metric:
        """One figure of a class or over all; without a value where the geometry type has none."""
        scores = self.evaluation.overall if class_name is None else self.evaluation.classes[class_name]
        return scores.figures.get(name, Metric(None, 0, 0))

    def found(self, truths: int) -> NDArray[np.bool_]:
        """Which of so many true features it found."""
        result = np.zeros(truths, dtype=np.bool_)
        stands_for = self.detail.outcome.found
        result[stands_for[stands_for != NOTHING]] = True
        return result


@dataclass(frozen=True)
class Comparison:
    """Models over the same tiles: those about which every model that answered enough of them was asked.

    split           empty where the tiles were chosen
    km2             projected area of the tiles
    answered_share  of the finished tiles, the share that a model must have answered to be compared
    left_out        finished tiles about which some of those models could not be asked
    blocks          split blocks that the tiles lie in
    origin          whose predictions the truth was made from, and how many tiles are blind
    unsure          features that somebody is unsure of: what is predicted there counts neither way
    on_blind        the same on the blind tiles alone, where these are some of them and lie in enough blocks
    """

    project: str
    split: str
    tiles: tuple[Tile, ...]
    km2: float
    classes: Mapping[str, GeometryType]
    truth: Layer
    rules: Rules
    contenders: tuple[Contender, ...]
    answered_share: float = 0.9
    left_out: tuple[Tile, ...] = ()
    blocks: int = 0
    origin: TruthOrigin = field(default_factory=TruthOrigin)
    on_blind: "Comparison | None" = None
    unsure: Layer | None = None

    @property
    def whole(self) -> tuple[Contender, ...]:
        """Models that answered enough of the tiles."""
        return tuple(each for each in self.contenders if each.is_whole)

    @property
    def incomplete(self) -> tuple[Contender, ...]:
        """Models that did not."""
        return tuple(each for each in self.contenders if not each.is_whole)

    @property
    def names(self) -> tuple[str, ...]:
        """The models, in the order in which they were named."""
        return tuple(each.name for each in self.contenders)

    @cached_property
    def place_of(self) -> Mapping[Tile, int]:
        """Where a tile is among the tiles."""
        return {tile: place for place, tile in enumerate(self.tiles)}

    @cached_property
    def resampled_counts(self) -> Mapping[str, NDArray[np.float64]]:
        """Of each model, found, false and missed features as other blocks might have given them, (draws, 3).

        The same blocks vary in the same way for all models; no draws with too few blocks.
        """
        if not self.whole:
            return {}
        counts = np.column_stack([each.detail.counts for each in self.whole])
        drawn = draw_totals(counts, self.whole[0].detail.folds)
        return {each.name: drawn[:, 3 * place : 3 * place + 3] for place, each in enumerate(self.whole)}

    def contender(self, name: str) -> Contender:
        """The model of that name. Raises NotFoundError."""
        for each in self.contenders:
            if each.name == name:
                return each
        msg = f"{name!r} is not compared here: {', '.join(map(repr, self.names))}."
        raise NotFoundError(msg)

    def difference(self, first: str, second: str, figure: str = "f1", class_name: str | None = None) -> Difference:
        """The second model's figure minus the first's; without a value where either has none."""
        return difference_of(self.contender(first), self.contender(second), figure, class_name)

    def differences(self, first: str, second: str) -> list[Difference]:
        """All figures that both have, over all and then class by class."""
        a, b = self.contender(first), self.contender(second)
        return [
            difference_of(a, b, figure, name)
            for name in (None, *self.classes)
            for figure in FIGURE_NAMES
            if a.is_whole
            and b.is_whole
            and a.figure(figure, name).value is not None
            and b.figure(figure, name).value is not None
        ]


def difference_of(
    first: Contender,
    second: Contender,
    figure: str,
    class_name: str | None = None,
    *,
    confidence: float = CONFIDENCE,
) -> Difference:
    """See `Comparison.difference`; without a value where one of them did not answer enough to be compared."""
    a, b = first.figure(figure, class_name), second.figure(figure, class_name)
    comparable = first.is_whole and second.is_whole
    value = b.value - a.value if comparable and a.value is not None and b.value is not None else None
    found = Interval(None, None, 0)
    if value is not None:
        one, other = (each.detail.spreads[class_name][figure] for each in (first, second))
        limit = 1.0 if figure in SHARES else math.inf
        found = plain_interval(value, subtracted(one, other), least=-limit, most=limit, confidence=confidence)
    return Difference(
        first=first.name,
        second=second.name,
        figure=figure,
        class_name=class_name,
        value=value,
        low=found.low,
        high=found.high,
        n=min(a.scored, b.scored),
        tiles=second.evaluation.tiles,
        blocks=found.blocks,
        reason=found.reason,
    )


def subtracted(first: Replicates, second: Replicates) -> Replicates:
    """The difference of two figures of the same tiles, without each fold in turn."""
    return Replicates(
        second.values - first.values,
        first.support.joined(second.support),
        min(first.items, second.items),
    )


def compare_models(
    connection: Connection,
    project: ProjectView,
    names: Sequence[str],
    *,
    split: str = "test",
    tiles: Sequence[Tile] = (),
    rules: Rules | None = None,
    cuts: Mapping[str, float] | None = None,
) -> Comparison:
    """Hold models against the same truth: the finished tiles of a split, or those given.

    `cuts`: by model, the score from which its predictions count; those without a score count always.

    `NAME@12` is run 12 of a model alone: so the same model is compared without examples and with them.

    Raises NotFoundError, InputError for a model named twice, ConflictError when there is nothing to compare on.
    """
    wanted = [" ".join(name.split()) for name in names]
    if not wanted or len(set(wanted)) < len(wanted):
        msg = f"{', '.join(map(repr, wanted)) or 'Nothing'} cannot be compared: name each model once, two or more."
        raise InputError(msg)
    rules = rules or rules_of(project)
    models = [named_model(connection, project, name) for name in wanted]
    ground = load_ground(connection, project, split, tiles)
    answers = [load_answers(connection, project, ground, model.name, run_id) for model, run_id in models]
    cut = {name: (cuts or {}).get(name) for name in wanted}
    answers = [told.from_score(cut[name]) for name, told in zip(wanted, answers, strict=True)]
    share = project.settings.answered_share
    whole = [each.counts.share >= share for each in answers]
    common = np.logical_and.reduce([each.asked for each, is_whole in zip(answers, whole, strict=True) if is_whole])
    if not any(whole) or not common.any():
        whole, common = [False] * len(whole), np.ones(len(ground.ids), dtype=np.bool_)
    compared = ground.only(common)
    truth = join_lines(load_truth(connection, project, compared), list(project.geometry_types.values()))
    unsure = load_unsure(connection, project, compared)
    comparison = Comparison(
        project=project.name,
        split=ground.split,
        tiles=tuple(compared.tiles),
        km2=_km2(compared),
        classes=project.geometry_types,
        truth=truth,
        rules=rules,
        contenders=tuple(
            Contender(
                name=name,
                model=model.name,
                backend=model.backend,
                identifier=model.identifier,
                parent=model.parent,
                dataset_id=model.dataset_id,
                runs=tuple(told.runs),
                prompt_hashes=tuple(told.prompt_hashes),
                detail=_detail(project, truth, told.only(common), rules, compared.blocks, unsure),
                failed=told.only(common).failed,
                failures=told.failures,
                answers=told.counts,
                spent=spent_on(connection, compared.ids, told.run[common]),
                training_cost=training_cost_of(model),
                training_seconds=training_seconds_of(model),
                is_whole=is_whole,
                score_cut=cut[name],
            )
            for name, (model, _), told, is_whole in zip(wanted, models, answers, whole, strict=True)
        ),
        answered_share=share,
        blocks=len(np.unique(compared.blocks)),
        left_out=tuple(tile for tile, kept in zip(ground.tiles, common.tolist(), strict=True) if not kept),
        origin=origin_of_truth(connection, compared.ids.tolist()),
        unsure=unsure,
    )
    shown = [each.only(common) for each in answers]
    blind = np.isin(compared.ids, sorted(blind_among(connection, compared.ids.tolist())))
    return replace(comparison, on_blind=_on_blind(project, comparison, compared, shown, blind))


def _on_blind(
    project: ProjectView, comparison: Comparison, ground: Ground, answers: Sequence[Answers], blind: NDArray[np.bool_]
) -> Comparison | None:
    """The same comparison on its blind tiles alone; None when these are all, or lie in too few blocks for intervals."""
    only = ground.only(blind)
    blocks = len(np.unique(only.blocks))
    if blind.all() or blocks < MIN_BLOCKS:
        return None
    truth = on_tiles(comparison.truth, blind)
    unsure = None if comparison.unsure is None else on_tiles(comparison.unsure, blind)
    return replace(
        comparison,
        tiles=tuple(only.tiles),
        km2=_km2(only),
        truth=truth,
        contenders=tuple(
            replace(
                each,
                detail=_detail(project, truth, told.only(blind), comparison.rules, only.blocks, unsure),
                failed=told.only(blind).failed,
                answers=told.only(blind).counts,
            )
            for each, told in zip(comparison.contenders, answers, strict=True)
        ),
        blocks=blocks,
        left_out=(),
        unsure=unsure,
    )


def _km2(ground: Ground) -> float:
    return float(area_m2(as_geometries([tile.polygon for tile in ground.tiles])).sum() / 1e6)


def named_model(connection: Connection, project: ProjectView, name: str) -> tuple[ModelView, int | None]:
    """The model of that name; or of `NAME@RUN`, with the run. Raises NotFoundError."""
    model, separator, run = name.rpartition("@")
    if separator and run.isascii() and run.isdigit() and len(run) < 19:
        known = {each.name: each for each in list_models(connection, project)}
        if name not in known and model in known:
            return known[model], int(run)
    return load_model(connection, project, name), None


def _detail(
    project: ProjectView, truth: Layer, answers: Answers, rules: Rules, blocks: Indices, unsure: Layer | None
) -> Detail:
    """Evaluate a model on the tiles it was asked about; its columns are those of all tiles and all truth."""
    asked = answers.asked
    predictions = join_lines(answers.predictions, list(project.geometry_types.values()))
    detail = evaluate_in_detail(
        on_tiles(truth, asked),
        on_tiles(predictions, asked),
        project.geometry_types,
        int(asked.sum()),
        rules,
        failed=answers.failed[asked],
        blocks=blocks[asked],
        ignored=None if unsure is None else on_tiles(unsure, asked),
    )
    return detail if asked.all() else spread_over(detail, asked, asked[truth.tile])


def _signed(value: float) -> str:
    return fixed(value, 2, signed=True)
