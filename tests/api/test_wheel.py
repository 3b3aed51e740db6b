"""A wheel installed elsewhere behaves as the checkout: the same files and settings, and a review that is stored."""

import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
import tomllib
import zipfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import shapely
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from bench.server import ROOT, free_port
from maploop.access import Grant, issue_token
from maploop.api.serve_command import SETTINGS, serve_command, streamlit_settings
from maploop.errors import InputError
from tests.browser.review_ground import paint
from tests.builders import CORNER, PlacedTile, shape_on
from tests.review.ground import decision

PARTS = ("maploop", "db", "pages")
ALONE = ("app.py", "pyproject.toml", "README.md", "LICENSE")
NAME = "berta"


def test_the_settings_of_serve_are_those_of_a_checkout() -> None:
    checkout = (ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8")
    assert tomllib.loads(checkout) == tomllib.loads(SETTINGS.read_text(encoding="utf-8"))
    command = serve_command(Path("app.py"), 8600, ["Maps.example.org"])
    for name in streamlit_settings():
        assert any(each.startswith(f"--{name}=") for each in command), name
    assert "--server.allowedHosts=maps.example.org" in command


@pytest.mark.parametrize("host", ["https://maps.example.org", "maps.example.org:80", "*", "", "a b", "--browser"])
def test_what_is_no_host_name_is_refused(host: str) -> None:
    with pytest.raises(InputError, match="host name"):
        serve_command(Path("app.py"), 8600, [host])


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the sources as they are, built without asking anybody."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for part in PARTS:
        shutil.copytree(ROOT / part, source / part, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ALONE:
        shutil.copy(ROOT / name, source / name)
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(source))
    (found,) = folder.glob("*.whl")
    return found


def pip(*arguments: str) -> None:
    """Run pip without a registry."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=surroundings(), check=False)
    assert done.returncode == 0, done.stderr


def surroundings(**settings: str) -> dict[str, str]:
    """The environment without anything that leads to the checkout."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MAPLOOP", "STREAMLIT"))
    }
    return {**kept, "PIP_NO_INDEX": "1", **settings}


def test_the_wheel_holds_every_file_that_the_checkout_runs_with(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    needed = {
        path.relative_to(ROOT).as_posix()
        for part in PARTS
        for path in (ROOT / part).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    }
    assert needed | {"app.py"} <= held
    assert not [name for name in held if name.startswith(("tests/", "bench/"))]


@dataclass
class Installed:
    """Maploop installed apart from the checkout, and the folder it is started in."""

    python: Path
    folder: Path
    port: int

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.folder / "kept"

    def environment(self) -> dict[str, str]:
        """Surroundings that would open the app to everybody if anything listened to them."""
        return surroundings(
            HOME=str(self.folder),
            MAPLOOP_DATA=str(self.data),
            MAPLOOP_SAMPLE="0",
            STREAMLIT_SERVER_ADDRESS="0.0.0.0",
            STREAMLIT_BROWSER_GATHER_USAGE_STATS="true",
            STREAMLIT_SERVER_HEADLESS="true",
        )

    def maploop(self, *arguments: object) -> dict[str, Any]:
        """What the installed command prints with --json."""
        command = [str(self.python.parent / "maploop"), *map(str, arguments), "--json"]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment(), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer


@pytest.fixture
def installed(wheel: Path, tmp_path: Path) -> Installed:
    """The wheel in an environment of its own, where the checkout cannot be imported."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "env"], check=True, env=surroundings())
    python = tmp_path / "env" / "bin" / "python"
    pip("--python", str(python), "install", "--no-deps", "--quiet", str(wheel))
    (packages,) = (tmp_path / "env" / "lib").glob("python*/site-packages")
    # Only the folder itself: lines of a .pth file bring no editable installs along.
    (packages / "dependencies.pth").write_text(f"{Path(httpx.__file__).parents[1]}\n", encoding="utf-8")
    folder = tmp_path / "elsewhere"
    (folder / ".streamlit").mkdir(parents=True)
    (folder / ".streamlit" / "config.toml").write_text('[server]\naddress = "0.0.0.0"\nallowedHosts = ["*"]\n')
    found = Installed(python, folder, free_port())
    asked = [str(python), "-c", "import maploop, db, pages, app; print(maploop.__file__)"]
    says = subprocess.run(asked, cwd=folder, env=found.environment(), capture_output=True, text=True, check=True)
    assert says.stdout.startswith(str(packages))
    return found


@pytest.fixture
def served(installed: Installed) -> Iterator[str]:
    """The address of the installed app, served from another folder."""
    imagery = paint(installed.folder / "ground.tif", 2)
    shape = shapely.geometry.mapping(shape_on(PlacedTile(0, CORNER)))
    features = [{"type": "Feature", "properties": {"score": 0.4}, "geometry": shape}]
    path = installed.folder / "found.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    installed.maploop("project", "create", "Town", "--class", "building:polygon", "--zoom", CORNER.z)
    installed.maploop("import", "imagery", "Town", imagery)
    installed.maploop("import", "predictions", "Town", path, "--model", "first", "--class", "building")
    log = (installed.folder / "log").open("wb")
    process = subprocess.Popen(
        [installed.python.parent / "maploop", "serve", "--port", str(installed.port)],
        cwd=installed.folder,
        env=installed.environment(),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    address = f"http://127.0.0.1:{installed.port}"
    deadline = time.monotonic() + 120
    while not answers(address):
        assert time.monotonic() < deadline, (installed.folder / "log").read_text()
        assert process.poll() is None, (installed.folder / "log").read_text()
        time.sleep(0.05)
    yield address
    process.kill()
    process.wait()
    log.close()


def answers(address: str) -> bool:
    """Whether the app answers yet."""
    try:
        return httpx.get(f"{address}/_stcore/health").is_success
    except httpx.TransportError:
        return False


def draw_page(address: str, page: str) -> list[ForwardMsg]:
    """Everything that Streamlit sends until a page is drawn."""
    messages: list[ForwardMsg] = []
    asked = BackMsg()
    asked.rerun_script.page_name = page
    url = f"{address.replace('http', 'ws')}/_stcore/stream?annotator={NAME}"
    with connect(url, origin=Origin(address), subprotocols=[Subprotocol("streamlit")], max_size=None) as stream:
        stream.send(asked.SerializeToString())
        while not messages or messages[-1].WhichOneof("type") != "script_finished":
            message = ForwardMsg()
            message.ParseFromString(stream.recv(timeout=120, decode=False))
            messages.append(message)
    return messages


def test_an_installed_app_listens_to_this_machine_tells_nobody_and_stores_a_review(
    installed: Installed, served: str
) -> None:
    messages = draw_page(served, "review")
    (session,) = (each.new_session for each in messages if each.WhichOneof("type") == "new_session")
    assert session.config.gather_usage_stats is False
    assert list(session.custom_theme.heading_font_sizes) == streamlit_settings()["theme.headingFontSizes"]
    assert not [each for each in messages if each.delta.new_element.WhichOneof("type") == "exception"]
    with closing(sqlite3.connect(installed.data / "maploop.sqlite")) as database:
        ((annotator,),) = database.execute("SELECT id FROM annotator WHERE name = ?", (NAME,)).fetchall()

    with pytest.raises(ConnectionRefusedError):  # another address of this machine, where 0.0.0.0 would answer
        socket.create_connection(("127.0.0.2", installed.port))
    assert httpx.get(served, headers={"Host": "evil.example"}).status_code == 403
    with pytest.raises(InvalidStatus, match="403"):
        connect(f"{served.replace('http', 'ws')}/_stcore/stream", origin=Origin("http://evil.example"))

    for asset in ("leaflet/leaflet.js", "review/deck.js", "review/review.css", "page/annotator.js"):
        assert httpx.get(f"{served}/assets/{asset}").is_success, asset
    token = issue_token(Grant(annotator_id=annotator, project_id=1), installed.data)
    with httpx.Client(base_url=served, headers={"Authorization": f"Bearer {token}"}) as client:
        deck = client.post("/api/review/open", json={"order": "place", "tile": str(CORNER)}).json()["deck"]
        tile = deck["tile"]["address"]
        picture = client.get(
            f"/tiles/{deck['imagery']['id']}/{tile}",
            params={"token": issue_token(Grant(annotator_id=annotator, project_id=1), installed.data, scope="tiles")},
        )
        assert picture.headers["content-type"].startswith("image/")
        entry = decision(tile, deck["features"][0]["id"], "accept")
        assert client.post("/api/review/outbox", json={"entries": [entry]}).json()["stored"] == [entry["id"]]
    assert installed.maploop("status", "Town")["decisions"]["accept"] == 1
