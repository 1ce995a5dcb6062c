"""Physics of a cart with a pole as pure functions of batches, in NumPy alone.

A uniform pole of mass m and half-length l swings freely on a hinge of a cart of mass M (Barto, Sutton and Anderson
1983). Its Lagrangian, with viscous friction b of the cart and c of the hinge, gives (as Florian 2007, who corrects the
equations of 1983):

    (M + m) x'' + m l cos(a) a'' = F - b x' + m l sin(a) a'^2
    m l cos(a) x'' + 4/3 m l^2 a'' = m g l sin(a) - c a'

A state is float64 (..., 4): position of the cart x, m; velocity x', m/s; angle a, rad, 0 upright, positive to the
right, -pi <= a < pi; angular velocity a', rad/s.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

GRAVITY = 9.81
CART_MASS, POLE_MASS = 1.0, 0.1  # kg
RAIL = 1.8  # m, the cart moves from -RAIL to RAIL
STEP = 0.02  # s
# rad/s, as in the original system, and m/s, which 10 N reach on this rail.
FASTEST_TURN, FASTEST_CART = 15.0, 8.0
POSITION, VELOCITY, ANGLE, TURN = range(4)


@dataclass(frozen=True)
class CartPole:
    """What may differ between cart-poles.

    Attributes:
        length: of the pole, m. friction: of the cart, N s/m. hinge_friction: of the pole, N m s/rad.
    """

    length: float = 1.0
    friction: float = 0.0
    hinge_friction: float = 0.0


def advance(states: ArrayLike, forces: ArrayLike, system: CartPole) -> Floats:
    """Returns the states one STEP later, by one step of the classical Runge-Kutta method.

    The speeds are limited. The ends of the rail stop the cart without a rebound, and the pole swings on.

    Args:
        states: (..., 4).
        forces: (...), N, on the cart, constant during the step.

    Returns:
        float64 (..., 4).
    """
    start = np.asarray(states, np.float64)
    push = np.asarray(forces, np.float64)
    first = _derivative(start, push, system)
    second = _derivative(start + STEP / 2 * first, push, system)
    third = _derivative(start + STEP / 2 * second, push, system)
    fourth = _derivative(start + STEP * third, push, system)
    return _limited(start + STEP / 6 * (first + 2 * second + 2 * third + fourth), system)


def energy(states: ArrayLike, system: CartPole) -> Floats:
    """Returns kinetic and potential energy, J, (...): 0 where all rests and the pole is level with its hinge."""
    state, half = np.asarray(states, np.float64), system.length / 2
    velocity, turn, cosine = state[..., VELOCITY], state[..., TURN], np.cos(state[..., ANGLE])
    moving = (CART_MASS + POLE_MASS) * velocity**2 / 2 + POLE_MASS * half * cosine * velocity * turn
    return np.asarray(moving + POLE_MASS * half**2 * turn**2 * 2 / 3 + POLE_MASS * GRAVITY * half * cosine)


def observe(states: ArrayLike) -> Floats:
    """Returns what a cart-pole senses, float64 (..., 6) in 0..1.

    Angle, angular velocity, cosine, sine, position and velocity, each scaled from its limits.
    """
    state = np.asarray(states, np.float64)
    angle = state[..., ANGLE]
    scaled = (
        angle / np.pi, state[..., TURN] / FASTEST_TURN, np.cos(angle), np.sin(angle), state[..., POSITION] / RAIL,
        state[..., VELOCITY] / FASTEST_CART,
    )  # fmt: skip
    return np.clip((np.stack(scaled, axis=-1) + 1.0) / 2.0, 0.0, 1.0)


def swing_up_reward(states: ArrayLike, actions: ArrayLike) -> Floats:
    """Returns a reward in 0..1 that is 1 for a pole at rest upright in the middle, without force.

    The product of four terms as in the task of dm_control (Tassa et al. 2018): how upright the pole is, how close the
    cart to the middle, how small the force, how slow the pole.

    Args:
        states: (..., 4), after the action.
        actions: (...), -1..1.

    Returns:
        float64 (...).
    """
    state, action = np.asarray(states, np.float64), np.asarray(actions, np.float64)
    upright = (1.0 + np.cos(state[..., ANGLE])) / 2.0
    central = (1.0 + _bell(state[..., POSITION] / 2.0)) / 2.0
    gentle = (4.0 + np.clip(1.0 - action**2, 0.0, 1.0)) / 5.0
    slow = (1.0 + _bell(state[..., TURN] / 5.0)) / 2.0
    return np.asarray(upright * central * gentle * slow)


def reference_reward(states: ArrayLike, actions: ArrayLike) -> Floats:
    """Returns -sigmoid(cost / largest cost), about -0.73 to -0.5, as the original system shapes it.

    The cost is quadratic: height that the pole lacks, distance from the middle, force. Arguments as `swing_up_reward`.
    """
    state, action = np.asarray(states, np.float64), np.asarray(actions, np.float64)
    low = (1.0 - np.cos(state[..., ANGLE])) / 2.0
    cost = low**2 + (state[..., POSITION] / RAIL) ** 2 + 0.1 * action**2
    return np.asarray(-1.0 / (1.0 + np.exp(-cost / 2.1)))


def _derivative(state: Floats, force: Floats, system: CartPole) -> Floats:
    velocity, turn, half = state[..., VELOCITY], state[..., TURN], system.length / 2
    sine, cosine = np.sin(state[..., ANGLE]), np.cos(state[..., ANGLE])
    total, lever = CART_MASS + POLE_MASS, POLE_MASS * half
    push = force - system.friction * velocity + lever * sine * turn**2
    torque = lever * GRAVITY * sine - system.hinge_friction * turn
    # The two equations of the module's text, solved by Cramer's rule.
    inertia, coupling = 4.0 / 3.0 * lever * half, lever * cosine
    determinant = total * inertia - coupling**2
    acceleration = (inertia * push - coupling * torque) / determinant
    turning = (total * torque - coupling * push) / determinant
    return np.stack((velocity, acceleration, turn, turning), axis=-1)


def _limited(state: Floats, system: CartPole) -> Floats:
    position, velocity, angle, turn = np.moveaxis(state, -1, 0)
    outward = (np.abs(position) >= RAIL) & (position * velocity > 0)
    # The jerk at the end of the rail turns the pole: its angular momentum about the moving hinge is kept.
    turn = np.where(outward, turn + 1.5 / system.length * np.cos(angle) * velocity, turn)
    velocity = np.where(outward, 0.0, velocity)
    return np.stack(
        (
            np.clip(position, -RAIL, RAIL),
            np.clip(velocity, -FASTEST_CART, FASTEST_CART),
            (angle + np.pi) % (2.0 * np.pi) - np.pi,
            np.clip(turn, -FASTEST_TURN, FASTEST_TURN),
        ),
        axis=-1,
    )


def _bell(distance: Floats) -> Floats:
    """Returns a Gaussian, 1 at 0 and 0.1 at a distance of 1."""
    return np.asarray(0.1 ** (distance**2))
