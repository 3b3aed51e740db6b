"""Group commit: writes that wait at the same moment share one transaction, and with it one flush to the disk."""

import contextlib
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from sqlalchemy import Connection

from db.engine import Database

T = TypeVar("T")
Job = tuple[Callable[[Connection], Any], "Future[Any]"]
MAX_JOBS = 64


class GroupWriter:
    """Runs write jobs one after another in a thread of its own; a job's future is done once its work is on disk.

    The flush is shared and nobody fights for the lock, which among many writers stores several times as much as a
    transaction each. When a job raises, all of its group is taken back and each runs again in a transaction of its own:
    that is rare, and spares every other job a savepoint.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="group-writer", daemon=True)
        self._thread.start()

    def submit(self, job: Callable[[Connection], T]) -> "Future[T]":
        """Have `job` run with a connection in a write transaction, perhaps twice; its answer comes after the commit."""
        future: Future[T] = Future()
        self._jobs.put((job, future))
        return future

    def close(self) -> None:
        """Finish what was submitted, then stop."""
        self._jobs.put(None)
        self._thread.join()

    def _work(self) -> None:
        ended = False
        while not ended:
            waiting = [self._jobs.get()]
            with contextlib.suppress(queue.Empty):
                while len(waiting) < MAX_JOBS:
                    waiting.append(self._jobs.get_nowait())
            ended = None in waiting
            jobs = [job for job in waiting if job is not None and job[1].set_running_or_notify_cancel()]
            if jobs:
                self._run(jobs)

    def _run(self, jobs: list[Job]) -> None:
        try:
            with self._database.write() as connection:
                results = [job(connection) for job, _ in jobs]
        except Exception as error:
            if len(jobs) == 1:
                jobs[0][1].set_exception(error)
                return
            for each in jobs:  # the one at fault fails alone, the others are stored
                self._run([each])
            return
        for (_, future), result in zip(jobs, results, strict=True):
            future.set_result(result)
