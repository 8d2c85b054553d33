"""The names that Snorkel's files use in annotations."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

DataPoint = Any
"""A record, or anything else that has its fields as attributes."""
DataPoints = Sequence[DataPoint]
Field = Any
FieldMap = Mapping[str, Field]
HashingFunction = Callable[[Any], Hashable]
