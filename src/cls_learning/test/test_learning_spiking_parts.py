"""Parts of the brain `spiking`: neurons, distributions, returns, memory."""

import math

import numpy as np
import pytest
import torch

from cls_common.errors import UserError
from cls_common.robot import Channel, Kind, RobotInfo
from cls_learning import world_models
from cls_learning.brains.spiking.action_space import ActionSpace
from cls_learning.brains.spiking.actor_critic import ActorCritic, lambda_returns
from cls_learning.brains.spiking.replay import Replay
from cls_learning.brains.spiking.settings import AgentSettings, WorldSettings
from cls_learning.brains.spiking.symlog import mean_of, two_hot
from cls_learning.brains.spiking.world import World
from cls_learning.learners.optimisation import make_adam, step
from cls_learning.learners.symlog import symexp, symlog
from cls_learning.neurons.layers import DECAY, Integrate, LeakyLayer, SURROGATES, SynapticLayer, THRESHOLD
from cls_learning.neurons.settings import NeuronSettings, SURROGATE_NAMES
from cls_learning.testing import draw


def robot(*channels):
    return RobotInfo(name='toy', modalities=('state',), channels=channels)


BUTTON = Channel('button', Kind.DISCRETE, '', -1.0, 1.0)
WHEEL = Channel('wheel', Kind.VELOCITY, 'rad/s', -2.0, 6.0)


def test_a_neuron_on_constant_current_has_the_trace_of_snntorch():
    decay, threshold = torch.tensor([0.9]), torch.tensor([1.0])
    membranes, spikes, last = Integrate.apply(
        torch.zeros(1, 1), torch.full((10, 1, 1), 0.3), decay, threshold, 'arctan', 1.0
    )
    golden = [0.3, 0.57, 0.813, 1.0317, 0.22853, 0.50568, 0.75511, 0.9796, 1.18164, 0.36347]
    np.testing.assert_allclose(membranes.flatten(), golden, atol=1e-5)
    assert spikes.flatten().nonzero().flatten().tolist() == [3, 8] and last == membranes[-1]


def test_a_second_order_neuron_on_constant_input_has_the_trace_of_snntorch():
    own = NeuronSettings(neuron='synaptic', ticks=1, synapse=0.8, decay=0.9)
    layer = SynapticLayer(1, 1, own)
    torch.nn.init.zeros_(layer.linear.weight)
    torch.nn.init.constant_(layer.linear.bias, 0.1)
    state, membranes, spikes = layer.initial(1), [], []
    for _ in range(8):
        state, fired = layer(state, torch.zeros(1, 1, 1))
        membranes.append(float(state['membrane'].detach()))
        spikes.append(float(fired.detach()))
    golden = [0.1, 0.27, 0.487, 0.7335, 0.99631, 1.26561, 0.53419, 0.89688]
    np.testing.assert_allclose(membranes, golden, atol=1e-5)
    assert spikes == [0, 0, 0, 0, 0, 1, 0, 0]


def test_surrogates_can_be_chosen_by_the_names_that_settings_list():
    assert tuple(SURROGATES) == SURROGATE_NAMES


def test_a_membrane_carried_over_steps_goes_on_as_in_one_run():
    parts = torch.rand(3, generator=torch.Generator().manual_seed(0)), torch.full((3,), 0.8)
    current = draw(12, 5, 3).abs()
    whole = Integrate.apply(torch.zeros(5, 3), current, *parts, 'arctan', 1.0)
    _, first, carried = Integrate.apply(torch.zeros(5, 3), current[:5], *parts, 'arctan', 1.0)
    _, second, last = Integrate.apply(carried, current[5:], *parts, 'arctan', 1.0)
    assert first.sum() > 0 and torch.equal(torch.cat([first, second]), whole[1]) and torch.equal(last, whole[2])


class PlainSpike(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, surrogate, slope):
        ctx.save_for_backward(x)
        ctx.chosen = surrogate, slope
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx, gradient):
        surrogate, slope = ctx.chosen
        return gradient * SURROGATES[surrogate](ctx.saved_tensors[0], slope), None, None


def plain(membrane, current, decay, threshold, surrogate, slope):
    spike, spikes = (membrane > threshold).to(membrane.dtype), []
    for each in current:
        membrane = decay * membrane + each - threshold * spike.detach()
        spike = PlainSpike.apply(membrane - threshold, surrogate, slope)
        spikes.append(spike)
    return torch.stack(spikes), membrane


@pytest.mark.parametrize('surrogate', SURROGATES)
def test_gradients_are_those_of_plain_backpropagation_through_time(surrogate):
    inputs = [draw(4, 3).double(), draw(6, 4, 3, seed=1).double(), draw(3, seed=2).sigmoid().double()]
    inputs = [each.requires_grad_() for each in (*inputs, torch.full((3,), 0.7, dtype=torch.float64))]
    weights = draw(6, 4, 3, seed=3).double(), draw(4, 3, seed=4).double()
    gradients = []
    for run in (plain, lambda *a: Integrate.apply(*a)[1:]):
        spikes, last = run(*inputs, surrogate, 1.5)
        loss = (spikes * weights[0]).sum() + (last * weights[1]).sum()
        gradients.append(torch.autograd.grad(loss, inputs))
    assert 0 < spikes.mean() < 1
    for one, other in zip(*gradients):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_below_threshold_gradients_are_those_of_finite_differences():
    inputs = [(0.1 * draw(*shape, seed=i)).double().requires_grad_() for i, shape in enumerate([(2, 3), (4, 2, 3)])]
    decay = torch.full((3,), 0.6, dtype=torch.float64, requires_grad=True)
    threshold = torch.full((3,), 50.0, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda *a: Integrate.apply(*a, threshold, 'triangle', 1.0)[2], (*inputs, decay))


def test_decay_and_threshold_stay_within_bounds_whatever_is_learned():
    layer = LeakyLayer(2, 3, NeuronSettings())
    torch.testing.assert_close((layer.decay, layer.threshold), (torch.full((3,), 0.7), torch.full((3,), 1.0)))
    for value in (-1e4, 1e4):
        torch.nn.init.constant_(layer.decay_logit, value)
        torch.nn.init.constant_(layer.threshold_logit, value)
        for found, (low, high) in ((layer.decay, DECAY), (layer.threshold, THRESHOLD)):
            assert (low <= found).all() and (found <= high).all()


def test_the_twin_has_as_many_parameters_within_five_percent():
    counts = [
        sum(p.numel() for p in World(WorldSettings(model=name), 4, 2, seed=0).parameters())
        for name in ('spiking', 'mlp')
    ]
    assert abs(counts[0] / counts[1] - 1) < 0.05


@pytest.mark.parametrize('model', ['spiking', 'mlp', 'film', 'gru'])
def test_any_world_model_learns_next_state_reward_and_end(model):
    world = World(WorldSettings(model=model, hidden=48), 2, 2, seed=0)
    optimizer = make_adam(world, 1e-2)
    states, actions = 50.0 + draw(128, 2), torch.nn.functional.one_hot(torch.arange(128) % 2, 2).float()
    after = states + 0.1 * (actions[:, :1] - actions[:, 1:])
    reward, terminal = 10.0 * actions[:, 0], (states[:, 0] > 50.5).float()
    world.set_scale(after, after - states)
    for _ in range(100):
        outcome = world.predict(world.initial(128), states, actions)
        step(optimizer, world.loss(outcome, after, reward, terminal), 10.0)
    assert world.errors(outcome.state, after).mean() < 0.05
    assert (outcome.reward - reward).abs().mean() < 1.0
    assert ((outcome.continues < 0) == (terminal > 0)).float().mean() > 0.9


@pytest.mark.parametrize(
    ('model', 'level'), [('event_gru', 'sparse'), ('event_gru', 'dense'), ('trace_units', 'diagonal')]
)
def test_the_gradient_of_an_online_step_is_that_of_backpropagation_through_all_steps_before(model, level):
    settings = WorldSettings(model=model, hidden=12, window=2, ensemble=2)
    by_bptt, online = (World(settings, 3, 2, seed=0) for _ in range(2))
    for number, weight in enumerate(by_bptt.parameters()):
        weight.data += 0.3 * draw(*weight.shape, seed=number)  # the output layer begins at 0
    online.load_state_dict(by_bptt.state_dict())
    online.learn_online(level, seed=0)
    gradients = []
    for world in (by_bptt, online):
        carried = world.initial(1)
        for state, code in zip(draw(12, 1, 3, seed=1), draw(12, 1, 2, seed=2)):
            outcome = world.predict(carried, state, code)
            carried = outcome.carried
        world.loss(outcome, draw(1, 3, seed=3), torch.ones(1), torch.zeros(1)).backward()
        gradients.append({name: weight.grad for name, weight in world.named_parameters()})
    for name, exact in gradients[0].items():
        assert exact.any() and (gradients[1][name] - exact).abs().max() < 1e-5 * exact.abs().max(), name


def test_rare_jumps_hide_small_changes_from_the_squared_loss_only():
    def error(loss: str) -> float:
        """Returns the error of changes without a jump, as a share of them."""
        world = World(WorldSettings(model='mlp', hidden=32, loss=loss), 1, 1, seed=0)
        optimizer = make_adam(world, 3e-3)
        states, pushes = draw(512, 1), draw(512, 1, seed=1).sign()
        jumps = 3.0 * (draw(512, 1, seed=2) > 1.9)
        changes = 0.05 * pushes + jumps
        world.set_scale(states, changes)
        for _ in range(150):
            outcome = world.predict({}, states, pushes)
            step(optimizer, world.loss(outcome, states + changes, torch.zeros(512), torch.zeros(512)), 10.0)
        with torch.no_grad():
            missed = (world.predict({}, states, pushes).state - states - changes)[jumps == 0]
        return float(missed.abs().median()) / 0.05

    assert error('huber') < 0.4 < 0.8 < error('squared')


def test_an_ensemble_disagrees_where_it_was_not_trained():
    world = World(WorldSettings(model='mlp', hidden=24, ensemble=4), 2, 1, seed=0)
    optimizer, states, nothing = make_adam(world, 1e-2), 0.3 * draw(128, 2), torch.zeros(128)
    action = torch.zeros(128, 1)
    for _ in range(150):
        outcome = world.predict(world.initial(128), states, action)
        step(optimizer, world.loss(outcome, states + 0.1 * states.tanh(), nothing, nothing), 10.0)
    far = world.predict(world.initial(128), 5.0 + states, action)
    near = world.predict(world.initial(128), states, action)
    assert near.states.shape == (4, 128, 2) and near.state.shape == (128, 2) and near.reward.shape == (128,)
    assert world.disagreement(far).mean() > 20 * world.disagreement(near).mean()
    alone = World(WorldSettings(model='mlp', hidden=24), 2, 1, seed=0)
    assert world.disagreement(near).shape == (128,)
    assert not alone.disagreement(alone.predict(alone.initial(3), states[:3], action[:3])).any()


def test_symlog_and_two_hot_have_their_golden_values():
    x = torch.tensor([-3e5, -1.0, 0.0, 1e-3, 3.7, 100.0], dtype=torch.float64)
    torch.testing.assert_close(symexp(symlog(x)), x)
    golden = {0.0: {127: 1.0}, 1.0: {131: 0.598515, 132: 0.401485}, 3.7: {136: 0.172978, 137: 0.827022}}
    golden[100.0] = {156: 0.693985, 157: 0.306015}
    for value, masses in golden.items():
        found = two_hot(torch.tensor([value]))[0]
        assert float(found.sum()) == pytest.approx(1.0)
        for index, mass in masses.items():
            assert float(found[index]) == pytest.approx(mass, abs=2e-5)
    assert two_hot(torch.tensor([1e30, -1e30])).argmax(-1).tolist() == [254, 0]


def test_the_value_of_a_two_hot_distribution_is_its_number():
    values = torch.tensor([-700.0, -1.0, 0.5, 42.0])
    torch.testing.assert_close(mean_of(two_hot(values).log()), values, rtol=1e-3, atol=1e-4)


def test_lambda_returns_have_their_golden_values():
    rewards, values = torch.tensor([1.0, 0.0]), torch.tensor([0.5, 0.4, 0.3])
    found = lambda_returns(rewards, torch.full((2,), 0.997), values, 0.95)
    torch.testing.assert_close(found, torch.tensor([1.303232565, 0.2991]))


def test_nothing_counts_after_the_end_of_an_episode():
    rewards, discounts, values = torch.tensor([1.0, 1.0]), torch.tensor([0.0, 0.9]), torch.tensor([5.0, 7.0, 9.0])
    assert lambda_returns(rewards, discounts, values, 0.5)[0] == 1.0


def agent(*channels, **settings):
    return ActorCritic(AgentSettings(hidden=16, **settings), ActionSpace(robot(*channels)), 3, seed=0)


def test_an_untrained_critic_returns_exactly_0():
    assert torch.equal(agent(BUTTON).value(100.0 * draw(64, 3)), torch.zeros(64))


@pytest.mark.parametrize('network', ['mlp', 'spiking'])
@pytest.mark.parametrize('channels', [(BUTTON,), (WHEEL,), (BUTTON, WHEEL)])
def test_the_actor_learns_the_action_that_is_rewarded(channels, network):
    learner = agent(*channels, entropy=1e-3, learning_rate=1e-2, network=network)
    space = ActionSpace(robot(*channels))
    generator = np.random.default_rng(0)
    states = draw(2, 32, 3)

    def reward(codes):
        pressed = codes[..., 2] if BUTTON in channels else 0.0
        return pressed - ((codes[..., -1].clamp(-1.0, 1.0) - 0.5).abs() if WHEEL in channels else 0.0)

    for _ in range(150):
        codes = space.sample(learner.actor(states[:1])[0].detach(), space.noise((1, 32), generator))
        learner.update(states, codes, 3.0 * reward(codes), torch.zeros(1, 32))
    best = space.best(learner.actor(states[0])[0].detach())
    assert float(reward(best).mean()) > (0.8 if BUTTON in channels else -0.2)


def test_actions_survive_their_code():
    space = ActionSpace(robot(BUTTON, WHEEL))
    for action in ([-1.0, -2.0], [0.0, 3.0], [1.0, 6.0]):
        code = space.to_code(np.float32(action))
        assert code.shape == (space.size,) == (4,) and code.dtype == np.float32
        np.testing.assert_allclose(space.to_action(code), action, atol=1e-6)
    assert space.to_action(space.to_code(np.float32([9.0, 99.0]))).tolist() == [1.0, 6.0]


def test_actions_are_drawn_with_their_probability():
    space, outputs = ActionSpace(robot(BUTTON)), torch.tensor([0.0, 1.0, 2.0])
    codes = space.sample(outputs.expand(20_000, 3), space.noise((20_000,), np.random.default_rng(0)))
    torch.testing.assert_close(codes.mean(0), outputs.softmax(0), atol=0.01, rtol=0)
    log = torch.stack([space.log_probability(outputs, code) for code in torch.eye(3)])
    torch.testing.assert_close(log, outputs.log_softmax(0))
    assert float(space.entropy(torch.zeros(3))) == pytest.approx(math.log(3))
    assert space.best(outputs).tolist() == [0, 0, 1]


def test_continuous_actions_have_the_density_of_a_normal_distribution():
    space, outputs = ActionSpace(robot(WHEEL)), torch.tensor([0.3, -4.0])
    mean, std = math.tanh(0.3), 0.9 / (1 + math.exp(2.0)) + 0.1
    codes = space.sample(outputs.expand(20_000, 2), space.noise((20_000,), np.random.default_rng(0)))
    assert float(codes.median()) == pytest.approx(mean, abs=0.01)
    normal = torch.distributions.Normal(mean, std)
    torch.testing.assert_close(space.log_probability(outputs, codes), normal.log_prob(codes)[:, 0])
    torch.testing.assert_close(space.entropy(outputs), normal.entropy())


def test_a_channel_of_too_many_values_is_refused():
    with pytest.raises(UserError, match='at most 256 discrete values; found 1000'):
        ActionSpace(robot(Channel('key', Kind.DISCRETE, '', 1.0, 1000.0)))


def fill(memory, runs):
    """Adds chains of the given lengths whose states count up, so that a broken window shows."""
    number = 0
    for run in runs:
        for k in range(run):
            number += 1
            before, after = torch.full((1,), float(number)), torch.full((1,), float(number + 1))
            memory.add(before, after, torch.zeros(2), number, terminal=k == run - 1, begins=k == 0)
        number += 1


@pytest.mark.parametrize('length', [1, 3, 5])
def test_windows_never_cross_an_end_nor_what_was_dropped(length):
    memory = Replay(20, 1, 2)
    fill(memory, [7, 1, 2, 9, 4, 6])
    assert len(memory) == 20 and memory.all()[0][0] == 12.0
    starts = memory.starts(length)
    assert len(starts) == {1: 20, 3: 7 + 2 + 4, 5: 5 + 2}[length]
    window = memory.windows(starts, 200, length, np.random.default_rng(0))
    assert window.before.shape == (200, length, 1) and window.reward.shape == (200, length)
    assert torch.equal(window.before[:, 1:], window.after[:, :-1]) and not window.terminal[:, :-1].any()
    assert len(window.before[:, 0].unique()) == len(starts)


def test_a_memory_goes_on_from_its_state_as_if_never_saved():
    one, other = (Replay(20, 1, 2, has_durations=True) for _ in range(2))
    fill(one, [25])
    other.load(one.state())
    for memory in (one, other):
        fill(memory, [3])
    draws = [m.windows(m.starts(2), 50, 2, np.random.default_rng(0)) for m in (one, other)]
    assert all(map(torch.equal, *draws))
    assert one.nbytes == 20 * 4 * 7


def test_the_surrogate_is_chosen_by_name_among_its_plugin_settings():
    settings = WorldSettings(plugins=WorldSettings().plugins)
    model = world_models.make(
        'spiking', z_size=3, action_size=1, hidden=(8, 8), residual=True, seed=0, plugins=settings.plugins
    )
    state, _, info = model.predict(model.initial(5), 3.0 * draw(5, 3), draw(5, 1))
    assert {name: m.shape for name, m in state.items()} == {'membrane.0': (5, 8), 'membrane.1': (5, 8)} and 0 < info[
        'spike_rate'
    ].mean() < 1


def test_a_return_that_is_not_finite_changes_nothing():
    learner = agent(BUTTON)
    before = learner.state()
    codes = torch.nn.functional.one_hot(torch.zeros(1, 4, dtype=torch.long), 3).float()
    found = learner.update(draw(2, 4, 3), codes, torch.full((1, 4), torch.inf), torch.ones(1, 4))
    assert all(math.isnan(value) for value in found.values())
    assert all(torch.equal(value, before[name]) for name, value in learner.state().items())
