"""The brain `cross_modal` in a world of two senses whose task changes, and what it would be without parts of it.

Six stretches of five tasks, the last of which returns; one change is gradual. The learner gets no sign of it. Skill is
1 - error / error of predicting no change, over both senses, on streams of each task that are not learned from.
"""

from collections.abc import Sequence
import time
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from cls_common.robot import Channel, Kind, RobotInfo
from cls_common.transition import Experience, Observation, Reading, Transition
from cls_learning.brain import Goal
from cls_learning.brains.cross_modal.consolidator import CrossModalConsolidator
from cls_learning.brains.cross_modal.dreams import mean_of_senses, Windows
from cls_learning.brains.cross_modal.model import all_present, CrossModalModel
from cls_learning.brains.cross_modal.online_learner import CrossModalOnlineLearner
from cls_learning.brains.cross_modal.settings import CrossModalSettings
from cls_learning.learners.optimisation import make_adam, step
from cls_learning.model_store.config_file import ModelConfig
from cls_learning.randomness import derive, stream
from cls_sim.worlds.task_schedule import Switch, TaskScheduleSettings
from cls_sim.worlds.task_switching import TaskSwitchingEnv, TaskSwitchingSettings

from .evaluator import stream_metrics

ORDER: Final = (0, 1, 2, 3, 4, 0)
INTERVAL: Final = 1500
_SPREAD, _RAMP, _GRADUAL = 0.3, 500, '3'
# Share of the stream that memory holds; steps from one evaluation to the next.
_MEMORY, _EVERY = 0.02, 250
# Wake steps from one sleep to the next, as by default.
_CYCLE = 500
# Test streams of each task, their steps, and the first ones, in which the recurrent state builds up.
_STREAMS, _STEPS, _BURN_IN = 16, 40, 10
# Steps within which a change must be found; steps with a sense that works, that is stuck, and that is back.
_DELAY, _KILL = 50, (300, 300, 400)
_NO_JOINTS = np.zeros(0)


def run(method: str, seed: int, interval: int = INTERVAL) -> dict[str, Any]:
    """Runs one stream by one of `rows.WORLD_METHODS`; returns its metrics."""
    return (_JointRun if method == 'joint' else _StreamRun)(method, seed, interval).run()


class _Stream:
    """One stream of the world, as transitions of random actions."""

    def __init__(self, seed: int, interval: int) -> None:
        schedule = TaskScheduleSettings(
            order=' '.join(map(str, ORDER)), interval=interval, spread=_SPREAD, ramp=min(_RAMP, interval // 3),
            gradual=_GRADUAL,
        )  # fmt: skip
        self.env = TaskSwitchingEnv(TaskSwitchingSettings(episode=0, schedule=schedule))
        readings, _ = self.env.reset(seed=seed)
        self._generator, self._number = np.random.default_rng([seed, 3]), 0
        self.sizes = {name: len(values) for name, values in readings.items()}
        self.now = _observation(readings, 0)
        self.length = self.env.schedule.switches[-1].begin + interval

    def action(self) -> np.ndarray:
        """Returns a random action."""
        return self._generator.uniform(-1, 1, self.env.settings.action_dim).astype(np.float32)

    def step(self, action: np.ndarray, stuck: Reading | None = None) -> tuple[Transition, dict[str, np.ndarray]]:
        """Returns the transition of an action, and what the senses would have given.

        Args:
            stuck: what `sense_0` gives, whatever happens.
        """
        readings, reward, *_ = self.env.step(action)
        self._number += 1
        before, after = self.now, _observation(readings, self._number)
        if stuck is not None:
            after = Observation({**after.readings, 'sense_0': stuck})
        self.now = after
        transition = Transition(
            before=before, after=after, action_commanded=action, action_applied=action, joints=_NO_JOINTS,
            joints_next=_NO_JOINTS, boundary=self._number == 1, reward=reward,
        )  # fmt: skip
        return transition, readings


class _StreamRun:
    """The brain, or a part of it: `none` never sleeps; `replay` learns from memory awake instead, as often."""

    def __init__(self, method: str, seed: int, interval: int) -> None:
        self._method, self._seed = method, seed
        self._stream = own = _Stream(seed, interval)
        self._tests = [_test(task) for task in ORDER]
        cycle = _CYCLE if method == 'sleep' else own.length + 1
        # A sixth is held out, to judge sleeps by.
        values = {'memory.capacity': int(_MEMORY * own.length * 5 / 6), 'sleep.wake_steps_per_cycle': cycle}
        self._settings = CrossModalSettings.from_flat(values)
        config = ModelConfig(
            _robot(own), {}, seed, self._settings, {}, '2025-01-01', (), 'cross_modal', own.sizes
        )  # fmt: skip
        self._online = CrossModalOnlineLearner(config)
        self._consolidator = CrossModalConsolidator(config)
        self._optimizer = make_adam(self._online.online.predicting(), self._settings.sleep.learning_rate)
        self._gradients, self._owed = 0, 0.0  # owed: those that sleep would have spent by now
        self._found: list[int] = []

    def run(self) -> dict[str, Any]:
        """Runs the stream; returns the metrics."""
        switches = self._stream.env.schedule.switches
        ends = [switch.begin for switch in switches] + [self._stream.length]
        before, rows, within = self._skills(), list[list[float]](), [list[list[float]]() for _ in ends]
        began, paused = time.perf_counter(), 0.0
        for number in range(1, self._stream.length + 1):
            self._step(number)
            if number % _EVERY == 0 or number in ends:
                at, now = time.perf_counter(), self._skills()
                within[len(rows)].append(now[: len(rows) + 1])
                if number in ends:
                    rows.append(now)
                paused += time.perf_counter() - at
        seconds = time.perf_counter() - began - paused
        metrics = stream_metrics(before, rows, within)
        if self._method == 'sleep':
            metrics |= switch_metrics(switches, self._found, self._stream.length) | self._kill_a_sense()
        return metrics | self._costs(seconds)

    def _step(self, number: int) -> Experience:
        transition, _ = self._stream.step(self._stream.action())
        experience = self._learn(transition)
        self._gradients += 1
        if experience.metrics['changed']:
            self._found.append(number)
        if self._method == 'sleep' and self._online.wants_sleep:
            self._sleep()
        sleep = self._settings.sleep
        if self._method == 'replay' and number > _CYCLE:
            self._owed += sleep.dream_steps * 2 * sleep.batch_size * sleep.window / _CYCLE
            self._replay(number)
        return experience

    def _learn(self, transition: Transition) -> Experience:
        experience: Experience = self._online.learn(transition)
        self._consolidator.learn(experience)
        return experience

    def _sleep(self) -> None:
        sleep = self._consolidator.begin_sleep(self._online.state(), Goal())
        steps = sum(1 for _ in sleep.run())
        self._gradients += steps * 2 * self._settings.sleep.batch_size * self._settings.sleep.window
        state = sleep.finish()
        if sleep.verdict.rolled_back:
            sleep.roll_back()
            self._online.begin_cycle()
        else:
            self._online.load(state)

    def _replay(self, number: int) -> None:
        own, memory = self._settings.sleep, self._consolidator.memory
        count = min(2 * own.batch_size, memory.window_count(own.window))
        if self._owed < count * own.window:
            return
        self._owed -= count * own.window
        drawn = memory.windows(count, own.window, stream(self._seed, 'bench.replay', number))
        loss = _window_loss(self._online.online, Windows.of(drawn, self._online.code))
        step(self._optimizer, loss, self._settings.fast.gradient_norm)
        self._gradients += count * own.window

    def _skills(self) -> list[float]:
        models = list(self._online.models.values()) if self._online.cycles else [self._online.models['fast']]
        return [_skill(models, test) for test in self._tests]

    def _kill_a_sense(self) -> dict[str, float]:
        """Returns how much errors rise while `sense_0` is stuck, and steps from its return until they are normal.

        Of the other sense, and (lost) of what `sense_0` would have given.
        """
        whole, killed, _ = _KILL
        errors, stuck = [], None
        for number in range(sum(_KILL)):
            if number == whole:
                stuck = self._stream.now.readings['sense_0']
            transition, truth = self._stream.step(self._stream.action(), stuck if number < whole + killed else None)
            self._learn(transition)
            expected = {name: values[0].numpy() for name, values in self._online.expected().items()}
            change = self._online.online.change.tolist()
            errors.append([
                float(np.square((expected[name] - truth[name]) / spread).mean()) for name, spread in zip(truth, change)
            ])  # fmt: skip
        found = np.array(errors)
        normal = found[:whole].mean()
        smooth = np.convolve(found.mean(axis=1)[whole + killed :], np.ones(20) / 20, 'valid')
        recovered = np.flatnonzero(smooth <= 1.2 * normal)
        rise = found[whole : whole + killed].mean(axis=0) / found[:whole].mean(axis=0) - 1.0
        return {
            'killed_rise': float(rise[1]),
            'killed_rise_lost': float(rise[0]),
            'killed_recovered': float(recovered[0] + 20) if len(recovered) else float('nan'),
        }

    def _costs(self, seconds: float) -> dict[str, float]:
        return {
            'steps': self._stream.length, 'gradients': self._gradients,
            'bytes': self._consolidator.memory_bytes, 'seconds': seconds,
        }  # fmt: skip


class _JointRun(_StreamRun):
    """One model, learned from windows of the whole stream in random order, with as many gradients as with sleep."""

    def run(self) -> dict[str, Any]:
        """Learns; returns the metrics of the end alone."""
        own, began = self._settings.sleep, time.perf_counter()
        for _ in range(self._stream.length):
            self._learn_nothing(self._stream.step(self._stream.action())[0])
        senses = {name: torch.stack(values) for name, values in self._senses.items()}
        codes, model = torch.stack(self._codes), self._online.online
        cycles = self._stream.length // _CYCLE
        updates = cycles * own.dream_steps + self._stream.length // (2 * own.batch_size * own.window)
        for number in range(updates):
            generator = stream(self._seed, 'bench.joint', number)
            starts = torch.from_numpy(generator.integers(len(codes) - own.window, size=2 * own.batch_size))
            at = starts[:, None] + torch.arange(own.window + 1)
            windows = Windows({n: s[at] for n, s in senses.items()}, codes[at[:, :-1]], torch.zeros(at[:, :-1].shape))
            # Falling, so that the last ones do not decide.
            self._optimizer.learning_rate = self._settings.fast.learning_rate * (1.0 - number / updates)
            step(self._optimizer, _window_loss(model, windows), self._settings.fast.gradient_norm)
        skills = [_skill([model], test) for test in self._tests]
        self._gradients = updates * 2 * own.batch_size * own.window
        # It knows no order of tasks, so that there is nothing to forget.
        nothing = dict.fromkeys(('anytime', 'worst', 'dip', 'forgetting', 'bwt', 'fwt'))
        final = {'final': float(np.mean(skills)), 'matrix': [skills], 'curve': []}
        return nothing | final | self._costs(time.perf_counter() - began)

    def _learn_nothing(self, transition: Transition) -> None:
        if transition.boundary:
            self._senses: dict[str, list[Tensor]] = {name: [] for name in transition.before.readings}
            self._codes: list[Tensor] = []
        before, after = (
            {name: torch.from_numpy(each[name])[None] for name in self._senses}
            for each in (transition.before, transition.after)
        )
        self._online.online.learn_scale(before, after)
        for name, values in before.items():
            self._senses[name].append(values[0])
        self._codes.append(torch.from_numpy(transition.action_applied))


def _window_loss(model: CrossModalModel, windows: Windows) -> Tensor:
    carried, losses = model.initial(len(windows.code)), []
    for k in range(windows.code.shape[1]):
        carried, found = model.step(carried, windows.at(k), all_present(windows.at(k)), windows.code[:, k])
        losses.append(mean_of_senses(model.errors(found.senses, windows.at(k + 1))).mean())
    return torch.stack(losses).mean()


@torch.no_grad()
def _skill(models: Sequence[CrossModalModel], test: Windows) -> float:
    """Returns the skill of what the brain would predict: of the model that was right in the steps before."""
    carried, recent = [model.initial(_STREAMS) for model in models], torch.zeros(len(models), _STREAMS)
    errors, copied = [], []
    for k in range(_STEPS):
        now, after = test.at(k), test.at(k + 1)
        found = []
        for index, model in enumerate(models):
            carried[index], predicted = model.step(carried[index], now, all_present(now), test.code[:, k])
            found.append(mean_of_senses(model.errors(predicted.senses, after)))
        both = torch.stack(found)
        if k >= _BURN_IN:
            errors.append(both.gather(0, recent.argmin(dim=0)[None])[0].mean())
            copied.append(mean_of_senses(models[0].errors(now, after)).mean())
        recent = 0.8 * recent + 0.2 * both
    return 1.0 - float(torch.stack(errors).mean() / torch.stack(copied).mean())


def _test(task: int) -> Windows:
    """Returns streams of one task after 40 steps of it, by random actions."""
    env = TaskSwitchingEnv(TaskSwitchingSettings(episode=0, schedule=TaskScheduleSettings(order=str(task))))
    generator = np.random.default_rng([task, 9])
    readings: list[list[dict[str, np.ndarray]]] = []
    codes = generator.uniform(-1, 1, (_STREAMS, _STEPS, env.settings.action_dim)).astype(np.float32)
    for number in range(_STREAMS):
        env.reset(seed=derive(number, f'bench.world.{task}'))
        for _ in range(40):
            last, *_ = env.step(generator.uniform(-1, 1, env.settings.action_dim).astype(np.float32))
        readings.append([last, *(env.step(code)[0] for code in codes[number])])
    senses = {
        name: torch.from_numpy(np.array([[each[name] for each in along] for along in readings]))
        for name in readings[0][0]
    }
    return Windows(senses, torch.from_numpy(codes), torch.zeros(_STREAMS, _STEPS))


def switch_metrics(switches: Sequence[Switch], found: Sequence[int], length: int) -> dict[str, float | None]:
    """Returns shares of switches found within 50 steps after their end, the delay of abrupt ones, and false alarms."""
    hits = {
        switch: [n for n in found if switch.begin <= n <= switch.end + _DELAY] for switch in switches
    }  # fmt: skip
    abrupt = [switch for switch in switches if switch.begin == switch.end]
    gradual = [switch for switch in switches if switch.begin < switch.end]
    true = sum(bool(each) for each in hits.values())
    delays = [hits[switch][0] - switch.begin for switch in abrupt if hits[switch]]
    return {
        'found': sum(bool(hits[s]) for s in abrupt) / len(abrupt),
        'found_gradual': sum(bool(hits[s]) for s in gradual) / len(gradual),
        'false_per_1000': 1000 * (len(found) - true) / length,
        'delay': float(np.mean(delays)) if delays else None,
    }


def _observation(readings: dict[str, np.ndarray], number: int) -> Observation:
    return Observation({name: Reading(values, number) for name, values in readings.items()})


def _robot(own: _Stream) -> RobotInfo:
    return RobotInfo(
        name='task_switching', modalities=tuple(own.sizes), has_reward=True,
        channels=tuple(Channel(f'a{i}', Kind.VELOCITY, '', -1.0, 1.0) for i in range(own.env.settings.action_dim)),
    )  # fmt: skip
