"""WMS capabilities and exceptions: XML from outside, read without trusting it."""

from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element, ParseError, TreeBuilder
from xml.parsers import expat

from maploop.errors import ImageryError
from maploop.imagery.info import Bounds

MERCATOR_NAMES = ("EPSG:3857", "EPSG:900913", "EPSG:102100")  # the last two are its old aliases
DEGREE_NAMES = ("CRS:84", "EPSG:4326")  # where there is no mercator; the first one's axes are beyond doubt
MAX_DEPTH = 64  # elements in one another; no honest server comes near
MAX_WORDS = 300  # characters of a server's own words that are passed on


@dataclass(frozen=True)
class Layer:
    """One layer of the capabilities with what it inherits; `crs` is the one to ask in, '' where none helps."""

    name: str
    title: str
    crs: str
    bounds: Bounds | None
    attribution: str


def parse_xml(text: bytes) -> Element:
    """An XML document as elements with bare local names. Raises ImageryError for anything that declares entities."""
    builder = TreeBuilder()
    parser = expat.ParserCreate(namespace_separator=" ")

    def refuse(*_: object) -> None:
        msg = "The server's XML declares entities, which can be an attack: use another server."
        raise ImageryError(msg)

    parser.EntityDeclHandler = refuse
    depth = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            msg = f"The server's XML is nested more than {MAX_DEPTH} deep: check that the URL is a WMS."
            raise ImageryError(msg)
        builder.start(_local(name), {_local(key): value for key, value in attributes.items()})

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(_local(name))

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(text, True)
        return builder.close()
    except (expat.ExpatError, ParseError, AssertionError) as error:
        msg = f"The server sent XML that cannot be read ({error}): check that the URL is a WMS."
        raise ImageryError(msg) from error


def _local(name: str) -> str:
    """A name without the namespace that expat puts before it."""
    return name.rpartition(" ")[2]


def exception_text(body: bytes) -> str:
    """The server's own words in a service exception, in one trimmed line of plain text; '' when it is none."""
    root = parse_xml(body)
    if "Exception" not in root.tag:
        return ""
    words = " ".join(
        " ".join(part for element in root.iter() for part in (element.text or "", element.tail or "")).split()
    )
    codes = [code for element in root.iter() if (code := element.get("code") or element.get("exceptionCode"))]
    text = words or " ".join(codes) or "no reason given"
    return text if len(text) <= MAX_WORDS else text[:MAX_WORDS] + "…"


def read_layers(root: Element) -> dict[str, Layer]:
    """The named layers of a capabilities document (1.1.1 or 1.3.0) by name."""
    tops = root.findall("Capability/Layer")
    return {layer.name: layer for top in tops for layer in _walk(top, set(), None, "")}


def read_formats(root: Element) -> list[str]:
    """The picture formats that GetMap is said to offer, as the server writes them; empty where it says nothing."""
    texts = [element.text or "" for element in root.findall("Capability/Request/GetMap/Format")]
    return [text.strip() for text in texts if text.strip()]


def _walk(element: Element, codes: set[str], bounds: Bounds | None, attribution: str) -> Iterator[Layer]:
    texts = [child.text or "" for child in element if child.tag in {"CRS", "SRS"}]
    codes = codes | {code.upper() for text in texts for code in text.split()}
    bounds = _bounds(element) or bounds
    attribution = (element.findtext("Attribution/Title") or attribution).strip()
    if name := (element.findtext("Name") or "").strip():
        code = next((code for code in (*MERCATOR_NAMES, *DEGREE_NAMES) if code in codes), "")
        yield Layer(name, (element.findtext("Title") or name).strip(), code, bounds, attribution)
    for child in element.findall("Layer"):
        yield from _walk(child, codes, bounds, attribution)


def _bounds(element: Element) -> Bounds | None:
    box = element.find("EX_GeographicBoundingBox")
    if box is not None:
        names = ("westBoundLongitude", "southBoundLatitude", "eastBoundLongitude", "northBoundLatitude")
        values = [box.findtext(name) for name in names]
    else:
        box = element.find("LatLonBoundingBox")
        if box is None:
            return None
        values = [box.get(name) for name in ("minx", "miny", "maxx", "maxy")]
    try:
        west, south, east, north = (float(value or "") for value in values)
    except ValueError:
        return None
    west, east, south, north = max(west, -180.0), min(east, 180.0), max(south, -90.0), min(north, 90.0)
    return (west, south, east, north) if west < east and south < north else None
