"""The folium side of maps that ask nobody but this machine: a base map from local files, and the deck inside it."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import folium
from branca.element import MacroElement
from folium.template import Template

from maploop.access import LIFETIME_SECONDS
from maploop.project import ProjectView
from maploop.review.wire import FilterStatus, Order

LEAFLET = "/assets/leaflet"
OURS = "/assets/review"
PAGE_STYLE = Path(__file__).parent / "static" / "page.css"


_SCRIPTS = [
    ("leaflet", f"{LEAFLET}/leaflet.js"),
    ("leaflet_draw", f"{LEAFLET}/draw/leaflet.draw.js"),
    ("maploop_deck", f"{OURS}/deck.js"),
]
_STYLES = [
    ("leaflet_css", f"{LEAFLET}/leaflet.css"),
    ("leaflet_draw_css", f"{LEAFLET}/draw/leaflet.draw.css"),
    ("maploop_map_css", f"{OURS}/map.css"),
    *((f"maploop_{name}_css", f"{OURS}/{name}.css") for name in ("outlines", "controls", "messages", "review")),
]


class LocalMap(folium.Map):
    """A folium map whose scripts and styles all come from the app itself."""

    _template = folium.Map._template
    default_js = _SCRIPTS
    default_css = _STYLES


def local_map(**options: Any) -> LocalMap:
    """A map without tiles and without any request to another machine; `options` are those of `folium.Map`.

    Two calls with equal options make equal JavaScript, so streamlit-folium keeps its frame: put what changes into
    `st_folium(feature_group_to_add=...)`.
    """
    calm = {"fade_animation": False, "zoom_animation": False, "attribution_control": False}
    return LocalMap(**{"tiles": None, "location": (0.0, 0.0), "zoom_start": 2, **calm, **options})


_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_UNSAFE = re.compile(r"[_<>&'`{}%#]")


def to_script(value: object) -> str:
    """JSON that is safe anywhere in a script: in its strings only plain characters stand for themselves.

    HTML sees no tag in it, JavaScript no line separator. Nor do those who take what folium renders for their own text:
    branca, for which it is a Jinja template once more (`{{`, `{%`), and streamlit-folium, which rewrites what looks
    like a name of folium's (`_` and letters, `{{'name'}}`). Raises ValueError for NaN.
    """
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return _STRING.sub(lambda string: _UNSAFE.sub(lambda sign: f"\\u{ord(sign[0]):04x}", string[0]), text)


class DeckElement(MacroElement):
    """Hands the deck its configuration (docs/review-map.md); goes into a feature group of a `local_map`."""

    _template = Template(
        """
        {% macro script(this, kwargs) %}
        maploopDeck.load({{ this._parent._parent.get_name() }}, {{ this.configuration }});
        {% endmacro %}
        """
    )

    def __init__(self, configuration: dict[str, Any]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._name = "Deck"
        self.configuration = to_script(configuration)


def deck_configuration(
    project: ProjectView, annotator: str, token: str, tile_token: str, asked: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """What the deck is started with; `asked` is the page's address.

    It may hold tile, audit, order, class, status, min_score and max_score. Values that are not understood count as not
    given: an address may be old, or typed.
    """
    asked = asked or {}
    return {
        "project": project.name,
        "annotator": annotator,
        "token": token,
        "tileToken": tile_token,
        "tokenExpiresIn": LIFETIME_SECONDS,
        "classes": [
            {
                "id": each.id,
                "name": each.name,
                "geometryType": each.geometry_type,
                "colour": each.colour,
                "digit": each.digit,
                "definition": each.definition,
            }
            for each in project.classes
        ],
        "tileSize": project.tile_size,
        "zoom": project.zoom,
        "order": asked["order"] if asked.get("order") in get_args(Order) else "mixed",
        "randomShare": project.settings.random_share,
        "filter": {
            "class": asked["class"] if asked.get("class") in project.geometry_types else None,
            "minScore": _share(asked.get("min_score")),
            "maxScore": _share(asked.get("max_score")),
            "status": asked["status"] if asked.get("status") in get_args(FilterStatus) else None,
        },
        "tile": asked.get("tile") or None,
        "audit": int(asked["audit"]) if asked.get("audit", "").isdecimal() else None,
        "addresses": {
            "open": "/api/review/open",
            "outbox": "/api/review/outbox",
            "token": "/api/review/token",
            "tiles": "/tiles",
        },
    }


def _share(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if 0 <= value <= 1 else None
