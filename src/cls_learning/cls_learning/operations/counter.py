"""Counts the operations of whatever PyTorch computes in a block.

Counted are products with weights or between tensors: linear layers (of modules or of bare parameters), products of
matrices, convolutions, `einsum` of two tensors, and the cell of a GRU with its 3 products of gates a unit. Biases and
functions of single numbers are not. As in the `neurobench` package (Yik et al. 2025), an input that holds nothing but
0, 1 and -1 is one of spikes, for which adding a weight is enough, and a product with a zero on either side is not
effective. Whole recurrent layers and attention are refused: their steps can't be seen.

Learning: a product that takes part in a gradient costs two more, dense and real-valued, one for each side that needs a
gradient (the first layer needs none for its inputs); through ticks and steps as often as forward. It is counted where
the product is made, so it is assumed that each loss is differentiated once. Adam counts once for each parameter.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
import contextlib
from typing import Any

import torch
from torch import nn, Tensor
from torch.nn.modules.module import register_module_forward_hook
from torch.overrides import TorchFunctionMode

from cls_common.errors import UserError

from ..neurons.layers import LeakyLayer, SynapticLayer
from .counts import COUNTS, NEURON_OPERATIONS, Operations

_CONVOLUTIONS = {torch.conv1d, torch.conv2d, torch.conv3d}
_PRODUCTS = {torch.matmul, torch.mm, torch.mv, torch.bmm, Tensor.matmul, Tensor.__matmul__, Tensor.mm, Tensor.bmm}
_ADDED_PRODUCTS = {torch.addmm, torch.baddbmm}
_REFUSED = {
    torch.gru, torch.lstm, torch.rnn_tanh, torch.rnn_relu, torch.lstm_cell, torch.rnn_tanh_cell, torch.rnn_relu_cell,
    nn.functional.scaled_dot_product_attention,
}  # fmt: skip


class Counter:
    """Counts of one block."""

    def __init__(self) -> None:
        self._counts: dict[str, float] = dict.fromkeys(COUNTS, 0.0)
        self._current: Tensor | None = None
        self._is_paused = False

    @property
    def operations(self) -> Operations:
        """Operations counted so far."""
        return Operations(**self._counts)

    def see(self, function: Any, arguments: Sequence[Any], keywords: Mapping[str, Any]) -> None:
        """Counts one call of a function of PyTorch; raises UserError for one that can't be counted."""
        if self._is_paused:
            return
        if function is nn.functional.linear:
            inputs, weight = (*arguments, *keywords.values())[:2]
            self._product(inputs, weight.transpose(-1, -2))
        elif function in _PRODUCTS:
            self._product(*arguments[:2])
        elif function is Tensor.__rmatmul__:
            self._product(arguments[1], arguments[0])
        elif function in _ADDED_PRODUCTS:
            self._product(*arguments[1:3])
        elif function in _CONVOLUTIONS:
            rest = {name: value for name, value in keywords.items() if name not in ('input', 'weight', 'bias')}
            inputs, weight = (*arguments, *keywords.values())[:2]
            self._call(lambda x, w: function(x, w, None, *arguments[3:], **rest), inputs, weight)
        elif function is torch.einsum and len(arguments) == 3:
            self._call(lambda a, b: torch.einsum(arguments[0], a, b), *arguments[1:])
        elif function is torch.gru_cell:
            self._gru_cell(*arguments[:4])
        elif function is torch._fused_adam_:
            self._add(parameter_updates=sum(weight.numel() for weight in arguments[0]))
        elif function in _REFUSED:
            raise UserError(
                f'operations of {getattr(function, "__name__", function)!r}',
                expected='layers that are called step by step, such as nn.Linear and nn.GRUCell',
                do='Write the network with those.',
            )

    def see_module(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        """Counts the ticks of a layer of neurons after it ran."""
        if isinstance(module, nn.Linear):
            self._current = output  # that of the layer of neurons to which it belongs, if any
        elif isinstance(module, LeakyLayer) and self._current is not None:
            self._is_paused = True
            with torch.no_grad():
                _, membranes, spikes = module.integrate(inputs[0], self._current, *inputs[2:])
                before = torch.cat([inputs[0]['membrane'][None], membranes[:-1]])
                changed = int((membranes != before).sum())
            self._is_paused = False
            operations = NEURON_OPERATIONS['synaptic' if isinstance(module, SynapticLayer) else 'leaky']
            self._add(
                membrane_updates=changed, neuron_operations=operations * spikes.numel(),
                neuron_ticks=spikes.numel(), spikes=int(spikes.count_nonzero()),
            )  # fmt: skip

    def _product(self, a: Tensor, b: Tensor) -> None:
        """Counts a @ b, (..., N, K) and (..., K, M): the products of each k are those of a column and a row."""
        rows, columns = (a[None] if a.dim() == 1 else a), (b[:, None] if b.dim() == 1 else b)
        found = (rows != 0).sum(-2) * (columns != 0).sum(-1)
        self._synaptic(a, b, int(found.sum()), found.numel() * rows.shape[-2] * columns.shape[-1])

    def _call(self, function: Callable[[Tensor, Tensor], Tensor], a: Tensor, b: Tensor) -> None:
        """Counts any function that sums products: by its sum where each number is replaced by 1."""
        self._is_paused = True
        with torch.no_grad():
            effective = float(function((a != 0).double(), (b != 0).double()).sum())
            dense = float(function(torch.ones_like(a).double(), torch.ones_like(b).double()).sum())
        self._is_paused = False
        self._synaptic(*((b, a) if _are_spikes(b) else (a, b)), effective, dense)

    def _gru_cell(self, x: Tensor, h: Tensor, weight_ih: Tensor, weight_hh: Tensor) -> None:
        products = sum(int(((v != 0).sum(0) * (w != 0).sum(0)).sum()) for v, w in ((x, weight_ih), (h, weight_hh)))
        # Reset gate times what is recurrent in the candidate; 1 - update gate times candidate; update gate times h.
        gates = 2 * h.numel() + int(h.count_nonzero())
        dense = len(x) * (weight_ih.numel() + weight_hh.numel()) + 3 * h.numel()
        self._synaptic(x, weight_ih, products + gates, dense)

    def _synaptic(self, a: Tensor, b: Tensor, effective: float, dense: float) -> None:
        sides = (a.requires_grad + b.requires_grad) if torch.is_grad_enabled() else 0
        self._add(**{'acs' if _are_spikes(a) else 'macs': effective}, dense=dense, backward=sides * dense)

    def _add(self, **counts: float) -> None:
        for name, count in counts.items():
            self._counts[name] += count


def _are_spikes(numbers: Tensor) -> bool:
    return bool(((numbers == 0) | (numbers.abs() == 1)).all())


class _Watch(TorchFunctionMode):
    def __init__(self, counter: Counter) -> None:
        super().__init__()
        self._counter = counter

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self._counter.see(func, args, kwargs or {})
        return func(*args, **(kwargs or {}))


@contextlib.contextmanager
def counting() -> Iterator[Counter]:
    """Counts what this thread computes in the block; results are the same as without.

    The counter can be read in the block and after it. One block at a time in a process.
    """
    counter = Counter()
    hook = register_module_forward_hook(counter.see_module)
    try:
        with _Watch(counter):
            yield counter
    finally:
        hook.remove()
