"""Estimates of tokens and cost of training, before anything is sent."""

from typing import Any

from maploop.contract import Contract
from maploop.prices import load_prices
from maploop.tokens import MESSAGE_TOKENS, image_tokens, text_tokens

EPOCHS = 3


def line_tokens(contract: Contract, answer: str, model: str) -> int:
    """About how many tokens one training example is; a picture of an unknown model counts as nothing."""
    size = contract.image_size
    texts = (contract.system, contract.user, answer)
    picture = image_tokens(size, size, model, contract.detail) or 0
    return picture + sum(text_tokens(text) + MESSAGE_TOKENS for text in texts)


def estimate_training(tokens: int, epochs: int = EPOCHS) -> dict[str, Any]:
    """Billed tokens and cost of a training job by base model; all tokens of each epoch are billed."""
    table = load_prices()
    billed = tokens * epochs
    cost = {name: price.training and round(billed * price.training / 1e6, 2) for name, price in table.tuned.items()}
    return {
        "epochs": epochs,
        "billed_tokens": billed,
        "cost": cost,
        "currency": table.currency,
        "prices_of": table.date,
    }
