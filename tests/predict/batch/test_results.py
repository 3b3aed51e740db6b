"""Lines of result files, whatever a server writes into them; and the names that requests go by."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maploop.contract import Contract, contract_of
from maploop.imagery.tilemath import Tile
from maploop.predict.batch.files import Draft, Limits, custom_id, path_of, request_line, tile_of
from maploop.predict.batch.results import Unanswered, read_result
from maploop.predict.predictor import Outcome
from maploop.project import ClassView, ProjectSettings, ProjectView

TILE = Tile(19, 306_000, 261_000)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
PROJECT = ProjectView(
    id=1,
    name="Town",
    zoom=19,
    tile_size=512,
    seed="s",
    settings=ProjectSettings(),
    classes=(ClassView(1, "building", "polygon", "#E69F00", 1, ""),),
)
CONTRACT: Contract = contract_of(PROJECT)


def read(row: object) -> Outcome | Unanswered | None:
    return read_result(orjson.dumps(row), 7, CONTRACT, None, 1.5)


def test_an_answer_is_read_as_one_asked_for_alone() -> None:
    message = {"role": "assistant", "content": '{"features":[]}'}
    usage = {"prompt_tokens": 5, "completion_tokens": 2}
    body = {"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}
    row = {"custom_id": custom_id(7, TILE), "response": {"status_code": 200, "body": body}, "error": None}
    found = read(row)
    assert isinstance(found, Outcome)
    assert (found.tile, found.failure) == (TILE, None)
    assert (found.usage.input_tokens, found.usage.output_tokens, found.usage.seconds) == (5, 2, 1.5)


@pytest.mark.parametrize(
    ("status", "error", "kind", "again"),
    [
        (429, {"message": "slow"}, "rate_limit", True),
        (500, {"message": "oops"}, "server", True),
        (504, {}, "timeout", True),
        (400, {"message": "bad"}, "server", False),
        (400, {"message": "bad", "code": "content_filter"}, "refused", False),
        (None, {"code": "batch_expired", "message": "late"}, "timeout", True),
        (None, {"code": "batch_cancelled", "message": "off"}, "timeout", True),
        (None, None, "server", True),
    ],
)
def test_an_error_says_whether_another_batch_may_do_better(
    status: int | None, error: object, kind: str, again: bool
) -> None:
    response = None if status is None else {"status_code": status, "body": {"error": error}}
    found = read({"custom_id": custom_id(7, TILE), "response": response, "error": None if status else error})
    assert isinstance(found, Unanswered)
    assert (found.failure.kind, found.again) == (kind, again)


@given(response=JSON, error=JSON)
def test_no_line_is_too_strange(response: object, error: object) -> None:
    found = read({"custom_id": custom_id(7, TILE), "response": response, "error": error})
    assert found is not None
    assert found.failure is not None
    assert found.failure.message.isprintable()


@given(body=JSON)
def test_no_answer_is_too_strange(body: object) -> None:
    found = read({"custom_id": custom_id(7, TILE), "response": {"status_code": 200, "body": body}, "error": None})
    assert isinstance(found, Outcome)
    assert found.failure is not None


@given(st.binary() | JSON.map(orjson.dumps))
def test_lines_of_something_else_are_passed_over(line: bytes) -> None:
    assert read_result(line, 7, CONTRACT, None, 0.0) is None


@given(run=st.integers(1, 2**40), zoom=st.integers(0, 24), data=st.data())
def test_a_name_comes_back_as_its_tile_and_only_in_its_run(run: int, zoom: int, data: st.DataObject) -> None:
    side = st.integers(0, 2**zoom - 1)
    tile = Tile(zoom, data.draw(side), data.draw(side))
    assert tile_of(custom_id(run, tile), run) == tile
    assert tile_of(custom_id(run, tile), run + 1) is None


@pytest.mark.parametrize("name", [None, 7, "", "run-7/1/2", "run-7/30/1/1", "run-7/1/9/9", "run-7/1/0/0\n", "x" * 500])
def test_other_names_are_no_tile(name: object) -> None:
    assert tile_of(name, 7) is None


@given(sizes=st.lists(st.integers(10, 400), min_size=1, max_size=12))
def test_a_draft_keeps_below_its_limits(sizes: list[int]) -> None:
    lines = [request_line(7, Tile(19, n, n), {"text": "x" * size}) for n, size in enumerate(sizes)]
    limits = Limits(requests=4, size=900)
    with Draft("maploop-run-7-test", limits) as draft:
        for n, line in enumerate(lines):
            if not draft.fits(line):
                break
            draft.add(Tile(19, n, n), line)
        draft.finish()
    content = path_of("maploop-run-7-test").read_bytes()
    assert content == b"".join(lines[: len(draft.tiles)])
    assert len(draft.tiles) <= 4
    assert len(content) == draft.size <= 900
    assert len(draft.tiles) == len(lines) or not draft.fits(lines[len(draft.tiles)])


def test_a_draft_that_is_not_finished_leaves_nothing() -> None:
    with Draft("maploop-run-7-test", Limits()) as draft:
        draft.add(TILE, b"{}\n")
    assert not list(path_of("x").parent.iterdir())
