"""Estimates of tokens and training cost, before anything is sent; what a server reports in `usage` wins over them."""

import math
import re
from typing import Any

from maploop.contract import Contract
from maploop.dataset.prices import PatchesRule, price_table

EPOCHS = 3
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
    """How many tokens a picture of so many pixels is by the vendor's formula; None for a model not in the table."""
    rule = price_table().image_rule(model)
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


def line_tokens(contract: Contract, answer: str, model: str) -> int:
    """About how many tokens one training example is; a picture of an unknown model counts as nothing."""
    size = contract.image_size
    texts = (contract.system, contract.user, answer)
    picture = image_tokens(size, size, model, contract.detail) or 0
    return picture + sum(text_tokens(text) + MESSAGE_TOKENS for text in texts)


def estimate_training(tokens: int, epochs: int = EPOCHS) -> dict[str, Any]:
    """Billed tokens and cost of a training job by base model; all tokens of each epoch are billed."""
    table = price_table()
    billed = tokens * epochs
    cost = {name: price.training and round(billed * price.training / 1e6, 2) for name, price in table.tuned.items()}
    return {
        "epochs": epochs,
        "billed_tokens": billed,
        "cost": cost,
        "currency": table.currency,
        "prices_of": table.date,
    }
