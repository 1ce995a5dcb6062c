"""One walk of one explorer, and its metrics."""

from collections.abc import Iterator
from dataclasses import dataclass
import time
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
import torch
from torch import Tensor

from cls_common.transition import Transition
from cls_learning.randomness import stream

from ..learning.environment import Pairs
from ..learning.metrics.skill import skill_of
from ..learning.network import all_steps, fast_hidden, Network
from . import explorers
from .environments import AWAY_DEG, GridEnvironment, Index, PER_CELL
from .explorers import Explorer
from .views import FRAMES, Views

Metrics = dict[str, Any]
# Steps between the points of the coverage plot.
NOTED_EVERY: Final = 25
# Of the model that is trained on a walk: learning rate and length that are best for random walks of 300, 500 and 2,000
# steps; longer or faster training overfits.
_RATE, _BATCH, _LEAST_UPDATES = 3e-4, 64, 400
_PAIRS: Final = 1000


@dataclass(frozen=True)
class Trajectory:
    """Poses on the grid int64 (N + 1, 2), embeddings float32 (N + 1, D), applied actions float32 (N, 2) deg."""

    at: Index
    z: Tensor
    action: Tensor


def walk(explorer: Explorer, environment: GridEnvironment, views: Views, start: Index, seed: int) -> Trajectory:
    """Runs an explorer for the environment's steps from pose `start` (2,); `seed` draws the screen's frames."""
    steps = environment.steps
    frames = stream(seed, 'bench.curiosity.frames', 0).integers(0, FRAMES, steps + 1)
    at, seen, actions = [start], [_see(views, start, frames[0])], []
    for step in range(steps):
        before, z = at[-1], seen[-1]
        joints = np.radians(environment.degrees(before))
        action = explorer.act(z.numpy(), joints, before, step)
        after = environment.move(before, action)
        applied = (environment.degrees(after) - environment.degrees(before)).astype(np.float32)
        z_next = _see(views, after, frames[step + 1])
        explorer.learn(
            Transition.of_embeddings(
                z=z.numpy(),
                z_next=z_next.numpy(),
                action_commanded=action,
                action_applied=applied,
                joints=joints,
                joints_next=np.radians(environment.degrees(after)),
                boundary=step == 0,
                stamp_z=step,
                stamp_next=step + 1,
            )
        )
        at.append(after)
        seen.append(z_next)
        actions.append(torch.from_numpy(applied))
    return Trajectory(np.stack(at), torch.stack(seen), torch.stack(actions))


def _see(views: Views, at: Index, frame: int) -> Tensor:
    return views.see(int(at[0]), int(at[1]), int(frame))


def coverage(environment: GridEnvironment, at: Index) -> NDArray[np.float64]:
    """Returns the share of free cells visited after each step, float64 (N + 1,) from poses int64 (N + 1, 2)."""
    cells = np.ravel_multi_index(tuple((at // PER_CELL).T), environment.is_free.shape)
    is_new = np.zeros(len(cells), bool)
    is_new[np.unique(cells, return_index=True)[1]] = True
    return np.asarray(is_new.cumsum() / environment.is_free.sum())


def noise_share(environment: GridEnvironment, seed: int) -> float:
    """Returns the share of poses from which at least half of the view is noise."""
    return float(environment.on_screen(environment.poses(), seed).mean())


def path_metrics(environment: GridEnvironment, trajectory: Trajectory, seed: int) -> Metrics:
    """Returns the metrics of the path; None where environment or length do not define them."""
    covered, steps = coverage(environment, trajectory.at), len(trajectory.action)
    found: Metrics = {
        'coverage_200': float(covered[200]) if steps >= 200 else None,
        'coverage_500': float(covered[500]) if steps >= 500 else None,
        'coverage': float(covered[-1]),
        'curve': [float(c) for c in covered[::NOTED_EVERY]],
        'large_moves': float((trajectory.action.abs().amax(-1) > 9.0).float().mean()),
        'noise_ratio': None,
        'noise_ratio_late': None,
        'corner_steps': None,
        'other_side_steps': None,
    }
    if environment.has_screen:
        on, share = environment.on_screen(trajectory.at[1:], seed), noise_share(environment, seed)
        found['noise_ratio'] = float(on.mean()) / share
        found['noise_ratio_late'] = float(on[steps // 2 :].mean()) / share
    if environment.start == 'corner':
        found['corner_steps'] = _first(np.all(np.abs(environment.degrees(trajectory.at)) < AWAY_DEG, axis=-1))
    if environment.has_wall:
        found['other_side_steps'] = _first(trajectory.at[:, 0] >= environment.shape[0] // 2 + PER_CELL)
    return found


def _first(reached: Any) -> float:
    """Returns the first step at which something holds; the walk's length where it never does."""
    return float(reached.argmax() if reached.any() else len(reached) - 1)


def model_skill(environment: GridEnvironment, views: Views, trajectory: Trajectory, seed: int, scene: int) -> float:
    """Trains a model of Fast's size on the walk, and scores it on uniform poses x uniform actions.

    Pairs with the screen in view are left out, since its noise is unpredictable.
    """
    draws, updates = stream(seed, 'bench.curiosity.model', 0), max(len(trajectory.action) // 2, _LEAST_UPDATES)
    network = Network(
        robot=environment.robot(),
        z_size=trajectory.z.shape[1],
        hidden=fast_hidden(),
        seed=seed,
        rate=_RATE,
        cosine_steps=updates,
    )
    network.fit_normalizer([trajectory.z])
    z, action, z_next = all_steps([(trajectory.z, trajectory.action)])
    for _ in range(updates):
        chosen = torch.from_numpy(draws.integers(0, len(action), _BATCH))
        network.update(network.loss(z[chosen], action[chosen], z_next[chosen]).mean(), _BATCH)
    return skill_of(network, test_pairs(environment, views, scene))


def test_pairs(environment: GridEnvironment, views: Views, scene: int) -> Pairs:
    """Returns 1,000 steps from uniform free poses with uniform actions; the same for every explorer of a scene."""
    robot = environment.robot()
    starts, actions, ends = [], [], []
    for index, unit in _uniform(environment, scene):
        action = robot.to_units(unit)
        end = environment.move(index, action)
        if environment.sees_screen(index, scene) or environment.sees_screen(end, scene):
            continue
        starts.append(views.plain[int(index[0]), int(index[1])])
        ends.append(views.plain[int(end[0]), int(end[1])])
        actions.append(torch.from_numpy((environment.degrees(end) - environment.degrees(index)).astype(np.float32)))
    return Pairs(torch.stack(starts), torch.stack(actions), torch.stack(ends))


def _uniform(environment: GridEnvironment, scene: int) -> Iterator[tuple[Index, NDArray[np.float64]]]:
    draws = stream(scene, 'bench.curiosity.pairs', 0)
    count = 0
    while count < _PAIRS:
        index, unit = draws.integers(0, environment.shape), draws.uniform(-1.0, 1.0, 2)
        if environment.is_free[tuple(index // PER_CELL)]:
            count += 1
            yield np.asarray(index), unit


def run(name: str, environment: GridEnvironment, views: Views, scene: int, number: int) -> Metrics:
    """Runs one walk and returns its metrics.

    Args:
        scene: seed of the textures and of the screen. number: of the walk, seed of start, actions and networks.
    """
    began = time.process_time()
    explorer = explorers.make(name, environment, views.plain.shape[-1], number)
    trajectory = walk(explorer, environment, views, environment.starts_at(number, scene), number)
    return {
        **path_metrics(environment, trajectory, scene),
        'model_skill': model_skill(environment, views, trajectory, number, scene),
        'seconds': time.process_time() - began,
    }
