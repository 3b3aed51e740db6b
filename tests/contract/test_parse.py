"""Answers that do not fit are refused with what is wrong and where."""

from contextlib import suppress

import orjson
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from maploop.contract import contract_of, extract_answer, parse_answer
from maploop.errors import AnswerError
from maploop.imagery.tilemath import Tile
from maploop.project import ProjectView

TILE = Tile(19, 309_611, 261_632)
SQUARE = [[10, 10], [60, 10], [60, 60], [10, 60]]


def feature(**changes: object) -> dict[str, object]:
    return {"class": "building", "geometry": "polygon", "points": SQUARE, "holes": [], **changes}


def answer(*features: object) -> str:
    return orjson.dumps({"features": list(features)}).decode()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "cut short after 0 characters"),
        (answer(feature())[:-9], "cut short after"),
        ("I see two roofs.", "is not JSON"),
        ("[]", "should be an object"),
        ("{}", "features is missing"),
        (answer(3), "features[0]: 3 does not fit"),
        (answer(feature(), feature(**{"class": "Palace"})), "features[1].class: 'Palace' is not a class: use building"),
        (answer(feature(geometry="line")), "building is a polygon"),
        (answer(feature(geometry="circle")), "features[0].geometry: 'circle'"),
        (answer(feature(points=[[10, 10], [1000, 10], [60, 60]])), "features[0].points[1]: 1000 is outside 0 to 999"),
        (answer(feature(points=[[-1, 10], [10, 10], [60, 60]])), "features[0].points[0]: -1 is outside"),
        (
            answer(feature(points=[[10, 10, 3], [10, 10], [60, 60]])),
            "features[0].points[0]: [10, 10, 3] is not a point",
        ),
        (answer(feature(points=[[10.5, 10], [10, 10], [60, 60]])), "features[0].points[0][0]: 10.5"),
        (answer(feature(points=[[True, 10], [10, 10], [60, 60]])), "features[0].points[0][0]: True"),
        (answer(feature(points=[["10", 10], [10, 10], [60, 60]])), "features[0].points[0][0]: '10'"),
        (answer(feature(points=[[10, 10], [20, 20], [10, 10]])), "a ring needs three different positions"),
        (answer(feature(points=[[10, 10], [20, 20], [30, 30]])), "the outline encloses no area"),
        (answer(feature(points=[])), "a ring needs three different positions"),
        (answer(feature(holes=[[[20, 20], [21, 21]]])), "features[0].holes[0]: a ring needs three"),
        (answer(feature(score=1)), "features[0].score does not belong"),
        (
            answer(feature(**{"class": "road", "geometry": "line", "points": [[1, 1], [1, 1]]})),
            "two different positions",
        ),
        (answer(feature(**{"class": "tree", "geometry": "point", "points": [[1, 1], [2, 2]]})), "one position, not 2"),
        (answer(feature(**{"class": "tree", "geometry": "point", "points": [[1, 1]], "holes": [SQUARE]})), "no holes"),
        ('{"features":' + "[" * 5000, "."),
        (" " * 5_000_000, "more than 4,000,000"),
    ],
)
def test_a_bad_answer_says_what_and_where(project: ProjectView, text: str, expected: str) -> None:
    with pytest.raises(AnswerError) as caught:
        parse_answer(text, TILE, contract_of(project))
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_an_outline_that_crosses_itself_is_repaired_and_says_so(project: ProjectView) -> None:
    bow_tie = feature(points=[[0, 0], [100, 100], [100, 0], [0, 100]])
    found = parse_answer(answer(bow_tie), TILE, contract_of(project))
    assert [each.repaired for each in found] == [True, True]
    assert all(each.geometry.is_valid and each.geometry.area > 0 for each in found)


def test_a_hole_outside_its_outline_does_not_lose_the_feature(project: ProjectView) -> None:
    astray = feature(holes=[[[200, 200], [210, 200], [210, 210]]])
    found = parse_answer(answer(astray), TILE, contract_of(project))
    assert found
    assert all(each.geometry.is_valid for each in found)


def test_polygons_come_back_counter_clockwise_on_the_ground(project: ProjectView) -> None:
    (found,) = parse_answer(answer(feature()), TILE, contract_of(project))
    assert shapely.is_ccw(found.geometry.exterior)  # type: ignore[attr-defined]


def test_gemini_reads_y_before_x(project: ProjectView) -> None:
    tree = {"class": "tree", "geometry": "point", "points": [[0, 1000]], "holes": []}
    (found,) = parse_answer(answer(tree), TILE, contract_of(project, dialect="gemini"))
    _, _, east, north = TILE.bounds
    assert found.geometry.distance(shapely.Point(east, north)) < 1e-12


def test_the_answer_is_found_in_chatter(project: ProjectView) -> None:
    text = f"Here you are:\n```json\n{answer(feature())}\n```\nAnything else?"
    assert extract_answer(text) == answer(feature())
    assert extract_answer("No roofs.") == "No roofs."


@given(
    st.one_of(
        st.text(max_size=200),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
            lambda inner: (
                st.lists(inner, max_size=4)
                | st.dictionaries(
                    st.sampled_from(["features", "class", "geometry", "points", "holes"]), inner, max_size=4
                )
            ),
            max_leaves=20,
        ).map(lambda value: orjson.dumps({"features": [value]}, default=str).decode() if _plain(value) else ""),
    )
)
def test_whatever_comes_is_an_answer_or_an_answer_error(project: ProjectView, text: str) -> None:
    with suppress(AnswerError):
        assert all(each.geometry.is_valid for each in parse_answer(text, TILE, contract_of(project)))


def _plain(value: object) -> bool:
    try:
        orjson.dumps(value)
    except (TypeError, ValueError):
        return False
    return True
