"""Gradients and updates of a network by layer, measured only at the steps that are logged."""

from collections.abc import Callable, Iterable, Mapping
import re

import numpy as np
import torch
from torch import nn, Tensor

# Parts of a transformer layer that are measured apart.
LAYER = re.compile(r'(?:^|\.)layers\.(\d+)\.(self_attn|linear1|linear2)\.')
# Submodules by which actions enter.
ACTION_PARTS = ('action_embedding', 'film')
SMALLEST = 1e-8
Named = Mapping[str, Tensor]


class GradientRecorder:
    """Measures some of the updates of a predictor. At the others it only applies them.

    Args:
        interval: steps between two measurements.
    """

    def __init__(self, network: nn.Module, interval: int = 100) -> None:
        self._network, self._interval = network, interval

    def update(self, step: int, apply: Callable[[], object]) -> dict[str, float]:
        """Applies an update whose gradients are ready, and returns its metrics; none between measurements.

        Args:
            step: number of the training step; multiples of the interval are measured.
            apply: changes the weights, such as an optimiser's `step`.
        """
        if step % self._interval:
            apply()
            return {}
        weights = dict(self._network.named_parameters())
        gradients = {name: weight.grad for name, weight in weights.items() if weight.grad is not None}
        metrics = gradient_metrics(gradients)
        before = {name: weights[name].detach().clone() for name in gradients}
        apply()
        return metrics | update_metrics(before, weights)


def gradient_metrics(gradients: Named) -> dict[str, float]:
    """Returns the global norm, the share of the action's parameters in it, and the median of each layer.

    `predictor_grad_norm` is the L2 norm over all gradients, measured and not clipped. The action ratio is the L2 norm
    over action embedding and FiLM by that over all; medians are of absolute gradients.
    """
    total = _norm(gradients.values())
    action = _norm(value for name, value in gradients.items() if set(name.split('.')) & set(ACTION_PARTS))
    return {
        'predictor_grad_norm': total,
        'predictor/grad/grad_action_ratio': action / total if total else 0.0,
        **_medians('grad_norms', {name: value.abs() for name, value in gradients.items()}),
    }


def update_metrics(before: Named, after: Named) -> dict[str, float]:
    """Returns by how much weights changed, relative to themselves: the 95th percentile, and the median of each layer.

    Args:
        before, after: weights by name; those of `before` are compared.
    """
    ratios = {
        name: (after[name].detach() - weight).abs() / (weight.abs() + SMALLEST) for name, weight in before.items()
    }
    if not ratios:
        return {}
    return {'predictor_uwr_95th': float(np.quantile(_flat(ratios.values()), 0.95)), **_medians('uwr', ratios)}


def _medians(kind: str, values: Named) -> dict[str, float]:
    parts: dict[str, list[Tensor]] = {}
    for name, value in values.items():
        if found := LAYER.search(name):
            parts.setdefault(f'{kind}/transformer/transformer_layer_{found[1]}_{found[2]}', []).append(value)
    return {name: float(np.median(_flat(part))) for name, part in parts.items()}


def _flat(values: Iterable[Tensor]) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    flat: np.ndarray[tuple[int], np.dtype[np.float32]] = (
        torch.cat([value.detach().flatten() for value in values]).cpu().numpy()
    )
    return flat


def _norm(values: Iterable[Tensor]) -> float:
    norms = [value.norm() for value in values]
    return float(torch.stack(norms).norm()) if norms else 0.0
