"""Every error and warning that labelmodel raises on purpose."""

from __future__ import annotations


class LabelModelError(Exception):
    """Base of all errors of labelmodel; the message names the thing, the value and the fix."""


class VotesError(LabelModelError, ValueError):
    """Votes or gold labels are out of range, unordered or of shapes that do not fit together."""


class NotFittedError(LabelModelError, ValueError, AttributeError):
    """A model was asked for predictions before `fit`."""


class ParametersError(LabelModelError, ValueError):
    """Stored parameters have an unknown format version, a wrong digest or a wrong shape."""


class LabelModelWarning(UserWarning):
    """The votes allow an answer, but not one to trust without a look."""


class ConvergenceWarning(LabelModelWarning):
    """An iterative fit did not arrive at usable parameters."""
