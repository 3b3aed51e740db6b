"""Reads a file of features in a process of its own, limited in memory and time: no file can take the app with it.

`python -m maploop.vectors.subprocess_reader` is that process. It reads a request as one line of JSON from its standard
input, writes the features as an Arrow file, and answers with one line of JSON. Nothing it sends is executed.
"""

import contextlib
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
import pyarrow as pa
import shapely

import maploop
from maploop.errors import VectorError
from maploop.imagery.tilemath import Tile
from maploop.settings import get_settings
from maploop.vectors.features import FeatureTable, ReadReport
from maploop.vectors.geometry import as_geometries

Progress = Callable[[str], None]

_HOME: Final = str(Path(maploop.__file__).parents[1])
_LOOK_SECONDS: Final = 0.2
_FEATURES: Final = "features.arrow"
_NICENESS: Final = 5  # decisions come first
_SCHEMA: Final = pa.schema(
    [
        ("row", pa.int64()),
        ("geometry", pa.large_binary()),
        ("class", pa.large_string()),
        ("score", pa.float64()),
        ("properties", pa.large_string()),
    ]
)


def read_features_in_subprocess(
    path: Path | str, *, progress: Progress = lambda _: None, **options: Any
) -> tuple[FeatureTable, ReadReport]:
    """Read a file as `vectors.read_features` does, in a process of its own.

    `progress` is told several times a second; an exception that it raises ends the reading, as any other does. Raises
    VectorError as `read_features` does, and when the file needs more memory or time than the settings allow.
    """
    settings = get_settings()
    limits = {"megabytes": settings.import_megabytes, "seconds": settings.import_seconds}
    with tempfile.TemporaryDirectory(prefix="maploop-read-") as folder:
        request = {"path": os.fsencode(path).hex(), "folder": folder, "options": options, **limits}
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "maploop.vectors.subprocess_reader"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (_HOME, os.environ.get("PYTHONPATH"))))},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            answer = _converse(child, request, Path(path).name, progress)
        finally:
            child.kill()
            child.wait()
        if "error" in answer:
            raise VectorError(answer["error"])
        return _features(Path(folder) / _FEATURES), _report(answer["report"])


def _converse(
    child: "subprocess.Popen[bytes]", request: dict[str, Any], name: str, progress: Progress
) -> dict[str, Any]:
    """Hand the request over and wait for the answer. Raises VectorError when none comes."""
    seconds = request["seconds"]
    begun = time.monotonic()
    line: bytes | None = orjson.dumps(request) + b"\n"
    while True:
        try:
            out, _ = child.communicate(line, timeout=_LOOK_SECONDS)
            break
        except subprocess.TimeoutExpired:
            line = None
        waited = time.monotonic() - begun
        if waited > seconds:
            msg = (
                f"{name} takes longer than {seconds:,} s to read: split it, or allow more with MAPLOOP_IMPORT_SECONDS. "
                "Nothing was imported."
            )
            raise VectorError(msg)
        progress(f"Reading {name} ({waited:.0f} s)")
    with contextlib.suppress(orjson.JSONDecodeError):  # it may have been killed while it wrote
        answer: dict[str, Any] = orjson.loads(out)
        return answer
    msg = (
        f"{name} cannot be read: its reader needed more than {request['megabytes']:,} MB, or broke down "
        f"(code {child.returncode}). Split the file, or allow more with MAPLOOP_IMPORT_MEGABYTES. Nothing was imported."
    )
    raise VectorError(msg)


def _features(path: Path) -> FeatureTable:
    with pa.memory_map(str(path)) as source:
        table = pa.ipc.open_file(source).read_all()
        return FeatureTable(
            rows=table["row"].to_numpy().astype(np.int64),
            geometries=as_geometries(shapely.from_wkb(table["geometry"].to_numpy(zero_copy_only=False))),
            class_names=table["class"].to_numpy(zero_copy_only=False).astype(object),
            scores=table["score"].to_numpy().astype(np.float64),
            properties=[orjson.loads(text) for text in table["properties"].to_pylist()],
        )


def _report(values: dict[str, Any]) -> ReadReport:
    tiles = [Tile(*each) for each in values.pop("looked_at")]
    return ReadReport(**values, looked_at=tiles)


def _serve() -> None:
    """Be the process: read the request, answer it."""
    request = orjson.loads(sys.stdin.buffer.readline())
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no answer
    _limit(request["megabytes"], request["seconds"])
    try:
        answer = _answer(request)
    except VectorError as error:
        answer = {"error": str(error)}
    except MemoryError:
        return  # without an answer: the parent says why
    output.write(orjson.dumps(answer))
    output.close()


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    from maploop.vectors.read import read_features  # noqa: PLC0415  after the limits are set

    table, report = read_features(Path(os.fsdecode(bytes.fromhex(request["path"]))), **request["options"])
    with pa.OSFile(str(Path(request["folder"]) / _FEATURES), "wb") as sink, pa.ipc.new_file(sink, _SCHEMA) as writer:
        for batch in _batches(table):
            writer.write_batch(batch)
    values = asdict(report)
    values["looked_at"] = [[each.z, each.x, each.y] for each in report.looked_at]
    return {"report": values}


def _batches(table: FeatureTable, size: int = 50_000) -> Iterator[pa.RecordBatch]:
    for start in range(0, len(table), size):
        part = slice(start, start + size)
        columns = [
            pa.array(table.rows[part]),
            pa.array(shapely.to_wkb(table.geometries[part]), type=pa.large_binary()),
            pa.array(table.class_names[part], type=pa.large_string()),
            pa.array(table.scores[part]),
            pa.array([orjson.dumps(each).decode() for each in table.properties[part]], type=pa.large_string()),
        ]
        yield pa.record_batch(columns, schema=_SCHEMA)


def _limit(megabytes: int, seconds: int) -> None:
    """Bound memory (data, not mapped files) and processor time of this process, and give way to others."""
    size = megabytes * 1_000_000
    for limit, value in ((resource.RLIMIT_DATA, size), (resource.RLIMIT_CPU, seconds), (resource.RLIMIT_CORE, 0)):
        _, most = resource.getrlimit(limit)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(limit, (value if most == resource.RLIM_INFINITY else min(value, most), most))
    with contextlib.suppress(OSError):
        os.nice(_NICENESS)


if __name__ == "__main__":
    _serve()
