"""The cart-pole swing-up: a batch of cart-poles, and one of them as a Gymnasium environment."""

from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import ArrayLike, NDArray

from cls_common.errors import UserError
from cls_common.settings import setting, Settings

from . import cart_pole_physics as physics
from .cart_pole_physics import CartPole, Floats

_REWARDS = {'swing_up': physics.swing_up_reward, 'reference': physics.reference_reward}


@dataclass(frozen=True, kw_only=True)
class CartPoleSettings(Settings):
    """Settings of the cart-pole."""

    reward: str = setting(
        'swing_up', 'reward of a step: swing_up, 0 to 1, or reference, -sigmoid of the cost', choices=tuple(_REWARDS)
    )
    episode: int = setting(1000, 'actions of an episode, which is then truncated', low=1)
    force: float = setting(10.0, 'largest force on the cart', unit='N', low=0.1, high=100.0)
    pole_length: float = setting(1.0, 'length of the pole', unit='m', low=0.1, high=2.0)
    other_length: float = setting(1.0, 'length of the pole from the action other_from on', unit='m', low=0.1, high=2.0)
    other_from: int = setting(0, 'action, over all episodes, from which the pole has other_length; 0: never', low=0)
    other_until: int = setting(0, 'action from which it has pole_length again; 0: never', low=0)
    friction: float = setting(0.05, 'viscous friction of the cart', unit='N s/m', low=0.0, high=100.0)
    hinge_friction: float = setting(0.0005, 'viscous friction of the hinge', unit='N m s/rad', low=0.0, high=1.0)
    force_noise: float = setting(
        0.0, 'standard deviation of the noise of the force, as a share of the largest force', low=0.0, high=1.0
    )
    sensor_noise: float = setting(
        0.0, 'standard deviation of the noise of each sensed number, all of which are 0 to 1', low=0.0, high=1.0
    )
    spread: float = setting(
        0.05, 'an episode starts at most this far from hanging at rest in the middle, in m, rad and per s', low=0.0,
        high=1.0,
    )  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        if 0 < self.other_until <= self.other_from:
            expected = f'0, or more than other_from, {self.other_from}'
            raise UserError("parameter 'other_until'", expected=expected, found=str(self.other_until))


class CartPoles:
    """A batch of B cart-poles that begin and end their episodes together.

    Attributes:
        states: float64 (B, 4), as in `cart_pole_physics`.
        pole_length: of all poles, m. May be set between two steps; the settings change it too, by `other_from`.
    """

    def __init__(self, settings: CartPoleSettings) -> None:
        self._settings = settings
        self._reward = _REWARDS[settings.reward]
        self._actions = self._episode_actions = 0
        self._generator = np.random.default_rng()
        self.pole_length = settings.pole_length
        self.states = _hanging(1)

    def reset(self, generator: np.random.Generator, count: int = 1, states: ArrayLike | None = None) -> Floats:
        """Begins an episode, hanging at rest but for `spread`, or from given states.

        Args:
            generator: of starts and noise. count: B. states: (B, 4) in place of random ones.

        Returns:
            observations, float64 (B, 6) in 0..1.

        Raises:
            UserError: states of another form, or not finite.
        """
        self._generator, self._episode_actions = generator, 0
        if states is None:
            self.states = _hanging(count) + generator.uniform(-1.0, 1.0, (count, 4)) * self._settings.spread
            return self._sense()
        given = np.array(states, np.float64)
        if given.ndim != 2 or given.shape[1] != 4 or not np.isfinite(given).all():
            found = 'numbers that are not finite' if given.shape[-1:] == (4,) else f'an array of shape {given.shape}'
            raise UserError('states of cart-poles', expected='finite numbers (B, 4)', found=found)
        self.states = given
        return self._sense()

    def step(self, actions: ArrayLike) -> tuple[Floats, Floats, bool]:
        """Pushes every cart for 0.02 s.

        Args:
            actions: (B,), shares of the largest force, clipped to -1..1.

        Returns:
            observations, float64 (B, 6); rewards, float64 (B,); whether the episode is over.
        """
        own = self._settings
        self._change_length()
        action = np.clip(np.asarray(actions, np.float64), -1.0, 1.0)
        share = action + own.force_noise * self._generator.standard_normal(action.shape) if own.force_noise else action
        system = CartPole(self.pole_length, own.friction, own.hinge_friction)
        self.states = physics.advance(self.states, own.force * share, system)
        self._actions += 1
        self._episode_actions += 1
        return self._sense(), self._reward(self.states, action), self._episode_actions >= own.episode

    def _change_length(self) -> None:
        own = self._settings
        if self._actions and self._actions in (own.other_from, own.other_until):
            self.pole_length = own.other_length if self._actions == own.other_from else own.pole_length

    def _sense(self) -> Floats:
        sensed = physics.observe(self.states)
        if not self._settings.sensor_noise:
            return sensed
        noise = self._settings.sensor_noise * self._generator.standard_normal(sensed.shape)
        return np.clip(sensed + noise, 0.0, 1.0)


class CartPoleEnv(gymnasium.Env[NDArray[np.float32], NDArray[np.float32]]):
    """One cart-pole.

    Action: float32 (1,), share of the largest force, -1..1. Observation: float32 (6,) in 0..1, as
    `cart_pole_physics.observe`. Reward: by `settings.reward`. Episodes are truncated, and have no terminal state.
    `reset(options={'state': (4,)})` begins in a state of `cart_pole_physics`; `cart_poles` is the batch of one.
    """

    metadata = {'render_modes': ['rgb_array'], 'render_fps': round(1.0 / physics.STEP)}

    def __init__(self, settings: CartPoleSettings | None = None, render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        self.observation_space = gymnasium.spaces.Box(0.0, 1.0, (6,), np.float32)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)
        self.cart_poles = CartPoles(settings or CartPoleSettings())

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begins an episode; see `CartPoles.reset`."""
        super().reset(seed=seed)
        state = (options or {}).get('state')
        sensed = self.cart_poles.reset(self.np_random, states=None if state is None else [state])
        return sensed[0].astype(np.float32), {}

    def step(self, action: NDArray[np.float32]) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Pushes the cart for 0.02 s."""
        sensed, rewards, is_over = self.cart_poles.step(action)
        return sensed[0].astype(np.float32), float(rewards[0]), False, is_over, {}

    def render(self) -> NDArray[np.uint8]:  # type: ignore[override]
        """Returns a picture of rail, cart and pole, uint8 (224, 224, 3) RGB."""
        from .cart_pole_picture import draw  # OpenCV, without which settings are listed

        return draw(self.cart_poles.states[0], self.cart_poles.pole_length)


def _hanging(count: int) -> Floats:
    return np.tile([0.0, 0.0, np.pi, 0.0], (count, 1))
