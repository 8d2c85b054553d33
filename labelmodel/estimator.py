"""The part of scikit-learn's estimator contract that needs no scikit-learn."""

from __future__ import annotations

import inspect
from typing import Any, Self


class Estimator:
    """Parameters are the keywords of `__init__`, stored under their names and checked in `fit`."""

    @classmethod
    def _parameter_defaults(cls) -> dict[str, Any]:  # Any: parameters are of any type
        parameters = inspect.signature(cls).parameters.values()
        return {parameter.name: parameter.default for parameter in parameters}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters by name; `deep` is accepted for scikit-learn, no model holds another."""
        return {name: getattr(self, name) for name in self._parameter_defaults()}

    def set_params(self, **params: Any) -> Self:
        """Change parameters by name; they count from the next `fit`.

        Raises
        ------
        ValueError
            A name that is no parameter.
        """
        known = self._parameter_defaults()
        for name, value in params.items():
            if name not in known:
                raise ValueError(
                    f"{type(self).__name__} has no parameter {name!r}; it has {', '.join(known)}"
                )
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        defaults = self._parameter_defaults()
        changed = [
            f"{name}={value!r}"
            for name, value in self.get_params().items()
            if repr(value) != repr(defaults[name])
        ]
        return f"{type(self).__name__}({', '.join(changed)})"
