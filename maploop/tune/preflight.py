"""The preflight of a training: everything that can be known before it, told in plain sentences. Nothing is uploaded."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime

from sqlalchemy import Connection

from maploop.database import Database
from maploop.dataset.datasets import DatasetView, dataset_of
from maploop.dataset.manifest import imageless_tiles, left_out_of, untrainable_tiles
from maploop.dataset.reading import Sources
from maploop.dataset.snapshot import Snapshot
from maploop.errors import InputError, LicenceError, NotFoundError
from maploop.keys import check_key
from maploop.predict.chat.parameters import ChatParameters
from maploop.predict.models import ModelView, list_models
from maploop.predict.set_ups import without_examples
from maploop.prices import base_name, load_prices
from maploop.project import ProjectView
from maploop.tune import checks
from maploop.tune.destination import destination_named, is_azure
from maploop.tune.examples import tiles_with_pixels
from maploop.tune.files import count_files, written_files
from maploop.tune.jobs import list_jobs
from maploop.tune.naming import FRESH_LOCAL, free_name
from maploop.tune.plan import Check, Clients, Hyperparameters, Preflight, Trainer
from maploop.tune.remote import Remote

Progress = Callable[[int, int, str], None]


def preflight(
    database: Database,
    project: ProjectView,
    dataset_id: str,
    base: str,
    *,
    trainer: Trainer = "openai",
    name: str | None = None,
    base_url: str | None = None,
    key: str | None = None,
    hyperparameters: Hyperparameters | None = None,
    clients: Clients | None = None,
    sources: Sources | None = None,
    progress: Progress | None = None,
    today: date | None = None,
) -> Preflight:
    """Look at a training before it: limits, tokens, cost, licences, the base's last day, what else speaks against it.

    `base`: a model of the project, what a server calls a base, or `local`. Server and key come from the project's
    model where they are not given. The files are written to the dataset's shelf and stay there. Without `clients`
    nobody asks the server about the base. Raises NotFoundError, InputError, ImageryError, ConflictError.
    """
    dataset = dataset_of(database, project, dataset_id)
    with database.read() as connection:
        parent = _parent(connection, project, base)
        new = free_name(connection, project, name, f"{base}-{dataset.id[:8]}")
    if trainer == "local":
        return local_plan(dataset, base, parent, new)
    asked = _parameters(parent, base_url, key)
    return _Desk(database, project, dataset, parent, base, new, asked, hyperparameters or Hyperparameters()).plan(
        clients, sources, progress, today or datetime.now(UTC).date()
    )


def _parent(connection: Connection, project: ProjectView, base: str) -> ModelView | None:
    """The model of the project that is called so, None where a trainer's own base is meant."""
    wanted = " ".join(base.split())
    if not wanted:
        msg = "A base is missing: name a model of the project, one of the server's, or local."
        raise InputError(msg)
    return next((each for each in list_models(connection, project) if each.name == wanted), None)


def _parameters(parent: ModelView | None, base_url: str | None, key: str | None) -> ChatParameters:
    """What the new model is asked with: as its parent, unless another server is given."""
    if parent is not None and parent.backend != "chat":
        msg = f"{parent.name!r} is a {parent.backend} model, which no server can train: choose a chat model."
        raise InputError(msg)
    values = without_examples(parent.parameters) if parent else {}
    values.pop("training", None)
    if base_url is not None:
        values["base_url"] = base_url
    if key is not None:
        values["key"] = key
    asked = ChatParameters.of(values)
    if asked.key:
        check_key(asked.key, asked.base_url)
    return asked


def local_plan(dataset: DatasetView, base: str, parent: ModelView | None, name: str) -> Preflight:
    """The plan of a training on this machine. Raises NotFoundError."""
    if parent is None and base != FRESH_LOCAL:
        msg = f"There is no model {base!r} to go on from: choose a local one, or --base {FRESH_LOCAL}."
        raise NotFoundError(msg)
    found: list[Check] = []
    if parent is not None and parent.backend != "local":
        text = f"{parent.name!r} is a {parent.backend} model: the local trainer goes on from local ones only."
        found.append(Check("stop", "base", text))
    snapshot = dataset.snapshot()
    examples = 0
    try:
        examples = len(tiles_with_pixels(snapshot, "train"))
        validation = len(tiles_with_pixels(snapshot, "validation"))
    except (LicenceError, InputError) as error:
        found.append(Check("stop", "examples", str(error)))
    else:
        measured = f"measured on {validation:,} validation tiles" if validation else "not measured: none for validation"
        found.append(Check("ok", "examples", f"{examples:,} train tiles; {measured}. Nothing leaves this machine."))
        found += checks.check_tiles_left_out(untrainable_tiles(snapshot) | imageless_tiles(snapshot))
    return Preflight(
        trainer="local",
        dataset_id=dataset.id,
        base=parent.identifier if parent else FRESH_LOCAL,
        parent=parent.name if parent else None,
        name=name,
        base_url="",
        key_name="",
        destination="this machine",
        hyperparameters=Hyperparameters(),
        examples=examples,
        images=examples,
        checks=tuple(found),
        cost=0.0,
    )


@dataclass
class _Desk:
    """One preflight of a training at a server."""

    database: Database
    project: ProjectView
    dataset: DatasetView
    parent: ModelView | None
    base: str
    name: str
    asked: ChatParameters
    hyperparameters: Hyperparameters

    def plan(
        self, clients: Clients | None, sources: Sources | None, progress: Progress | None, today: date
    ) -> Preflight:
        base = self.parent.identifier if self.parent else " ".join(self.base.split())
        url = self.asked.base_url
        where = destination_named(url)
        snapshot = self.dataset.snapshot()
        table = load_prices()
        price = table.training_price(self.asked.price_name(base))
        remote = Remote(clients(self.asked), url, base) if clients else None
        found = checks.check_base(remote, url, base, today)
        files = []
        try:
            stored = written_files(self.database, self.dataset, url, sources=sources, progress=progress)
        except LicenceError as error:
            found.append(Check("stop", "licence", str(error)))
        else:
            files = count_files(stored, snapshot.contract, self.asked.price_name(base))
            found += checks.check_files(files)
            found += checks.check_tiles_left_out(left_out_of(stored.manifest))
        found += checks.check_licences(snapshot, where)
        found.append(checks.check_people(snapshot))
        found.append(checks.check_hyperparameters(self.hyperparameters))
        train = next((each.file for each in files if each.file.split == "train"), None)
        billed = train.tokens * self.hyperparameters.epochs if train and train.tokens is not None else None
        cost = None if billed is None or price is None else round(billed * price / 1e6, 2)
        found.append(checks.check_cost(cost, table.currency, table.date, base, url))
        with self.database.read() as connection:
            found += checks.check_earlier(list_jobs(connection, self.project), self.dataset.id, base, url)
        if is_azure(url):
            text = "Azure answers for a tuned model only once it is deployed: deploy it under the name of the result."
            found.append(Check("warn", "deployment", text))
        return Preflight(
            trainer="openai",
            dataset_id=self.dataset.id,
            base=base,
            parent=self.parent.name if self.parent else None,
            name=self.name,
            base_url=url,
            key_name=self.asked.key or "",
            destination=where,
            hyperparameters=self.hyperparameters,
            examples=sum(each.file.lines for each in files),
            images=sum(each.file.images for each in files),
            checks=tuple(found),
            files=tuple(each.file for each in files),
            billed_tokens=billed,
            cost=cost,
            currency=table.currency,
            prices_of=table.date,
            parameters=_of_the_tuned(self.asked, snapshot, base).to_json(),
        )


def _of_the_tuned(asked: ChatParameters, snapshot: Snapshot, base: str) -> ChatParameters:
    """Asked as its examples ask, for a tuned model knows one dialect and one closeness of look; priced as tuned."""
    contract = snapshot.contract
    priced_as = asked.priced_as or (base if is_azure(asked.base_url) else None)  # OpenAI's own ids tell their base
    if priced_as is not None:
        priced_as = f"ft:{base_name(priced_as)}"
    return asked.model_copy(update={"dialect": contract.dialect, "detail": contract.detail, "priced_as": priced_as})
