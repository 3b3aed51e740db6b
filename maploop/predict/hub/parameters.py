"""What is kept of a transformers model beside its identifier: its task, what its labels stand for, what it is shown."""

from collections.abc import Mapping
from typing import Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from maploop.errors import InputError
from maploop.predict.pixels import CELL

Task = Literal["semantic", "instance", "detection", "masks", "sharpen"]
EVERYTHING: Final = "mask"  # the one label of a model that finds things and does not say what they are
_SHOWN_LABELS: Final = 40


class HubParameters(BaseModel):
    """How a transformers model is run.

    task        semantic: a class for each pixel; instance: a mask for each thing; detection: a box for each thing;
                masks: whatever stands out, of one class; sharpen: boxes of another model in, masks out
    labels      the model's label -> class of the project; labels that are not named here are not used
    sharpen     the model whose predictions are sharpened
    threshold   features with a lower score are left out; when sharpening, they keep the outline they had
    revision    of the hub: the commit; of a folder: the hash of its files. Nothing else is ever opened
    device      auto: a graphics card where there is one
    batch       windows looked at together
    window      pixels a side of what the model sees at once; `overlap` of them lie over the next window on each side
    upscale     how much tiles are enlarged before they are shown
    points      a side, of the grid that a window is searched with for the task masks
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: Task
    labels: dict[str, str] = Field(default_factory=dict)
    sharpen: str = ""
    threshold: float = Field(default=0.5, ge=0, le=1)
    revision: str = Field(default="", pattern=r"^([0-9a-f]{40}|sha256:[0-9a-f]{64})?$")
    device: str = Field(default="auto", pattern=r"^(auto|cpu|mps|cuda(:\d{1,2})?)$")
    batch: int = Field(default=4, ge=1, le=256)
    window: int = Field(default=640, ge=32, le=4096)
    overlap: int = Field(default=64, ge=0, le=1024)
    upscale: float = Field(default=1.0, ge=0.25, le=8)
    points: int = Field(default=16, ge=1, le=64)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.task == "sharpen":
            if not self.sharpen:
                raise ValueError("sharpen must name the model whose predictions are sharpened")
            if self.labels:
                raise ValueError(
                    "labels are not used by the task sharpen, classes come from the other model: leave them out"
                )
            return self
        if self.sharpen:
            raise ValueError(f"sharpen goes with the task sharpen, not {self.task}")
        if not self.labels:
            raise ValueError("labels must say which of the model's labels stand for which class")
        if self.step < CELL:
            raise ValueError(
                f"overlap {self.overlap} leaves nothing of a window of {self.window}: use less than half of it"
            )
        return self

    @property
    def side(self) -> int:
        """Pixels of the picture that one window shows, a side."""
        return max(CELL, round(self.window / self.upscale / CELL) * CELL)

    @property
    def margin(self) -> int:
        """Pixels of the picture, along each side of a window, that the next window shows too."""
        return round(self.overlap / self.upscale / CELL) * CELL

    @property
    def step(self) -> int:
        """Pixels of the picture from one window to the next."""
        return self.side - 2 * self.margin


def read_parameters(values: Mapping[str, Any]) -> HubParameters:
    """Parameters as they are kept or typed. Raises InputError naming the first that is wrong."""
    try:
        return HubParameters.model_validate(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(each) for each in first["loc"])
        reason = first["msg"].removeprefix("Value error, ")
        wrong = f"{place} {str(first['input'])[:60]!r}: {reason}" if place else reason
        msg = f"The parameters of a transformers model do not work: {wrong}."
        raise InputError(msg) from error


def wanted_labels(labels: Mapping[str, str], known: Mapping[int, str]) -> dict[int, str]:
    """The model's label numbers -> class names. Labels are found whatever their case. Raises InputError naming them."""
    found: dict[int, str] = {}
    for label, class_name in labels.items():
        exact = [number for number, name in known.items() if name == label]
        close = exact or [number for number, name in known.items() if name.casefold() == label.strip().casefold()]
        if not close:
            names = list(dict.fromkeys(known.values()))
            more = f" and {len(names) - _SHOWN_LABELS} more" if len(names) > _SHOWN_LABELS else ""
            msg = f"The model has no label {label!r}: it has {', '.join(names[:_SHOWN_LABELS])}{more}."
            raise InputError(msg)
        found.update(dict.fromkeys(close, class_name))
    return found
