"""Steps of any duration: a step equals two half steps, and a nominal one is the step without a duration."""

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
import torch
from torch import nn, Tensor

from cls_common.transition import Observation, Reading, Transition
from cls_learning import testing
from cls_learning.brains.spiking.replay import Replay
from cls_learning.brains.spiking.settings import WorldSettings
from cls_learning.brains.spiking.world import World
from cls_learning.learners.elapsed import elapsed_in
from cls_learning.neurons.decay import power_difference
from cls_learning.neurons.layers import Integrate, LAYERS, LeakyLayer
from cls_learning.neurons.settings import NeuronSettings
from cls_learning.registries import WORLD_MODELS
from cls_learning.rtrl import EventGruCell, TraceUnitsCell
from cls_learning.rtrl.cell import RecurrentCell
from cls_learning.testing import draw

UNITS = 40
# State, input (B, UNITS), duration (B,) -> state.
Step = Callable[[dict[str, Tensor], Tensor, Tensor], dict[str, Tensor]]


def neurons(kind: str) -> tuple[LeakyLayer, Step]:
    """Neurons with different decays, some of them equal to that of their current, below a threshold that is never met.

    Returns:
        the layer, and its step of 3 ticks on a current.
    """
    layer = LAYERS[kind](1, UNITS, NeuronSettings(neuron=kind, ticks=3))
    logits = draw(UNITS, seed=3)
    with torch.no_grad():
        layer.decay_logit.copy_(logits)
        layer.threshold_logit.fill_(50.0)
        if kind == 'synaptic':
            layer.synapse_logit.copy_(torch.where(torch.arange(UNITS) < 10, logits, draw(UNITS, seed=4)))
    return layer, lambda state, current, elapsed: layer.integrate(state, current[None], elapsed)[0]


def cell_step(cell: RecurrentCell) -> Step:
    return lambda state, x, elapsed: cell(state, x, elapsed)[0]


def silent_event_gru() -> EventGruCell:
    """Units without events, whose gates differ."""
    cell = EventGruCell(UNITS, UNITS, seed=1, threshold=0.999)
    nn.init.zeros_(cell.weight_hh)
    return cell


STEPS: dict[str, tuple[nn.Module, Step]] = {kind: neurons(kind) for kind in LAYERS}
for name, cell in (('trace_units', TraceUnitsCell(UNITS, UNITS, seed=1)), ('event_gru', silent_event_gru())):
    STEPS[name] = cell, cell_step(cell)


@pytest.mark.parametrize('kind', STEPS)
@pytest.mark.parametrize('input_size', [0.0, 0.004], ids=['no_input', 'held_input'])
@settings(max_examples=25, deadline=None)
@given(elapsed=st.lists(st.floats(0.01, 20.0), min_size=4, max_size=4))
def test_a_step_equals_two_half_steps(kind: str, input_size: float, elapsed: list[float]) -> None:
    model, step = STEPS[kind]
    start = {name: 0.05 * draw(*s.shape, seed=i) for i, (name, s) in enumerate(model.initial(4).items())}  # type: ignore
    given_input, durations = input_size * draw(4, UNITS, seed=9), torch.tensor(elapsed)
    with torch.no_grad():
        whole = step(start, given_input, durations)
        halves = step(step(start, given_input, durations / 2), given_input, durations / 2)
    for name, value in whole.items():
        torch.testing.assert_close(value, halves[name], rtol=2e-4, atol=2e-5)


def test_a_membrane_decays_by_the_exponential_of_time() -> None:
    layer, step = neurons('leaky')
    start, elapsed = {'membrane': torch.ones(5, UNITS)}, torch.tensor([0.0, 0.3, 1.0, 2.5, 100.0])
    tau = -1.0 / (3 * layer.decay.log())  # in steps of 3 ticks
    with torch.no_grad():
        after = step(start, torch.zeros(5, UNITS), elapsed)['membrane']
    torch.testing.assert_close(after, torch.exp(-elapsed[:, None] / tau).detach(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize('kind', STEPS)
def test_two_nominal_steps_are_one_of_twice_the_duration_where_nothing_fires(kind: str) -> None:
    model, step = STEPS[kind]
    start, x, ones = model.initial(6), 0.02 * draw(6, UNITS), torch.ones(6)  # type: ignore[operator]
    with torch.no_grad():
        twice = step(step(start, x, ones), x, ones)
        for name, value in step(start, x, 2 * ones).items():
            torch.testing.assert_close(value, twice[name], rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize('changes', [{}, {'spiking.neuron': 'synaptic'}, *({'model': n} for n in WORLD_MODELS.names())])
def test_a_step_of_nominal_duration_is_that_without_one_to_the_last_bit(changes: dict[str, str]) -> None:
    world = World(WorldSettings.from_flat({'hidden': 19, 'window': 2, **changes}), 3, 2, seed=0)
    with torch.no_grad():  # an untrained model predicts no change, whatever its state
        for weight in world.parameters():
            weight.add_(0.1 * draw(*weight.shape))
    state, code, carried = {}, {}, {}
    for ones in (None, torch.ones(7)):
        now = world.initial(7)
        for k in range(3):
            outcome = world.predict(now, 3.0 * draw(7, 3, seed=k), draw(7, 2, seed=k + 9), ones)
            now = outcome.carried
        state[ones is None], code[ones is None], carried[ones is None] = outcome.states, outcome.continues, now
    # Complex products of other shapes may round differently.
    tolerance = 1e-6 if changes.get('model') == 'trace_units' else 0.0
    for found in (state, code, *({k: now[name] for k, now in carried.items()} for name in carried[True])):
        torch.testing.assert_close(found[True], found[False], rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize('model', ['spiking', 'trace_units', 'event_gru'])
def test_a_longer_step_forgets_more_of_what_was_before(model: str) -> None:
    make = testing.maker(model)
    network = make()
    states = network.initial(2)
    for k in range(4):  # two streams with different pasts
        states = network.remember(states, 3.0 * draw(2, 12, seed=k), draw(2, 2, seed=k))
    now, action = draw(1, 12, seed=8).expand(2, 12), torch.zeros(2, 2)
    left = []
    for elapsed in (0.5, 1.0, 4.0):
        after, _, _ = network.predict(states, now, action, torch.full((2,), elapsed))
        left.append(sum(float((value[0] - value[1]).detach().abs().sum()) for value in after.values()))
    assert left[0] > left[1] > left[2] >= 0


def test_gradients_of_decays_that_differ_by_row_are_those_of_finite_differences() -> None:
    inputs = [(0.1 * draw(*shape, seed=i)).double().requires_grad_() for i, shape in enumerate([(2, 3), (4, 2, 3)])]
    decay = draw(2, 3, seed=5).sigmoid().double().requires_grad_()
    threshold = torch.full((3,), 50.0, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda *a: Integrate.apply(*a, threshold, 'triangle', 1.0)[2], (*inputs, decay))


def test_the_difference_of_powers_is_exact_to_four_digits_also_of_equal_numbers() -> None:
    x, n = torch.linspace(0.01, 0.99, 50), torch.tensor([[0.1], [1.0], [2.5], [9.0]])
    for gap in (0.0, 1e-7, 1e-4, 0.005):
        y = x - gap
        one, other, exponent = x.double(), y.double(), n.double()
        exact = (one**exponent - other**exponent) / (one - other) if gap > 1e-6 else exponent * one ** (exponent - 1)
        torch.testing.assert_close(power_difference(x, y, n).double(), exact, rtol=2e-5, atol=1e-12)


def transition(before: int, after: int) -> Transition:
    nothing = np.zeros(0)
    first, last = (Observation({'state': Reading(np.zeros(2, np.float32), stamp)}) for stamp in (before, after))
    return Transition(
        before=first, after=last, action_commanded=np.zeros(1, np.float32), action_applied=np.zeros(1, np.float32),
        joints=nothing, joints_next=nothing, boundary=False,
    )  # fmt: skip


def test_the_duration_of_a_step_is_that_between_its_stamps_and_1_where_they_do_not_rise() -> None:
    assert elapsed_in(transition(10**9, 10**9 + 50_000_000), 0.02) == pytest.approx(2.5)
    assert elapsed_in(transition(10**9, 10**9 + 50_000_000), 0.0) == 1.0
    assert elapsed_in(transition(0, 0), 0.02) == elapsed_in(transition(7, 3), 0.02) == 1.0


def test_a_memory_keeps_durations_where_they_count_and_else_has_the_state_that_it_always_had() -> None:
    plain, timed = Replay(8, 1, 1), Replay(8, 1, 1, has_durations=True)
    for memory in (plain, timed):
        for k in range(6):
            one = torch.full((1,), float(k))
            memory.add(one, one + 1, one, 0.0, terminal=False, begins=k == 0, elapsed=k / 2)
    assert set(plain.state()) == {'before', 'after', 'code', 'reward', 'terminal', 'begins'}
    again = Replay(8, 1, 1, has_durations=True)
    again.load(timed.state())
    window = again.windows(again.starts(2), 30, 2, np.random.default_rng(0))
    assert window.elapsed is not None and torch.equal(window.elapsed, window.before[..., 0] / 2)
    assert torch.equal(window.elapsed_at(1), window.elapsed[:, 1])  # type: ignore[arg-type]
    assert plain.windows(plain.starts(2), 3, 2, np.random.default_rng(0)).elapsed_at(0) is None
