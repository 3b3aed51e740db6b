"""Keys by their names: from the secrets handed down or the environment, and never shown."""

from collections.abc import Iterator

import pytest

from maploop.settings import hand_down_secrets, key_named


@pytest.fixture(autouse=True)
def no_secrets() -> Iterator[None]:
    yield
    hand_down_secrets({})


def test_a_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert key_named("TOWN_KEY") is None
    monkeypatch.setenv("TOWN_KEY", " sk-1\n")
    found = key_named("TOWN_KEY")
    assert found is not None
    assert found.get_secret_value() == "sk-1"
    assert "sk-1" not in f"{found} {found!r}"
    monkeypatch.setenv("TOWN_KEY", "  ")
    assert key_named("TOWN_KEY") is None


def test_secrets_go_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOWN_KEY", "sk-1")
    hand_down_secrets({"TOWN_KEY": "sk-2", "auth": {"client_secret": "x"}})
    found = key_named("TOWN_KEY")
    assert found is not None
    assert found.get_secret_value() == "sk-2"
    assert key_named("auth") is None
