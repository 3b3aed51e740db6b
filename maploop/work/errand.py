"""The messenger's process, `python -m maploop.work.errand`: does one thing, told and ended through its input.

Says on its output how far it is, each time a line of JSON: a share from 0 to 1, and what is going on.
"""

import logging
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from io import FileIO
from typing import Final

import orjson

from maploop.database import open_database
from maploop.errors import MaploopError
from maploop.settings import hand_down_secrets
from maploop.work.messenger import Errand, Kind

logger = logging.getLogger(__name__)

_INPUT, _OUTPUT = 0, 1
_TERMINATE: Final = (signal.SIGTERM, signal.SIGINT)


def main() -> None:
    """Carry out what the input names; ends with 0 when it left in its row how it ended."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    told = FileIO(_INPUT, closefd=False)  # unbuffered: nothing holds a lock on it when the process ends
    line = told.readline()
    if not line:
        return  # the app was gone before it said anything
    errand = Errand.of_line(line)
    hand_down_secrets(errand.keys)
    over = threading.Event()
    for each in _TERMINATE:
        signal.signal(each, lambda *_: over.set())
    threading.Thread(target=_wait_for_the_end, args=(told, over), daemon=True).start()
    try:
        _carrier_of(errand.kind)(
            open_database(errand.database_url), errand.project_id, errand.row_id, hear=_say, put_down=over.is_set
        )
    except MaploopError as error:
        logger.warning("%s %s: %s", errand.kind, errand.row_id, error)


def _carrier_of(kind: Kind) -> Callable[..., None]:
    """What carries such work out; what the other kind needs is not imported, as it takes a second and much memory."""
    if kind == "run":
        from maploop.work.runs import carry_out_run  # noqa: PLC0415

        return carry_out_run
    from maploop.work.trainings import carry_out_training  # noqa: PLC0415

    return carry_out_training


def _wait_for_the_end(told: FileIO, over: threading.Event) -> None:
    with suppress(OSError):
        while told.read(1):
            pass
    over.set()


def _say(share: float, text: str = "") -> None:
    with suppress(OSError):  # the app is gone, and hears nothing
        os.write(_OUTPUT, orjson.dumps([share, text]) + b"\n")


if __name__ == "__main__":
    main()
