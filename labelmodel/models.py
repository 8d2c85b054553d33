"""Every model by the name that job files and stored parameters give it."""

from __future__ import annotations

from labelmodel.base import BaseLabelModel
from labelmodel.glad import GLAD
from labelmodel.label_model import LabelModel
from labelmodel.mace import MACE
from labelmodel.majority import MajorityVote
from labelmodel.snorkel_model import SnorkelLabelModel
from labelmodel.triplets import Triplets

MODELS: dict[str, type[BaseLabelModel]] = {
    "default": LabelModel,
    "majority_vote": MajorityVote,
    "mace": MACE,
    "glad": GLAD,
    "snorkel": SnorkelLabelModel,
    "triplets": Triplets,
}
