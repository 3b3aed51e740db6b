"""From a model of the backend `chat` and what a run asks for to a predictor, and to what the run will take."""

import hashlib
from collections.abc import Mapping
from typing import Any

import httpx2
import orjson
from sqlalchemy import func, select

from db.models import Run, RunTile
from maploop.contract import Contract
from maploop.database import Database
from maploop.errors import InputError
from maploop.predict.chat.asker import Asker
from maploop.predict.chat.asking import Asking
from maploop.predict.chat.budget import Budget
from maploop.predict.chat.estimate import ANSWER_TOKENS, Estimate, estimate, input_tokens
from maploop.predict.chat.pace import Clock, RealClock
from maploop.predict.chat.parameters import ChatParameters
from maploop.predict.chat.predictor import ChatPredictor
from maploop.predict.chat.server import open_server
from maploop.predict.chat.shots import AlikeShots, NoShots, SameShots, Shots
from maploop.predict.chat.shown import Pool, gather_pool, keep_pool, open_pool
from maploop.predict.destination import imagery_that_stays_here
from maploop.predict.embedding import Eyes, embedder_named
from maploop.predict.models import ModelView
from maploop.predict.scene import Sources, sources_of
from maploop.predict.set_ups import examples_of
from maploop.prices import Price, load_prices
from maploop.project import ProjectView
from maploop.tokens import text_tokens


def chat_parameters_of_run(
    database: Database,
    project: ProjectView,
    model: ModelView,
    parameters: Mapping[str, Any],
    *,
    sources: Sources | None = None,
) -> dict[str, Any]:
    """What a run is to remember: what it asks for, with the examples it may show gathered as they are now.

    Give it to `begin_run` and to `open_chat`. Raises MaploopError.
    """
    asking = Asking.of({**examples_of(model), **parameters})
    if asking.shots and asking.pool is None:
        asking = asking.model_copy(update={"pool": keep_pool(_gathered(database, project, model, asking, sources))})
    return {**parameters, **asking.to_json()}


def open_chat(
    project: ProjectView,
    model: ModelView,
    parameters: Mapping[str, Any],
    *,
    database: Database | None = None,
    sources: Sources | None = None,
    http_client: httpx2.Client | None = None,
    clock: Clock | None = None,
) -> ChatPredictor:
    """A chat model, ready to predict as a run asks for it. With shots it needs the database. Raises MaploopError."""
    asking = Asking.of(parameters)
    asked = ChatQuestion(database, project, model, asking, sources)
    server = open_server(asked.parameters, http_client=http_client)
    budget = asked.budget()
    return ChatPredictor(
        Asker(
            server,
            model.identifier,
            asked.parameters,
            asked.contract,
            price=asked.price,
            budget=budget,
            clock=clock or RealClock(),
        ),
        asked.contract,
        asked.shots(),
        budget,
        prompt_hash=asked.hash(),
        concurrency=asking.concurrency,
    )


def estimate_chat(
    database: Database,
    project: ProjectView,
    model: ModelView,
    parameters: Mapping[str, Any],
    tiles: int,
    *,
    sources: Sources | None = None,
) -> Estimate:
    """What so many tiles will take. Answers are taken to be as long as the model's own were, or as the examples are.

    Needs no key. Raises MaploopError.
    """
    asked = ChatQuestion(database, project, model, Asking.of(parameters), sources)
    answer = _answer_tokens(database, model) or round(asked.answer_tokens()) or ANSWER_TOKENS
    return estimate(tiles, asked.input_tokens(), answer, asked.parameters, asked.price)


class ChatQuestion:
    """Everything that a run asks of a chat model, worked out."""

    def __init__(
        self,
        database: Database | None,
        project: ProjectView,
        model: ModelView,
        asking: Asking,
        sources: Sources | None,
    ) -> None:
        if not model.identifier:
            msg = f"{model.name!r} has no identifier: add it again with the vendor's id of the model."
            raise InputError(msg)
        self.parameters = ChatParameters.of(model.parameters)
        self.contract: Contract = self.parameters.contract(project)
        self._asking = asking
        self._price_name = self.parameters.price_name(model.identifier)
        self.price = _price(self._price_name, asking)
        self._pool: Pool | None = None
        if not asking.shots:
            return
        if database is None:
            msg = "Examples come from the database: open the model with it, or ask without examples."
            raise InputError(msg)
        if asking.pool is None:
            self._pool = _gathered(database, project, model, asking, sources)
        else:
            with database.read() as connection:
                self._pool = open_pool(connection, project, asking.pool)

    def budget(self) -> Budget:
        """What the run may cost. Raises InputError when that cannot be kept."""
        most = self.input_tokens(at_most=True)
        return Budget(self._asking.budget, self.price, input_tokens=most, max_tokens=self.parameters.max_tokens)

    def shots(self) -> Shots:
        """Who chooses the examples for a tile. Raises InputError for an unknown embedder."""
        if self._pool is None:
            return NoShots()
        if not self._asking.retrieve:
            return SameShots(self._pool, self._asking.shots, self.contract)
        return AlikeShots(self._pool, self._asking.shots, self.contract, Eyes(embedder_named(self._asking.embedder)))

    def answer_tokens(self) -> float:
        """Of an example's answer, in the mean; 0 without examples."""
        examples = self._pool.examples if self._pool else ()
        return sum(text_tokens(each.answer) for each in examples) / len(examples) if examples else 0.0

    def input_tokens(self, *, at_most: bool = False) -> int:
        """Of one request."""
        if self._pool is None:
            return input_tokens(self.contract, self._price_name, 0, 0, at_most=at_most)
        shots = min(self._asking.shots, len(self._pool.examples))
        longest = max(text_tokens(each.answer) for each in self._pool.examples)
        tokens = longest if at_most else self.answer_tokens()
        return input_tokens(self.contract, self._price_name, shots, tokens, at_most=at_most)

    def hash(self) -> str:
        """Of everything beside model and pixels that shapes an answer; see docs/decisions/examples-of-a-run.md."""
        shown = None
        if self._pool is not None:
            embedder = embedder_named(self._asking.embedder).name if self._asking.retrieve else None
            shown = {"count": self._asking.shots, "pool": self._pool.hash, "alike_for": embedder}
        shaping = ("structured", "max_tokens", "temperature", "reasoning_effort")
        question = {
            "contract": self.contract.hash,
            "shots": shown,
            **{name: getattr(self.parameters, name) for name in shaping},
        }
        return hashlib.sha256(orjson.dumps(question, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _price(name: str, asking: Asking) -> Price | None:
    prices = load_prices()
    price = prices.price_of(name)
    return price.times(prices.batch_share) if price is not None and asking.batch else price


def _gathered(
    database: Database, project: ProjectView, model: ModelView, asking: Asking, sources: Sources | None
) -> Pool:
    contract = ChatParameters.of(model.parameters).contract(project)
    most = None if asking.retrieve else asking.shots + 1  # one to spare for a tile that is an example itself
    with database.read() as connection:
        stays = imagery_that_stays_here(connection, project, model.backend, model.parameters)
        return gather_pool(connection, project, contract, sources or sources_of(database), most=most, stays=stays)


def _answer_tokens(database: Database, model: ModelView) -> int | None:
    """Of the model's answers so far, in the mean, as the server reported them."""
    with database.read() as connection:
        tokens, tiles = connection.execute(
            select(func.sum(RunTile.output_tokens), func.count())
            .join(Run, Run.id == RunTile.run_id)
            .where(Run.model_id == model.id, RunTile.output_tokens > 0)
        ).one()
    return round(tokens / tiles) if tiles else None


def chat_hash(database: Database, project: ProjectView, model: ModelView, parameters: Mapping[str, Any]) -> str:
    """The prompt hash of a run, which needs no key. Raises MaploopError."""
    return ChatQuestion(database, project, model, Asking.of(parameters), None).hash()
