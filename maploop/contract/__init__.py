"""The prompt contract: what a model sees and how its answer is read are one thing, versioned by hash.

dialects    how a model family writes coordinates
schema      the shape of an answer, plain enough for strict structured output
render      annotations of a tile -> the answer a perfect model would give
parse       an answer -> features on the ground, or an AnswerError that says what is wrong and where; all or, with
            `read_answer`, those that fit
prompt      the contract itself: texts, classes, image and schema; and the messages made of them
picture     the pixels of a tile exactly as a model sees them
"""

from maploop.contract.dialects import DIALECTS, Dialect, dialect_named
from maploop.contract.parse import AnsweredFeature, UnfitFeatureError, extract_answer, parse_answer, read_answer
from maploop.contract.picture import picture_from, picture_of
from maploop.contract.prompt import Contract, contract_of
from maploop.contract.render import render_answer

__all__ = [
    "DIALECTS",
    "AnsweredFeature",
    "Contract",
    "Dialect",
    "UnfitFeatureError",
    "contract_of",
    "dialect_named",
    "extract_answer",
    "parse_answer",
    "picture_from",
    "picture_of",
    "read_answer",
    "render_answer",
]
