"""Folders of tiles: named in either way, assembled, enlarged, hostile; and the Kampala tiles where they are."""

import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from db.engine import Database
from maploop.errors import ImageryError
from maploop.imagery.coverage import covered_tiles
from maploop.imagery.info import SourceInfo
from maploop.imagery.register import register_imagery
from maploop.imagery.source import ImagerySource, describe, open_source
from maploop.imagery.tile_folder import TileFolderSource
from maploop.imagery.tilemath import Tile
from maploop.imagery.tiles import ensure_tiles
from maploop.project import create_project

KAMPALA = Path(__file__).parents[2].parent / "shared" / "data" / "kampala"
TOP = Tile(18, 154804, 130815)

Put = Callable[..., NDArray[np.uint8]]


@pytest.fixture
def put(tmp_path: Path) -> Put:
    """`put(tile, ...)` writes a noisy tile under z/x/y and returns its pixels."""

    def write(tile: Tile, *, size: int = 256, suffix: str = "png", name: str | None = None) -> NDArray[np.uint8]:
        path = tmp_path / (name or f"{tile}.{suffix}")
        path.parent.mkdir(parents=True, exist_ok=True)
        random = np.random.default_rng(abs(hash((tile.z, tile.x, tile.y))))
        pixels = random.integers(0, 256, (size, size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
        return pixels

    return write


def opened(folder: Path) -> ImagerySource:
    return open_source(describe(folder))


def grid(parts: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    return np.vstack([np.hstack(parts[:2]), np.hstack(parts[2:])])


def test_both_ways_of_naming_are_found(tmp_path: Path, put: Put) -> None:
    children = list(TOP.children(19))
    one, two = children[:2]
    put(one)
    put(two, name=f"site/AB-{two.x}-{two.y}-{two.z}.jpg")
    (tmp_path / "readme.txt").write_text("no tile")
    put(two, name="cover.png")
    info = describe(tmp_path)
    assert (info.kind, info.min_zoom, info.max_zoom, info.tile_size) == ("tile_folder", 19, 19, 256)
    assert info.bounds == pytest.approx((one.bounds[0], one.bounds[1], two.bounds[2], two.bounds[3]))
    assert list(covered_tiles(open_source(info), 19)) == [one, two]


def test_512_pixels_are_the_four_children_as_they_are(tmp_path: Path, put: Put) -> None:
    put(TOP)
    parts = [put(child) for child in TOP.children(19)]
    image = opened(tmp_path).read(TOP, 512)
    assert np.array_equal(image[..., :3], grid(parts))
    assert (image[..., 3] == 255).all()


def test_256_pixels_are_the_tile_itself(tmp_path: Path, put: Put) -> None:
    own = put(TOP)
    for child in TOP.children(19):
        put(child)
    assert np.array_equal(opened(tmp_path).read(TOP, 256)[..., :3], own)


def test_a_missing_child_is_filled_from_the_tile_above(tmp_path: Path, put: Put) -> None:
    own = put(TOP)
    children = list(TOP.children(19))
    parts = [put(child) for child in children[:3]]
    image = opened(tmp_path).read(TOP, 512)
    assert np.array_equal(image[:256, :256, :3], parts[0])
    assert (image[256:, 256:, 3] == 255).all()
    assert image[300:500, 300:500, :3].mean() == pytest.approx(own[150:250, 150:250].mean(), abs=3)


def test_a_missing_tile_is_put_together_from_deeper_ones(tmp_path: Path, put: Put) -> None:
    children = list(TOP.children(19))
    parts = [put(child) for child in children[:2]]
    image = opened(tmp_path).read(TOP, 512)
    assert np.array_equal(image[:256, :, :3], np.hstack(parts))
    assert not image[256:].any()


def test_a_tile_below_the_deepest_is_enlarged_without_a_seam_inside(tmp_path: Path, put: Put) -> None:
    put(TOP)
    source = opened(tmp_path)
    parts = [source.read(child, 256) for child in TOP.children(19)]
    assert np.abs(grid(parts).astype(int) - source.read(TOP, 512)).max() <= 1


@pytest.mark.parametrize("size", [1, 64, 100, 500, 512, 1024])
def test_any_size_can_be_asked_for(tmp_path: Path, put: Put, size: int) -> None:
    for child in TOP.children(19):
        put(child)
    image = opened(tmp_path).read(TOP, size)
    assert image.shape == (size, size, 4)
    assert (image[..., 3] == 255).all()


def test_tiles_of_512_pixels_are_given_as_they_are(tmp_path: Path, put: Put) -> None:
    own = put(TOP, size=512)
    for child in TOP.children(19):
        put(child, size=512)
    assert np.array_equal(opened(tmp_path).read(TOP, 512)[..., :3], own)


def test_far_away_it_is_transparent(tmp_path: Path, put: Put) -> None:
    put(TOP)
    source = opened(tmp_path)
    assert not source.read(Tile(18, 0, 0), 256).any()
    assert not source.read(Tile(3, 0, 0), 256).any()


def test_coverage_follows_the_files_up_and_down(tmp_path: Path, put: Put) -> None:
    put(TOP.parent(16))  # a pyramid's upper tiles are mostly empty ground
    put(next(TOP.children(19)))
    source = opened(tmp_path)
    assert list(covered_tiles(source, 18)) == [TOP]
    assert list(covered_tiles(source, 16)) == [TOP.parent(16)]
    assert sorted(covered_tiles(source, 20)) == sorted(next(TOP.children(19)).children(20))
    assert list(covered_tiles(source, 24, max_tiles=1024)) != []
    assert all(source.read(tile, 64)[..., 3].any() for tile in covered_tiles(source, 17))
    with pytest.raises(ImageryError, match="more than 3 tiles at zoom 20"):
        list(covered_tiles(source, 20, max_tiles=3))


def test_links_out_of_the_folder_are_not_followed(tmp_path: Path, put: Put) -> None:
    secret = tmp_path / "secret"
    inside = tmp_path / "tiles"
    children = list(TOP.children(19))
    put(children[0], name=f"tiles/{children[0]}.png")
    put(children[1], name="secret/picture.png")
    put(children[2], name=f"secret/{children[2]}.png")
    (inside / f"a-{children[1].x}-{children[1].y}-19.png").symlink_to(secret / "picture.png")
    (inside / "more").symlink_to(secret)
    assert list(covered_tiles(opened(inside), 19)) == [children[0]]


def bomb(width: int, height: int) -> bytes:
    """A PNG that says it is huge and is a few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(64))) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (bomb(100_000, 100_000), "replace it"),
        (bomb(8000, 8000), "8000 x 8000"),
        (bomb(256, 256), "replace it"),
        (bomb(256, 100), "256 x 100"),
        (b"", "replace it"),
        (b"<svg onload=alert(1)>", "replace it"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "replace it"),
    ],
)
def test_a_hostile_or_broken_image_is_refused_by_name(tmp_path: Path, put: Put, content: bytes, reason: str) -> None:
    children = list(TOP.children(19))
    put(children[0])
    source_folder = tmp_path / f"{children[1]}.png"
    source_folder.parent.mkdir(parents=True, exist_ok=True)
    source_folder.write_bytes(content)
    source = opened(tmp_path)
    assert source.read(children[0], 256).any()
    with pytest.raises(ImageryError, match=rf"{children[1].y}\.png.*{reason}"):
        source.read(children[1], 256)


def test_a_truncated_image_is_refused(tmp_path: Path, put: Put) -> None:
    for suffix in ("png", "jpg", "webp"):
        folder = tmp_path / suffix
        put(TOP, name=f"{suffix}/{TOP}.{suffix}")
        info = describe(folder)
        path = folder / f"{TOP}.{suffix}"
        path.write_bytes(path.read_bytes()[:2000])
        with pytest.raises(ImageryError, match="not a readable"):
            open_source(info).read(TOP, 256)


def test_grey_palette_and_deep_images_are_read(tmp_path: Path, put: Put) -> None:
    children = list(TOP.children(19))
    for child in children:
        put(child)
    Image.new("L", (256, 256), 77).save(tmp_path / f"{children[0]}.png")
    Image.new("P", (256, 256), 0).save(tmp_path / f"{children[1]}.png", transparency=0)
    Image.fromarray(np.full((256, 256), 0x8000, dtype=np.uint16)).save(tmp_path / f"{children[2]}.png")
    source = opened(tmp_path)
    assert source.read(children[0], 256)[9, 9].tolist() == [77, 77, 77, 255]
    assert source.read(children[1], 256)[9, 9, 3] == 0
    assert source.read(children[2], 256)[9, 9].tolist() == [128, 128, 128, 255]


def test_what_is_no_folder_of_tiles_says_how_to_name_them(tmp_path: Path, put: Put) -> None:
    with pytest.raises(ImageryError, match="holds no tiles: name them z/x/y"):
        describe(tmp_path)
    put(TOP)
    info = describe(tmp_path)
    shutil.rmtree(tmp_path)
    with pytest.raises(ImageryError, match="not a folder"):
        open_source(info)


OSLO = Tile(18, 138_902, 76_252)


def grey(path: Path, size: int = 256, format: str | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (size, size), (90, 90, 90)).save(path, format)


def named_from_the_south(folder: Path) -> Path:
    grey(folder / f"18/{OSLO.x}/{2**18 - 1 - OSLO.y}.png")
    return folder


def test_a_tms_folder_is_flipped_when_it_says_so(tmp_path: Path) -> None:
    folder = named_from_the_south(tmp_path / "tms")
    (folder / "tilemapresource.xml").write_text('<TileMap version="1.0.0"><TileSets profile="mercator"/></TileMap>')
    source = opened(folder)
    assert list(covered_tiles(source, 18)) == [OSLO]
    assert source.info.bounds == pytest.approx(OSLO.bounds)
    assert source.read(OSLO, 256)[0, 0].tolist() == [90, 90, 90, 255]
    assert open_source(SourceInfo.from_json(source.info.to_json())).read(OSLO, 256)[..., 3].all()
    (folder / "tilemapresource.xml").write_text('<TileMap><TileSets profile="geodetic"/></TileMap>')
    with pytest.raises(ImageryError, match="--profile=mercator"):
        describe(folder)


def test_a_folder_is_read_as_told(tmp_path: Path) -> None:
    folder = named_from_the_south(tmp_path / "tms")
    assert list(covered_tiles(open_source(describe(folder, scheme="tms")), 18)) == [OSLO]
    by_row = tmp_path / "rows"
    grey(by_row / f"18/{OSLO.y}/{OSLO.x}.png")
    assert list(covered_tiles(open_source(describe(by_row, scheme="zyx")), 18)) == [OSLO]
    assert opened(folder).fingerprint != open_source(describe(folder, scheme="tms")).fingerprint


@pytest.mark.parametrize(("scheme", "says"), [("tms", "rows count from the south"), ("zyx", "z/y/x")])
def test_how_a_folder_is_named_is_found_by_what_the_project_covers(
    sqlite_database: Database, tmp_path: Path, scheme: str, says: str
) -> None:
    with sqlite_database.write() as connection:
        project = create_project(connection, "oslo", [("building", "polygon")], zoom=18)
    folder = tmp_path / "tiles"
    grey(folder / (f"18/{OSLO.x}/{2**18 - 1 - OSLO.y}.png" if scheme == "tms" else f"18/{OSLO.y}/{OSLO.x}.png"))
    with sqlite_database.write() as connection:
        ensure_tiles(connection, project, [Tile(18, OSLO.x + 1, OSLO.y), OSLO])
    report = register_imagery(sqlite_database, project, folder)
    assert (report["tiles"], report["tiles_new"]) == (1, 0)
    assert says in report["says"][0]
    assert report["pixels"]["with_pixels"] == 1


def test_a_folder_that_lies_nowhere_near_says_so(sqlite_database: Database, tmp_path: Path) -> None:
    with sqlite_database.write() as connection:
        project = create_project(connection, "oslo", [("building", "polygon")], zoom=18)
    folder = named_from_the_south(tmp_path / "tms")
    report = register_imagery(sqlite_database, project, folder)
    assert report["says"] == [
        "The tiles lie around -59.9134, 10.7536 (latitude, longitude). Not there? Import with --scheme tms or "
        "--scheme zyx."
    ]


def test_pictures_of_twice_the_pixels_are_tiles(tmp_path: Path) -> None:
    grey(tmp_path / f"18/{OSLO.x}/{OSLO.y}@2x.png", 512)
    info = describe(tmp_path)
    assert (info.tile_size, list(covered_tiles(open_source(info), 18))) == (512, [OSLO])


def test_photos_named_by_date_are_no_tiles(tmp_path: Path) -> None:
    for name in ("IMG_2024-01-10.jpg", "drone_2024-05-12.png", "2023_11_30.jpg"):
        grey(tmp_path / name)
    with pytest.raises(ImageryError, match="holds no tiles"):
        describe(tmp_path)


def test_jpeg_tiles_under_the_name_of_tiff_are_read(tmp_path: Path) -> None:
    tile = Tile(19, 386_690, 220_241)
    path = tmp_path / f"OAM-{tile.x}-{tile.y}-19.tif"
    grey(path, format="JPEG")
    path.with_name(f"{path.name}.aux.xml").write_text("<PAMDataset/>")
    Image.new("RGB", (64, 64)).save(tmp_path / "overview-1-2-3.tif")  # a real TIFF is no tile
    source = opened(tmp_path)
    assert list(covered_tiles(source, 19)) == [tile]
    assert abs(int(source.read(tile, 256)[9, 9, 0]) - 90) < 4
    with pytest.raises(ImageryError, match="is not a TIFF, but its name is that of a tile: import its folder"):
        describe(path)


@pytest.mark.parametrize("name", ["raster.mbtiles", "ortho.jp2", "mosaic.vrt", "ortho.jpg"])
def test_what_is_not_read_says_how_to_convert_it(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"SQLite format 3\0")
    (tmp_path / "ortho.jgw").write_text("0.1\n0\n0\n-0.1\n1\n1\n")
    with pytest.raises(
        ImageryError, match=f"'{name}' cannot be read as imagery: convert it to GeoTIFF, .*gdal_translate"
    ):
        describe(tmp_path / name)


def test_a_replaced_tile_changes_the_fingerprint(tmp_path: Path, put: Put) -> None:
    put(TOP)
    before = opened(tmp_path).fingerprint
    assert opened(tmp_path).fingerprint == before
    put(TOP, size=512)
    assert opened(tmp_path).fingerprint != before


@pytest.mark.skipif(not KAMPALA.is_dir(), reason="the Kampala tiles are not on this machine")
class TestKampala:
    def test_every_tile_is_found(self) -> None:
        source = opened(KAMPALA)
        assert (source.info.min_zoom, source.info.max_zoom, source.info.tile_size) == (19, 21, 256)
        assert {zoom: len(list(covered_tiles(source, zoom))) for zoom in (19, 20, 21)} == {19: 6, 20: 24, 21: 96}

    def test_512_pixels_at_zoom_20_are_the_four_tiles_of_zoom_21(self) -> None:
        source = opened(KAMPALA)
        assert isinstance(source, TileFolderSource)
        for tile in covered_tiles(source, 20):
            files = [KAMPALA / f"OAM-{child.x}-{child.y}-21.png" for child in tile.children(21)]
            parts = [np.asarray(Image.open(file).convert("RGBA")) for file in files]
            assert np.array_equal(source.read(tile, 512), grid(parts))
