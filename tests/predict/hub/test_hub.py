"""Models of the hub, which a server on the loopback address stands in for."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from maploop.errors import InputError, MaploopError, NotFoundError
from maploop.predict.hub.files import model_folder, pinned, settings_folder
from tests.predict.hub.ground import WHY

constants = pytest.importorskip("huggingface_hub.constants", reason=WHY)

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """A hub with one model, a/roofs, at one commit. `asked`: the files it gave out."""

    def __init__(self) -> None:
        self.files = {
            "config.json": b'{"model_type": "segformer"}',
            "model.safetensors": b"weights",
            "pytorch_model.bin": b"a pickle",
            "onnx/config.json": b"{}",
            "tf_model.h5": b"more",
        }
        self.asked: list[str] = []
        self.gated = False
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def do_HEAD(self) -> None:
                self._answer(body=False)

            def do_GET(self) -> None:
                self._answer(body=True)

            def _answer(self, *, body: bool) -> None:
                status, headers, content = hub.answer(self.path, body=body)
                self.send_response(status)
                for name, value in {"Content-Length": str(len(content)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                if body:
                    self.wfile.write(content)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def answer(self, path: str, *, body: bool) -> tuple[int, dict[str, str], bytes]:
        place = path.partition("?")[0]
        if self.gated:
            return 403, {"X-Error-Code": "GatedRepo"}, b""
        if not place.removeprefix("/api/models").startswith("/a/roofs"):
            return 401, {"X-Error-Code": "RepoNotFound"}, b""
        if place.startswith("/api/models/a/roofs/tree/"):
            listed = [
                {"type": "file", "path": name, "size": len(content), "oid": name.encode().hex()[:40].ljust(40, "0")}
                for name, content in self.files.items()
            ]
            return 200, {"Content-Type": "application/json"}, json.dumps(listed).encode()
        if place.startswith("/api/models/a/roofs"):
            revision = place.partition("/revision/")[2] or "main"
            if revision not in ("main", COMMIT):
                return 404, {"X-Error-Code": "RevisionNotFound"}, b""
            siblings = [{"rfilename": name} for name in self.files]
            info: dict[str, Any] = {"id": "a/roofs", "sha": COMMIT, "siblings": siblings}
            return 200, {"Content-Type": "application/json"}, json.dumps(info).encode()
        name = place.partition(f"/resolve/{COMMIT}/")[2]
        if name not in self.files:
            return 404, {"X-Error-Code": "EntryNotFound"}, b""
        if body:
            self.asked.append(name)
        return 200, {"X-Repo-Commit": COMMIT, "ETag": f'"{name}"'}, self.files[name]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    hub = Hub()
    threading.Thread(target=hub.server.serve_forever, daemon=True).start()
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.url + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    yield hub
    hub.server.shutdown()
    hub.server.server_close()


def test_a_model_of_the_hub_is_pinned_to_its_commit(hub: Hub) -> None:
    assert pinned("a/roofs") == pinned("a/roofs", "main") == COMMIT
    with pytest.raises(NotFoundError, match="a/roofs has no revision 'next'"):
        pinned("a/roofs", "next")


def test_settings_weights_and_nothing_else_are_fetched_once(hub: Hub) -> None:
    assert (settings_folder("a/roofs", COMMIT) / "config.json").is_file()
    assert hub.asked == ["config.json"]
    folder = model_folder("a/roofs", COMMIT)
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]
    assert sorted(hub.asked) == ["config.json", "model.safetensors"]
    hub.server.shutdown()
    hub.server.server_close()
    assert model_folder("a/roofs", COMMIT) == folder


@pytest.mark.parametrize(
    ("name", "gated", "says"),
    [
        ("a/nobody", False, "The hub has no model 'a/nobody' open to you"),
        ("a/roofs", True, "after its terms are agreed to: agree on its page, then set HF_TOKEN"),
    ],
)
def test_models_that_are_not_given_out_are_said_so(hub: Hub, name: str, gated: bool, says: str) -> None:
    hub.gated = gated
    with pytest.raises(MaploopError, match=says):
        pinned(name)


def test_offline_only_what_is_on_this_machine_is_opened(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    for ask in (lambda: pinned("a/roofs"), lambda: model_folder("a/roofs", COMMIT)):
        with pytest.raises(InputError, match="not on this machine and the hub cannot be reached"):
            ask()
    assert hub.asked == []


def test_a_hub_that_is_away_is_one_clear_error(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _: None)  # it tries again for half a minute
    hub.server.shutdown()
    hub.server.server_close()
    with pytest.raises(InputError, match="a/roofs"):
        model_folder("a/roofs", COMMIT)
