"""Every model by the name that job files and stored parameters give it."""

from __future__ import annotations

from typing import Any

from labelmodel.bwa import BWA
from labelmodel.dawid_skene import DawidSkene
from labelmodel.ebcc import EBCC
from labelmodel.glad import GLAD
from labelmodel.ibcc import IBCC
from labelmodel.label_model import LabelModel
from labelmodel.mace import MACE
from labelmodel.majority import MajorityVote
from labelmodel.one_coin import ClassConditionalOneCoin, OneCoin
from labelmodel.snorkel_model import SnorkelLabelModel
from labelmodel.staged import StagedModel
from labelmodel.triplets import Triplets
from labelmodel.weighted_vote import WeightedVote

# Any: each model has a state of its own.
MODELS: dict[str, type[StagedModel[Any]]] = {
    "default": LabelModel,
    "majority_vote": MajorityVote,
    "weighted_vote": WeightedVote,
    "dawid_skene": DawidSkene,
    "one_coin": OneCoin,
    "class_conditional_one_coin": ClassConditionalOneCoin,
    "ibcc": IBCC,
    "ebcc": EBCC,
    "bwa": BWA,
    "mace": MACE,
    "glad": GLAD,
    "snorkel": SnorkelLabelModel,
    "triplets": Triplets,
}
