"""Without the extra, and with one that does not fit together, there is one clear line."""

import builtins
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType

import pytest

from maploop.errors import InputError
from maploop.predict.hub.extra import libraries
from maploop.predict.hub.loading import open_encoder


@pytest.mark.parametrize("missing", ["torch", "transformers", "huggingface_hub"])
def test_a_missing_extra_is_answered_with_how_to_install_it(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(
        name: str,
        its_globals: Mapping[str, object] | None = None,
        its_locals: Mapping[str, object] | None = None,
        names: Sequence[str] = (),
        level: int = 0,
    ) -> ModuleType:
        if name.partition(".")[0] == missing:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, its_globals, its_locals, names, level)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=rf"need {missing}, .*: pip install 'maploop\[transformers\]'\."), libraries():
        __import__(missing)


def test_libraries_that_do_not_fit_one_another_are_one_clear_error() -> None:
    with pytest.raises(InputError, match=r"cannot be used \(operator torchvision::nms does not exist\)"), libraries():
        raise RuntimeError("operator torchvision::nms does not exist\nand forty lines more")


def test_opening_a_model_is_refused_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(InputError, match=r"pip install 'maploop\[transformers\]'"):
        open_encoder(Path("anywhere"))
