"""The ground that all tests stand on: nothing comes in from outside, nothing gets out."""

import socket
from pathlib import Path

import httpx
import pytest

from maploop.settings import get_settings
from tests.conftest import absent


@pytest.mark.parametrize("address", ["http://192.0.2.1/", "http://maps.example.org/", "http://[2001:db8::1]/"])
def test_a_request_to_another_machine_fails_its_test(address: str) -> None:
    with pytest.raises(pytest.fail.Exception, match="tests talk to this machine only"):
        httpx.get(address, timeout=1)


def test_this_machine_can_be_talked_to() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        assert client.getpeername() == server.getsockname()


def test_settings_come_from_the_test_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert get_settings().data == tmp_path / "data"
    assert get_settings().database == f"sqlite:///{tmp_path / 'data' / 'maploop.sqlite'}"
    monkeypatch.setenv("MAPLOOP_PORT", "9000")
    assert get_settings().port == 8501, "settings are read once"


def test_nothing_is_left_of_the_settings_of_the_last_test() -> None:
    assert get_settings().port == 8501


def test_what_is_missing_fails_in_ci_and_skips_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="Chromium is missing, and CI runs every test"):
        absent("Chromium")
    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception, match=r"Chromium is missing; \.ci/run installs it"):
        absent("Chromium")
