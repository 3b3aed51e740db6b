"""The files of a model: a folder, or a commit of the hub brought here once. Nothing but safetensors, JSON and text.

Weights in other forms are pickles, and reading a foreign one can run anything: they are not even fetched. A model stays
what it was when it was added: one of the hub by its commit, one of a folder by the hash of its files.
"""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from maploop.checksums import sha256_of
from maploop.errors import InputError, NotFoundError
from maploop.predict.hub.extra import libraries, one_line

SETTINGS: Final = ("*.json", "*.txt")
WEIGHTS: Final = "*.safetensors"
_COMMIT = re.compile(r"[0-9a-f]{40}")
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?")


def located(text: str) -> str:
    """What somebody typed -> the identifier that is kept: the whole path of a folder, or a name of the hub.

    Raises InputError, NotFoundError.
    """
    path = Path(text).expanduser()
    if text.startswith(("/", ".", "~")) or (text and path.is_dir()):
        if not path.is_dir():
            msg = f"There is no folder {text!r}: give the folder of a saved model, or a name of the hub, owner/name."
            raise NotFoundError(msg)
        return str(path.resolve())
    if not _HUB_NAME.fullmatch(text) or ".." in text:
        msg = f"{text[:80]!r} is neither a folder nor a name of the hub: write owner/name, or the path of a folder."
        raise InputError(msg)
    return text


def pinned(identifier: str, revision: str = "") -> str:
    """The revision to keep: of a folder the hash of its files; of the hub the commit that `revision` means now.

    `revision` may be a branch, a tag or a commit; the newest without one. Raises InputError, NotFoundError.
    """
    if Path(identifier).is_absolute():
        if revision:
            msg = (
                f"A folder has no revision {revision[:40]!r}: leave it out, the files as they are now are kept in mind."
            )
            raise InputError(msg)
        return _hash_of(_folder(identifier))
    if _COMMIT.fullmatch(revision):
        return revision
    with libraries():
        from huggingface_hub import HfApi  # noqa: PLC0415
    with _said_plainly(identifier, revision):
        return str(HfApi().model_info(identifier, revision=revision or None).sha)


def settings_folder(identifier: str, revision: str) -> Path:
    """The folder with a model's settings, its weights perhaps not there. Raises InputError, NotFoundError."""
    return _folder(identifier) if Path(identifier).is_absolute() else _fetched(identifier, revision, *SETTINGS)


def model_folder(identifier: str, revision: str) -> Path:
    """The folder with all of a model, exactly as it was added. Raises InputError, NotFoundError."""
    if not Path(identifier).is_absolute():
        folder = _fetched(identifier, revision, *SETTINGS, WEIGHTS)
    else:
        folder = _folder(identifier)
        if revision and _hash_of(folder) != revision:
            msg = f"The files in {identifier} were changed after the model was added: add it again under another name."
            raise InputError(msg)
    if not any(folder.glob(WEIGHTS)):
        msg = (
            f"{identifier} has no weights as safetensors. Other files of weights can run anything and are not read: "
            "have it saved again with save_pretrained of a current transformers."
        )
        raise InputError(msg)
    return folder


def _folder(identifier: str) -> Path:
    folder = Path(identifier)
    if not (folder / "config.json").is_file():
        msg = f"There is no config.json in {identifier}: give the folder that save_pretrained wrote."
        raise NotFoundError(msg)
    return folder


def _hash_of(folder: Path) -> str:
    """Of the names and contents of the files that are read."""
    whole = hashlib.sha256()
    for path in sorted(path for kind in (*SETTINGS, WEIGHTS) for path in folder.glob(kind) if path.is_file()):
        whole.update(f"{path.name}\0{sha256_of(path)}\n".encode())
    return f"sha256:{whole.hexdigest()}"


def _fetched(identifier: str, revision: str, *kinds: str) -> Path:
    if not _COMMIT.fullmatch(revision):
        msg = f"{identifier} is of the hub and {revision[:40]!r} is no commit of it: add the model again."
        raise InputError(msg)
    with libraries():
        from huggingface_hub import snapshot_download  # noqa: PLC0415
        from huggingface_hub.errors import LocalEntryNotFoundError  # noqa: PLC0415

    def fetch(*, offline: bool) -> Path:
        return Path(
            snapshot_download(
                identifier,
                revision=revision,
                allow_patterns=list(kinds),
                ignore_patterns="*/*",  # other forms of the same weights lie in folders
                local_files_only=offline,
            )
        )

    with _said_plainly(identifier, revision):
        try:
            return fetch(offline=True)
        except LocalEntryNotFoundError:
            return fetch(offline=False)


@contextmanager
def _said_plainly(identifier: str, revision: str) -> Iterator[None]:
    with libraries():
        from huggingface_hub import errors  # noqa: PLC0415
    try:
        yield
    except errors.GatedRepoError as error:
        msg = f"{identifier} is given out after its terms are agreed to: agree on its page, then set HF_TOKEN."
        raise InputError(msg) from error
    except errors.RepositoryNotFoundError as error:
        msg = f"The hub has no model {identifier!r} open to you: check the name, or set HF_TOKEN if it is private."
        raise NotFoundError(msg) from error
    except errors.RevisionNotFoundError as error:
        msg = f"{identifier} has no revision {revision!r}: give a branch, a tag or a commit of it."
        raise NotFoundError(msg) from error
    except (errors.OfflineModeIsEnabled, errors.LocalEntryNotFoundError) as error:
        msg = f"{identifier} is not on this machine and the hub cannot be reached: go online once, or give a folder."
        raise InputError(msg) from error
    except (errors.HfHubHTTPError, OSError, ValueError) as error:
        msg = f"{identifier} cannot be fetched from the hub ({one_line(error)}): try again, or give a folder."
        raise InputError(msg) from error
    except Exception as error:
        if not type(error).__module__.startswith("httpx"):
            raise
        msg = f"The hub cannot be reached ({one_line(error)}): go online, or give a folder."
        raise InputError(msg) from error
