"""Has work carried out in a process of its own, which outlives the app for as long as answers are on their way.

Who asks a server pays for every question, also for one whose asker was killed before the answer came. So questions are
asked by a child of the app. It is told by its standard input closing, which a kill of the app closes too, to ask
nothing new; what is on its way is waited for and stored, and the run put down for the next app to take up. And a model
that takes its process with it, as one too large for the memory does, leaves the app alone, asked or trained.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Final, Literal, cast

import orjson

import maploop
from maploop.errors import ConflictError
from maploop.work.foreman import Watch

Kind = Literal["run", "training"]

_HOME: Final = str(Path(maploop.__file__).parents[1])


@dataclass(frozen=True)
class Errand:
    """What the child has to know; told through a pipe, as others can read what a process was started with.

    database_url    with its password
    kind            run or training
    row_id          of the run or training
    keys            of the server that is asked, by name
    """

    database_url: str = field(repr=False)
    kind: Kind
    project_id: int
    row_id: int
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)

    def to_line(self) -> bytes:
        """One line of JSON."""
        return orjson.dumps(asdict(self)) + b"\n"

    @classmethod
    def of_line(cls, line: bytes) -> "Errand":
        """Read what `to_line` wrote."""
        return cls(**orjson.loads(line))


def send(errand: Errand, watch: Watch) -> None:
    """Have work carried out by a process of its own, and wait until that has ended.

    Raises ConflictError when it ended before its time; the row then stands as it left it.
    """
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", "maploop.work.errand"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (_HOME, os.environ.get("PYTHONPATH"))))},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,  # nothing is left to be written when it ended at once
        start_new_session=True,  # what is sent to the app's group, such as Ctrl-C, is not for it
    )
    with child:
        to, said = cast("tuple[IO[bytes], IO[bytes]]", (child.stdin, child.stdout))
        with suppress(BrokenPipeError):  # its exit says why
            to.write(errand.to_line())
        watch.when_cancelled(to.close)
        for line in said:
            watch.hear(*orjson.loads(line))
    if child.returncode:
        msg = f"The process of {errand.kind} {errand.row_id} {_end(child.returncode)}: resume the {errand.kind}."
        raise ConflictError(msg)


def _end(code: int) -> str:
    """How a process ended, for people."""
    if code == -signal.SIGKILL:
        return f"was killed (signal {-code}), as happens where memory runs out"
    return f"ended before its time ({f'signal {-code}' if code < 0 else f'code {code}'})"
