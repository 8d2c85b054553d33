"""What all sections of the job file are made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """A mapping of the job file, whose unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


Text = Annotated[str, Field(min_length=1)]


def not_boolean(value: object) -> object:
    """Refuse true and false where a number is meant; pydantic would take them for 1 and 0.

    Raises:
        ValueError: `value` is one of them.
    """
    if isinstance(value, bool):
        raise ValueError(f"must be a number, got {value!r}")
    return value
