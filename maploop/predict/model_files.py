"""Files of local models: kept in the data folder under their hash, and opened only when they are what was kept.

A saved model is a pickle: reading a foreign one can run anything. So only files that Maploop put there are opened, and
only while their SHA-256 is the one in the database.
"""

import re
from pathlib import Path
from uuid import uuid4

from maploop.checksums import sha256_of
from maploop.errors import InputError, NotFoundError
from maploop.predict.local import LocalModel
from maploop.settings import get_settings

_NAME = re.compile(r"[a-z0-9-]{1,60}-[0-9a-f]{64}\.model")


def models_folder() -> Path:
    """Where local models lie."""
    return get_settings().data / "models"


def keep_model(model: LocalModel, name: str) -> str:
    """Write a model into the folder -> its identifier; the same model again gives the same one."""
    folder = models_folder()
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".{uuid4().hex}.draft"
    try:
        model.save(draft)
        plain = re.sub(r"[^a-z0-9]+", "-", name.casefold()).strip("-")[:60].strip("-") or "model"
        identifier = f"{plain}-{sha256_of(draft)}.model"
        draft.replace(folder / identifier)
    finally:
        draft.unlink(missing_ok=True)
    return identifier


def open_model(identifier: str) -> LocalModel:
    """The model of an identifier. Raises NotFoundError when it has gone, InputError when it is another file now."""
    if not _NAME.fullmatch(identifier):
        msg = f"{identifier[:80]!r} does not name a local model: train one with maploop tune."
        raise InputError(msg)
    path = models_folder() / identifier
    if not path.is_file():
        msg = f"{path} is missing: restore the models folder from a backup, or train the model again."
        raise NotFoundError(msg)
    if sha256_of(path) != identifier.removesuffix(".model").rpartition("-")[2]:
        msg = f"{path} was changed after it was kept: restore it from a backup, or train the model again."
        raise InputError(msg)
    return LocalModel.load(path)
