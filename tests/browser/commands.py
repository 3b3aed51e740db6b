"""Commands called beside the app, on its database."""

import json
import subprocess
import sys
from typing import Any

from bench.server import ROOT
from tests.browser.conftest import AppServer


def maploop(server: AppServer, *arguments: object) -> dict[str, Any]:
    """What `maploop ... --json` prints, on the app's database."""
    database = f"sqlite:///{server.data / 'maploop.sqlite'}"
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from maploop.cli import main; main()",
            *map(str, arguments),
            "--db",
            database,
            "--json",
        ],
        env={"MAPLOOP_DATA": str(server.data), "MAPLOOP_USER": "anna", "PATH": "/usr/bin:/bin"},
        cwd=ROOT,  # this tree's command on this tree's app, whatever is installed
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
