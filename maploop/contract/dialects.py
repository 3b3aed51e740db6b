"""How each family of models writes coordinates: geometry is kept on the ground, a dialect only speaks of it."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from maploop.errors import InputError


class Dialect(ABC):
    """Whole numbers from 0 at the top-left corner of a tile to `limit` at the bottom-right one."""

    name: ClassVar[str]
    y_first: ClassVar[bool] = False

    @abstractmethod
    def limit(self, image_size: int) -> int:
        """The number that stands for the right and bottom edge of an image of so many pixels."""

    def write(self, x: int, y: int) -> list[int]:
        """A position in the order of the dialect."""
        return [y, x] if self.y_first else [x, y]

    def read(self, pair: Sequence[int]) -> tuple[int, int]:
        """A written position as x, y."""
        first, second = pair
        return (second, first) if self.y_first else (first, second)

    def explain(self, image_size: int) -> str:
        """One sentence for the prompt."""
        limit = self.limit(image_size)
        order = "[y, x]" if self.y_first else "[x, y]"
        return (
            f"Write each point as {order} in whole numbers from 0 to {limit}: x grows to the right, y grows downwards, "
            f"0, 0 is the top-left corner of the image and {limit}, {limit} is the bottom-right corner."
        )


class OpenAiDialect(Dialect):
    """OpenAI's models: 0 to 999, x before y."""

    name = "openai"

    def limit(self, image_size: int) -> int:
        return 999


class QwenDialect(Dialect):
    """Qwen2-VL, Qwen3-VL, GLM-V: 0 to 1000, x before y."""

    name = "qwen"

    def limit(self, image_size: int) -> int:
        return 1000


class PixelsDialect(Dialect):
    """Qwen2.5-VL and many local models: pixels of the image, x before y."""

    name = "pixels"

    def limit(self, image_size: int) -> int:
        return image_size


class GeminiDialect(Dialect):
    """Gemini: 0 to 1000, y before x."""

    name = "gemini"
    y_first = True

    def limit(self, image_size: int) -> int:
        return 1000


DIALECTS: dict[str, Dialect] = {
    each.name: each for each in (OpenAiDialect(), QwenDialect(), PixelsDialect(), GeminiDialect())
}


def dialect_named(name: str) -> Dialect:
    """The dialect of that name. Raises InputError naming those there are."""
    try:
        return DIALECTS[name]
    except KeyError as error:
        msg = f"{name!r} is not a coordinate dialect: use {', '.join(DIALECTS)}."
        raise InputError(msg) from error
