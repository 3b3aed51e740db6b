"""Score cuts: the score from which predictions of a detector count, as a parameter of a comparison.

A detector answers with everything down to small scores, to be cut where it pays. The best cut is chosen on the
validation split and never on tiles that a comparison is made on. A model is compared, held to the gate and promoted
with the cut that it is used with.
"""

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection

from maploop.compare.sidebyside import compare_models, named_model
from maploop.errors import ConflictError, InputError, MaploopError
from maploop.predict.score_cut import current_use
from maploop.project import ProjectView

BEST = "best"


def best_cut(connection: Connection, project: ProjectView, name: str, figure: str = "f1") -> float:
    """The lowest score from which a model's F1, or another rate, is best on the finished validation tiles.

    Raises ConflictError when there are none, it answered too few of them, or its scores rank nothing; NotFoundError.
    """
    (model,) = compare_models(connection, project, [name], split="validation").contenders
    if not model.is_whole:
        msg = f"No score cut can be chosen for {name}: on the validation split it {model.answers.text()}."
        raise ConflictError(msg)
    rated = [(band.figures[figure].value, band.low or 0.0) for band in model.evaluation.overall.by_score]
    known = [(value, low) for value, low in rated if value is not None]
    if not known:
        msg = f"No score cut can be chosen for {name}: its scores are equal or absent on the validation split."
        raise ConflictError(msg)
    return max(known, key=lambda each: (each[0], -each[1]))[1]


def cuts_in_use(connection: Connection, project: ProjectView, names: Iterable[str]) -> dict[str, float]:
    """The cut with which each model is used: the current one as it was promoted, others as they would be.

    That is the best one on the validation split. Models that are used whole are not among them: without a cut that can
    be chosen, or with the lowest.
    """
    cuts: dict[str, float] = {}
    use = current_use(connection, project.id)
    for name in names:
        model, run_id = named_model(connection, project, name)
        if use is not None and use.model_id == model.id and run_id is None:
            cut = use.score_cut
        else:
            cut = _best_cut_or_none(connection, project, name)
        if cut:
            cuts[name] = cut
    return cuts


def _best_cut_or_none(connection: Connection, project: ProjectView, name: str) -> float | None:
    try:
        return best_cut(connection, project, name)
    except MaploopError:
        return None


def read_cuts(
    connection: Connection, project: ProjectView, texts: Sequence[str], names: Sequence[str]
) -> Mapping[str, float]:
    """Read NAME=SCORE and NAME=best, of the models that are compared -> the cut of each.

    Those that no text names have the cut with which they are used. Raises InputError, ConflictError.
    """
    cuts: dict[str, float] = {}
    for text in texts:
        name, _, wanted = text.rpartition("=")
        name = " ".join(name.split())
        if name not in names:
            msg = f"{text!r} does not fit --cut: write NAME=SCORE or NAME={BEST}, of one of {', '.join(names)}."
            raise InputError(msg)
        if wanted.strip().lower() == BEST:
            cuts[name] = best_cut(connection, project, name)
            continue
        try:
            cuts[name] = float(wanted)
        except ValueError:
            cuts[name] = -1.0
        if not 0 <= cuts[name] <= 1:
            msg = f"{wanted!r} is not a score: use a number from 0 to 1, or {BEST}."
            raise InputError(msg)
    return cuts_in_use(connection, project, [name for name in names if name not in cuts]) | cuts
