"""The brain `cls`: visual-motor fast and slow learning by complementary learning systems.

A fast learner (hippocampus) predicts the next embedding from every step; a slow one (cortex) learns the same function
in sleep, by distillation and replay (McClelland, McNaughton and O'Reilly 1995).
"""

from typing import Any

from cls_common.robot import RobotInfo

from ...brain import Brain, Consolidator, Input, Model, OnlineLearner
from ...config import LearningSettings
from ...registries import MEMORIES, PHASES, POLICIES, WORLD_MODELS
from .log_rows import COLUMNS

# Online and averaged weights of Fast and Slow, those of the policy, and the normaliser.
_WEIGHTS = ('fast.raw.', 'fast.acting.', 'policy.', 'normalizer.', 'slow.raw.', 'slow.acting.')


class ClsBrain(Brain):
    """Perceives one embedding; sleeps in slow-wave sleep, REM and Tether."""

    name = 'cls'
    settings = LearningSettings
    headlines = {'skill': True, 'held_out_skill': True, 'forgetting': False, 'action_use': True}
    columns = COLUMNS
    short_cycles = {
        'sleep.wake_steps_per_cycle': 60,
        'sleep.sws_steps': 20,
        'sleep.rem_steps': 20,
        'sleep.tether_steps': 10,
        'network.slow_hidden': 256,
    }

    def inputs(self, settings: Any, robot: RobotInfo) -> tuple[Input, ...]:
        """See Brain."""
        return (Input(),)

    def check(self, settings: Any) -> None:
        """See Brain."""
        WORLD_MODELS.find(settings.network.world_model)
        POLICIES.find(settings.policy.kind)
        MEMORIES.find(settings.memory.kind)
        for name in settings.sleep.phases.split():
            PHASES.find(name)

    def phases(self, settings: Any) -> tuple[str, ...]:
        """See Brain."""
        return tuple(settings.sleep.phases.split())

    def make_online_learner(self, model: Model) -> OnlineLearner:
        """See Brain."""
        from .online_learner import ClsOnlineLearner

        return ClsOnlineLearner(model.settings, model.robot, model.z_size, model.seed)

    def make_consolidator(self, model: Model, device: str) -> Consolidator:
        """See Brain."""
        from .consolidator import ClsConsolidator

        return ClsConsolidator(model.settings, model.robot, model.z_size, model.seed, device)

    def is_weight(self, part: str, name: str) -> bool:
        """See Brain. The consolidator's normaliser is a copy; only that of the online learner counts."""
        is_copy = part != 'online' and name.startswith('normalizer.')
        return name.startswith(_WEIGHTS) and not name.startswith('policy.optimizer.') and not is_copy


BRAIN = ClsBrain()
