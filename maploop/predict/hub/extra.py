"""The optional libraries: what is said when they are not there, or do not fit together."""

from collections.abc import Iterator
from contextlib import contextmanager

from maploop.errors import InputError

_LIBRARIES = ("torch", "transformers", "huggingface_hub", "safetensors", "tokenizers")


@contextmanager
def libraries() -> Iterator[None]:
    """Around imports of torch, transformers and huggingface_hub. Raises InputError where that does not work."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _LIBRARIES:
            raise _broken(error) from error
        msg = f"Transformers models need {error.name}, which is not installed: pip install 'maploop[transformers]'."
        raise InputError(msg) from error
    except Exception as error:  # compiled libraries that do not fit one another raise anything
        raise _broken(error) from error


def _broken(error: Exception) -> InputError:
    return InputError(
        f"torch and transformers are installed but cannot be used ({one_line(error)}): install versions that fit one "
        "another; torchvision, where it is there, is not needed."
    )


def one_line(error: BaseException) -> str:
    """What a library says, short enough to be shown: its first line."""
    text = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return (text or type(error).__name__)[:200].rstrip(".: ")
