"""The part of scikit-learn's estimator contract that needs no scikit-learn."""

from __future__ import annotations

import inspect
from typing import Any, Self, TypeVar


class Estimator:
    """Parameters are the keywords of `__init__`, stored under their names and checked in `fit`."""

    @classmethod
    def parameter_defaults(cls) -> dict[str, Any]:  # Any: parameters are of any type
        """Default of each parameter by name; `inspect.Parameter.empty` where there is none."""
        parameters = inspect.signature(cls).parameters.values()
        return {parameter.name: parameter.default for parameter in parameters}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters by name; `deep` is accepted for scikit-learn, nothing is nested."""
        return {name: getattr(self, name) for name in self.parameter_defaults()}

    def set_params(self, **params: Any) -> Self:
        """Change parameters by name; they count from the next `fit`.

        Raises
        ------
        ValueError
            A name that is no parameter.
        """
        known = self.parameter_defaults()
        for name, value in params.items():
            if name not in known:
                raise ValueError(
                    f"{type(self).__name__} has no parameter {name!r}; it has {', '.join(known)}"
                )
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        defaults = self.parameter_defaults()
        changed = [
            f"{name}={value!r}"
            for name, value in self.get_params().items()
            if repr(value) != repr(defaults[name])
        ]
        return f"{type(self).__name__}({', '.join(changed)})"


EstimatorT = TypeVar("EstimatorT", bound=Estimator)


def clone(model: EstimatorT) -> EstimatorT:
    """Return an estimator of the same class and parameters that is not fitted."""
    return type(model)(**model.get_params())
