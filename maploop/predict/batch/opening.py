"""From a model of the backend `chat` to one that is asked in batches."""

from collections.abc import Mapping
from typing import Any

import httpx2

from maploop.database import Database
from maploop.errors import InputError
from maploop.predict.batch.files import Limits
from maploop.predict.batch.predictor import BatchPredictor
from maploop.predict.batch.questions import Questions
from maploop.predict.batch.remote import RemoteBatches
from maploop.predict.chat.asking import Asking
from maploop.predict.chat.opening import ChatQuestion
from maploop.predict.chat.pace import Clock, RealClock
from maploop.predict.chat.server import open_server
from maploop.predict.models import ModelView
from maploop.predict.scene import Sources
from maploop.project import ProjectView


def open_batch(
    project: ProjectView,
    model: ModelView,
    parameters: Mapping[str, Any],
    *,
    database: Database | None,
    waits: bool = True,
    sources: Sources | None = None,
    http_client: httpx2.Client | None = None,
    clock: Clock | None = None,
    limits: Limits | None = None,
) -> BatchPredictor:
    """A chat model, ready to predict in batches as a run asks for it. Raises MaploopError."""
    if database is None:
        msg = "Batches are kept in the database: open the model with it."
        raise InputError(msg)
    asked = ChatQuestion(database, project, model, Asking.of(parameters), sources)
    time = clock or RealClock()
    return BatchPredictor(
        database,
        project,
        RemoteBatches(open_server(asked.parameters, http_client=http_client), time),
        Questions(model.identifier, asked.parameters, asked.contract, asked.shots(), asked.price),
        asked.budget(),
        prompt_hash=asked.hash(),
        clock=time,
        limits=limits,
        waits=waits,
    )
