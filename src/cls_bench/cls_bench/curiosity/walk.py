"""One walk of one explorer, and what came of it."""

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

from ..learning.metrics.skill import skill_of
from ..learning.network import all_steps, fast_hidden, Network
from ..learning.world import Pairs
from . import explorers
from .explorers import Explorer
from .views import FRAMES, Views
from .worlds import AWAY_DEG, Index, PER_CELL, World

Figures = dict[str, Any]
# Every how many steps coverage is noted for the plot.
NOTED_EVERY: Final = 25
# Of the model that is trained on what the walk has seen: a rate and a length at which random's walks give the best one
# (300, 500 and 2,000 steps tried); longer or faster it learns the walk by heart.
_RATE, _BATCH, _LEAST_UPDATES = 3e-4, 64, 400
_PAIRS: Final = 1000


@dataclass(frozen=True)
class Walked:
    """Poses on the grid (N + 1, 2), embeddings float32 (N + 1, D), actions applied float32 (N, 2) deg."""

    at: Index
    z: Tensor
    action: Tensor


def walk(explorer: Explorer, world: World, views: Views, start: Index, seed: int) -> Walked:
    """Lets an explorer walk for the world's steps; `seed` draws the screen's frames."""
    steps = world.steps
    frames = stream(seed, 'bench.curiosity.frames', 0).integers(0, FRAMES, steps + 1)
    at, seen, actions = [start], [_see(views, start, frames[0])], []
    for step in range(steps):
        before, z = at[-1], seen[-1]
        joints = np.radians(world.degrees(before))
        action = explorer.act(z.numpy(), joints, before, step)
        after = world.move(before, action)
        applied = (world.degrees(after) - world.degrees(before)).astype(np.float32)
        z_next = _see(views, after, frames[step + 1])
        explorer.live(Transition.of_embeddings(
            z=z.numpy(), z_next=z_next.numpy(), action_commanded=action, action_applied=applied, joints=joints,
            joints_next=np.radians(world.degrees(after)), boundary=step == 0, stamp_z=step, stamp_next=step + 1,
        ))  # fmt: skip
        at.append(after)
        seen.append(z_next)
        actions.append(torch.from_numpy(applied))
    return Walked(np.stack(at), torch.stack(seen), torch.stack(actions))


def _see(views: Views, at: Index, frame: int) -> Tensor:
    return views.see(int(at[0]), int(at[1]), int(frame))


def coverage(world: World, at: Index) -> NDArray[np.float64]:
    """Returns the share of free cells visited after each step, (N + 1,) from poses (N + 1, 2)."""
    cells = np.ravel_multi_index(tuple((at // PER_CELL).T), world.is_free.shape)
    is_new = np.zeros(len(cells), bool)
    is_new[np.unique(cells, return_index=True)[1]] = True
    return np.asarray(is_new.cumsum() / world.is_free.sum())


def noise_share(world: World, seed: int) -> float:
    """Returns the share of poses from which at least half of the view is noise."""
    return float(world.on_screen(world.poses(), seed).mean())


def figures_of(world: World, walked: Walked, seed: int) -> Figures:
    """Returns what the path alone tells; None where this world or its length does not tell it."""
    covered, steps = coverage(world, walked.at), len(walked.action)
    found: Figures = {
        'coverage_200': float(covered[200]) if steps >= 200 else None,
        'coverage_500': float(covered[500]) if steps >= 500 else None,
        'coverage': float(covered[-1]), 'curve': [float(c) for c in covered[::NOTED_EVERY]],
        'large_moves': float((walked.action.abs().amax(-1) > 9.0).float().mean()),
        'noise_ratio': None, 'noise_ratio_late': None, 'corner_steps': None, 'other_side_steps': None,
    }  # fmt: skip
    if world.has_screen:
        on, share = world.on_screen(walked.at[1:], seed), noise_share(world, seed)
        found['noise_ratio'] = float(on.mean()) / share
        found['noise_ratio_late'] = float(on[steps // 2 :].mean()) / share
    if world.start == 'corner':
        found['corner_steps'] = _first(np.all(np.abs(world.degrees(walked.at)) < AWAY_DEG, axis=-1))
    if world.has_wall:
        found['other_side_steps'] = _first(walked.at[:, 0] >= world.shape[0] // 2 + PER_CELL)
    return found


def _first(reached: Any) -> float:
    """Returns the first step at which something holds; the walk's length where it never does."""
    return float(reached.argmax() if reached.any() else len(reached) - 1)


def model_skill(world: World, views: Views, walked: Walked, seed: int, scene: int) -> float:
    """Trains a model of Fast's size on the walk, and scores it on uniform poses x uniform actions.

    Pairs with the screen in view are left out: nothing can be predicted there.
    """
    draws, updates = stream(seed, 'bench.curiosity.model', 0), max(len(walked.action) // 2, _LEAST_UPDATES)
    network = Network(
        robot=world.robot(), z_size=walked.z.shape[1], hidden=fast_hidden(), seed=seed, rate=_RATE,
        cosine_steps=updates,
    )  # fmt: skip
    network.fit_normalizer([walked.z])
    z, action, z_next = all_steps([(walked.z, walked.action)])
    for _ in range(updates):
        chosen = torch.from_numpy(draws.integers(0, len(action), _BATCH))
        network.update(network.loss(z[chosen], action[chosen], z_next[chosen]).mean(), _BATCH)
    return skill_of(network, test_pairs(world, views, scene))


def test_pairs(world: World, views: Views, scene: int) -> Pairs:
    """Returns 1,000 steps from uniform free poses with uniform actions; the same for every explorer of a scene."""
    robot = world.robot()
    starts, actions, ends = [], [], []
    for index, unit in _uniform(world, scene):
        action = robot.to_units(unit)
        end = world.move(index, action)
        if world.sees_screen(index, scene) or world.sees_screen(end, scene):
            continue
        starts.append(views.plain[int(index[0]), int(index[1])])
        ends.append(views.plain[int(end[0]), int(end[1])])
        actions.append(torch.from_numpy((world.degrees(end) - world.degrees(index)).astype(np.float32)))
    return Pairs(torch.stack(starts), torch.stack(actions), torch.stack(ends))


def _uniform(world: World, scene: int) -> Iterator[tuple[Index, NDArray[np.float64]]]:
    draws = stream(scene, 'bench.curiosity.pairs', 0)
    count = 0
    while count < _PAIRS:
        index, unit = draws.integers(0, world.shape), draws.uniform(-1.0, 1.0, 2)
        if world.is_free[tuple(index // PER_CELL)]:
            count += 1
            yield np.asarray(index), unit


def run(name: str, world: World, views: Views, scene: int, number: int) -> Figures:
    """Walks once and returns every figure.

    Args:
        scene: seed of the textures and of the screen. number: of the walk: its start, its chance and its networks.
    """
    began = time.process_time()
    explorer = explorers.make(name, world, views.plain.shape[-1], number)
    walked = walk(explorer, world, views, world.starts_at(number, scene), number)
    return {
        **figures_of(world, walked, scene), 'model_skill': model_skill(world, views, walked, number, scene),
        'seconds': time.process_time() - began,
    }  # fmt: skip
