"""One example in the words of each trainer; everywhere the picture stands behind the question, as it does when asked.

So what a model is trained on is, token for token, what a server makes of the chat request that asks it later.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal

from maploop.contract import Contract
from maploop.errors import InputError

TRAINERS: Final = ("trl", "ms-swift", "llamafactory")
PLACEHOLDER: Final = "<image>"  # where ms-swift and LLaMA-Factory put the picture
Trainer = Literal["trl", "ms-swift", "llamafactory"]
_READ_BY_TRAINERS: Final = (PLACEHOLDER, "<video>", "<audio>", "<bbox>", "<ref-object>")


@dataclass(frozen=True)
class Told:
    """What every example says beside its picture and answer."""

    system: str
    user: str


def told_by(contract: Contract) -> Told:
    """The texts of a contract. Raises InputError for one that a trainer would take for a picture's place."""
    for mark in _READ_BY_TRAINERS:
        if mark in contract.system or mark in contract.user:
            msg = (
                f"The prompt says {mark}, which trainers take for a place to fill: reword instructions or definitions."
            )
            raise InputError(msg)
    return Told(contract.system, contract.user)


def supervised(trainer: Trainer, told: Told, image: str, answer: str) -> dict[str, Any]:
    """A tile with its right answer; `image` is the path of its picture in the bundle."""
    if trainer == "trl":
        return {"prompt": _parts(told), "completion": [_say("assistant", answer)], "images": [image]}
    return {"messages": [*_texts(told), {"role": "assistant", "content": answer}], "images": [image]}


def preference(trainer: Trainer, told: Told, image: str, preferred: str, non_preferred: str) -> dict[str, Any]:
    """A tile with its right answer and the one that a model gave."""
    match trainer:
        case "trl":
            return {
                "prompt": _parts(told),
                "chosen": [_say("assistant", preferred)],
                "rejected": [_say("assistant", non_preferred)],
                "images": [image],
            }
        case "ms-swift":
            return {
                "messages": [*_texts(told), {"role": "assistant", "content": preferred}],
                "rejected_response": non_preferred,
                "images": [image],
            }
        case "llamafactory":
            return {
                "messages": _texts(told),
                "chosen": {"role": "assistant", "content": preferred},
                "rejected": {"role": "assistant", "content": non_preferred},
                "images": [image],
            }


def _parts(told: Told) -> list[dict[str, Any]]:
    question = {"role": "user", "content": [{"type": "text", "text": told.user}, {"type": "image"}]}
    return [_say("system", told.system), question]


def _say(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "content": [{"type": "text", "text": text}]}


def _texts(told: Told) -> list[dict[str, Any]]:
    return [
        {"role": "system", "content": told.system},
        {"role": "user", "content": f"{told.user}{PLACEHOLDER}"},
    ]
