"""Files that nobody should send: whatever is in them, all of it goes in or none, and nothing but one line comes out."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from db.shared import close_shared
from maploop.cli import run
from maploop.database import open_database
from tests.intake.files import EAST, NORTH, SOUTH, WEST, counts, feature, square, write

SUFFIXES = (".geojson", ".json", ".ndjson", ".gpkg", ".parquet", ".shp", ".zip", ".fgb", ".csv", "")
MAGIC = (b"", b"SQLite format 3\x00", b"PAR1", b"\x00\x00\x27\x0a", b"PK\x03\x04", b"fgb\x03fgb\x00", b'{"type":')

a_number = st.one_of(
    st.floats(WEST - 1e-3, EAST + 1e-3),
    st.floats(SOUTH, NORTH),
    st.floats(),
    st.integers(),
    st.none(),
    st.text(max_size=3),
)
coordinates = st.recursive(st.lists(a_number, max_size=3), lambda inner: st.lists(inner, max_size=5), max_leaves=12)
KINDS = ("Point", "LineString", "Polygon", "MultiPolygon", "GeometryCollection", "Circle", None)
geometries = st.one_of(
    st.none(),
    st.fixed_dictionaries({"type": st.sampled_from(KINDS), "coordinates": coordinates}),
    st.builds(
        lambda column, row, size: feature(square(column, row, size=size))["geometry"],
        st.floats(-30, 30),
        st.floats(-30, 30),
        st.floats(-1, 50),
    ),
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.floats(), st.integers(), st.text(max_size=20)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=5,
)
properties = st.dictionaries(
    st.one_of(st.sampled_from(["class", "score", "id"]), st.text(max_size=5)), values, max_size=4
)
collections = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["FeatureCollection", "Feature", "Topology"]),
        "features": st.lists(
            st.one_of(
                values,
                st.fixed_dictionaries(
                    {"type": st.just("Feature"), "geometry": geometries, "properties": st.one_of(properties, values)}
                ),
            ),
            max_size=6,
        ),
    }
)


@contextmanager
def a_town(template: Path) -> Iterator[tuple[Path, str]]:
    """A folder with a database that holds one project with one import, and its URL."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copyfile(template, folder / "maploop.sqlite")
        try:
            yield folder, f"sqlite:///{folder / 'maploop.sqlite'}"
        finally:
            close_shared()


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with a project and an import, to be copied."""
    folder = tmp_path_factory.mktemp("town")
    url = f"sqlite:///{folder / 'town.sqlite'}"
    assert run(["project", "create", "Town", "--class", "building:polygon", "--class", "well:point", "--db", url]) == 0
    path = write(folder / "p.geojson", [square(1), square(9), square(1).centroid])
    assert run(["import", "predictions", "Town", str(path), "--model", "first", "--db", url]) == 0
    close_shared()
    return folder / "town.sqlite"


def import_whole_or_not_at_all(folder: Path, url: str, path: Path, output: Any) -> None:
    """Import a file: with 0, what is reported is there; with 2, one line says why and nothing has changed."""
    before = counts(open_database(url))
    output.readouterr()
    code = run(["import", "predictions", "Town", str(path), "--model", "second", "--json", "--db", url])
    printed = output.readouterr()
    after = counts(open_database(url))
    if code == 0:
        answer = json.loads(printed.out)
        assert after["prediction"] - before["prediction"] == answer["imported"] >= 1
        assert after["feature"] - before["feature"] == answer["new"]
        assert after["run"] - before["run"] == 1
        assert printed.err == ""
    else:
        assert code == 2
        assert after == before
        assert len(printed.err.splitlines()) == 1
        assert printed.out == ""


fuzzed = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@fuzzed
@given(
    content=st.builds(lambda magic, rest: magic + rest, st.sampled_from(MAGIC), st.binary(max_size=300)),
    suffix=st.sampled_from(SUFFIXES),
)
def test_random_bytes_never_write_half(
    town: Path, capsys: pytest.CaptureFixture[str], content: bytes, suffix: str
) -> None:
    with a_town(town) as (folder, url):
        path = folder / f"predictions{suffix}"
        path.write_bytes(content)
        import_whole_or_not_at_all(folder, url, path, capsys)


@fuzzed
@given(collection=collections)
def test_odd_geojson_never_writes_half(town: Path, capsys: pytest.CaptureFixture[str], collection: Any) -> None:
    with a_town(town) as (folder, url):
        path = folder / "predictions.geojson"
        path.write_text(json.dumps(collection), encoding="utf-8", errors="surrogatepass")
        import_whole_or_not_at_all(folder, url, path, capsys)


@fuzzed
@given(data=st.data())
def test_damaged_files_never_write_half(town: Path, capsys: pytest.CaptureFixture[str], data: st.DataObject) -> None:
    with a_town(town) as (folder, url):
        path = write(folder / "predictions.geojson", [feature(square(n), score=0.1 * n) for n in range(8)])
        content = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(1, 4))):
            place = data.draw(st.integers(0, len(content) - 1))
            match data.draw(st.sampled_from(["cut", "flip", "double"])):
                case "cut":
                    del content[place : place + data.draw(st.integers(1, 40))]
                case "flip":
                    content[place] = data.draw(st.integers(0, 255))
                case "double":
                    content[place:place] = content[place : place + 30]
            if not content:
                break
        path.write_bytes(bytes(content))
        import_whole_or_not_at_all(folder, url, path, capsys)
