"""A linear world that several senses observe and whose task changes, as a Gymnasium environment."""

from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from cls_common.errors import UserError
from cls_common.settings import group, setting, Settings

from .task_schedule import Switch, TaskSchedule, TaskScheduleSettings

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
_DECAY, _ACTION, _TASK = 0.9, 0.1, 0.05


@dataclass(frozen=True, kw_only=True)
class TaskSwitchingSettings(Settings):
    """Settings of the world with changing tasks."""

    observation_dim: int = setting(64, 'numbers of the state, D, and of each sense', low=1, high=4096)
    action_dim: int = setting(32, 'numbers of an action, at most observation_dim', low=1, high=4096)
    num_modalities: int = setting(2, 'number of senses, each of which observes the whole state', low=1, high=64)
    difficulty: float = setting(0.5, 'influence of the task on the state', low=0.0, high=100.0)
    noise: float = setting(0.01, 'standard deviation of the noise of the state', low=0.0, high=100.0)
    sensor_noise: float = setting(
        0.1, 'standard deviation of the noise of sense_1; that of sense_i is i times this, of sense_0 none', low=0.0,
        high=100.0,
    )  # fmt: skip
    episode: int = setting(100, 'actions of an episode, which is then truncated; 0: endless', low=0)
    reset_at_switch: bool = setting(False, 'a scheduled switch begins a new episode; else the state goes on')
    schedule: TaskScheduleSettings = group(TaskScheduleSettings)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.action_dim > self.observation_dim:
            expected = f'at most observation_dim, {self.observation_dim}'
            raise UserError("parameter 'action_dim'", expected=expected, found=str(self.action_dim))


class TaskSwitchingEnv(gymnasium.Env[dict[str, Any], Floats]):
    """A state that decays towards a point which task and action set.

    Action: float32 (A,) in -1..1. Observation: `sense_0`, `sense_1` ..., each float32 (D,): the state with the noise of
    that sense. The state starts from N(0, 1) and becomes 0.9 state + 0.1 action + 0.05 difficulty task + noise, the
    action filled up with zeros. Reward: minus the distance of state and task. `info`: time_step, actions of the
    episode; current_task, number of the task that holds or is moved to. The task of a number is always the same.

    A subclass may have a `step` of its own, from `advance_task`, `state`, `observe`, `reward` and `info`.

    Attributes:
        settings: of the world.
        state, task: float64 (D,).
        current_task: as in `info`. schedule: all switches of the stream, which begins with each `reset` with a seed.
    """

    metadata = {'render_modes': []}
    state: Doubles
    task: Doubles
    # The switch in progress, and the task that it began from.
    _ramp: tuple[Switch, Doubles] | None
    _actions: int

    def __init__(self, settings: TaskSwitchingSettings | None = None, render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        self.settings = own = settings or TaskSwitchingSettings()
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (own.action_dim,), np.float32)
        sense = gymnasium.spaces.Box(-np.inf, np.inf, (own.observation_dim,), np.float32)
        self.observation_space = gymnasium.spaces.Dict({f'sense_{i}': sense for i in range(own.num_modalities)})
        self.state = np.zeros(own.observation_dim)
        self._is_seeded = False
        self._begin_stream(0)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Begins an episode at a random state; task and schedule go on unless a seed is given."""
        super().reset(seed=seed)
        if seed is not None or not self._is_seeded:
            self._is_seeded = True
            self._begin_stream(self.np_random_seed)
        self._time_step = 0
        self.state = self.np_random.standard_normal(self.settings.observation_dim)
        return self.observe(), self.info()

    def step(self, action: Floats) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Moves the state by one step."""
        own = self.settings
        self.advance_task()
        noise = own.noise * self.np_random.standard_normal(own.observation_dim)
        self.state = _DECAY * self.state + _TASK * own.difficulty * self.task + noise
        self.state[: own.action_dim] += _ACTION * np.asarray(action, np.float64)
        return self.observe(), self.reward(), False, self.is_truncated(), self.info()

    def change_task(self, task: int | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
        """Changes the task at once, which holds until the next scheduled switch, and begins an episode.

        Args:
            task: its number, from 0; None: the present one plus 1.

        Raises:
            UserError: the number is negative.
        """
        chosen = self.current_task + 1 if task is None else task
        if chosen < 0:
            raise UserError('number of a task', expected='0 or more', found=str(task))
        self._set_task(chosen)
        return self.reset()

    def advance_task(self) -> None:
        """Changes the task as scheduled for the action to come; called once for each action."""
        action, self._actions = self._actions, self._actions + 1
        begun = self.schedule.beginning_at(action)
        if begun is not None:
            self.current_task, self._ramp = begun.task, (begun, self.task)
        if self._ramp is not None:
            switch, origin = self._ramp
            share = switch.share(action)
            self.task = (1.0 - share) * origin + share * task_vector(switch.task, len(origin))
            if action == switch.end:
                self._ramp = None
        self._time_step += 1

    def observe(self) -> dict[str, Floats]:
        """Returns what each sense observes of the state, float32 (D,)."""
        own = self.settings
        found: dict[str, Floats] = {}
        for index in range(own.num_modalities):
            noise = index * own.sensor_noise
            sensed = self.state + noise * self.np_random.standard_normal(own.observation_dim) if noise else self.state
            found[f'sense_{index}'] = sensed.astype(np.float32)
        return found

    def reward(self) -> float:
        """Returns minus the distance of state and task."""
        return -float(np.linalg.norm(self.state - self.task))

    def is_truncated(self) -> bool:
        """Whether the episode ends with the present step."""
        switches = self.settings.reset_at_switch and self.schedule.beginning_at(self._actions) is not None
        return switches or 0 < self.settings.episode <= self._time_step

    def info(self) -> dict[str, Any]:
        """Returns time_step and current_task."""
        return {'time_step': self._time_step, 'current_task': self.current_task}

    def _begin_stream(self, seed: int) -> None:
        self.schedule = TaskSchedule(self.settings.schedule, seed)
        self._actions = self._time_step = 0
        self._set_task(self.schedule.first)

    def _set_task(self, task: int) -> None:
        self.current_task, self.task = task, task_vector(task, self.settings.observation_dim)
        self._ramp = None


def task_vector(task: int, size: int) -> Doubles:
    """Returns the task of a number, float64 (size,) from N(0, 1); the number is the seed."""
    return np.random.default_rng(task).standard_normal(size)
