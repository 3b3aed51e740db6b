"""Commands called as a pipeline calls them."""

import json
from typing import Any

import pytest

from maploop.cli import run


def said(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> dict[str, Any]:
    """The JSON that a command prints; `code` is its exit code."""
    ended = run([*arguments, "--json"])
    out, error = capsys.readouterr()
    assert ended == code, error
    answer: dict[str, Any] = json.loads(out)
    return answer


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that a command says instead."""
    assert run(list(arguments)) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert error.count("\n") == 1
    return error
