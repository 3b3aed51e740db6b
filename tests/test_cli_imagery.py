"""`maploop import imagery` of GeoTIFFs that need a word from whoever imports them."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio import Affine

from tests.commands import refused, said

LEFT, TOP = 1_196_850.99, 8_380_708.66  # EPSG:3857, at 10.75 E, 59.91 N


def a_raster(path: Path, metres: float, pixels: int, crs: str | None = "EPSG:3857") -> Path:
    values = np.full((3, pixels, pixels), 900, dtype=np.uint16)
    profile = {"driver": "GTiff", "width": pixels, "height": pixels, "count": 3, "dtype": "uint16", "crs": crs}
    with rasterio.open(path, "w", transform=Affine(metres, 0.0, LEFT, 0.0, -metres, TOP), **profile) as dataset:
        dataset.write(values)
    return path


@pytest.fixture
def project(sqlite_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A project at zoom 19, in the settings' database."""
    said(capsys, "project", "create", "Oslo", "--class", "building:polygon", "--zoom", "19")


@pytest.mark.usefixtures("project")
def test_a_raster_without_crs_is_refused_until_somebody_says_which(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raster = str(a_raster(tmp_path / "scan.tif", 0.6, 256, crs=None))
    assert "has no CRS: say which one it is with --crs" in refused(capsys, "import", "imagery", "Oslo", raster)
    options = ("--crs", "EPSG:3857", "--bands", "3,2,1", "--stretch", "0,1000", "--nodata", "7")
    answer = said(capsys, "import", "imagery", "Oslo", raster, *options)
    assert (answer["tiles"], answer["refreshed"]) == (4, False)
    again = said(capsys, "import", "imagery", "Oslo", raster)  # what was said before stays
    assert (again["tiles"], again["refreshed"]) == (4, True)


@pytest.mark.usefixtures("project")
def test_options_that_cannot_be_end_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raster = str(a_raster(tmp_path / "scan.tif", 0.6, 64))
    command = ("import", "imagery", "Oslo", raster)
    assert "'1,2' are not bands" in refused(capsys, *command, "--bands", "1,2")
    assert "one or three numbers from 1 to 3" in refused(capsys, *command, "--bands", "4,3,2")
    assert "'5,5' is not a stretch" in refused(capsys, *command, "--stretch", "5,5")
    assert "'moon' is not a coordinate reference system" in refused(capsys, *command, "--crs", "moon")
    server = ("import", "imagery", "Oslo", "https://tiles.example/{z}/{x}/{y}.png", "--bands", "1,2,3")
    assert "is no GeoTIFF: CRS, bands, stretch and nodata are for GeoTIFFs only" in refused(capsys, *server)


@pytest.mark.usefixtures("project")
def test_imagery_far_coarser_than_the_zoom_warns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    coarse = said(capsys, "import", "imagery", "Oslo", str(a_raster(tmp_path / "coarse.tif", 38.22, 12)))
    (line,) = [each for each in coarse["says"] if "coarser" in each]
    assert line.startswith("The imagery is far coarser than zoom 19: each of its pixels is shown as 256 a side")
    fine = said(capsys, "import", "imagery", "Oslo", str(a_raster(tmp_path / "fine.tif", 0.6, 64)))
    assert not [each for each in fine["says"] if "coarser" in each]
