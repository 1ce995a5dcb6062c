"""Real-time recurrent learning: every level against backpropagation through time, memory, and pruning."""

import gc

import numpy as np
import pytest
import torch
from torch import nn, Tensor

from cls_common.errors import UserError
from cls_learning.learners.optimisation import make_adam, step
from cls_learning.rtrl import EventGruCell, prune, rewire, RtrlLearner, TraceUnitsCell
from cls_learning.rtrl.cell import RecurrentCell
from cls_learning.testing import draw

INPUTS, UNITS, LENGTH = 3, 10, 25


def event_gru(seed: int = 1, sparsity: float = 0.0, **settings: object) -> EventGruCell:
    cell = EventGruCell(INPUTS, UNITS, seed=seed, dtype=torch.float64, **settings)  # type: ignore[arg-type]
    prune(cell, sparsity, np.random.default_rng(seed))
    with torch.no_grad():  # events in about half of the units
        cell.weight_ih.mul_(4.0)
        cell.weight_hh.mul_(3.0)
    return cell


def trace_units(seed: int = 1) -> TraceUnitsCell:
    return TraceUnitsCell(INPUTS, UNITS, seed=seed, dtype=torch.float64)


def sequence(batch: int = 1, length: int = LENGTH) -> Tensor:
    return draw(length, batch, INPUTS, seed=7).double()


def by_bptt(cell: RecurrentCell, xs: Tensor, *, last_only: bool = False) -> dict[str, Tensor]:
    """Returns the gradient of sum |h_t - 1|^2 / 2 over all steps, or of the last, by autograd."""
    state, loss = cell.initial(xs.shape[1]), torch.zeros((), dtype=xs.dtype)
    for t, x in enumerate(xs):
        state, output = cell(state, x)
        if not last_only or t == len(xs) - 1:
            loss = loss + 0.5 * (output - 1.0).square().sum()
    found = torch.autograd.grad(loss, list(cell.parameters()))
    return {name: part for (name, _), part in zip(cell.named_parameters(), found)}


def by_rtrl(cell: RecurrentCell, xs: Tensor, level: str, **settings: int) -> dict[str, Tensor]:
    """Returns the same gradient, added up online."""
    learner = RtrlLearner(cell, level, **settings)
    state = learner.initial(xs.shape[1])
    for parameter in cell.parameters():
        parameter.grad = None
    for x in xs:
        state, output = learner.step(state, x)
        output.backward(output.detach() - 1.0)
    return {name: parameter.grad for name, parameter in cell.named_parameters() if parameter.grad is not None}


def difference(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """Returns the largest difference of any parameter's gradient, as a share of that gradient's largest entry."""
    assert one.keys() == other.keys()
    return max(float((one[n] - other[n]).abs().max() / other[n].abs().max().clamp(min=1e-12)) for n in other)


# ---- cells


def test_outputs_of_an_event_gru_are_events_that_reset_the_membrane() -> None:
    cell = event_gru()
    state, outputs = cell.initial(1), []
    for x in sequence():
        before = state['membrane']
        state, output = cell(state, x)
        outputs.append(output.detach())
        is_event = state['membrane'] > cell.threshold
        assert torch.equal(output, torch.where(is_event, state['membrane'], 0.0))
        assert float(before.detach().abs().max()) <= 1.0 + float(cell.threshold.detach().max())
    rate = float((torch.stack(outputs) != 0).double().mean())
    assert 0.1 < rate < 0.9


def test_an_event_gru_that_always_fires_at_threshold_0_is_a_gru() -> None:
    cell = EventGruCell(INPUTS, UNITS, seed=2)
    gru = nn.GRUCell(INPUTS, UNITS)
    with torch.no_grad():
        cell.threshold_logit.fill_(-torch.inf)
        cell.bias_ih[2 * UNITS :] = 4.0  # candidates near 1: membranes stay above 0
    gru.load_state_dict({name: getattr(cell, name).detach() for name, _ in gru.named_parameters()})
    state, hidden = cell.initial(2), torch.zeros(2, UNITS)
    for x in sequence(2).float():
        (state, output), hidden = cell(state, x), gru(x, hidden)
        torch.testing.assert_close(output, hidden)


def test_trace_units_forget_by_their_decay_and_do_not_grow() -> None:
    cell = trace_units()
    state, _ = cell(cell.initial(1), sequence()[0])
    later, _ = cell(state, torch.zeros(1, INPUTS, dtype=torch.float64))
    sizes = torch.view_as_complex(later['trace']).abs() / torch.view_as_complex(state['trace']).abs()
    torch.testing.assert_close(sizes[0].detach(), torch.exp(-cell.nu_log.detach().exp()))
    assert bool((sizes < 1.0).all())


@pytest.mark.parametrize('make', [event_gru, trace_units])
def test_weights_depend_on_the_seed_alone_and_both_ways_of_a_step_agree(make) -> None:
    torch.manual_seed(3)
    cell = make()
    torch.manual_seed(4)
    assert all(torch.equal(one, other) for one, other in zip(cell.parameters(), make().parameters()))
    assert not torch.equal(cell.weight_ih, make(seed=2).weight_ih)
    state = cell.initial(2)
    for x in sequence(2):
        after, output = cell(state, x)
        again, same, _ = cell.linearise(state, x)
        torch.testing.assert_close(same, output.detach(), rtol=1e-12, atol=1e-12)
        state = {name: value.detach() for name, value in after.items()}
        assert all(torch.allclose(again[name], value) for name, value in state.items())


# ---- gradients


@pytest.mark.parametrize('batch', [1, 3])
@pytest.mark.parametrize('reset_gradient', [True, False])
def test_dense_rtrl_is_bptt(batch: int, reset_gradient: bool) -> None:
    cell, xs = event_gru(reset_gradient=reset_gradient), sequence(batch)
    assert difference(by_rtrl(cell, xs, 'dense'), by_bptt(cell, xs)) < 1e-10


def test_the_gradient_through_the_reset_matters() -> None:
    xs = sequence()
    with_it, without = (by_bptt(event_gru(reset_gradient=flag), xs) for flag in (True, False))
    assert difference(with_it, without) > 1e-3


def test_single_precision_rtrl_is_bptt_to_five_digits() -> None:
    cell, xs = event_gru().float(), sequence().float()
    assert difference(by_rtrl(cell, xs, 'dense'), by_bptt(cell, xs)) < 1e-5


@pytest.mark.parametrize('batch', [1, 3])
@pytest.mark.parametrize('sparsity', [0.0, 0.7])
def test_sparse_rtrl_is_dense_rtrl_and_bptt(sparsity: float, batch: int) -> None:
    cell, xs = event_gru(sparsity=sparsity, width=0.3), sequence(batch)
    sparse = by_rtrl(cell, xs, 'sparse')
    assert difference(sparse, by_rtrl(cell, xs, 'dense')) < 1e-10
    assert difference(sparse, by_bptt(cell, xs)) < 1e-10
    pruned = cell.kept().logical_not()
    assert not cell.flatten(sparse)[pruned].any()


@pytest.mark.parametrize('reach', [LENGTH, UNITS])
def test_snap_n_is_exact_when_n_is_the_reach(reach: int) -> None:
    cell, xs = event_gru(sparsity=0.8), sequence()
    assert difference(by_rtrl(cell, xs, 'snap', reach=reach), by_bptt(cell, xs)) < 1e-10


def test_snap_n_is_exact_on_sequences_of_n_steps_and_not_on_longer_ones() -> None:
    cell = event_gru(sparsity=0.8)
    for steps in (1, 2, 3):
        assert (
            difference(by_rtrl(cell, sequence(length=steps), 'snap', reach=3), by_bptt(cell, sequence(length=steps)))
            < 1e-10
        )
    errors = [difference(by_rtrl(cell, sequence(), 'snap', reach=n), by_bptt(cell, sequence())) for n in (1, 2, 3)]
    assert all(error > 1e-4 for error in errors[:2]) and errors[2] < errors[0]


def test_snap_1_is_exact_without_connections_between_units() -> None:
    cell, xs = event_gru(), sequence()
    cell.weight_hh_mask.copy_(torch.eye(UNITS, dtype=torch.bool).repeat(3, 1))
    for level, settings in (('snap', {'reach': 1}), ('snap', {'reach': 2}), ('sparse', {})):
        assert difference(by_rtrl(cell, xs, level, **settings), by_bptt(cell, xs)) < 1e-10


def test_all_paths_are_exact_and_fewer_are_not() -> None:
    cell, xs = event_gru(), sequence()
    exact = by_bptt(cell, xs)
    errors = [difference(by_rtrl(cell, xs, 'paths', paths=k), exact) for k in (2, UNITS)]
    assert errors[0] > 1e-3 and errors[1] < 1e-10
    first, again, other = (by_rtrl(cell, xs, 'paths', paths=2, seed=seed) for seed in (0, 0, 1))
    assert difference(first, again) == 0.0 and difference(first, other) > 0.0


@pytest.mark.parametrize('batch', [1, 3])
def test_rtrl_of_trace_units_is_bptt(batch: int) -> None:
    cell, xs = trace_units(), sequence(batch)
    assert difference(by_rtrl(cell, xs, 'diagonal'), by_bptt(cell, xs)) < 1e-10
    assert RtrlLearner(cell, 'diagonal').initial(1)['influence'].numel() == sum(p.numel() for p in cell.parameters())


def test_a_gradient_is_available_at_every_step() -> None:
    cell, xs = event_gru(), sequence()
    learner = RtrlLearner(cell, 'sparse')
    state = learner.initial(1)
    for t, x in enumerate(xs[:8]):
        state, output = learner.step(state, x)
        assert difference(learner.gradient(state, output - 1.0), by_bptt(cell, xs[: t + 1], last_only=True)) < 1e-10


# ---- memory


def live_bytes() -> int:
    gc.collect()
    return sum(found.nbytes for found in gc.get_objects() if type(found) is Tensor)


@pytest.mark.parametrize('level', ['sparse', 'diagonal', pytest.param('snap', marks=pytest.mark.slow)])
def test_memory_does_not_grow_from_16_to_4096_steps(level: str) -> None:
    cell = trace_units() if level == 'diagonal' else event_gru(sparsity=0.5)
    learner = RtrlLearner(cell, level, reach=2)
    state, sizes = learner.initial(1), {}
    generator = torch.Generator().manual_seed(0)
    for t in range(1, 4097):
        state, output = learner.step(state, torch.randn(1, INPUTS, dtype=torch.float64, generator=generator))
        if t % 8 == 0:
            output.sum().backward()
        if t in (16, 4096):
            sizes[t] = live_bytes(), sum(part.nbytes for part in state.values())
    assert sizes[4096][1] == sizes[16][1]
    assert sizes[4096][0] == pytest.approx(sizes[16][0], rel=0.01)
    assert not any(part.requires_grad or part.grad_fn for part in state.values())


# ---- what is refused


def test_a_gradient_that_is_not_finite_is_refused_and_changes_nothing() -> None:
    cell = event_gru()
    learner, optimizer = RtrlLearner(cell, 'sparse'), make_adam(cell, 0.1)
    kept = [parameter.detach().clone() for parameter in cell.parameters()]
    for bad in (torch.nan, torch.inf):
        state, output = learner.step(learner.initial(1), sequence()[0])
        assert np.isnan(step(optimizer, (output * bad).sum(), 1.0))
    assert all(torch.equal(p, before) for p, before in zip(cell.parameters(), kept))
    with pytest.raises(UserError, match='expected finite numbers'):
        learner.step(state, torch.full((1, INPUTS), torch.nan, dtype=torch.float64))


def test_wrong_levels_and_numbers_are_refused() -> None:
    cell = event_gru()
    for level, settings in (('exact', {}), ('diagonal', {}), ('snap', {'reach': 0}), ('paths', {'paths': UNITS + 1})):
        with pytest.raises(UserError, match='expected'):
            RtrlLearner(cell, level, **settings)
    with pytest.raises(UserError, match="expected one of diagonal; found 'dense'"):
        RtrlLearner(trace_units(), 'dense')
    cell.weight_hh_mask[0, 0] = False
    with pytest.raises(UserError, match='equally many weights'):
        RtrlLearner(cell, 'sparse')
    for sparsity in (-0.1, 1.0):
        with pytest.raises(UserError, match='weight sparsity'):
            prune(cell, sparsity, np.random.default_rng(0))


# ---- pruning


def test_static_masks_keep_the_share_of_each_row_and_learning_leaves_it() -> None:
    cell = event_gru(sparsity=0.8)
    for name, mask in cell.masks().items():
        assert (mask.sum(1) == max(1, round(0.2 * mask.shape[1]))).all()
        assert not cell.get_parameter(name)[~mask].any()
    by_rtrl(cell, sequence(), 'sparse')
    make_adam(cell, 0.1).step()
    assert not any(cell.get_parameter(name)[~mask].any() for name, mask in cell.masks().items())


def test_rewiring_replaces_the_smallest_weights_and_changes_no_count() -> None:
    cell = event_gru(sparsity=0.5)
    old = {name: mask.clone() for name, mask in cell.masks().items()}
    size = cell.weight_hh.detach().abs().clone()
    replaced = rewire(cell, 0.4, np.random.default_rng(1))
    new = cell.masks()
    gone, came = old['weight_hh'] & ~new['weight_hh'], new['weight_hh'] & ~old['weight_hh']
    assert gone.sum() == came.sum() and replaced == sum(int((old[n] & ~new[n]).sum()) for n in old) > 0
    assert all(torch.equal(new[name].sum(1), old[name].sum(1)) for name in old)
    assert not cell.weight_hh[came].any() and not cell.weight_hh[gone].any()
    left = (old['weight_hh'] & new['weight_hh'])[0]
    assert size[0][gone[0]].max() <= size[0][left].min()


@pytest.mark.parametrize(('level', 'reach'), [('sparse', 1), ('snap', 1), ('snap', 3)])
def test_learning_goes_on_after_rewiring_with_what_is_known_of_kept_weights(level: str, reach: int) -> None:
    cell, xs = event_gru(sparsity=0.5), sequence()
    learner = RtrlLearner(cell, level, reach=reach)
    state = learner.initial(1)
    for x in xs:
        state, _ = learner.step(state, x)
    before, kept = learner.expanded(state), cell.kept()
    rewire(cell, 0.4, np.random.default_rng(1))
    state = learner.take_masks(state)
    after, present = learner.expanded(state), cell.kept()
    assert not after[:, :, ~present].any()
    survivors = before[:, :, kept & present]
    same = after[:, :, kept & present]
    assert torch.equal(same, survivors) if reach == 1 else (same == survivors).double().mean() > 0.5
    gradient = learner.gradient(*learner.step(state, xs[0]))
    assert all(bool(torch.isfinite(part).all()) for part in gradient.values())


# ---- operations


def test_operations_of_a_dense_step_are_counted_and_sparse_ones_are_fewer() -> None:
    cell = EventGruCell(4, 32, seed=1, threshold=0.5, width=0.2)
    every = 3 * (4 + 32) + 7
    counted = {}
    for sparsity in (0.0, 0.8):
        prune(cell, sparsity, np.random.default_rng(0))
        for level in ('dense', 'sparse', 'snap'):
            learner = RtrlLearner(cell, level)
            state = learner.initial(1)
            for x in draw(30, 1, 4, seed=3):
                before = state
                state, _ = learner.step(state, x)
            counted[sparsity, level] = learner.operations(before, x)
    first = counted[0.0, 'dense']
    assert first.dense == first.executed == 32**3 * every + 3 * 32**2 + 32 * every + 32**2 * every
    for sparsity in (0.0, 0.8):
        dense, sparse, snap = (counted[sparsity, level] for level in ('dense', 'sparse', 'snap'))
        assert dense.dense == first.dense
        # Skipped are products with a factor of 0, and what belongs to pruned weights.
        assert dense.effective == sparse.effective if sparsity == 0.0 else dense.effective >= sparse.effective > 0
        assert dense.executed > sparse.executed >= sparse.effective
        assert sparse.executed > snap.executed >= snap.effective
    assert counted[0.8, 'sparse'].executed * 5 < first.dense
