"""Group commit: writes that wait at the same moment share one transaction, and with it one flush to the disk."""

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection

from db.engine import BUSY_TIMEOUT_SECONDS, Database
from db.savepoint import SparedSavepointError, spare_savepoints

logger = logging.getLogger(__name__)

T = TypeVar("T")
MAX_JOBS = 64
ATTEMPT_SECONDS = 0.25  # how long a transaction may take to begin before those that wait longest are looked at
LEAST_SECONDS = 0.1


@dataclass(frozen=True)
class _Job:
    """Something to write, whoever waits for it, and until when."""

    run: Callable[[Connection], Any]
    future: "Future[Any]"
    deadline: float

    @property
    def left(self) -> float:
        return max(self.deadline - time.monotonic(), LEAST_SECONDS)


class GroupWriter:
    """Runs write jobs one after another in a thread of its own; a job's future is done once its work is on disk.

    The flush is shared and nobody fights for the lock, which among many writers stores several times as much as a
    transaction each. When a job raises, all of its group is taken back and each runs again in a transaction of its own:
    that is rare, and spares every other job a savepoint. While others hold the database, each job waits `patience`
    seconds from when it was submitted, however many wait with it.

    Savepoints that jobs ask for (`db.savepoint`) are spared too, until one is needed: then the group is taken back and
    runs again with all of them.
    """

    def __init__(self, database: Database, patience: float = BUSY_TIMEOUT_SECONDS) -> None:
        self._database = database
        self._patience = patience
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="group-writer", daemon=True)
        self._thread.start()

    def submit(self, job: Callable[[Connection], T], patience: float | None = None) -> "Future[T]":
        """Have `job` run with a connection in a write transaction, perhaps twice; its answer comes after the commit."""
        future: Future[T] = Future()
        wanted = self._patience if patience is None else min(patience, self._patience)
        self._jobs.put(_Job(job, future, time.monotonic() + wanted))
        return future

    def close(self) -> None:
        """Finish what was submitted, then stop."""
        self._jobs.put(None)
        self._thread.join()

    def _work(self) -> None:
        waiting: list[_Job] = []
        ended = False
        while not ended or waiting:
            ended |= self._collect(waiting, wait=not waiting)
            if waiting:
                waiting = self._attempt(waiting)

    def _collect(self, waiting: list[_Job], *, wait: bool) -> bool:
        """Take up what was submitted -> whether that is the end."""
        ended = False
        with contextlib.suppress(queue.Empty):
            while len(waiting) < MAX_JOBS:
                job = self._jobs.get() if wait else self._jobs.get_nowait()
                wait = False
                if job is None:
                    ended = True
                elif job.future.set_running_or_notify_cancel():
                    waiting.append(job)
        return ended

    def _attempt(self, jobs: list[_Job], *, with_savepoints: bool = False) -> list[_Job]:
        """Run all jobs in one transaction -> those that still wait for one to begin."""
        has_begun = False
        try:
            with self._database.write(patience=min(ATTEMPT_SECONDS, *(job.left for job in jobs))) as connection:
                has_begun = True
                if not with_savepoints:
                    spare_savepoints(connection)
                results = [job.run(connection) for job in jobs]
        except SparedSavepointError:
            return self._attempt(jobs, with_savepoints=True)
        except Exception as error:
            kind = getattr(error, "kind", "")
            if not has_begun and kind == "busy":
                return self._still_waiting(jobs, error)
            if kind not in ("", "busy") or (len(jobs) == 1 and not kind):
                for job in jobs:  # a database at fault is so for all of them
                    job.future.set_exception(error)
            else:
                for job in jobs:  # the one at fault fails alone, the others are stored
                    self._run_alone(job)
            return []
        for job, result in zip(jobs, results, strict=True):
            job.future.set_result(result)
        return []

    @staticmethod
    def _still_waiting(jobs: list[_Job], error: Exception) -> list[_Job]:
        now = time.monotonic()
        for job in jobs:
            if job.deadline <= now:
                logger.warning("a write was given up: %s", error)
                job.future.set_exception(error)
        return [job for job in jobs if job.deadline > now]

    def _run_alone(self, job: _Job) -> None:
        try:
            with self._database.write(patience=job.left) as connection:
                result = job.run(connection)
        except Exception as error:
            job.future.set_exception(error)
        else:
            job.future.set_result(result)
