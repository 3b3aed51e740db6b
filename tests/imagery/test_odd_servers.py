"""Tile servers and WMS with bad habits: an import says what came, and what can be read is read."""

import io
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from PIL import Image

from db.engine import Database
from maploop.errors import ImageryError
from maploop.imagery import wms, xyz
from maploop.imagery.info import SourceInfo
from maploop.imagery.register import register_imagery
from maploop.imagery.source import describe, open_source
from maploop.imagery.tilemath import Tile
from maploop.project import ProjectView, create_project
from tests.tile_server import Response, Server

TILE = Tile(18, 138_901, 76_251)
BOUNDS = TILE.bounds


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def project(sqlite_database: Database) -> ProjectView:
    """A project of zoom 18."""
    with sqlite_database.write() as connection:
        return create_project(connection, "odd", [("building", "polygon")], zoom=18)


def picture(colour: tuple[int, int, int] = (90, 140, 60), size: int = 256, format: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (size, size), colour).save(buffer, format)
    return buffer.getvalue()


def always(*answer: object) -> Callable[..., Response]:
    return lambda *_: answer  # type: ignore[return-value]


def zoom_of(path: str) -> int:
    return int(path.split("/")[1])


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (always(404, "text/plain", b"not found"), "no picture came for any of the 1 tiles tried (18/138901/76251)"),
        (always(204, "", b""), "no picture came for any"),
        (always(200, "image/png", b""), "no picture came for any"),
        (always(403, "text/plain", b"forbidden"), "status 403, it refuses"),
        (always(500, "text/plain", b"boom"), "status 500"),
        (always(429, "text/plain", b"slow down"), "status 429, it is asked too often"),
        (
            always(200, "text/html", b"<html><title>Please log in</title></html>"),
            "sent 'text/html' (Please log in) instead of an image",
        ),
        (
            always(200, "application/json", b'{"error":{"code":498,"message":"Invalid token"}}'),
            "sent 'application/json' (Invalid token) instead of an image",
        ),
        (
            always(
                200,
                "image/png",
                b"<ServiceExceptionReport><ServiceException>no</ServiceException></ServiceExceptionReport>",
            ),
            "refused the request: no",
        ),
    ],
)
def test_an_import_fetches_a_tile_and_is_refused_with_what_came_instead(
    sqlite_database: Database, project: ProjectView, server: Server, answer: Callable[..., Response], says: str
) -> None:
    server.answer = answer
    with pytest.raises(ImageryError) as caught:
        register_imagery(sqlite_database, project, server.url + "/{z}/{x}/{y}.png?key=SECRET", bounds=BOUNDS)
    assert says in str(caught.value)
    assert "--no-check" in str(caught.value)
    assert "SECRET" not in str(caught.value)
    with sqlite_database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM imagery").scalar() == 0
        assert connection.exec_driver_sql("SELECT count(*) FROM tile").scalar() == 0
    offline = register_imagery(sqlite_database, project, server.url + "/{z}/{x}/{y}.png", bounds=BOUNDS, check=False)
    assert (offline["tiles"], offline["says"]) == (1, ["The server was not tried out."])


@pytest.mark.parametrize("missing", [404, 400])
def test_a_server_that_ends_at_an_earlier_zoom_is_enlarged_from_there(
    sqlite_database: Database, project: ProjectView, server: Server, missing: int
) -> None:
    def ends_at_17(path: str, _: dict[str, str]) -> Response:
        return (200, "image/png", picture()) if zoom_of(path) <= 17 else (missing, "text/plain", b"none")

    server.answer = ends_at_17
    report = register_imagery(sqlite_database, project, server.url + "/{z}/{x}/{y}.png", bounds=BOUNDS)
    assert report["check"] == {"tried": 1, "came": 1, "holes": [], "failed": {}, "zoom": 17}
    assert "The server ends at zoom 17: tiles of zoom 18 are enlarged from it." in report["says"]
    with sqlite_database.read() as connection:
        import json

        info = SourceInfo.from_json(json.loads(str(connection.exec_driver_sql("SELECT info FROM imagery").scalar())))
    assert info.max_zoom == 17
    pixels = open_source(info).read(TILE, 512)
    assert (pixels[..., 3] == 255).all()
    assert pixels[100, 100].tolist() == [90, 140, 60, 255]


def test_a_hole_is_filled_from_the_zoom_above_where_there_is_one(server: Server) -> None:
    server.answer = lambda path, _: (200, "image/png", picture()) if zoom_of(path) == 16 else (404, "text/plain", b"")
    source = xyz.XyzSource(xyz.describe_xyz(server.url + "/{z}/{x}/{y}.png", max_zoom=22))
    assert source.read(TILE, 256)[9, 9].tolist() == [90, 140, 60, 255]
    asked = len(server.paths)
    source.read(Tile(18, TILE.x ^ 1, TILE.y), 256)  # its parents are known by now
    assert [zoom_of(path) for path in server.paths[asked:]] == [18, 17]
    server.answer = lambda path, _: (200, "image/png", picture()) if zoom_of(path) == 12 else (404, "", b"")
    assert not xyz.XyzSource(source.info).read(TILE, 256).any()  # 64 times too coarse is nothing


@pytest.mark.parametrize("kind", ["binary/octet-stream", "text/plain", "application/octet-stream", "image/jpg", ""])
@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF"])
def test_an_image_is_known_by_its_bytes(server: Server, kind: str, format: str) -> None:
    server.answer = always(200, kind, picture(format=format))
    pixels = open_source(describe(server.url + "/{z}/{x}/{y}")).read(TILE, 256)
    assert np.abs(pixels[9, 9].astype(int) - [90, 140, 60, 255]).max() < 12


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("http://h/{zoom}/{x}/{y}.png", "http://h/18/138901/76251.png"),
        ("http://h/{TileMatrix}/{TileRow}/{TileCol}", "http://h/18/76251/138901"),
        ("http://h/{z}/{x}/{ty}.png", f"http://h/18/138901/{2**18 - 1 - 76_251}.png"),
        ("http://h/a{u}.jpeg", f"http://h/a{TILE.quadkey}.jpeg"),
        ("tms[22]:http://h/{zoom}/{x}/{y}.png", "http://h/18/138901/76251.png"),
        ("tms[2,19]:http://h/{zoom}/{x}/{-y}.png", f"http://h/18/138901/{2**18 - 1 - 76_251}.png"),
        (
            "https://h/arcgis/rest/services/Ortho/MapServer",
            "https://h/arcgis/rest/services/Ortho/MapServer/tile/18/76251/138901",
        ),
        ("https://h/a/ImageServer/?token=t", "https://h/a/ImageServer/tile/18/76251/138901?token=t"),
    ],
)
def test_addresses_as_editors_and_services_write_them(template: str, expected: str) -> None:
    info = describe(template)
    assert xyz.address(info.location, TILE) == expected
    assert info.max_zoom == (19 if "[2,19]" in template else 22)
    assert describe(template, max_zoom=17).max_zoom == 17


def test_tilejson_is_followed(server: Server) -> None:
    document = (
        f'{{"tilejson":"2.2.0","tiles":["{server.url}/ok/{{z}}/{{x}}/{{y}}.png"],"minzoom":3,"maxzoom":19,'
        '"bounds":[10,59,11,60],"attribution":"<a href=\\"x\\">Survey</a>","scheme":"tms"}'
    )
    server.answer = always(200, "application/json", document.encode())
    info = describe(f"{server.url}/tilejson")
    assert (info.kind, info.min_zoom, info.max_zoom, info.bounds) == ("xyz", 3, 19, (10.0, 59.0, 11.0, 60.0))
    assert (info.location, info.attribution) == (f"{server.url}/ok/{{z}}/{{x}}/{{-y}}.png", "Survey")


WMTS = b'<Capabilities xmlns="http://www.opengis.net/wmts/1.0" version="1.0.0"><Contents/></Capabilities>'


def test_a_wmts_is_pointed_at_its_tiles(server: Server) -> None:
    server.answer = always(200, "application/xml", WMTS)
    with pytest.raises(ImageryError, match=r"is a WMTS: .* \{TileMatrix\}, \{TileCol\} and \{TileRow\}"):
        describe(f"{server.url}/wmts")


def capabilities(crs: str, formats: str = "image/png", layers: str = "ortho") -> bytes:
    named = "".join(f"<Layer><Name>{name}</Name></Layer>" for name in layers.split())
    offered = "".join(f"<Format>{each}</Format>" for each in formats.split())
    codes = "".join(f"<CRS>{code}</CRS>" for code in crs.split())
    return (
        '<?xml version="1.0"?><WMS_Capabilities version="1.3.0" xmlns="http://www.opengis.net/wms"><Capability><Request>'
        f"<GetMap>{offered}</GetMap></Request><Layer>{codes}{named}</Layer></Capability></WMS_Capabilities>"
    ).encode()


EXCEPTION = (
    b"<ServiceExceptionReport><ServiceException>FORMAT has wrong value</ServiceException></ServiceExceptionReport>"
)


def test_a_wms_is_asked_for_a_picture_format_that_it_offers(
    sqlite_database: Database, project: ProjectView, server: Server
) -> None:
    def jpeg_only(_: str, query: dict[str, str]) -> Response:
        if query["REQUEST"] == "GetCapabilities":
            return 200, "text/xml", capabilities("EPSG:3857", "image/jpeg")
        if query["FORMAT"] != "image/jpeg":
            return 200, "text/xml", EXCEPTION
        return 200, "image/jpeg", picture(size=int(query["WIDTH"]), format="JPEG")

    server.answer = jpeg_only
    report = register_imagery(sqlite_database, project, f"{server.url}/wms", bounds=BOUNDS)  # a bare URL, one layer
    assert (report["kind"], report["check"]["came"], report["says"]) == ("wms", 1, ["Tried 1 tile: 1 with pixels."])
    server.answer = lambda path, query: (
        jpeg_only(path, query) if query["REQUEST"] == "GetCapabilities" else (200, "image/png", EXCEPTION)
    )
    with pytest.raises(ImageryError, match=r"refused the request: FORMAT has wrong value.*Nothing was imported"):
        register_imagery(sqlite_database, project, f"{server.url}/other?service=WMS", bounds=BOUNDS)


def test_a_wms_as_an_editor_lists_it_is_read(server: Server) -> None:
    server.answer = always(200, "text/xml", capabilities("EPSG:3857"))
    listed = f"wms:{server.url}/ows?LAYERS=ortho&SRS={{proj}}&WIDTH={{width}}&HEIGHT={{height}}&BBOX={{bbox}}"
    assert describe(listed).location.startswith(f"{server.url}/ows?VERSION=1.3.0&LAYERS=ortho")
    with pytest.raises(ImageryError, match="draws every zoom"):
        describe(listed, max_zoom=19)


def test_a_bare_wms_address_lists_its_layers(server: Server) -> None:
    server.answer = always(200, "text/xml", capabilities("EPSG:3857", layers="ortho streets"))
    with pytest.raises(ImageryError, match="needs a layer: add LAYERS= with one of ortho, streets"):
        describe(f"{server.url}/wms")


@pytest.mark.parametrize(("crs", "order"), [("EPSG:4326", (1, 0, 3, 2)), ("CRS:84 EPSG:4326", (0, 1, 2, 3))])
def test_a_wms_that_knows_degrees_only_is_asked_with_its_axes_and_put_on_the_mercator_grid(
    server: Server, crs: str, order: tuple[int, ...]
) -> None:
    wide = Tile(3, 4, 2)  # so far north and so large that degrees and mercator differ
    west, south, east, north = wide.bounds

    def by_latitude(_: str, query: dict[str, str]) -> Response:
        if query["REQUEST"] == "GetCapabilities":
            return 200, "text/xml", capabilities(crs)
        box = [float(each) for each in query["BBOX"].split(",")]
        assert [box[place] for place in order] == pytest.approx([west, south, east, north])
        size = int(query["WIDTH"])
        latitudes = north - (np.arange(size) + 0.5) / size * (north - south)
        pixels = np.zeros((size, size, 3), dtype=np.uint8)
        pixels[latitudes > 60] = 255
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        return 200, "image/png", buffer.getvalue()

    server.answer = by_latitude
    info = describe(f"{server.url}/wms?layers=ortho")
    assert info.crs == crs.split()[0]
    bright = open_source(info).read(wide, 512)[:, 9, 0] > 127
    rows = (np.arange(512) + 0.5) / 512
    latitudes = np.degrees(np.arctan(np.sinh(np.pi * (1 - 2 * (wide.y + rows) / 8))))
    assert np.abs(bright.sum() - (latitudes > 60).sum()) <= 1
    assert isinstance(open_source(info), wms.WmsSource)
