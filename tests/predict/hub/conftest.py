"""Tiny models of every kind, each built once and saved with its image processor."""

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A function that answers the folder of a tiny model, by its name in `models.BUILDERS`."""
    from tests.predict.hub.models import BUILDERS

    root = tmp_path_factory.mktemp("models")

    def built(kind: str) -> Path:
        folder = root / kind
        if not folder.exists():
            BUILDERS[kind](folder)
        return folder

    return built
