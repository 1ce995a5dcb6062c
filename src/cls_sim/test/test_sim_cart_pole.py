"""The cart-pole: laws of physics, golden values, rewards, starts, noise, changes of the pole and the picture."""

from typing import Any

import gymnasium
import numpy as np
import pytest

from cls_common.errors import UserError
from cls_sim.robots import make, SimulatorSettings
from cls_sim.worlds import CART_POLE_ID
from cls_sim.worlds import cart_pole_physics as physics
from cls_sim.worlds.cart_pole import CartPoleEnv, CartPoles, CartPoleSettings
from cls_sim.worlds.cart_pole_physics import advance, ANGLE, CartPole, POSITION, RAIL, TURN, VELOCITY

UPRIGHT, HANGING = np.zeros(4), np.array([0.0, 0.0, np.pi, 0.0])
FREE = CartPole()


def random_states(count: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (count, 4)) * [1.5, 2.0, np.pi, 8.0]


def run(state: Any, forces: Any, system: CartPole = FREE) -> np.ndarray:
    found = [np.asarray(state, float)]
    for force in forces:
        found.append(advance(found[-1], force, system))
    return np.array(found)


def robot(**settings: Any):
    own = {f'cart_pole.{name}': value for name, value in settings.items() if name != 'seed'}
    return make('cart_pole', SimulatorSettings.from_flat({'robot': 'cart_pole', 'seed': settings.get('seed', 0)} | own))


def test_energy_is_conserved_without_friction_and_force():
    # Swings of up to 164 degrees, during 20 s in which no cart reaches an end of the rail; the whole pole weighs 1 N.
    starts = np.array([[0.0, 0.0, angle, 0.0] for angle in (3.0, 2.0, 1.0, 0.3)])
    found = run(starts, np.zeros((1000, 4)))
    assert np.abs(found[..., POSITION]).max() < RAIL and np.ptp(found[:, 3, ANGLE]) > 6.0
    assert np.abs(physics.energy(found, FREE) - physics.energy(starts, FREE)).max() < 1e-5


def test_friction_takes_energy_until_the_pole_hangs_at_rest():
    system = CartPole(friction=1.0, hinge_friction=0.05)
    found = run([0.0, 0.5, 1.0, 2.0], np.zeros(1500), system)
    assert (np.diff(physics.energy(found, system)) < 1e-12).all()
    assert np.abs(found[-1, [VELOCITY, TURN]]).max() < 1e-3 and np.cos(found[-1, ANGLE]) < -0.9999


def test_momentum_changes_by_the_force_alone():
    found = run([0.0, 0.2, 0.8, -1.0], [5.0] * 10)
    swing = physics.POLE_MASS * FREE.length / 2 * np.cos(found[:, ANGLE]) * found[:, TURN]
    momentum = (physics.CART_MASS + physics.POLE_MASS) * found[:, VELOCITY] + swing
    np.testing.assert_allclose(np.diff(momentum), 5.0 * physics.STEP, rtol=1e-6)


def test_a_trajectory_has_its_golden_values():
    # By the explicit equations of Florian (2007), of other form, integrated in steps of 10 microseconds.
    found = run([0.3, -0.5, 1.0, 2.0], [10.0, -5.0, 0.0, 2.5, -10.0], CartPole(0.8, 0.4, 0.01))
    golden = [
        [0.2918546496, -0.3147409938, 1.0410919892, 2.1125696749],
        [0.2846389061, -0.4064134341, 1.0871852541, 2.4959935564],
        [0.2765345681, -0.4037545858, 1.1401270626, 2.7989669136],
        [0.2689582248, -0.3536707269, 1.1988327643, 3.0732740089],
        [0.2601137498, -0.5300150412, 1.2645922015, 3.4994541833],
    ]
    np.testing.assert_allclose(found[1:], golden, atol=1e-6)


def test_a_batch_equals_its_single_cart_poles():
    states, forces = random_states(64), np.linspace(-10, 10, 64)
    system = CartPole(0.7, 0.1, 0.001)
    together = advance(states, forces, system)
    assert together.shape == (64, 4)
    for one, force, expected in zip(states, forces, together):
        np.testing.assert_allclose(advance(one, force, system), expected, rtol=1e-14, atol=1e-14)


def test_a_hanging_pole_rests_and_an_upright_one_falls():
    hanging = run(HANGING, np.zeros(500))
    assert np.abs(np.abs(hanging[:, ANGLE]) - np.pi).max() < 1e-9 and np.abs(hanging[:, POSITION]).max() < 1e-9
    assert np.cos(run([0.0, 0.0, 0.001, 0.0], np.zeros(200))[:, ANGLE]).min() < -0.9


def test_a_push_to_the_right_leaves_the_pole_behind():
    _, after = run(UPRIGHT, [10.0])
    assert after[POSITION] > 0 and after[VELOCITY] > 0 and after[ANGLE] < 0


def test_the_ends_of_the_rail_stop_the_cart_and_take_energy():
    found = run([1.7, 3.0, 0.3, 1.0], np.zeros(50), FREE)
    assert found[:, POSITION].max() == RAIL
    stopped = int(np.argmax(found[:, POSITION] == RAIL))
    assert found[stopped, VELOCITY] == 0.0 and found[stopped, TURN] > found[stopped - 1, TURN] + 1.0
    assert np.diff(physics.energy(found, FREE)).max() < 1e-6
    pushed = run([-RAIL, 0.0, np.pi, 0.0], [-10.0] * 50, FREE)
    np.testing.assert_allclose(pushed[:, [POSITION, VELOCITY]], [[-RAIL, 0.0]] * 51)


def test_no_state_leaves_its_limits():
    found = run(random_states(256) * 3, np.random.default_rng(1).uniform(-100, 100, (30, 256)))[1:]
    assert (np.abs(found).reshape(-1, 4).max(0) <= [RAIL, physics.FASTEST_CART, np.pi, physics.FASTEST_TURN]).all()
    sensed = physics.observe(found)
    assert sensed.shape == (30, 256, 6) and sensed.min() >= 0.0 and sensed.max() <= 1.0


def test_a_state_is_sensed_in_the_order_of_the_original_system():
    state = [0.9, -4.0, np.pi / 2, 7.5]
    np.testing.assert_allclose(physics.observe(state), [0.75, 0.75, 0.5, 1.0, 0.75, 0.25])


def test_the_swing_up_reward_is_one_upright_at_rest_and_less_everywhere_else():
    assert physics.swing_up_reward(UPRIGHT, 0.0) == 1.0
    assert physics.swing_up_reward(HANGING, 0.0) == 0.0
    # Values at the margins of the task in Tassa et al. (2018): 0.1 of a bell, the full cost of a force.
    np.testing.assert_allclose(physics.swing_up_reward([2.0, 0.0, 0.0, 0.0], 0.0), 1.1 / 2)
    np.testing.assert_allclose(physics.swing_up_reward([0.0, 0.0, 0.0, 5.0], 0.0), 1.1 / 2)
    np.testing.assert_allclose(physics.swing_up_reward(UPRIGHT, -1.0), 0.8)
    rewards = physics.swing_up_reward(random_states(500), np.random.default_rng(2).uniform(-1, 1, 500))
    assert rewards.shape == (500,) and rewards.min() >= 0.0 and rewards.max() < 1.0


def test_the_reference_reward_is_minus_the_sigmoid_of_the_cost():
    assert physics.reference_reward(UPRIGHT, 0.0) == -0.5
    worst = physics.reference_reward([RAIL, 0.0, np.pi, 0.0], 1.0)
    np.testing.assert_allclose(worst, -1 / (1 + np.exp(-1)))
    rewards = physics.reference_reward(random_states(500), np.zeros(500))
    assert worst < rewards.min() and rewards.max() < -0.5
    one = robot(reward='reference')
    one.reset()
    assert -0.74 < one.step([0.0]).reward < -0.5


def gains() -> np.ndarray:
    """Returns the feedback of a linear-quadratic regulator about the upright pole, (4,)."""
    system = CartPole(friction=0.05, hinge_friction=0.0005)
    small = 1e-5 * np.eye(4)
    a = ((advance(small, np.zeros(4), system) - advance(-small, np.zeros(4), system)) / 2e-5).T
    b = (advance(UPRIGHT, 1e-5, system) - advance(UPRIGHT, -1e-5, system))[:, None] / 2e-5
    cost = np.diag([1.0, 0.1, 10.0, 0.1])
    value = cost
    for _ in range(500):
        gain = np.linalg.solve(0.05 + b.T @ value @ b, b.T @ value @ a)
        value = cost + a.T @ value @ (a - b @ gain)
    return gain[0]


def test_a_controller_swings_the_pole_up_and_earns_more_than_750():
    # Pumps energy into the pole (Astrom and Furuta 2000), then balances it: the task can be done.
    cart_poles, gain, total = CartPoles(CartPoleSettings()), gains(), 0.0
    cart_poles.reset(np.random.default_rng(0))
    for step in range(1000):
        position, velocity, angle, turn = cart_poles.states[0]
        if abs(angle) < 0.5 and abs(turn) < 3.0:
            force = -gain @ cart_poles.states[0]
        else:
            missing = 0.0167 * turn**2 + 0.4905 * (np.cos(angle) - 1.0)  # energy of the pole beside that upright, J
            force = 12.0 * missing * turn * np.cos(angle) - 2.0 * position - velocity
        _, rewards, is_over = cart_poles.step([force / 10.0])
        assert is_over == (step == 999)
        total += rewards[0]
    assert total > 750.0


def test_an_episode_starts_hanging_and_is_truncated():
    one = robot(episode=30)
    found = [one.reset()] + [one.step([1.0]) for _ in range(60)]
    assert [step.truncated for step in found[1:]] == ([False] * 29 + [True]) * 2
    assert not any(step.terminal for step in found)
    starts = [found[0], found[30].restart, found[60].restart]
    for start in starts:
        assert start.observations['state'][2] < 0.001  # cosine of the angle, scaled
    assert not np.array_equal(starts[0].observations['state'], starts[1].observations['state'])


def trajectory(seed: int, **settings: Any) -> np.ndarray:
    one = robot(seed=seed, **settings)
    one.reset()
    return np.array([one.step([share]).observations['state'] for share in np.sin(np.arange(50))])


def test_the_seed_determines_the_trajectory_with_noise_and_without():
    for noise in ({}, {'sensor_noise': 0.01, 'force_noise': 0.1}):
        np.testing.assert_array_equal(trajectory(3, **noise), trajectory(3, **noise))
        assert np.abs(trajectory(3, **noise) - trajectory(4, **noise)).max() > 1e-3


def test_noise_of_sensors_and_of_the_force_has_its_size():
    quiet = CartPoles(CartPoleSettings())
    sensors = CartPoles(CartPoleSettings(sensor_noise=0.02))
    pushes = CartPoles(CartPoleSettings(force_noise=0.5))
    same = np.tile([0.5, 1.0, 1.0, 1.0], (4000, 1))
    for cart_poles in (quiet, sensors, pushes):
        cart_poles.reset(np.random.default_rng(0), states=same)
    plain = quiet.step(np.zeros(4000))[0]
    assert np.std(sensors.step(np.zeros(4000))[0] - plain) == pytest.approx(0.02, rel=0.05)
    np.testing.assert_array_equal(sensors.states, quiet.states)
    pushes.step(np.zeros(4000))
    one_newton = advance(same[0], 1.0, FREE)[VELOCITY] - advance(same[0], 0.0, FREE)[VELOCITY]
    assert np.std(pushes.states[:, VELOCITY]) == pytest.approx(5.0 * one_newton, rel=0.05)


def test_a_reset_begins_in_given_states():
    states = random_states(8)
    cart_poles = CartPoles(CartPoleSettings())
    sensed = cart_poles.reset(np.random.default_rng(0), states=states)
    np.testing.assert_array_equal(sensed, physics.observe(states))
    after, rewards, _ = cart_poles.step(np.full(8, 2.0))  # clipped to 1
    assert after.shape == (8, 6) and rewards.shape == (8,)
    np.testing.assert_array_equal(cart_poles.states, advance(states, 10.0, CartPole(1.0, 0.05, 0.0005)))
    env = gymnasium.make(CART_POLE_ID)
    first, _ = env.reset(options={'state': states[3]})
    np.testing.assert_array_equal(first, sensed[3].astype(np.float32))
    env.step(np.ones(1, np.float32))
    np.testing.assert_allclose(env.unwrapped.cart_poles.states[0], cart_poles.states[3], rtol=1e-14)


@pytest.mark.parametrize('states', [[0.0, 0.0, 0.0, 0.0], [[0.0] * 6], [[0.0, 0.0, np.nan, 0.0]]])
def test_a_state_of_another_form_is_refused(states: Any):
    with pytest.raises(UserError, match='states of cart-poles'):
        CartPoles(CartPoleSettings()).reset(np.random.default_rng(0), states=states)


def test_the_pole_changes_and_changes_back():
    settings = CartPoleSettings(other_length=0.5, other_from=3, other_until=6, episode=2)
    cart_poles = CartPoles(settings)
    lengths = []
    for action in range(8):
        if action % 2 == 0:
            cart_poles.reset(np.random.default_rng(0))  # an episode changes nothing
        before = cart_poles.states
        cart_poles.step([0.5])
        lengths.append(cart_poles.pole_length)
        np.testing.assert_array_equal(cart_poles.states, advance(before, [5.0], CartPole(lengths[-1], 0.05, 0.0005)))
    assert lengths == [1.0] * 3 + [0.5] * 3 + [1.0] * 2
    with pytest.raises(UserError, match='more than other_from, 6'):
        CartPoleSettings(other_from=6, other_until=3)


def test_a_changed_pole_stays_and_a_length_can_be_set_at_any_time():
    cart_poles = CartPoles(CartPoleSettings(other_length=0.5, other_from=2))
    cart_poles.reset(np.random.default_rng(0))
    for length in (1.0, 1.0, 0.5, 0.5):
        cart_poles.step([0.5])
        assert cart_poles.pole_length == length
    cart_poles.pole_length = 0.7
    cart_poles.step([0.5])
    assert cart_poles.pole_length == 0.7


def test_the_picture_shows_where_cart_and_pole_are():
    env = CartPoleEnv(render_mode='rgb_array')

    def seen(state: Any, length: float = 1.0) -> tuple[np.ndarray, float, float]:
        """Returns the picture and the middle of its orange pixels, the pole: pixels to the right and down."""
        env.reset(options={'state': state})
        env.cart_poles.pole_length = length
        picture = env.render()
        assert picture.shape == (224, 224, 3) and picture.dtype == np.uint8
        red, _, blue = np.moveaxis(picture.astype(int), -1, 0)
        down, right = np.nonzero(red > blue + 80)
        return picture, float(right.mean()), float(down.mean())

    _, _, low = seen(HANGING)
    upright, middle, high = seen(UPRIGHT)
    assert high < 112 < low and middle == pytest.approx(112, abs=1.0)
    assert seen([0.0, 0.0, np.pi / 2, 0.0])[1] > middle + 10 > middle - 10 > seen([0.0, 0.0, -np.pi / 2, 0.0])[1]
    assert seen([1.0, 0.0, 0.0, 0.0])[1] > middle + 30
    assert seen(UPRIGHT, 0.5)[2] > high + 5
    assert not np.array_equal(seen([0.0, 0.0, 0.02, 0.0])[0], upright)
