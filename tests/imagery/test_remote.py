"""XYZ and WMS against a strict server on the loopback address."""

import io
import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from PIL import Image

from maploop.errors import ImageryError
from maploop.imagery import wms, xyz
from maploop.imagery.coverage import covered_tiles
from maploop.imagery.fetch import MAX_BYTES, Fetcher, Limits
from maploop.imagery.info import SourceInfo
from maploop.imagery.source import describe, open_source
from maploop.imagery.tilemath import Tile
from maploop.imagery.wms_capabilities import exception_text, parse_xml
from tests.tile_server import Response, Server

TILE = Tile(18, 154804, 130815)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def image(colour: tuple[int, int, int], size: int = 256, format: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (size, size), colour).save(buffer, format)
    return buffer.getvalue()


def quick(pauses: list[float] | None = None) -> Fetcher:
    """The real fetcher without waiting; pauses are noted instead."""
    return Fetcher(Limits(connect_seconds=5, read_seconds=0.5), pause=(pauses if pauses is not None else []).append)


def xyz_source(server: Server, path: str = "/{z}/{x}/{y}.png", max_zoom: int = 18) -> xyz.XyzSource:
    return xyz.XyzSource(xyz.describe_xyz(server.url + path, max_zoom=max_zoom), quick())


# XYZ


def test_a_tile_comes_from_its_address(server: Server) -> None:
    server.answer = lambda path, _: (200, "image/png", image((9, 8, 7))) if path == f"/{TILE}.png" else (500, "", b"")
    pixels = xyz_source(server).read(TILE, 512)
    assert pixels.shape == (512, 512, 4)
    assert (pixels == [9, 8, 7, 255]).all()


def test_512_pixels_come_from_the_next_zoom_where_the_server_has_it(server: Server) -> None:
    colours = {str(child): (n * 60, 0, 0) for n, child in enumerate(TILE.children(19))}
    server.answer = lambda path, _: (200, "image/png", image(colours[path[1:-4]]))
    pixels = xyz_source(server, max_zoom=19).read(TILE, 512)
    assert [int(pixels[y, x, 0]) for y in (9, 500) for x in (9, 500)] == [0, 60, 120, 180]
    assert sorted(server.paths) == sorted(f"/{child}.png" for child in TILE.children(19))


def test_where_the_next_zoom_ends_the_tile_itself_fills_in(server: Server) -> None:
    children = [str(child) for child in TILE.children(19)]

    def answer(path: str, _: dict[str, str]) -> Response:
        if path[1:-4] == children[0]:
            return 200, "image/jpeg", image((200, 0, 0), format="JPEG")
        return (200, "image/png", image((0, 0, 200))) if path == f"/{TILE}.png" else (404, "text/html", b"no")

    server.answer = answer
    pixels = xyz_source(server, max_zoom=22).read(TILE, 512)
    assert pixels[9, 9, 0] > 190
    assert pixels[500, 500].tolist() == [0, 0, 200, 255]


def test_below_the_deepest_zoom_the_tile_above_is_enlarged(server: Server) -> None:
    left_right = Image.new("RGB", (256, 256), (10, 0, 0))
    left_right.paste((90, 0, 0), (128, 0, 256, 256))
    buffer = io.BytesIO()
    left_right.save(buffer, "WEBP", lossless=True)
    server.answer = lambda path, _: (200, "image/webp", buffer.getvalue()) if path == f"/{TILE}.png" else (500, "", b"")
    first, second, *_ = TILE.children(19)
    assert xyz_source(server).read(first, 256)[128, 20, 0] == 10
    assert xyz_source(server).read(second, 256)[128, 200, 0] == 90


@pytest.mark.parametrize("status", [404, 204, 410])
def test_no_tile_is_transparent_and_not_an_error(server: Server, status: int) -> None:
    server.answer = lambda *_: (status, "text/plain", b"")
    assert not xyz_source(server, max_zoom=22).read(TILE, 512).any()


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("http://h/{z}/{x}/{-y}.png", f"http://h/18/154804/{2**18 - 1 - 130815}.png"),
        ("http://h/a{q}.jpeg?g=1", f"http://h/a{TILE.quadkey}.jpeg?g=1"),
        ("http://{s}.h/{z}/{x}/{y}{r}.png", "http://b.h/18/154804/130815.png"),
        ("http://{switch:t0,t1}.h/{z}/{x}/{y}", "http://t1.h/18/154804/130815"),
    ],
)
def test_placeholders_are_filled(template: str, expected: str) -> None:
    assert describe(template).kind == "xyz"
    assert xyz.address(template, TILE) == expected


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("http://h/{z}/{x}.png", "does not name a tile"),
        ("http://h/{z}/{x}/{y}/{time}.png", r"\{time\} is not a placeholder"),
        ("ftp://h/{z}/{x}/{y}.png", "'ftp' addresses are not supported"),
        ("file:///etc/{z}/{x}/{y}", "'file' addresses are not supported"),
        ("http:///{z}/{x}/{y}", "not an http or https address"),
        ("http://h:99999/{z}/{x}/{y}", "not an http or https address"),
        ("http://h/image.tif", "download it"),
        ("http://127.0.0.1:1/tiles", "no XYZ template and no WMS"),
        ("", "no location"),
    ],
)
def test_an_address_that_cannot_work_says_why(template: str, reason: str) -> None:
    with pytest.raises(ImageryError, match=reason):
        describe(template)


@pytest.mark.parametrize(
    ("status", "reason", "attempts"),
    [
        (401, "wants a login", 1),
        (403, "refuses", 1),
        (500, "server failed", 1),
        (503, "server failed", 3),
        (429, "too often", 3),
    ],
)
def test_a_refusal_is_told_in_plain_words_without_the_key(
    server: Server, status: int, reason: str, attempts: int
) -> None:
    server.answer = lambda *_: (status, "text/html", b"<h1>no</h1>")
    with pytest.raises(ImageryError, match=reason) as caught:
        xyz_source(server, "/{z}/{x}/{y}.png?key=SECRET").read(TILE, 256)
    assert "SECRET" not in str(caught.value)
    assert str(status) in str(caught.value)
    assert len(server.paths) == attempts


def test_a_passing_failure_is_tried_again_with_growing_pauses(server: Server) -> None:
    answers = iter([(503, "", b""), (502, "", b""), (200, "image/png", image((1, 2, 3)))])
    server.answer = lambda *_: next(answers)
    pauses: list[float] = []
    source = xyz.XyzSource(xyz.describe_xyz(server.url + "/{z}/{x}/{y}", max_zoom=18), quick(pauses))
    assert source.read(TILE, 256)[0, 0].tolist() == [1, 2, 3, 255]
    assert pauses == [0.3, 0.6]


def test_a_wanted_pause_is_kept_within_bounds(server: Server) -> None:
    server.answer = lambda *_: (429, "", b"")
    server.headers = {"Retry-After": "3600"}
    pauses: list[float] = []
    with pytest.raises(ImageryError, match="too often"):
        quick(pauses).get(server.url)
    assert pauses == [5.0, 5.0]


def test_a_server_that_does_not_answer_is_an_error(server: Server) -> None:
    held = threading.Event()

    def hold(*_: object) -> Response:
        held.wait(20)
        return 200, "image/png", b""

    server.answer = hold
    with pytest.raises(ImageryError, match="did not answer in time"):
        quick().get(server.url)
    held.set()


def test_no_server_is_an_error(server: Server) -> None:
    server.close()
    with pytest.raises(ImageryError, match="check the address"):
        quick().get(server.url)


def test_too_much_is_not_read(server: Server) -> None:
    server.answer = lambda *_: (200, "image/png", bytes(MAX_BYTES + 1))
    with pytest.raises(ImageryError, match="more than 16 MB"):
        quick().get(server.url)


@pytest.mark.parametrize(
    ("kind", "body", "reason"),
    [
        ("text/html", b"<html>please log in</html>", "'text/html' instead of an image"),
        ("image/png", b"not a png", "not a readable"),
        ("image/png", image((0, 0, 0))[:90], "not a readable"),
        ("image/svg+xml", b"<svg/>", "not a readable"),
    ],
)
def test_what_is_no_image_is_refused(server: Server, kind: str, body: bytes, reason: str) -> None:
    server.answer = lambda *_: (200, kind, body)
    with pytest.raises(ImageryError, match=reason):
        xyz_source(server).read(TILE, 256)


def test_a_redirect_out_of_http_is_refused(server: Server) -> None:
    server.answer = lambda *_: (302, "", b"")
    for target, reason in (("file:///etc/passwd", "not http or https"), (server.url, "redirects")):
        server.headers = {"Location": target}
        with pytest.raises(ImageryError, match=reason):
            quick().get(server.url)


def test_a_remote_source_is_opened_from_what_was_stored(server: Server) -> None:
    server.answer = lambda *_: (200, "image/png", image((5, 5, 5)))
    info = describe(server.url + "/{z}/{x}/{y}.png")
    assert info.bounds is None
    source = open_source(SourceInfo.from_json(info.to_json()))
    assert source.read(TILE, 256)[0, 0].tolist() == [5, 5, 5, 255]
    with pytest.raises(ImageryError, match="give the bounds"):
        covered_tiles(source, 18)
    assert list(covered_tiles(source, 18, bounds=TILE.bounds)) == [TILE]


# WMS

CAPABILITIES_130 = b"""<?xml version="1.0"?>
<WMS_Capabilities version="1.3.0" xmlns="http://www.opengis.net/wms"><Capability><Layer><Title>All</Title>
<CRS>EPSG:3857</CRS><EX_GeographicBoundingBox><westBoundLongitude>30</westBoundLongitude>
<eastBoundLongitude>35</eastBoundLongitude><southBoundLatitude>-1</southBoundLatitude>
<northBoundLatitude>4</northBoundLatitude></EX_GeographicBoundingBox>
<Attribution><Title>Survey of Somewhere</Title></Attribution>
<Layer><Name>ortho</Name><Title>Ortho</Title></Layer>
<Layer><Name>city</Name><EX_GeographicBoundingBox><westBoundLongitude>36</westBoundLongitude>
<eastBoundLongitude>37</eastBoundLongitude><southBoundLatitude>0</southBoundLatitude>
<northBoundLatitude>1</northBoundLatitude></EX_GeographicBoundingBox></Layer>
</Layer></Capability></WMS_Capabilities>"""

CAPABILITIES_111 = b"""<?xml version="1.0"?>
<!DOCTYPE WMT_MS_Capabilities SYSTEM "http://schemas.opengis.net/wms/1.1.1/capabilities_1_1_1.dtd">
<WMT_MS_Capabilities version="1.1.1"><Capability><Layer><SRS>EPSG:4326 EPSG:900913</SRS>
<LatLonBoundingBox minx="30" miny="-1" maxx="35" maxy="4"/><Layer><Name>ortho</Name></Layer></Layer>
<Layer><Name>lost</Name></Layer></Capability></WMT_MS_Capabilities>"""

EXCEPTION = b"""<?xml version="1.0"?><ServiceExceptionReport version="1.3.0">
<ServiceException code="LayerNotDefined">  msWMSLoadGetMapParams(): <![CDATA[<b>no such</b>
   layer]]> &amp; more </ServiceException></ServiceExceptionReport>"""


def serving(capabilities: bytes, seen: list[dict[str, str]], kind: str = "text/xml") -> Callable[..., Response]:
    def answer(_: str, query: dict[str, str]) -> Response:
        seen.append(query)
        if query.get("REQUEST") == "GetCapabilities":
            return 200, kind, capabilities
        return 200, "image/png", image((4, 5, 6), int(query["WIDTH"]))

    return answer


@pytest.mark.parametrize(
    ("capabilities", "version", "code", "key"),
    [(CAPABILITIES_130, "1.3.0", "EPSG:3857", "CRS"), (CAPABILITIES_111, "1.1.1", "EPSG:900913", "SRS")],
)
def test_a_wms_is_checked_and_then_asked_for_mercator_squares(
    server: Server, capabilities: bytes, version: str, code: str, key: str
) -> None:
    seen: list[dict[str, str]] = []
    server.answer = serving(capabilities, seen)
    info = describe(
        f"{server.url}/ows?map=/a/b.map&SERVICE=WMS&REQUEST=GetMap&LAYERS=ortho&STYLES=&BBOX=1,2,3,4&WIDTH=9"
    )
    assert (info.kind, info.bounds, info.crs) == ("wms", (30.0, -1.0, 35.0, 4.0), code)
    assert info.attribution == ("Survey of Somewhere" if version == "1.3.0" else "")
    source = open_source(SourceInfo.from_json(info.to_json()))
    assert source.read(TILE, 512)[0, 0].tolist() == [4, 5, 6, 255]
    query = seen[-1]
    left, bottom, right, top = (float(value) for value in query.pop("BBOX").split(","))
    assert (left, bottom, right, top) == pytest.approx(TILE.mercator_bounds, abs=1e-6)
    assert query == {
        "map": "/a/b.map", "SERVICE": "WMS", "REQUEST": "GetMap", "VERSION": version, "LAYERS": "ortho", "STYLES": "",
        "FORMAT": "image/png", "TRANSPARENT": "TRUE", key: code, "WIDTH": "512", "HEIGHT": "512",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("LAYERS=ortho,nope", "no layer 'nope': use one of ortho, lost"),
        ("LAYERS=lost", "cannot draw 'lost' in EPSG:3857 or in degrees"),
        ("SERVICE=WMS&LAYERS=", "add LAYERS= with one of ortho, lost"),
        ("LAYERS=ortho&VERSION=1.0.0", "'1.0.0' is not supported"),
    ],
)
def test_a_wms_that_cannot_serve_says_what_to_use(server: Server, query: str, reason: str) -> None:
    server.answer = serving(CAPABILITIES_111, [])
    with pytest.raises(ImageryError, match=reason):
        describe(f"{server.url}/wms?{query}")


def test_several_layers_cover_the_ground_of_all(server: Server) -> None:
    server.answer = serving(CAPABILITIES_130, [])
    assert describe(f"{server.url}?layers=ortho,city").bounds == (30.0, -1.0, 37.0, 4.0)


@pytest.mark.parametrize("kind", ["text/xml", "application/vnd.ogc.se_xml", "application/xml; charset=utf-8"])
def test_a_service_exception_is_told_in_its_own_words(server: Server, kind: str) -> None:
    server.answer = serving(CAPABILITIES_130, [])
    info = describe(f"{server.url}?layers=ortho")
    server.answer = lambda *_: (200, kind, EXCEPTION)
    words = r"msWMSLoadGetMapParams\(\): <b>no such</b> layer & more"
    with pytest.raises(ImageryError, match=words) as caught:
        wms.WmsSource(info, quick()).read(TILE, 256)
    assert "\n" not in str(caught.value)
    with pytest.raises(ImageryError, match=words):
        wms.describe_wms(f"{server.url}?layers=ortho", quick())


def test_a_long_exception_is_trimmed() -> None:
    assert len(exception_text(b"<ServiceExceptionReport>" + b"word " * 10_000 + b"</ServiceExceptionReport>")) <= 301


@pytest.mark.parametrize(
    "xml",
    [
        b'<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;&b;&b;">]><a>&c;</a>',
        b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
        b'<!DOCTYPE a [<!ENTITY % b SYSTEM "http://127.0.0.1/x">%b;]><a/>',
    ],
)
def test_entities_are_refused(xml: bytes) -> None:
    with pytest.raises(ImageryError, match="declares entities"):
        parse_xml(xml)


def test_bottomless_nesting_is_refused() -> None:
    with pytest.raises(ImageryError, match="nested more than 64 deep"):
        parse_xml(b"<Layer>" * 100_000 + b"</Layer>" * 100_000)


@pytest.mark.parametrize(
    ("kind", "body", "reason"),
    [
        ("text/html", b"<html></html>", "instead of capabilities"),
        ("text/xml", b"<WMS_Capabilities", "cannot be read"),
        ("text/xml", b"<WMS_Capabilities/>", "names no layers"),
        ("image/png", image((0, 0, 0)), "instead of capabilities"),
    ],
)
def test_what_is_no_wms_is_refused(server: Server, kind: str, body: bytes, reason: str) -> None:
    server.answer = lambda *_: (200, kind, body)
    with pytest.raises(ImageryError, match=reason):
        describe(f"{server.url}?layers=ortho")


def test_a_wms_without_an_image_is_transparent_or_an_error(server: Server) -> None:
    server.answer = serving(CAPABILITIES_130, [])
    info = describe(f"{server.url}?layers=ortho")
    server.answer = lambda *_: (204, "", b"")
    assert not wms.WmsSource(info, quick()).read(TILE, 256).any()
    server.answer = lambda *_: (200, "text/html", b"<html></html>")
    with pytest.raises(ImageryError, match="instead of an image"):
        wms.WmsSource(info, quick()).read(TILE, 256)


def test_pixels_of_a_wms_keep_their_place(server: Server) -> None:
    def draw(_: str, query: dict[str, str]) -> Response:
        size = int(query["WIDTH"])
        pixels = np.zeros((size, size, 3), dtype=np.uint8)
        pixels[: size // 4, : size // 2] = 255
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        return 200, "image/png", buffer.getvalue()

    server.answer = serving(CAPABILITIES_130, [])
    info = describe(f"{server.url}?layers=ortho")
    server.answer = draw
    pixels = wms.WmsSource(info, quick()).read(TILE, 256)
    assert pixels[:64, :128, 0].min() == 255
    assert pixels[64:, :, 0].max() == 0
