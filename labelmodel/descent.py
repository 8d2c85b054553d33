"""Gradient descent with the optimizers and learning-rate schedules that Snorkel offers.

Each optimizer is a function that makes a stepper: from gradients, one after the other, to the
steps that are multiplied by the learning rate and subtracted. Constants are PyTorch's defaults
and, for momentum, Snorkel's.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from labelmodel.arrays import FloatArray

Stepper = Callable[[FloatArray], FloatArray]

MOMENTUM = 0.9
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
DECAY, DECAY_EPOCHS = 0.9, 5


def sgd() -> Stepper:
    """Gradient descent with momentum .9 (Sutskever et al. 2013, as PyTorch has it)."""
    velocity: FloatArray | float = 0.0

    def step(gradient: FloatArray) -> FloatArray:
        nonlocal velocity
        velocity = MOMENTUM * velocity + gradient
        return velocity

    return step


def adam() -> Stepper:
    """Adam (Kingma and Ba 2015, algorithm 1)."""
    mean: FloatArray | float = 0.0
    square: FloatArray | float = 0.0
    time = 0

    def step(gradient: FloatArray) -> FloatArray:
        nonlocal mean, square, time
        time += 1
        mean = BETA1 * mean + (1.0 - BETA1) * gradient
        square = BETA2 * square + (1.0 - BETA2) * gradient**2
        scale = np.sqrt(square / (1.0 - BETA2**time)) + EPSILON
        result: FloatArray = mean / (1.0 - BETA1**time) / scale
        return result

    return step


def adamax() -> Stepper:
    """AdaMax (Kingma and Ba 2015, algorithm 2)."""
    mean: FloatArray | float = 0.0
    largest: FloatArray | float = 0.0
    time = 0

    def step(gradient: FloatArray) -> FloatArray:
        nonlocal mean, largest, time
        time += 1
        mean = BETA1 * mean + (1.0 - BETA1) * gradient
        largest = np.maximum(BETA2 * largest, np.abs(gradient) + EPSILON)
        result: FloatArray = mean / (1.0 - BETA1**time) / largest
        return result

    return step


OPTIMIZERS: dict[str, Callable[[], Stepper]] = {"sgd": sgd, "adam": adam, "adamax": adamax}

SCHEDULES: dict[str, Callable[[int, int], float]] = {
    "constant": lambda epoch, n_epochs: 1.0,
    "linear": lambda epoch, n_epochs: (n_epochs - epoch) / n_epochs,
    "exponential": lambda epoch, n_epochs: DECAY**epoch,
    "step": lambda epoch, n_epochs: DECAY ** (epoch // DECAY_EPOCHS),
}


def descend(
    gradient: Callable[[FloatArray], FloatArray],
    start: FloatArray,
    *,
    n_epochs: int,
    lr: float,
    optimizer: str,
    lr_scheduler: str,
) -> FloatArray:
    """Run `n_epochs` steps from `start`.

    Parameters
    ----------
    gradient : function of an array of the shape of `start`
    start : float64
    n_epochs : int
    lr : float
    optimizer : {"sgd", "adam", "adamax"}
    lr_scheduler : {"constant", "linear", "exponential", "step"}

    Returns
    -------
    float64
        Not finite where the steps diverged.
    """
    point, stepper, schedule = start, OPTIMIZERS[optimizer](), SCHEDULES[lr_scheduler]
    with np.errstate(over="ignore", invalid="ignore"):
        for epoch in range(n_epochs):
            point = point - lr * schedule(epoch, n_epochs) * stepper(gradient(point))
    return point
