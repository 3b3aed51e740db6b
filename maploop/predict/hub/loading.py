"""Opens a network with its image processor from a folder: no code of the model's own, no pickles, no network."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from maploop.errors import InputError
from maploop.predict.hub.extra import libraries, one_line
from maploop.predict.hub.parameters import EVERYTHING, Task

logger = logging.getLogger(__name__)

_AS: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "semantic": (
        ("AutoModelForSemanticSegmentation", "MODEL_FOR_SEMANTIC_SEGMENTATION_MAPPING"),
        ("AutoModelForUniversalSegmentation", "MODEL_FOR_UNIVERSAL_SEGMENTATION_MAPPING"),
    ),
    "instance": (
        ("AutoModelForUniversalSegmentation", "MODEL_FOR_UNIVERSAL_SEGMENTATION_MAPPING"),
        ("AutoModelForInstanceSegmentation", "MODEL_FOR_INSTANCE_SEGMENTATION_MAPPING"),
    ),
    "detection": (("AutoModelForObjectDetection", "MODEL_FOR_OBJECT_DETECTION_MAPPING"),),
    "masks": (("AutoModelForMaskGeneration", "MODEL_FOR_MASK_GENERATION_MAPPING"),),
    "sharpen": (("AutoModelForMaskGeneration", "MODEL_FOR_MASK_GENERATION_MAPPING"),),
}
_PROMPTED: Final = ("masks", "sharpen")
_PROMPTABLE: Final = ("sam",)  # of what generates masks, those whose prompts and answers we know
_SAFELY: Final = {"trust_remote_code": False, "local_files_only": True}


@dataclass(frozen=True)
class Opened:
    """A network ready to be asked, its processor, its torch device; `lacking`: weights that were not there."""

    network: Any
    processor: Any
    config: Any
    device: str
    lacking: frozenset[str] = frozenset()


def model_labels(folder: Path, task: Task) -> dict[int, str]:
    """The labels by number that a model can be asked for in this task. Raises InputError when it cannot do it."""
    config = _config(folder)
    _loader_for(config, task)
    return {0: EVERYTHING} if task in _PROMPTED else {int(key): str(name) for key, name in config.id2label.items()}


def open_network(folder: Path, task: Task, device: str = "auto") -> Opened:
    """Open a model for a task. Raises InputError when it cannot do it, or its files are not what they should be."""
    config = _config(folder)
    opened = _opened(folder, config, _loader_for(config, task), device)
    if opened.lacking:
        msg = (
            f"The weights in {folder} lack {sorted(opened.lacking)[0]} and {len(opened.lacking) - 1} more: it was not "
            f"trained for {task!r}, give one that was."
        )
        raise InputError(msg)
    return opened


def open_encoder(folder: Path, device: str = "auto") -> Opened:
    """Open whatever turns images into vectors. Raises InputError."""
    opened = _opened(folder, _config(folder), "AutoModel", device)
    if lacking := sorted(name for name in opened.lacking if "pooler" not in name):
        msg = f"The weights in {folder} lack {lacking[0]}: it is not a whole encoder, give another model."
        raise InputError(msg)
    return opened


def _config(folder: Path) -> Any:
    with libraries():
        from transformers import AutoConfig  # noqa: PLC0415
    with _trouble_with(folder), _quietly():
        return AutoConfig.from_pretrained(folder, **_SAFELY)


def _loader_for(config: Any, task: Task) -> str:
    """The name of the class that opens a model for a task."""
    with libraries():
        import transformers  # noqa: PLC0415
    for name, mapping in _AS[task]:
        if type(config) in getattr(transformers, mapping) and (
            task not in _PROMPTED or config.model_type in _PROMPTABLE
        ):
            return name
    able = [
        other for other, ways in _AS.items() if any(type(config) in getattr(transformers, each) for _, each in ways)
    ]
    kind = config.model_type
    ways = f"it can do {', '.join(able)}" if able and not set(able) <= set(_PROMPTED) else "it is of no use here"
    hint = f"use one of {', '.join(_PROMPTABLE)}" if task in _PROMPTED else ways
    msg = f"A {kind} model cannot do {task!r}: {hint}."
    raise InputError(msg)


def _opened(folder: Path, config: Any, loader: str, device: str) -> Opened:
    with libraries():
        import torch  # noqa: PLC0415
        import transformers  # noqa: PLC0415

        if find_spec("torchvision"):  # transformers uses it where it is, and hides that it does not fit torch
            import torchvision  # noqa: F401, PLC0415
    place = _device(torch, device)
    with _trouble_with(folder), _quietly():
        network, report = getattr(transformers, loader).from_pretrained(
            folder,
            config=config,
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
            **_SAFELY,
        )
        asks = (
            transformers.AutoProcessor if config.model_type in ("oneformer", "sam") else transformers.AutoImageProcessor
        )
        processor = asks.from_pretrained(folder, **_SAFELY)
        network = network.eval().requires_grad_(False).to(place)
    logger.info("opened %s from %s on %s", type(network).__name__, folder, place)
    return Opened(network, processor, config, place, frozenset(report["missing_keys"]))


def _device(torch: Any, wanted: str) -> str:
    if wanted == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    kind, _, number = wanted.partition(":")
    there = {
        "cpu": True,
        "mps": torch.backends.mps.is_available(),
        "cuda": torch.cuda.is_available() and int(number or 0) < torch.cuda.device_count(),
    }
    if not there[kind]:
        msg = f"This machine has no {wanted} that torch can use: use cpu, or auto."
        raise InputError(msg)
    return wanted


@contextmanager
def _quietly() -> Iterator[None]:
    """What the library prints while it loads is for its developers."""
    from transformers.utils import logging as said  # noqa: PLC0415

    level, bars = said.get_verbosity(), said.is_progress_bar_enabled()
    said.set_verbosity_error()
    said.disable_progress_bar()
    try:
        yield
    finally:
        said.set_verbosity(level)
        if bars:
            said.enable_progress_bar()


@contextmanager
def _trouble_with(folder: Path) -> Iterator[None]:
    """Whatever the libraries say of a folder they cannot make sense of, as one error."""
    try:
        yield
    except InputError:
        raise
    except ImportError as error:
        msg = (
            f"The model in {folder} needs more than the extra brings ({one_line(error)}): install that, or use another."
        )
        raise InputError(msg) from error
    except Exception as error:  # a foreign file may make the libraries raise anything
        if "trust_remote_code" in str(error) or "custom code" in str(error):
            msg = f"The model in {folder} brings code of its own, which is never run: use one that transformers knows."
            raise InputError(msg) from error
        msg = f"The model in {folder} cannot be opened ({one_line(error)}): check its files, or give another."
        raise InputError(msg) from error
