"""Maps from local files, and a configuration that no name in it can break out of."""

import json

import folium
import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamlit_folium import _get_feature_group_string, _get_map_string, generate_js_hash

from maploop.review.element import DeckElement, LocalMap, local_map, to_script

NASTY = (
    "{{ 7 * 7 }}",
    "{% raise %}",
    "{# #}",
    "</script>",
    "<!--",
    "\u2028",
    "{{'map_div'}}",
    "_div",
    "'`\\\"",
    "map_1a2b",
)


def rendered(configuration: object) -> str:
    """What streamlit-folium sends to the browser for a deck."""
    base = local_map()
    base.get_root().render()
    _get_map_string(base)
    group = folium.FeatureGroup("deck")
    DeckElement({"name": configuration}).add_to(group)
    script: str = _get_feature_group_string(group, map=base)
    return script


def configuration_in(script: str) -> object:
    """The configuration that a browser would read from it."""
    start = script.index("maploopDeck.load(map_div, ") + len("maploopDeck.load(map_div, ")
    return json.JSONDecoder().raw_decode(script[start:])[0]["name"]


@pytest.mark.parametrize("text", NASTY)
def test_what_a_name_says_arrives_and_does_nothing_else(text: str) -> None:
    assert configuration_in(rendered({text: [text]})) == {text: [text]}


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.dictionaries(st.text(), inner) | st.lists(inner)
    )
)
def test_any_json_survives_and_holds_no_sign_that_others_read(value: object) -> None:
    text = to_script(value)
    assert json.loads(text) == value
    assert text.isascii()
    for sign in ("{{", "{%", "{#", "<", "_", "'"):
        assert sign not in text


def test_a_number_that_json_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        to_script(float("nan"))


def test_everything_a_local_map_needs_is_on_this_machine() -> None:
    links = [link for _, link in [*LocalMap.default_js, *LocalMap.default_css]]
    assert links
    assert all(link.startswith("/assets/") for link in links)


def test_two_local_maps_are_the_same_to_streamlit_folium() -> None:
    one, other = local_map(zoom_start=18), local_map(zoom_start=18)
    for each in (one, other):
        each.get_root().render()
    assert generate_js_hash(_get_map_string(one)) == generate_js_hash(_get_map_string(other))
