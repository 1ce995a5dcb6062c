"""What a step of each level costs: multiply-adds, bytes and seconds, beside backpropagation through time."""

from collections.abc import Callable, Mapping
import time
from typing import Any, Final

import torch
from torch import Tensor

from cls_learning.rtrl import RtrlLearner
from cls_learning.rtrl.cell import RecurrentCell

from .agents import Agent, AGENTS, make_cell, silence
from .memory_chain import episode

# Share of silent units that thresholds are set to.
SILENT: Final = 0.8
# Weight sparsity and width of the surrogate. A narrow one has a derivative of 0 where a unit is far from its threshold.
SETUPS: Final = ((0.0, 1.0), (0.8, 1.0), (0.8, 0.01))
# Steps before anything is counted, and of each timing; the fastest of several timings is reported.
_WARM_UP, _TIMED, _TIMINGS = 32, 20, 5
# Of the episode on which gradients are compared.
_COMPARED = 32


def measure(name: str, units: int, sparsity: float, width: float) -> dict[str, Any]:
    """Measures a step of one agent, untrained, on the memory chain.

    Returns:
        silent, flat, zeros: shares of outputs, of derivatives of outputs and of entries of the influence that are 0;
        dense, executed, effective: multiply-adds of a step and its gradient; bytes of the learner's state;
        processor seconds of a step without its gradient; error: norm of the difference to the gradient of BPTT, as a
        share of the norm of that.
    """
    agent = AGENTS[name]
    cell, xs = _cell_and_inputs(agent, units, sparsity, width, _WARM_UP + 2 * _TIMED)
    learner = agent.learner(cell, 0)
    state, counts, shares = learner.initial(1), [], []
    for t, x in enumerate(xs):
        before = state
        state, output = learner.step(state, x)
        if t >= _WARM_UP:
            coupling = cell.linearise(before, x)[2].coupling
            slope = torch.ones_like(output) if coupling is None else coupling.slope
            counts.append(learner.operations(before, x))
            shares.append([_zeros(part) for part in (output, slope, before['influence'])])
    silent, flat, zeros = (sum(column) / len(shares) for column in zip(*shares))
    dense, executed, effective = (sum(column) / len(counts) for column in zip(*counts))
    return {
        'agent': name, 'cell': agent.cell, 'units': units, 'weight_sparsity': sparsity if 'gru' in agent.cell else 0.0,
        'width': width, 'silent': silent, 'flat': flat, 'zeros': zeros, 'dense': dense, 'executed': executed,
        'effective': effective, 'bytes': sum(part.nbytes for part in state.values()),
        'seconds': fastest(lambda: _run(learner, xs[:_TIMED])) / _TIMED,
        'error': _error(cell, learner, xs[:_COMPARED]),
    }  # fmt: skip


def measure_bptt(cell_of: str, units: int, sparsity: float, length: int) -> dict[str, Any]:
    """Measures backpropagation through time over an episode with a loss at its end; processor seconds of a step."""
    agent = next(agent for agent in AGENTS.values() if agent.cell == cell_of)
    cell, xs = _cell_and_inputs(agent, units, sparsity, 1.0, length)
    return {
        'cell': cell_of, 'units': units, 'weight_sparsity': sparsity, 'length': length,
        'bytes': _tape_bytes(cell, xs), 'seconds': fastest(lambda: _backward(cell, xs)) / length,
    }  # fmt: skip


def fastest(run: Callable[[], object]) -> float:
    """Returns the processor seconds of this thread in the fastest of several calls: other work only adds."""
    run()
    found = []
    for _ in range(_TIMINGS):
        start = time.thread_time()
        run()
        found.append(time.thread_time() - start)
    return min(found)


def _cell_and_inputs(
    agent: Agent, units: int, sparsity: float, width: float, length: int
) -> tuple[RecurrentCell, Tensor]:
    span = _WARM_UP + 2 * _TIMED
    cell = make_cell(agent, units, 0, sparsity=sparsity, width=width, span=span)
    if not cell.is_diagonal:
        silence(cell, episode(span, 0, 0).x, SILENT)
    return cell, episode(length, 0, 0).x


def _zeros(tensor: Tensor) -> float:
    return float((tensor == 0).float().mean())


@torch.no_grad()
def _run(learner: RtrlLearner, xs: Tensor) -> None:
    state = learner.initial(1)
    for x in xs:
        state, _ = learner.step(state, x)


def _forward(cell: RecurrentCell, xs: Tensor) -> Tensor:
    state, output = cell.initial(1), torch.empty(0)
    for x in xs:
        state, output = cell(state, x)
    return output


def _backward(cell: RecurrentCell, xs: Tensor) -> Mapping[str, Tensor]:
    found = torch.autograd.grad(_forward(cell, xs).sum(), list(cell.parameters()))
    return {name: part for (name, _), part in zip(cell.named_parameters(), found)}


def _error(cell: RecurrentCell, learner: RtrlLearner, xs: Tensor) -> float:
    """Returns the relative error of the gradient of the sum of the last output."""
    state = learner.initial(1)
    for x in xs:
        state, output = learner.step(state, x)
    exact = cell.flatten(_backward(cell, xs))
    return float((cell.flatten(learner.gradient(state, torch.ones_like(output))) - exact).norm() / exact.norm())


def _tape_bytes(cell: RecurrentCell, xs: Tensor) -> int:
    """Returns the bytes that autograd keeps for an episode, weights left out."""
    kept: dict[int, Tensor] = {}
    shapes = {parameter.shape for parameter in cell.parameters()}

    def pack(tensor: Tensor) -> Tensor:
        # Masked weights could be made once an episode: they are no cost of its length.
        if tensor.shape not in shapes and tensor.T.shape not in shapes:
            kept[tensor.data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        _forward(cell, xs)
    return sum(tensor.nbytes for tensor in kept.values())
