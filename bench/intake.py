"""Predictions and truth into the database: how time and memory grow with their number, from 1,000 to 100,000."""

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

COUNTS = (1_000, 10_000, 100_000)
ZOOM = 20
SPACING = 0.00012  # degrees, about 13 m: a dense town, some eight buildings a tile
MAXIMUM_RSS_UNIT = 1024 if sys.platform != "darwin" else 1


def buildings(count: int, shift: float = 0.0) -> Iterator[dict[str, object]]:
    """GeoJSON features of a grid of buildings with six corners, each turned a little differently."""
    across = math.ceil(math.sqrt(count))
    for index in range(count):
        x, y = 32.5 + index % across * SPACING + shift, 0.3 + index // across * SPACING
        turn = index * 0.1
        ring = [
            [round(x + 4e-5 * math.cos(turn + corner), 7), round(y + 4e-5 * math.sin(turn + corner), 7)]
            for corner in (0.0, 0.9, 1.9, 3.1, 4.0, 5.1)
        ]
        yield {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [[*ring, ring[0]]]},
            "properties": {"score": round(index % 997 / 997, 3), "height": index % 30},
        }


def write(path: Path, count: int, shift: float = 0.0) -> None:
    """A file of that many predictions."""
    path.write_text(json.dumps({"type": "FeatureCollection", "features": list(buildings(count, shift))}))


def maploop(folder: Path, *arguments: str) -> tuple[float, int, str]:
    """Run the command line in a process of its own -> seconds, most memory in bytes, what it printed."""
    environment = {**os.environ, "MAPLOOP_DATA": str(folder), "MAPLOOP_USER": "bench"}
    started = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-c", "from maploop.cli import main; main()", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        printed = process.stdout.read() if process.stdout else ""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"maploop {' '.join(arguments)} ended with {process.returncode}.")
    return time.perf_counter() - started, usage.ru_maxrss * MAXIMUM_RSS_UNIT, printed


def main() -> None:
    """Print a row for each number of predictions."""
    print(f"{'predictions':>11}  {'first import':>20}  {'newer model over it':>20}  {'as known truth':>20}")
    for count in COUNTS:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write(folder / "first.geojson", count)
            write(folder / "newer.geojson", count, shift=5e-6)
            maploop(folder, "project", "create", "bench", "--class", "building:polygon", "--zoom", str(ZOOM))
            cells = []
            for arguments in (
                ("predictions", "bench", str(folder / "first.geojson"), "--model", "first"),
                ("predictions", "bench", str(folder / "newer.geojson"), "--model", "newer"),
                ("annotations", "bench", str(folder / "first.geojson")),
            ):
                seconds, memory, printed = maploop(folder, "import", *arguments, "--json")
                if json.loads(printed)["imported"] != count:
                    sys.exit(f"Not all of {count} were imported: {printed[:200]}")
                cells.append(f"{seconds:8.2f} s {memory / 1e6:6.0f} MB")
            print(f"{count:>11,}  " + "  ".join(f"{cell:>20}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
