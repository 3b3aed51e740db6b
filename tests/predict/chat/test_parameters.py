"""What may be kept beside a chat model, and that a key may not."""

import pytest

from maploop.errors import InputError
from maploop.predict.chat.parameters import ChatParameters
from maploop.project import ProjectView


def test_openai_is_asked_with_its_usual_key_unless_told() -> None:
    plain = ChatParameters.of({})
    assert (plain.base_url, plain.key) == ("https://api.openai.com/v1", "OPENAI_API_KEY")
    local = ChatParameters.of({"base_url": "http://localhost:11434/v1/"})
    assert (local.base_url, local.key) == ("http://localhost:11434/v1", None)
    assert local.to_json() == {"base_url": "http://localhost:11434/v1"}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"detial": "high"}, "'detial' is not a parameter of a chat model: use base_url, key"),
        ({"detail": "huge"}, "The parameter detail of a chat model does not fit: 'huge': input should be 'low'"),
        ({"dialect": "klingon"}, "'klingon': use one of openai, qwen"),
        ({"base_url": "localhost:8000"}, "give the address of the server's routes"),
        ({"base_url": "ftp://host/v1"}, "give the address of the server's routes"),
        ({"max_tokens": 1}, "max_tokens of a chat model does not fit: 1"),
        ({"attempts": "often"}, "attempts of a chat model does not fit: 'often'"),
    ],
)
def test_what_does_not_fit_is_named_in_one_line(values: dict[str, object], expected: str) -> None:
    with pytest.raises(InputError) as caught:
        ChatParameters.of(values)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", ["sk-proj-abc123", "0a1b2c3d4e5f", "abcdef0123", "Mixed_Case", "WITH SPACE", ""])
def test_a_key_in_place_of_its_name_is_refused_and_not_repeated(key: str) -> None:
    with pytest.raises(InputError, match="never the key itself") as caught:
        ChatParameters.of({"key": key})
    assert not key or key not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_key_in_the_address_is_refused_and_not_repeated() -> None:
    for url in ("https://me:hidden@host/v1", "https://host/v1?api-key=hidden"):
        with pytest.raises(InputError, match="keys come by their name") as caught:
            ChatParameters.of({"base_url": url})
        assert "hidden" not in str(caught.value)


def test_dialect_and_detail_make_the_contract(town: ProjectView) -> None:
    contract = ChatParameters.of({"dialect": "gemini", "detail": "original"}).contract(town)
    assert (contract.dialect, contract.detail) == ("gemini", "original")
    assert ChatParameters.of({}).contract(town).dialect == town.settings.dialect
