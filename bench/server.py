"""The real app as a process of its own, for benches and browser tests: started as users start it."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from urllib.error import URLError

ROOT = Path(__file__).parents[1]
START_SECONDS = 180
NO_SAMPLE = MappingProxyType({"MAPLOOP_SAMPLE": "0"})


def free_port() -> int:
    """A port nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class App:
    """A running app: its address, its data folder and its process."""

    url: str
    port: int
    data: Path
    process: subprocess.Popen[bytes]

    def kill(self) -> None:
        """Kill -9, and wait until it is gone."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def start(data: Path, port: int | None = None, settings: Mapping[str, str] = NO_SAMPLE) -> App:
    """Start the app on a data folder and wait until it answers; `settings` are environment variables.

    What it prints goes to server.log in the data folder. Raises TimeoutError with its last words.
    """
    port = port or free_port()
    log = data / "server.log"
    data.mkdir(parents=True, exist_ok=True)
    options = ["--server.headless=true", f"--server.port={port}", "--server.address=127.0.0.1"]
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", "app.py", *options, "--browser.gatherUsageStats=false"],
            cwd=ROOT,
            env={**os.environ, "MAPLOOP_DATA": str(data), **settings},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    app = App(f"http://127.0.0.1:{port}", port, data, process)
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{app.url}/_stcore/health", timeout=10):
                return app
        except (URLError, OSError):
            time.sleep(0.02)
    process.kill()
    process.wait()
    msg = f"The app did not start: {log.read_text()[-4000:]}"
    raise TimeoutError(msg)


@contextmanager
def running(data: Path) -> Iterator[App]:
    """The app on a data folder, ended when the block ends."""
    app = start(data)
    try:
        yield app
    finally:
        app.process.terminate()
        app.process.wait()
