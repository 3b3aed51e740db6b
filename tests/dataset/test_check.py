"""The check of training files finds what the vendor would refuse."""

import base64
from pathlib import Path
from typing import Any

import orjson
import pytest

from maploop.dataset import check
from maploop.dataset.check import check_openai_jsonl

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 20


def url(content: bytes = PNG, kind: str = "png") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def image(address: object) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": address}}


def line(*, user: list[Any] | None = None, answer: Any = "{}") -> dict[str, Any]:
    return {
        "messages": [
            {"role": "system", "content": "Map."},
            {"role": "user", "content": user if user is not None else [{"type": "text", "text": "go"}, image(url())]},
            {"role": "assistant", "content": answer},
        ]
    }


def written(path: Path, *lines: object) -> Path:
    path.write_bytes(b"".join((each if isinstance(each, bytes) else orjson.dumps(each)) + b"\n" for each in lines))
    return path


def test_good_lines_pass(tmp_path: Path) -> None:
    report = check_openai_jsonl(written(tmp_path / "f", *[line()] * 10))
    assert (report.lines, report.images, report.problems, report.warnings) == (10, 10, [], [])


@pytest.mark.parametrize(
    ("bad", "expected"),
    [
        (b"{", "it is not JSON"),
        ([], "an object with a list of messages"),
        ({"messages": []}, "an object with a list of messages"),
        ({**line(), "weight": 1}, "nothing else"),
        ({"messages": [{"role": "narrator", "content": "x"}]}, "each message needs a role"),
        (line(answer=""), "the last message must be the assistant's answer"),
        ({"messages": line()["messages"][:2]}, "the last message must be the assistant's answer"),
        (line(answer=[image(url())]), "only the user may show one"),
        (line(user=[image("https://example.org/a.png")]), "must be a base64 data URL"),
        (line(user=[image(url(kind="gif"))]), "must be a base64 data URL"),
        (line(user=[image(url(kind="jpeg"))]), "is not the JPEG it says it is"),
        (line(user=[image("data:image/png;base64,%%%")]), "base64 is damaged"),
        (line(user=[image(3)]), "must be a base64 data URL"),
        (line(user=[{"type": "video"}]), "neither text nor image_url"),
        (line(user=[image(url())] * 11), "11 pictures are more than 10"),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, bad: object, expected: str) -> None:
    report = check_openai_jsonl(written(tmp_path / "f", line(), bad))
    assert any(each.startswith("line 2: ") and expected in each for each in report.problems)


def test_limits_of_the_file_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "MAX_LINES", 2)
    monkeypatch.setattr(check, "MAX_FILE_BYTES", 100)
    monkeypatch.setattr(check, "MAX_IMAGE_BYTES", 10)
    problems = " ".join(check_openai_jsonl(written(tmp_path / "f", *[line()] * 3)).problems)
    assert "are more than the 0 MB that OpenAI takes" in problems
    assert "3 lines are more than the 2" in problems
    assert "larger than" in problems
