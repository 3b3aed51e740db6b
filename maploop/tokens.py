"""Estimates of tokens, before anything is sent; what a server reports in `usage` wins over them."""

import math
import re

from maploop.prices import PatchesRule, load_prices

MESSAGE_TOKENS = 4  # around each message
_PIECES = re.compile(r"\d{1,3}|[^\W\d_]+|[^\w\s]+|\s+|_")
_LETTERS_A_TOKEN = 6  # common words are one token, rare ones several
_MARKS_A_TOKEN = 3  # `"],[` and the like are merged


def text_tokens(text: str) -> int:
    """About how many tokens a text is: three digits, a short word or a run of punctuation each."""
    count = 0
    for piece in _PIECES.findall(text):
        if piece[0].isdigit():
            count += 1
        elif piece[0].isalpha():
            count += math.ceil(len(piece) / _LETTERS_A_TOKEN)
        elif not piece[0].isspace():
            count += math.ceil(len(piece) / _MARKS_A_TOKEN)
    return count


def image_tokens(width: int, height: int, model: str, detail: str = "high") -> int | None:
    """How many tokens a picture of so many pixels is by the vendor's formula; None for a model not in the table.

    Raises InputError when the price table of the data folder is damaged.
    """
    rule = load_prices().image_rule(model)
    if rule is None:
        return None
    if isinstance(rule, PatchesRule):
        return math.ceil(math.ceil(width / 32) * math.ceil(height / 32) * rule.factor)
    if detail == "low":
        return rule.base
    scale = min(1.0, 2048 / max(width, height))
    scale = min(scale, 768 / min(width, height))
    tiles = math.ceil(width * scale / 512) * math.ceil(height * scale / 512)
    return rule.base + rule.tile * tiles
