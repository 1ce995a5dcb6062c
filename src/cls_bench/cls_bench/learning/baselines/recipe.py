"""The learners themselves, with settings: default, reference, and ablations of one part each."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
import json
from typing import Any, ClassVar, Final

from cls_common.errors import UserError
from cls_common.resources import config_dir
from cls_learning.config import LearningSettings
from cls_learning.runtime.config_resolution import resolve

from ..evaluator import Metrics
from ..protocol import SMALLEST, StreamProtocol
from .contract import Baseline, Task, Values

Overrides = tuple[tuple[str, Any], ...]
# Walks are given, so the policy has no influence; the cheapest kind is chosen.
GIVEN_WALKS: Final = {'policy.kind': 'visit_count'}


@dataclass(frozen=True)
class RecipeBaseline(Baseline):
    """A recipe of the learners.

    Attributes:
        preset: of config/presets; 'default': the code's own.
        overrides: settings by dotted name.
        sleeps: whether the learners sleep.
        scored: 'slow' or 'fast'.
    """

    name: str
    preset: str = 'default'
    overrides: Overrides = ()
    sleeps: bool = True
    scored: str = 'slow'
    sources: ClassVar[tuple[str, ...]] = (
        'cls_learning.brains.cls.online_learner',
        'cls_learning.brains.cls.consolidator',
        'cls_learning.brains.cls.sleep_run',
        'cls_learning.brains.cls.alarms',
        'cls_learning.brains.cls.camera_watch',
        'cls_learning.brains.cls.image_delay',
        'cls_learning.brains.cls.late_images',
        'cls_learning.learners',
        'cls_learning.memory',
        'cls_learning.consolidation',
        'cls_learning.evaluation.change_detection',
        'cls_learning.penalties',
        'cls_learning.world_models',
        'cls_learning.randomness',
        'cls_learning.space_change',
    )

    def settings(self, protocol: StreamProtocol, share: float) -> LearningSettings:
        """Returns the settings; outside of named environments, sleep and memory are fitted to the protocol."""
        settings, _, _ = resolve(config_dir() / 'presets', self.preset, dict(self.overrides))
        imposed = GIVEN_WALKS if protocol.environment else GIVEN_WALKS | fitted(settings, protocol, share)
        return LearningSettings.from_flat(settings.to_flat() | imposed)

    def depends_on(self, protocol: StreamProtocol, share: float) -> Values:
        return {'settings': self.settings(protocol, share).to_flat(), 'sleeps': self.sleeps, 'scored': self.scored}

    def changed(self, name: str, changes: Sequence[str]) -> 'RecipeBaseline':
        """Returns a copy under another name with `SETTING=VALUE` changed; raises UserError for one without `=`."""
        return replace(self, name=name, overrides=(*self.overrides, *(_parse(text) for text in changes)))

    def run(self, task: Task) -> Metrics:
        from ..stream_run import run_stream

        return run_stream(self.settings(task.protocol, task.share), task, sleeps=self.sleeps, scored=self.scored)


def fitted(settings: LearningSettings, protocol: StreamProtocol, share: float) -> dict[str, Any]:
    """Returns the settings that the protocol imposes on a recipe.

    Fast's window and reservoir are stored beside the memory that sleep replays, so they count against the share: the
    window as in the protocol, the reservoir as a fifth of the rest, both only where Fast learns from them. A recipe
    with a window sleeps before it overflows, more often and shorter, so that each step is replayed at least once.
    """
    fast = settings.fast
    kept = protocol.capacity(share) + (protocol.window if protocol.window_counts else 0)
    window = min(fast.ring, protocol.window) if fast.recent else 1
    kept -= window if protocol.window_counts else 0
    reservoir = min(fast.reservoir, kept // 5) if fast.older else 0
    memory = max(kept - reservoir, SMALLEST)
    parts = _parts(protocol.cycle, max(window, SMALLEST)) if fast.recent else 1
    steps = settings.sleep.to_flat()
    return {
        'fast.ring': window,
        'fast.reservoir': reservoir,
        'memory.capacity': memory,
        'sleep.wake_steps_per_cycle': protocol.cycle // parts,
        **{f'sleep.{name}': max(round(steps[name] / parts), 1) for name in ('sws_steps', 'rem_steps', 'tether_steps')},
    }


def _parts(cycle: int, longest: int) -> int:
    """Returns the smallest number of equal parts of a cycle that are at most `longest` steps long."""
    return next(parts for parts in range(1, cycle + 1) if cycle % parts == 0 and cycle // parts <= longest)


def stored(settings: LearningSettings) -> int:
    """Returns the maximal number of transitions that a recipe keeps."""
    return settings.fast.ring + settings.fast.reservoir + settings.memory.capacity


def slow_budget(settings: LearningSettings, protocol: StreamProtocol) -> tuple[int, int]:
    """Returns Slow's optimiser steps and sample-gradients over a stream."""
    sleep = settings.sleep
    phases = sleep.phases.split()
    sws = sleep.sws_steps if 'sws' in phases else 0
    rem = sleep.rem_steps if 'rem' in phases else 0
    wakes, sleeps = protocol.total // settings.slow.wake_interval, protocol.total // protocol.cycle
    steps = wakes + sleeps * (sws + rem)
    return steps, wakes + sleeps * sleep.batch_size * (sws + rem * sleep.rem_k)


def default_budget(protocol: StreamProtocol) -> tuple[int, int]:
    """Returns optimiser steps and sample-gradients of the default recipe's Slow: the budget of its baselines."""
    return slow_budget(LearningSettings(), protocol)


def _parse(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition('=')
    if not equals:
        raise UserError(f'change {text!r} of a recipe', expected='SETTING=VALUE')
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


def baselines() -> list[Baseline]:
    """Returns the recipes."""
    return [
        RecipeBaseline('default'),
        RecipeBaseline('reference', preset='reference'),
        RecipeBaseline('fast_only', sleeps=False, scored='fast'),
        RecipeBaseline('no_sleep', sleeps=False),
        RecipeBaseline('distill_only', overrides=(('sleep.sws_target', 'fast'),)),
        RecipeBaseline('gru', overrides=(('network.world_model', 'gru'),)),
        RecipeBaseline('real_only', overrides=(('sleep.gate_max', 0.0), ('slow.wake_distill_weight', 0.0))),
        RecipeBaseline('no_virtual_pairs', overrides=(('sleep.virtual_share', 0.0),)),
    ]
