"""Small environments with interfaces found in practice, registered on import as packages do.

`gym:little_envs:Plain-v0` behaves; the others differ from it in one thing each.
"""

import gymnasium
from gymnasium import spaces
import numpy as np

SIZE = (24, 32)


class Plain(gymnasium.Env):
    """Counts its steps; ends an episode after 20."""

    metadata = {'render_modes': ['rgb_array'], 'render_fps': 10}
    observation_space = spaces.Box(-10, 10, (3,), np.float32)
    action_space = spaces.Discrete(3)

    def __init__(self, render_mode=None):
        self.render_mode = render_mode
        self.steps = 0

    def observe(self):
        return np.full(3, self.steps / 10, np.float32)

    def reward(self):
        return 0.5

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return self.observe(), {}

    def step(self, action):
        assert self.action_space.contains(action), action
        self.steps += 1
        return self.observe(), self.reward(), self.steps >= 20, False, {}

    def render(self):
        return np.full((*SIZE, 3), 10 * self.steps, np.uint8)


class Blind(Plain):
    """Has no rendering."""

    metadata = {'render_modes': []}


class OldForms(Blind):
    """Interface before version 0.26: no info, one `done`, and a method `seed`."""

    def reset(self):
        self.steps = 0
        return np.full(3, self.drawn, np.float32)

    def seed(self, seed):
        self.drawn = seed

    def step(self, action):
        observation, reward, done, _, info = super().step(action)
        return observation, reward, done, info


class OldCut(OldForms):
    """Truncates its episodes."""

    def step(self, action):
        observation, reward, done, _ = super().step(action)
        return observation, reward, done, {'TimeLimit.truncated': True}


class Gives(Plain):
    """Returns the values it was registered with."""

    def __init__(self, render_mode=None, **gives):
        super().__init__(render_mode)
        self.gives = gives
        self.observation_space = gives.get('space', self.observation_space)

    def observe(self):
        return self.gives.get('observation', super().observe())

    def reward(self):
        return self.gives.get('reward', super().reward())

    def render(self):
        return self.gives.get('picture', super().render())

    def step(self, action):
        return self.gives.get('step', super().step(action))


class FailsInReset(Blind):
    def reset(self, *, seed=None, options=None):
        raise KeyError('the map of the maze')


class FailsInStep(Blind):
    def step(self, action):
        return np.zeros(3) @ np.zeros(4)


class FailsInRender(Plain):
    def render(self):
        raise RuntimeError('no display\nfor pictures')


class FailsInMaking(Blind):
    def __init__(self, render_mode=None):
        raise FileNotFoundError('maze.json')


class Exits(Blind):
    def step(self, action):
        raise SystemExit


class FailsInClose(Blind):
    def close(self):
        raise OSError('already closed')


class NoSpaces(gymnasium.Env):
    def reset(self, *, seed=None, options=None):
        return 0, {}


class NotAnEnvironment:
    action_space = observation_space = None


def make_plain(render_mode=None):
    """An entry point that is a function: its render modes are known only from the environment."""
    return Plain(render_mode)


for kind in [
    Plain,
    Blind,
    OldForms,
    OldCut,
    FailsInReset,
    FailsInStep,
    FailsInRender,
    FailsInMaking,
    Exits,
    FailsInClose,
    NoSpaces,
    NotAnEnvironment,
]:
    gymnasium.register(f'{kind.__name__}-v0', f'{__name__}:{kind.__name__}')
gymnasium.register('Plain-v2', f'{__name__}:Plain')
gymnasium.register('little/Spaced-v1', f'{__name__}:make_plain', max_episode_steps=5)
gymnasium.register('OldShort-v0', f'{__name__}:OldForms', max_episode_steps=3)
