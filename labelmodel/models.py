"""Every model by the name that job files and stored parameters give it."""

from __future__ import annotations

from typing import Any

from labelmodel.label_model import LabelModel
from labelmodel.majority import MajorityVote
from labelmodel.staged import StagedModel

# Any: each model has a state of its own.
MODELS: dict[str, type[StagedModel[Any]]] = {
    "default": LabelModel,
    "majority_vote": MajorityVote,
}
