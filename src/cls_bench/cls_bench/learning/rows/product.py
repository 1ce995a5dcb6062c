"""The product's own two halves, with recipe overrides: default, reference, and one thing taken away at a time."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
import json
from typing import Any, ClassVar, Final

from cls_common.errors import UserError
from cls_common.resources import config_dir
from cls_learning.agent.recipe import resolve
from cls_learning.config import LearningSettings

from ..judge import Figures
from ..plan import Plan, SMALLEST
from .contract import Row, Task, Values

Overrides = tuple[tuple[str, Any], ...]
# Walks are given, so curiosity decides nothing here; the cheapest kind leaves the networks as they are.
GIVEN_WALKS: Final = {'policy.kind': 'visit_count'}


@dataclass(frozen=True)
class ProductRow(Row):
    """A recipe.

    Attributes:
        preset: of config/presets; 'default': the code's own.
        overrides: settings by dotted name.
        sleeps: whether it has nights.
        scored: 'slow' or 'fast'.
    """

    name: str
    preset: str = 'default'
    overrides: Overrides = ()
    sleeps: bool = True
    scored: str = 'slow'
    sources: ClassVar[tuple[str, ...]] = (
        'cls_learning.agent.waking', 'cls_learning.agent.sleeping', 'cls_learning.agent.camera_watch',
        'cls_learning.agent.image_delay', 'cls_learning.agent.late_images',
        'cls_learning.learners', 'cls_learning.memory', 'cls_learning.consolidation', 'cls_learning.world_models',
        'cls_learning.randomness', 'cls_learning.space_change',
    )  # fmt: skip

    def settings(self, plan: Plan, share: float) -> LearningSettings:
        """Returns the recipe; outside of named worlds fitted into the life: when it sleeps and how much it may keep."""
        settings, _, _ = resolve(config_dir() / 'presets', self.preset, dict(self.overrides))
        imposed = GIVEN_WALKS if plan.world else GIVEN_WALKS | fitted(settings, plan, share)
        return LearningSettings.from_flat(settings.to_flat() | imposed)

    def depends_on(self, plan: Plan, share: float) -> Values:
        return {'settings': self.settings(plan, share).to_flat(), 'sleeps': self.sleeps, 'scored': self.scored}

    def changed(self, name: str, changes: Sequence[str]) -> 'ProductRow':
        """Returns it under another name with `SETTING=VALUE` changed; UserError where one can't be read."""
        return replace(self, name=name, overrides=(*self.overrides, *(_parse(text) for text in changes)))

    def run(self, task: Task) -> Figures:
        from ..living import live

        return live(self.settings(task.plan, task.share), task, sleeps=self.sleeps, scored=self.scored)


def fitted(settings: LearningSettings, plan: Plan, share: float) -> dict[str, Any]:
    """Returns what a life imposes on a recipe.

    Fast's window and reservoir are kept apart from the memory that sleep replays, so they count: the window as the
    plan says, the reservoir as a fifth of what is left, both only where Fast learns from them. A recipe with a window
    sleeps before it overflows, so that every step is there in some night: more often, and as much shorter.
    """
    fast = settings.fast
    kept = plan.capacity(share) + (plan.window if plan.window_counts else 0)
    window = min(fast.ring, plan.window) if fast.recent else 1
    kept -= window if plan.window_counts else 0
    reservoir = min(fast.reservoir, kept // 5) if fast.older else 0
    memory = max(kept - reservoir, SMALLEST)
    parts = _parts(plan.cycle, max(window, SMALLEST)) if fast.recent else 1
    steps = settings.sleep.to_flat()
    return {
        'fast.ring': window, 'fast.reservoir': reservoir, 'memory.capacity': memory,
        'sleep.wake_steps_per_cycle': plan.cycle // parts,
        **{f'sleep.{name}': max(round(steps[name] / parts), 1) for name in ('sws_steps', 'rem_steps', 'tether_steps')},
    }  # fmt: skip


def _parts(cycle: int, longest: int) -> int:
    """Returns into how many equal parts a day falls, none longer than so many steps."""
    return next(parts for parts in range(1, cycle + 1) if cycle % parts == 0 and cycle // parts <= longest)


def stored(settings: LearningSettings) -> int:
    """Returns how many transitions a recipe may keep in all."""
    return settings.fast.ring + settings.fast.reservoir + settings.memory.capacity


def slow_budget(settings: LearningSettings, plan: Plan) -> tuple[int, int]:
    """Returns Slow's optimiser steps and sample-gradients over a life."""
    sleep = settings.sleep
    phases = sleep.phases.split()
    sws = sleep.sws_steps if 'sws' in phases else 0
    rem = sleep.rem_steps if 'rem' in phases else 0
    wakes, nights = plan.total // settings.slow.wake_interval, plan.total // plan.cycle
    steps = wakes + nights * (sws + rem)
    return steps, wakes + nights * sleep.batch_size * (sws + rem * sleep.rem_k)


def default_budget(plan: Plan) -> tuple[int, int]:
    """Returns optimiser steps and sample-gradients of the default recipe's Slow, that its opponents get as well."""
    return slow_budget(LearningSettings(), plan)


def _parse(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition('=')
    if not equals:
        raise UserError(f'change {text!r} of a recipe', expected='SETTING=VALUE')
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


def _virtual_pairs_off() -> Overrides:
    """Returns what switches virtual pairs off, by the names of the settings that the recipe has for them."""
    settings = LearningSettings()
    return tuple((name, type(value)(0)) for name, value in settings.to_flat().items() if 'virtual' in name)


def rows() -> list[Row]:
    """Returns the recipes; a row without virtual pairs only where the default recipe has them."""
    found: list[Row] = [
        ProductRow('default'),
        ProductRow('reference', preset='reference'),
        ProductRow('fast_only', sleeps=False, scored='fast'),
        ProductRow('no_sleep', sleeps=False),
        ProductRow('distill_only', overrides=(('sleep.sws_target', 'fast'),)),
        ProductRow('gru', overrides=(('network.world_model', 'gru'),)),
        ProductRow('real_only', overrides=(('sleep.gate_max', 0.0), ('slow.wake_distill_weight', 0.0))),
    ]
    off = _virtual_pairs_off()
    return [*found, ProductRow('no_virtual_pairs', overrides=off)] if off else found
