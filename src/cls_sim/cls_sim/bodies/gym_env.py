"""Finds and makes a Gymnasium environment, and adapts older interfaces."""

from collections.abc import Callable
import difflib
import importlib
import inspect
import logging
import os
import sys
from typing import Any

import gymnasium
from gymnasium.envs import registration
from gymnasium.envs.registration import EnvSpec
import numpy as np

from cls_common.errors import UserError
from cls_common.robot import GYM

from .environment_errors import describe, environment_code

Env = gymnasium.Env[Any, Any]
_log = logging.getLogger(__name__)
# Modes that render images, best first.
_RENDER_MODES = ('rgb_array', 'rgb_array_list')


def find(robot: str) -> tuple[str, EnvSpec]:
    """Finds the environment of 'gym:ID', with an ID for `gymnasium.make`: [MODULE:][NAMESPACE/]NAME[-vN].

    Returns:
        the robot's full name, including the version, and the environment's registration.

    Raises:
        UserError: the module can't be imported, or no environment has this ID.
    """
    module, _, env_id = robot.removeprefix(GYM).rpartition(':')
    if module:
        _import(robot, module)
    try:
        space, name, version = registration.parse_env_id(env_id)
        newest = registration.find_highest_version(space, name)
        if version is None and newest is not None:
            env_id = registration.get_env_id(space, name, newest)
        spec = gymnasium.spec(env_id)
    except gymnasium.error.Error as error:
        known = sorted(gymnasium.registry)
        near = difflib.get_close_matches(env_id, known, 5, 0.4) or known
        raise UserError(
            f'unknown robot {robot!r}',
            expected=f'{GYM} and one of ' + ', '.join(near),
            do=f'An environment of a package of yours: {GYM}MODULE:{env_id}, with the module that registers it.'
            if not module
            else '',
        ) from error
    return f'{GYM}{module}{":" * bool(module)}{spec.id}', spec


def _import(robot: str, module: str) -> None:
    try:
        with environment_code(robot, f'the module {module!r}'):
            importlib.import_module(module)
    except UserError as error:
        cause = error.__cause__
        if isinstance(cause, ModuleNotFoundError) and cause.name and f'{module}.'.startswith(f'{cause.name}.'):
            raise UserError(
                f'robot {robot!r}',
                expected=f'a Python module {module!r}',
                found='none of this name',
                do='Name its folder in PYTHONPATH, or install its package into .venv.',
            ) from error
        raise


def make_env(robot: str, spec: EnvSpec) -> Env:
    """Makes the environment, with rendered images if it has any; see `CompatibilityWrapper`.

    Raises:
        UserError: a required package is not installed, or the environment's own code fails.
    """
    # Images only, no window: pygame would require a screen.
    os.environ.setdefault('SDL_VIDEODRIVER', 'dummy')
    os.environ.setdefault('PYGAME_HIDE_SUPPORT_PROMPT', '1')
    with environment_code(robot, 'making'):
        try:
            return _make_rendering(robot, spec)
        except (ImportError, gymnasium.error.DependencyNotInstalled) as error:
            problem = f'robot {robot!r} could not be made'
            raise UserError(problem, found=str(error), do='Install the missing package.') from error


def _make_rendering(robot: str, spec: EnvSpec) -> Env:
    if spec.entry_point is None:
        raise UserError(f'robot {robot!r}', expected='a single environment', found='one for vectors only')
    creator = spec.entry_point if callable(spec.entry_point) else registration.load_env_creator(spec.entry_point)
    metadata = getattr(creator, 'metadata', None)
    if isinstance(metadata, dict):
        return _make(robot, spec, creator, _render_mode(metadata))
    # Made by a function: its render modes are known only afterwards.
    blind = _make(robot, spec, creator, '')
    mode = _render_mode(blind.metadata)
    if not mode:
        return blind
    blind.close()
    return _make(robot, spec, creator, mode)


def _render_mode(metadata: dict[str, Any]) -> str:
    modes = metadata.get('render_modes') or ()
    return next((mode for mode in _RENDER_MODES if mode in modes), '')


def _make(robot: str, spec: EnvSpec, creator: Callable[..., Any], render_mode: str) -> Env:
    def create(**kwargs: Any) -> Env:
        env = creator(**kwargs)
        if not isinstance(env, gymnasium.Env):
            kind = f'{type(env).__module__}.{type(env).__name__}'
            raise UserError(f'robot {robot!r}', expected='an environment of class gymnasium.Env', found=kind)
        return CompatibilityWrapper(env, robot)

    drawing: dict[str, Any] = {'render_mode': render_mode} if render_mode else {}
    # Gymnasium's checker refuses the forms that CompatibilityWrapper converts.
    made: Env = gymnasium.make(_with_entry(spec, create), disable_env_checker=True, **drawing)
    return made


def _with_entry(spec: EnvSpec, entry: Callable[..., Env]) -> EnvSpec:
    return EnvSpec(
        id=spec.id,
        entry_point=entry,
        reward_threshold=spec.reward_threshold,
        nondeterministic=spec.nondeterministic,
        max_episode_steps=spec.max_episode_steps,
        order_enforce=spec.order_enforce,
        kwargs=spec.kwargs,
        additional_wrappers=spec.additional_wrappers,
    )


class CompatibilityWrapper(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Innermost wrapper: converts interfaces of older versions, and names the environment in errors.

    Converted: reset without seed or info, step with one `done` instead of terminated and truncated, rewards as arrays
    of one number; a reward of None is NaN, "none".
    """

    def __init__(self, env: Env, robot: str) -> None:
        super().__init__(env)
        self._robot = robot
        self._home = getattr(sys.modules.get(type(env.unwrapped).__module__), '__file__', None) or ''

    @property
    def spec(self) -> EnvSpec | None:  # type: ignore[override]
        """The environment's own spec: Gymnasium must not recreate this wrapper."""
        return self.env.spec

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begins an episode; a seed is passed to the older `seed()` if `reset` does not accept one."""
        with self._code('reset()'):
            takes = inspect.signature(self.env.reset).parameters
            takes_all = any(p.kind is p.VAR_KEYWORD for p in takes.values())
            given: dict[str, Any] = {'seed': seed, 'options': options}
            given = {name: value for name, value in given.items() if takes_all or name in takes}
            if seed is not None and 'seed' not in given:
                self._seed(seed)
            result = self.env.reset(**given)
        if isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], dict):
            return result
        return result, {}

    def _seed(self, seed: int) -> None:
        older: Any = getattr(self.env.unwrapped, 'seed', None)
        if callable(older):
            older(seed)
        else:
            _log.warning('robot %r takes no seed: its episodes differ from run to run', self._robot)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Acts; returns observation, reward, terminated, truncated and info."""
        with self._code('step()'):
            result: Any = self.env.step(action)
        if isinstance(result, tuple) and len(result) == 4:
            observation, reward, done, info = result
            info = info if isinstance(info, dict) else {}
            is_cut = bool(info.get('TimeLimit.truncated', False))
            result = observation, reward, done and not is_cut, done and is_cut, info
        if not isinstance(result, tuple) or len(result) != 5:
            raise UserError(
                f'robot {self._robot!r}: step()',
                found=describe(result),
                expected='observation, reward, terminated, truncated and info',
            )
        observation, reward, terminated, truncated, info = result
        return observation, self._reward(reward), self._flag(terminated), self._flag(truncated), info

    def render(self) -> Any:
        """Returns the rendered image."""
        with self._code('render()'):
            return self.env.render()

    def _reward(self, reward: Any) -> float:
        return float('nan') if reward is None else float(self._one(reward, 'reward', 'a number'))

    def _flag(self, flag: Any) -> bool:
        return bool(self._one(flag, 'end of an episode', 'true or false'))

    def _one(self, value: Any, what: str, expected: str) -> Any:
        try:
            number = np.asarray(value).reshape(())
            if number.dtype.kind in 'buif':
                return number.item()
        except ValueError:  # not one number
            pass
        raise UserError(f'robot {self._robot!r}: {what} from step()', expected=expected, found=describe(value))

    def _code(self, doing: str) -> Any:
        return environment_code(self._robot, doing, self._home)
