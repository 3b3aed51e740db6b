"""The one place that reads the environment: typed settings, loaded once by the app and the CLI."""

import getpass
import os
from collections.abc import Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from types import MappingProxyType

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


def _system_account() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "annotator"


class Settings(BaseSettings):
    """Settings from `MAPLOOP_*` variables; see README for what each one does."""

    model_config = SettingsConfigDict(env_prefix="MAPLOOP_", extra="ignore")

    data: Path = Path("data")
    database_url: str = ""
    user: str = Field(default_factory=_system_account)
    port: int = 8501
    sample: bool = True
    keys: str = ""
    own_hosts: str = ""
    import_megabytes: int = Field(default=6000, ge=100)
    import_seconds: int = Field(default=1800, ge=1)

    @cached_property
    def database(self) -> str:
        """The SQLAlchemy URL in force: `MAPLOOP_DATABASE_URL`, or the SQLite file in the data folder."""
        return self.database_url or f"sqlite:///{(self.data / 'maploop.sqlite').resolve()}"

    @cached_property
    def data_folder(self) -> Path:
        """`data` as an absolute path without links."""
        return self.data.resolve()

    @cached_property
    def own_host_names(self) -> frozenset[str]:
        """Hosts of the user's own, by name in lower case: pictures sent there have not left to another party."""
        return frozenset(name.strip().lower() for name in self.own_hosts.split(",") if name.strip())

    @property
    def imagery_folder(self) -> Path:
        """Where imagery that is not referenced in place is kept."""
        return self.data / "imagery"

    @property
    def datasets_folder(self) -> Path:
        """Where frozen datasets are written, one folder an id."""
        return self.data / "datasets"


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The process's settings, read from the environment at the first call."""
    return Settings()


_handed_down: Mapping[str, object] = MappingProxyType({})


def hand_down_secrets(secrets: Mapping[str, object]) -> None:
    """Let the process know the secrets that the app was started with; they stay in memory."""
    global _handed_down  # noqa: PLW0603  there is one set of secrets a process, as there is one environment
    _handed_down = secrets


def listed_keys() -> str:
    """Which keys go to which servers, as `MAPLOOP_KEYS` says it, in the secrets handed down or the environment."""
    found = _handed_down.get("MAPLOOP_KEYS")
    return found if isinstance(found, str) else get_settings().keys


def key_named(name: str) -> SecretStr | None:
    """The key of a name: from the secrets handed down, else from the environment; None when neither has it.

    For `maploop.keys` alone, which knows the names that may be asked for.
    """
    found = _handed_down.get(name) or os.environ.get(name)
    return SecretStr(found.strip()) if isinstance(found, str) and found.strip() else None
