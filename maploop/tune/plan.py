"""What a training would be: files, limits, cost, and what speaks against it. Made before anything is sent."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

from maploop.dataset.tokens import EPOCHS
from maploop.errors import ConflictError, InputError
from maploop.predict.chat.parameters import ChatParameters

if TYPE_CHECKING:
    from openai import OpenAI

Trainer = Literal["local", "openai"]
Level = Literal["ok", "warn", "stop"]
Clients = Callable[[ChatParameters], "OpenAI"]  # what a model is asked with -> a client of its server

MAX_EPOCHS, MAX_BATCH, MAX_RATE = 50, 256, 100.0
MAX_SEED = 2**31 - 1


@dataclass(frozen=True)
class Hyperparameters:
    """How a server trains; None leaves it to the server. Raises InputError for what no server takes."""

    epochs: int = EPOCHS
    batch_size: int | None = None
    learning_rate_multiplier: float | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.epochs <= MAX_EPOCHS:
            msg = f"{self.epochs} is no number of epochs: use 1 to {MAX_EPOCHS}."
            raise InputError(msg)
        if self.batch_size is not None and not 1 <= self.batch_size <= MAX_BATCH:
            msg = f"{self.batch_size} is no batch size: use 1 to {MAX_BATCH}, or leave it to the server."
            raise InputError(msg)
        rate = self.learning_rate_multiplier
        if rate is not None and not 0 < rate <= MAX_RATE:
            msg = f"{rate} is no learning rate multiplier: use one above 0, up to {MAX_RATE:.0f}; 1 changes nothing."
            raise InputError(msg)
        if self.seed is not None and not 0 <= self.seed <= MAX_SEED:
            msg = f"{self.seed} is no seed: use 0 to {MAX_SEED}."
            raise InputError(msg)

    def to_json(self) -> dict[str, Any]:
        """Plain values, without what is left to the server."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class Check:
    """One thing that was looked at before the training: `stop` forbids it, `warn` is worth knowing."""

    level: Level
    about: str
    text: str


@dataclass(frozen=True)
class TrainingFile:
    """A file that would be uploaded."""

    split: Literal["train", "validation"]
    sha256: str
    size: int
    lines: int
    images: int
    tokens: int | None


@dataclass(frozen=True)
class Confirmation:
    """What a person has agreed to; equal to the one of the preflight they saw, or nothing is sent."""

    destination: str
    base: str
    files: tuple[str, ...]
    examples: int
    images: int
    cost: float | None
    currency: str
    token: str


@dataclass(frozen=True)
class Preflight:
    """Everything that can be known of a training before it. Nothing was sent for it but a question about the base.

    base, parent        what the trainer calls the base, and the model of the project that it is, where it is one
    name                of the model to be; `parameters` of a chat model are those that it will be asked with
    destination         where the files go, for people
    examples, images    in all files
    billed_tokens       of all epochs; None where a picture's tokens are unknown
    cost                estimated, None where the price is unknown
    prices_of           the date of the price table
    token               of this plan: it is started once, however often that is asked
    delete_files        whether the files at the server are deleted when the training ends
    """

    trainer: Trainer
    dataset_id: str
    base: str
    parent: str | None
    name: str
    base_url: str
    key_name: str
    destination: str
    hyperparameters: Hyperparameters
    examples: int
    images: int
    checks: tuple[Check, ...]
    files: tuple[TrainingFile, ...] = ()
    billed_tokens: int | None = None
    cost: float | None = None
    currency: str = "USD"
    prices_of: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    token: str = field(default_factory=lambda: uuid4().hex)
    delete_files: bool = False

    @property
    def may_start(self) -> bool:
        """Whether nothing forbids it."""
        return all(each.level != "stop" for each in self.checks)

    @property
    def stops(self) -> list[str]:
        """What forbids it."""
        return [each.text for each in self.checks if each.level == "stop"]

    @property
    def confirmation(self) -> Confirmation:
        """What somebody has to agree to before it starts."""
        return Confirmation(
            self.destination,
            self.base,
            tuple(each.sha256 for each in self.files),
            self.examples,
            self.images,
            self.cost,
            self.currency,
            self.token,
        )

    @property
    def question(self) -> str:
        """What to ask before anything is sent: destination, count and cost."""
        if self.trainer == "local":
            return f"Train {self.name!r} on this machine with {self.examples:,} examples, at no cost?"
        if self.cost is None:
            cost = (
                f"The cost is not known: the price table of {self.prices_of} has no training price for {self.base!r}."
            )
        else:
            cost = (
                f"That costs about {self.cost:,.2f} {self.currency} at the prices of {self.prices_of}: "
                f"{self.billed_tokens:,} tokens in {self.hyperparameters.epochs} epochs."
            )
        afterwards = " The files are deleted there when the training ends." if self.delete_files else ""
        return (
            f"Send {self.examples:,} examples with {self.images:,} pictures to {self.destination} and train "
            f"{self.base!r} on them? {cost}{afterwards}"
        )

    def to_json(self) -> dict[str, Any]:
        """As the CLI prints it and a job keeps it."""
        values = asdict(replace(self, checks=(), files=()))
        return {
            **{name: value for name, value in values.items() if name not in ("dataset_id", "hyperparameters", "token")},
            "dataset": self.dataset_id,
            "hyperparameters": self.hyperparameters.to_json(),
            "files": [asdict(each) for each in self.files],
            "checks": [asdict(each) for each in self.checks],
            "may_start": self.may_start,
            "question": self.question,
        }


def check_confirmed(plan: Preflight, confirmation: Confirmation | None) -> None:
    """Raises InputError when something forbids the training, ConflictError unless this very plan was agreed to."""
    if not plan.may_start:
        raise InputError(" ".join(plan.stops))
    if plan.trainer == "local" and confirmation is None:
        return
    if confirmation != plan.confirmation:
        msg = (
            f"What was confirmed is not what would be sent now ({plan.examples:,} examples to {plan.destination}): "
            "look at it again, and confirm that."
        )
        raise ConflictError(msg)
