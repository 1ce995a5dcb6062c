"""Optimiser steps, averaged weights, and their states as named tensors."""

from collections.abc import Callable, Mapping, Sequence
import math

import torch
from torch import nn, Tensor

from .adam import Adam

State = dict[str, Tensor]


def make_adam(module: nn.Module, learning_rate: float, beta2: float = 0.999) -> Adam:
    """Returns an optimiser of all weights of a module."""
    return Adam(module.parameters(), learning_rate, beta2)


def step(optimizer: Adam, loss: Tensor, gradient_norm: float) -> float:
    """Takes one step on `loss` (0-d) and returns its value; a loss or gradient that is not finite changes nothing.

    Gradients are clipped like `clip_grad_norm_`, but not written where nothing is clipped: each pass over them costs a
    tenth of the step.

    Args:
        gradient_norm: largest norm of the gradient; 0: not clipped.

    Returns:
        the loss; NaN where the step was refused.
    """
    return step_all((optimizer,), loss, gradient_norm)


def step_all(
    optimizers: Sequence[Adam],
    loss: Tensor,
    gradient_norm: float,
    around: Callable[[Callable[[], None]], None] = lambda apply: apply(),
    fills: bool = False,
) -> float:
    """Takes one step of several optimisers on one loss; see `step`.

    Args:
        around: calls the function that changes the weights, and may look at gradients before and weights after.
        fills: weights that have no part in the loss get a gradient of 0; else they are an error.
    """
    value = float(loss.detach())
    weights = [weight for optimizer in optimizers for weight in optimizer.weights]
    for weight in weights:
        weight.grad = None
    loss.backward()  # type: ignore[no-untyped-call]
    for weight in weights:
        if fills and weight.grad is None:
            weight.grad = torch.zeros_like(weight)
    norm = nn.utils.get_total_norm([weight.grad for weight in weights if weight.grad is not None])
    length = float(norm)
    if not (math.isfinite(value) and math.isfinite(length)):
        for weight in weights:
            weight.grad = None
        return float('nan')
    # `clip_grad_norm_` adds 1e-6 to the norm before it compares.
    clip = min(1.0, gradient_norm / (length + 1e-6)) if gradient_norm > 0 else 1.0
    if clip < 1.0:
        nn.utils.clip_grads_with_norm_(weights, gradient_norm, norm)

    def apply() -> None:
        for optimizer in optimizers:
            optimizer.clip = clip
            optimizer.step()

    around(apply)
    return value


@torch.no_grad()
def average_into(average: list[Tensor], online: list[Tensor], decay: float) -> None:
    """Updates averaged weights in place: average <- decay x average + (1 - decay) x online."""
    torch._foreach_lerp_(average, online, 1.0 - decay)


def module_state(prefix: str, module: nn.Module) -> State:
    """Returns copies of a module's weights, named `<prefix>.<name>`."""
    return {f'{prefix}.{name}': tensor.detach().cpu().clone() for name, tensor in module.state_dict().items()}


def load_module(prefix: str, module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Restores weights; raises RuntimeError for a missing or extra one, or one of another shape."""
    module.load_state_dict(select(prefix, state), strict=True)


def optimizer_state(prefix: str, optimizer: Adam) -> State:
    """Returns copies of Adam's moments and step counts, named by parameter index; none before the first step."""
    return {
        f'{prefix}.{index}.{name}': tensor.detach().cpu().clone()
        for name, tensors in optimizer.moments.items()
        for index, tensor in enumerate(tensors)
    }


def load_optimizer(prefix: str, optimizer: Adam, state: Mapping[str, Tensor]) -> None:
    """Restores Adam's moments; none stored means that it has not stepped yet.

    Raises:
        KeyError: some are stored, but not all.
        ValueError: one has another shape than its weight.
    """
    stored = select(prefix, state)
    if not stored:
        optimizer.moments = {}
        return
    weights = optimizer.weights
    moments = {
        name: [stored[f'{index}.{name}'].to(weight.device, copy=True) for index, weight in enumerate(weights)]
        for name in ('step', 'exp_avg', 'exp_avg_sq')
    }
    for name in ('exp_avg', 'exp_avg_sq'):
        for moment, weight in zip(moments[name], weights):
            if moment.shape != weight.shape:
                raise ValueError(f'{prefix}.{name}: expected shape {tuple(weight.shape)}, found {tuple(moment.shape)}')
    optimizer.moments = moments


def select(prefix: str, state: Mapping[str, Tensor]) -> State:
    """Returns the entries below a prefix, without it."""
    return {key.removeprefix(f'{prefix}.'): value for key, value in state.items() if key.startswith(f'{prefix}.')}


def prefixed(prefix: str, state: Mapping[str, Tensor]) -> State:
    """Returns the entries with `<prefix>.` before their names, which `select` removes."""
    return {f'{prefix}.{key}': value for key, value in state.items()}
