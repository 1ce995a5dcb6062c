"""Runs the planner: real steps by planning, training of the ensemble after each round, and its evaluation."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from cls_common.robot import Kind
from cls_learning.randomness import derive
from cls_sim.robots import make as make_robot
from cls_sim.robots import SimulatedRobot, Step
from cls_sim.settings import SimulatorSettings

from .environments import ControlEnvironment
from .planner import Planner
from .solving import ROUND, Rounds, SCREENING

_STATE = 'state'
# Updates of the ensemble after each round.
_UPDATES = 400


def run(environment: ControlEnvironment, seed: int) -> dict[str, Any]:
    """Runs one seed until it is solved, or over; returns its metrics."""
    robot = _robot(environment, derive(seed, 'control.planner'))
    now = robot.reset()
    levels = tuple(
        int(each.high) - int(each.low) + 1 if each.kind is Kind.DISCRETE else 0 for each in robot.info.channels
    )
    planner = Planner(len(now.observations[_STATE]), levels, derive(seed, 'planner'))
    evaluation = derive(seed, 'control.evaluation')
    rounds = Rounds(environment.bounds, environment.budget, lambda n: mean_return(planner, environment, evaluation, n))
    rows: list[tuple[Any, ...]] = []
    while True:
        before = _states([now])
        unit = planner.plan(before) if len(rows) >= ROUND else planner.random(1)
        after = robot.step(robot.info.to_units(unit[0].tolist()))
        rows.append((before[0], _states([after])[0], unit[0], after.reward, float(after.terminal)))
        now = after.restart or after
        if len(rows) % ROUND == 0:
            planner.learn(_columns(rows), _UPDATES)
            if rounds.add(len(rows)):
                break
    robot.close()
    return {**rounds.metrics(), 'spike_rate': None, 'ops_act': None, 'ops_learn': None}


def mean_return(planner: Planner, environment: ControlEnvironment, seed: int, episodes: int) -> float:
    """Returns the mean return of episodes, which are planned SCREENING at once, each on a robot of its own."""
    generator = torch.Generator().manual_seed(seed)
    totals: list[float] = []
    for first in range(0, episodes, SCREENING):
        seeds = range(seed + first, seed + min(first + SCREENING, episodes))
        totals += _returns(planner, [_robot(environment, each) for each in seeds], generator)
    return sum(totals) / episodes


def _returns(planner: Planner, robots: Sequence[SimulatedRobot], generator: torch.Generator) -> list[float]:
    now, totals, alive = [robot.reset() for robot in robots], [0.0] * len(robots), list(range(len(robots)))
    while alive:
        units = planner.plan(_states([now[k] for k in alive]), generator)
        for k, unit in zip(list(alive), units):
            now[k] = robots[k].step(robots[k].info.to_units(unit.tolist()))
            totals[k] += now[k].reward
            if now[k].restart is not None:
                alive.remove(k)
    for robot in robots:
        robot.close()
    return totals


def _robot(environment: ControlEnvironment, seed: int) -> SimulatedRobot:
    settings = SimulatorSettings(robot=environment.robot, lock_step=True, seed=seed % 2**31)
    robot = make_robot(environment.robot, settings)
    robot.draws = False
    return robot


def _states(steps: Sequence[Step]) -> Tensor:
    return torch.stack([torch.from_numpy(step.observations[_STATE]) for step in steps])


def _columns(rows: Sequence[tuple[Any, ...]]) -> dict[str, Tensor]:
    before, after, action, reward, terminal = zip(*rows)
    return {
        'before': torch.stack(before), 'after': torch.stack(after), 'action': torch.stack(action),
        'reward': torch.tensor(reward), 'terminal': torch.tensor(terminal),
    }  # fmt: skip
