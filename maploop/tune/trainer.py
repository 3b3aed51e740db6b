"""The port of everything that trains: a lesson in, a model's identifier and what is to be remembered of it out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from maploop.dataset.datasets import DatasetView
from maploop.dataset.reading import Sources
from maploop.dataset.snapshot import Snapshot
from maploop.errors import ConflictError
from maploop.predict.models import ModelView
from maploop.project import ProjectView


class TuningCancelledError(ConflictError):
    """Somebody changed their mind: there is no new model."""


@dataclass(frozen=True)
class Lesson:
    """What a model is to be made from.

    base        the model to go on from; None: from nothing
    name        of the model to be
    sources     opens imagery by id
    hear        is told a share from 0 to 1 and what is going on
    cancelled   True once nobody wants the model any more
    """

    project: ProjectView
    dataset: DatasetView
    snapshot: Snapshot
    base: ModelView | None
    name: str
    sources: Sources
    hear: Callable[[float, str], None] = lambda _share, _text: None
    cancelled: Callable[[], bool] = lambda: False

    def step(self, share: float, text: str) -> None:
        """Say how far the training is. Raises TuningCancelledError."""
        if self.cancelled():
            msg = "The training was cancelled: there is no new model."
            raise TuningCancelledError(msg)
        self.hear(share, text)


@dataclass(frozen=True)
class Trained:
    """A model that can be registered: what its backend finds it by, and what is worth remembering."""

    identifier: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


class Trainer(Protocol):
    """Makes models of one backend."""

    @property
    def backend(self) -> str:
        """The backend of the models it makes."""
        ...

    def train(self, lesson: Lesson) -> Trained:
        """Learn from the train split, measure on the validation split, never look at the test split.

        Raises InputError, LicenceError, ImageryError, TuningCancelledError.
        """
        ...
