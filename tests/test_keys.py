"""Names of keys: which may be asked for, and which server each may be sent to."""

import json
from pathlib import Path

import pytest

from maploop.cli import run
from maploop.database import open_database
from maploop.errors import InputError
from maploop.keys import VENDORS, check_key, key_for, secrets_to_hand_on
from maploop.predict.chat.parameters import ChatParameters
from maploop.predict.chat.server import open_server
from maploop.predict.models import add_model
from maploop.settings import get_settings, hand_down_secrets
from maploop.tune.clients import client_of
from tests.builders import a_project

HERE = "http://127.0.0.1:8000/v1"


def listing(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Start anew with this list."""
    monkeypatch.setenv("MAPLOOP_KEYS", text)
    get_settings.cache_clear()


@pytest.mark.parametrize(
    "name", ["HOME", "PATH", "AWS_SECRET_ACCESS_KEY", "MAPLOOP_DATABASE_URL", "GITHUB_TOKEN", "PGPASSWORD", "TOWN_KEYS"]
)
@pytest.mark.parametrize("url", [HERE, "https://api.openai.com/v1", "https://evil.example/v1"])
def test_a_variable_that_is_no_key_is_sent_nowhere(monkeypatch: pytest.MonkeyPatch, name: str, url: str) -> None:
    monkeypatch.setenv(name, "a secret of the machine")
    parameters = ChatParameters(base_url=url, key=name)
    for opened in (open_server, client_of):
        with pytest.raises(InputError, match=f"{name}.*MAPLOOP_KEYS") as caught:
            opened(parameters)
        assert "a secret of the machine" not in str(caught.value)
    assert secrets_to_hand_on(name, url) == {}


@pytest.mark.parametrize(
    "url",
    [
        HERE,
        "https://evil.example/v1",
        "http://api.openai.com/v1",
        "https://api.openai.com.evil.example/v1",
        "https://evilapi.openai.com/v1",
        "https://api.openai.com:8443/v1",
    ],
)
def test_a_vendors_key_goes_to_the_vendor_alone(url: str) -> None:
    with pytest.raises(InputError, match=r"OPENAI_API_KEY goes to https://api\.openai\.com"):
        check_key("OPENAI_API_KEY", url)


def test_a_vendors_key_goes_to_the_vendor(monkeypatch: pytest.MonkeyPatch) -> None:
    check_key("OPENAI_API_KEY", "https://api.openai.com/v1")
    check_key("OPENAI_API_KEY", "https://API.openai.com:443/v1")
    check_key("AZURE_OPENAI_API_KEY", "https://mine.openai.azure.com/openai/v1")
    for name, servers in VENDORS.items():
        check_key(name, f"https://{servers[0].replace('*', 'mine')}/v1")
    listing(monkeypatch, "OPENAI_API_KEY=127.0.0.1:8000")  # a proxy of one's own
    check_key("OPENAI_API_KEY", HERE)
    check_key("OPENAI_API_KEY", "https://api.openai.com/v1")


def test_a_listed_key_goes_to_its_servers_and_a_prefixed_one_to_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    listing(monkeypatch, "LAB=gpu.example:8000, LAB=other.example MAPLOOP_KEY_FAR=far.example")
    for url in ("http://gpu.example:8000/v1", "https://other.example/v1", "https://other.example:9000/v1"):
        check_key("LAB", url)
    for url in ("http://gpu.example:8001/v1", "http://gpu.example/v1", "https://x.other.example/v1", HERE):
        with pytest.raises(InputError, match=r"LAB goes to gpu\.example:8000 or other\.example only"):
            check_key("LAB", url)
    for url in (HERE, "http://localhost:11434/v1", "http://[::1]:8000/v1"):
        check_key("MAPLOOP_KEY_NEAR", url)
    for url in ("http://10.0.0.1/v1", "https://localhost.evil.example/v1"):
        with pytest.raises(InputError, match="servers on this machine only"):
            check_key("MAPLOOP_KEY_NEAR", url)
    check_key("MAPLOOP_KEY_FAR", "https://far.example/v1")
    with pytest.raises(InputError, match=r"far\.example only"):
        check_key("MAPLOOP_KEY_FAR", HERE)


@pytest.mark.parametrize("text", ["LAB", "LAB=", "=host", "LAB=https://host/v1"])
def test_a_list_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    listing(monkeypatch, text)
    with pytest.raises(InputError, match="NAME=host"):
        check_key("OPENAI_API_KEY", "https://api.openai.com/v1")


def test_a_process_of_its_own_finds_the_key_with_its_server(monkeypatch: pytest.MonkeyPatch) -> None:
    hand_down_secrets({"LAB": "sk-1", "MAPLOOP_KEYS": "LAB=127.0.0.1"})
    handed = secrets_to_hand_on("LAB", HERE)
    hand_down_secrets(handed)
    assert key_for("LAB", HERE).get_secret_value() == "sk-1"
    hand_down_secrets({})


def test_the_command_line_adds_no_model_that_would_send_a_variable_and_an_old_one_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a secret of the machine")
    database = open_database()
    with database.write() as connection:
        project = a_project(connection)
        old = {"base_url": HERE, "key": "AWS_SECRET_ACCESS_KEY"}
        add_model(connection, project, "old", "chat", identifier="gpt-4o", parameters=old)
    server = ["--base-url", HERE, "--key", "AWS_SECRET_ACCESS_KEY"]
    added = ["model", "add", "Town", "new", "--backend", "chat", "--identifier", "gpt-4o", *server]
    for command in (added, ["predict", "Town", "--model", "old"]):
        assert run(command) == 2
        says = capsys.readouterr()
        assert "AWS_SECRET_ACCESS_KEY" in says.err
        assert "MAPLOOP_KEYS" in says.err
        assert "a secret of the machine" not in says.err + says.out
    assert run(["model", "list", "Town", "--json"]) == 0
    assert [each["model"] for each in json.loads(capsys.readouterr().out)["models"]] == ["old"]
