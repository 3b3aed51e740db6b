"""What every table stands on: types by annotation, names of constraints, checks of words."""

from datetime import datetime
from typing import Any, ClassVar

from shapely.geometry.base import BaseGeometry
from sqlalchemy import JSON, CheckConstraint, MetaData, Text
from sqlalchemy.orm import DeclarativeBase

from db.types import BigKey, UtcTime, Wkb

VERDICTS = ("accept", "correct", "reject", "add", "unsure")


def one_of(column: str, values: tuple[str, ...], name: str) -> CheckConstraint:
    """A named check that `column` is one of `values`, or empty where the column may be."""
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=name)


class Base(DeclarativeBase):
    """Names every constraint, so that migrations can speak of them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar = {
        int: BigKey,
        datetime: UtcTime,
        BaseGeometry: Wkb,
        dict[str, Any]: JSON,
        str: Text,
    }
