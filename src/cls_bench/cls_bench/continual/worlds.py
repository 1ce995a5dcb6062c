"""The brain `cross_modal` in worlds of two senses whose task changes, and what it would be without parts of it.

The learner gets no sign of a change. Skill is 1 - error / error of predicting no change, over both senses, on streams
of each task that are not learned from.
"""

from collections.abc import Sequence
import time
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cls_common.transition import EMBEDDING, Experience, Transition
from cls_learning.brain import Goal
from cls_learning.brains.cross_modal.consolidator import CrossModalConsolidator
from cls_learning.brains.cross_modal.dreams import mean_of_senses, Windows
from cls_learning.brains.cross_modal.model import all_present, CrossModalModel
from cls_learning.brains.cross_modal.online_learner import CrossModalOnlineLearner
from cls_learning.brains.cross_modal.settings import CrossModalSettings
from cls_learning.learners.optimisation import make_adam, step
from cls_learning.model_store.config_file import ModelConfig
from cls_learning.randomness import stream
from cls_sim.worlds.task_schedule import Switch

from .evaluator import stream_metrics
from .rows import WORLDS
from .world_streams import STREAMS, TEST_STEPS, TEST_STREAMS, WorldStream

# Share of the stream that memory holds; steps from one evaluation to the next.
_MEMORY, _EVERY = 0.02, 250
# Wake steps from one sleep to the next, as by default.
_CYCLE = 500
# First steps of test streams, in which the recurrent state builds up.
_BURN_IN = 10
# Steps within which a change must be found; steps with a sense that works, that is stuck, and that is back.
_DELAY, _KILL = 50, (300, 300, 400)


def run(method: str, seed: int, interval: int = 0, world: str = WORLDS, rate: float = 3e-3) -> dict[str, Any]:
    """Runs one stream by one of `rows.WORLD_METHODS`; returns its metrics.

    Args:
        interval: mean steps from one change to the next; 0: those of the world.
        rate: of learning awake; half of it asleep, as by default.
    """
    kind = STREAMS[world]
    return (_JointRun if method == 'joint' else _StreamRun)(
        method, seed, kind(seed, interval or kind.interval), rate
    ).run()


class _StreamRun:
    """The brain, or a part of it: `none` never sleeps; `replay` learns from memory awake instead, as often."""

    def __init__(self, method: str, seed: int, own: WorldStream, rate: float = 3e-3) -> None:
        self._method, self._seed = method, seed
        self._stream = own
        by_task = {task: own.test(task, seed) for task in dict.fromkeys(own.order)}
        self._tests = [by_task[task] for task in own.order]
        cycle = _CYCLE if method == 'sleep' else own.length + 1
        # A sixth is held out, to judge sleeps by.
        values = {
            'senses': ' '.join(own.sizes), 'memory.capacity': max(32, int(_MEMORY * own.length * 5 / 6)),
            'sleep.wake_steps_per_cycle': cycle, 'fast.learning_rate': rate, 'sleep.learning_rate': rate / 2,
        }  # fmt: skip
        self._settings = CrossModalSettings.from_flat(values)
        config = ModelConfig(
            own.robot, {'size': own.sizes.get(EMBEDDING, 0)}, seed, self._settings, {}, '2025-01-01', (), 'cross_modal',
            own.sizes,
        )  # fmt: skip
        self._online = CrossModalOnlineLearner(config)
        self._consolidator = CrossModalConsolidator(config)
        self._optimizer = make_adam(self._online.online.predicting(), self._settings.sleep.learning_rate)
        self._gradients, self._owed = 0, 0.0  # owed: those that sleep would have spent by now
        self._found: list[int] = []

    def run(self) -> dict[str, Any]:
        """Runs the stream; returns the metrics."""
        switches = self._stream.switches
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
        """Returns how much errors rise while one sense is stuck, and steps from its return until they are normal.

        Of the other sense, and (lost) of what the stuck one would have given.
        """
        (whole, killed, _), failing = _KILL, self._stream.failing
        errors, stuck = [], None
        for number in range(sum(_KILL)):
            if number == whole:
                stuck = self._stream.now.readings[failing]
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
            **{
                'killed_rise_lost' if name == failing else 'killed_rise': float(each)
                for name, each in zip(self._stream.sizes, rise)
            },
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
        self._codes.append(self._online.code.to_input(torch.from_numpy(transition.action_applied)))


def _window_loss(model: CrossModalModel, windows: Windows) -> Tensor:
    carried, losses = model.initial(len(windows.code)), []
    for k in range(windows.code.shape[1]):
        carried, found = model.step(carried, windows.at(k), all_present(windows.at(k)), windows.code[:, k])
        losses.append(mean_of_senses(model.errors(found.senses, windows.at(k + 1))).mean())
    return torch.stack(losses).mean()


@torch.no_grad()
def _skill(models: Sequence[CrossModalModel], test: Windows) -> float:
    """Returns the skill of what the brain would predict: of the model that was right in the steps before."""
    carried, recent = [model.initial(TEST_STREAMS) for model in models], torch.zeros(len(models), TEST_STREAMS)
    errors, copied = [], []
    for k in range(TEST_STEPS):
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
        'found_gradual': sum(bool(hits[s]) for s in gradual) / len(gradual) if gradual else None,
        'false_per_1000': 1000 * (len(found) - true) / length,
        'delay': float(np.mean(delays)) if delays else None,
    }
