"""Optimiser steps, averaged weights, and both as named tensors."""

from collections.abc import Mapping
import math

import torch
from torch import nn, Tensor

State = dict[str, Tensor]


def make_adam(module: nn.Module, learning_rate: float) -> torch.optim.Adam:
    """Adam in its fused form: one pass over memory, twice as fast as the plain one on a processor."""
    return torch.optim.Adam(module.parameters(), lr=learning_rate, fused=True)


def warm_up() -> None:
    """Makes and steps an optimiser once: the first one of a process imports for seconds on a busy machine."""
    weight = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.Adam([weight], fused=True)
    weight.grad = torch.zeros(1)
    optimizer.step()


def step(optimizer: torch.optim.Adam, loss: Tensor, gradient_norm: float) -> float:
    """Takes one step on `loss` (0-d) and returns its value; a non-finite loss or gradient changes nothing.

    Gradients are clipped as `clip_grad_norm_` does, but not touched where there is nothing to clip: each pass over them
    costs as much as a tenth of the step.

    Returns:
        the loss; NaN where the step was refused.
    """
    value = float(loss.detach())
    weights: list[Tensor] = optimizer.param_groups[0]['params']
    for weight in weights:
        weight.grad = None
    loss.backward()  # type: ignore[no-untyped-call]
    norm = nn.utils.get_total_norm([weight.grad for weight in weights if weight.grad is not None])
    length = float(norm)
    if not (math.isfinite(value) and math.isfinite(length)):
        optimizer.zero_grad(set_to_none=True)
        return float('nan')
    # Its arithmetic adds 1e-6 to the norm before it compares.
    if 0 < gradient_norm < length + 1e-6:
        nn.utils.clip_grads_with_norm_(weights, gradient_norm, norm)
    optimizer.step()
    return value


@torch.no_grad()
def average_into(average: list[Tensor], raw: list[Tensor], decay: float) -> None:
    """Moves averaged weights towards the raw ones: average <- decay x average + (1 - decay) x raw."""
    torch._foreach_lerp_(average, raw, 1.0 - decay)


def module_state(prefix: str, module: nn.Module) -> State:
    """Returns copies of a module's weights, named `<prefix>.<name>`."""
    return {f'{prefix}.{name}': tensor.detach().cpu().clone() for name, tensor in module.state_dict().items()}


def load_module(prefix: str, module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Puts weights back, strictly: a missing, extra or misshapen one is an error."""
    module.load_state_dict(select(prefix, state), strict=True)


def optimizer_state(prefix: str, optimizer: torch.optim.Adam) -> State:
    """Returns copies of Adam's moments and step counts, named by parameter index."""
    state: State = {}
    for index, values in optimizer.state_dict()['state'].items():
        for name, value in values.items():
            state[f'{prefix}.{index}.{name}'] = torch.as_tensor(value).detach().cpu().clone()
    return state


def load_optimizer(prefix: str, optimizer: torch.optim.Adam, state: Mapping[str, Tensor]) -> None:
    """Puts Adam's moments back; none stored means that it has not stepped yet."""
    stored: dict[int, dict[str, Tensor]] = {}
    for key, value in select(prefix, state).items():
        index, name = key.split('.')
        stored.setdefault(int(index), {})[name] = value.clone()
    optimizer.load_state_dict({'state': stored, 'param_groups': optimizer.state_dict()['param_groups']})


def select(prefix: str, state: Mapping[str, Tensor]) -> State:
    """Returns the entries below a prefix, without it."""
    return {key.removeprefix(f'{prefix}.'): value for key, value in state.items() if key.startswith(f'{prefix}.')}
