"""What servers and models said, fit to be shown: one printable line of bounded length, without keys."""

import re
from typing import Final

_SHOWN: Final = 160  # characters
_LIKE_A_KEY: Final = re.compile(r"\b(?:sk|sess|pk|key|gsk|fw|tgp)[-_][A-Za-z0-9*._-]{4,}", re.IGNORECASE)


def clean(text: str, most: int = _SHOWN, *, key: str = "") -> str:
    """Foreign text as one line; some servers repeat the `key` they were given, or what they take for one."""
    if key:
        text = text.replace(key, "[key]")
    text = _LIKE_A_KEY.sub("[key]", text[: most * 8])
    line = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    return line if len(line) <= most else f"{line[: most - 1]}…"
