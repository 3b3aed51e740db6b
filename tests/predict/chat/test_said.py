"""Whatever a server said is shown as one short line, and without keys."""

import orjson
import pytest

from maploop.contract import Contract
from maploop.predict.batch.files import custom_id
from maploop.predict.batch.results import Unanswered, read_result
from maploop.predict.chat.said import clean
from tests.predict.ground import tile_at


def test_foreign_text_is_shown_as_one_short_line() -> None:
    assert clean("a\x1b[31m\n\n b\u202e") == "a [31m b"
    assert len(clean("x" * 5000)) == 160


@pytest.mark.parametrize(
    "text",
    [
        "Key sk-proj-abcdefghijklmnop may not",
        "Key sk-proj-abcd*****mnop may not",
        "Key GSK_abcdefgh may not",
        "Key f81d4fae7dec may not",
    ],
)
def test_neither_the_key_nor_what_looks_like_one_is_shown(text: str) -> None:
    assert clean(text, key="f81d4fae7dec") == "Key [key] may not"


def test_a_line_of_a_batch_that_repeats_a_key_is_told_without_it(contract: Contract) -> None:
    said = {"code": "x", "message": "Key sk-proj-abcdefghijklmnop may not"}
    line = orjson.dumps({"custom_id": custom_id(7, tile_at(0)), "response": None, "error": said})
    found = read_result(line, 7, contract, None, 0.0)
    assert isinstance(found, Unanswered)
    assert "Key [key] may not" in found.failure.message
