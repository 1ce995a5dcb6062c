"""The brain `cross_modal`: several senses feed one recurrent model, in worlds that change without a sign.

Awake, Fast learns to predict all senses and Slow, which knows the worlds before, predicts beside it; a change of the
world is found by the errors of Slow and ends the cycle. Asleep (phase `dream`) one model learns what both know, from
dreams that begin in a small memory. After gnostrich/Continual-Learning: its network is the same.
"""

from typing import Any

from cls_common.errors import UserError
from cls_common.robot import RobotInfo
from cls_common.transition import CAMERA, EMBEDDING

from ...brain import Brain, Consolidator, Input, Model, OnlineLearner
from .settings import CrossModalSettings

_WEIGHTS = ('online.', 'fast.', 'slow.')


class CrossModalBrain(Brain):
    """Perceives any number of vectors, and an embedding, of any robot."""

    name = 'cross_modal'
    settings = CrossModalSettings
    modes = ('random', 'curiosity', 'greedy')
    headlines = {'model_error': False, 'change_alarms': False}
    columns = (
        'loss', 'error_before', 'copy_error', 'error_fast', 'error_slow', 'by_slow', 'changed', 'senses_left_out',
        'reward', 'dream_loss', 'divergence', 'error_before_sleep', 'error_after_sleep', 'change', 'change_low',
        'change_high', 'replay_size',
    )  # fmt: skip
    short_cycles = {
        'sleep.wake_steps_per_cycle': 60, 'sleep.dream_steps': 10, 'sleep.batch_size': 4, 'network.hidden': 16,
        'actor.warmup': 20, 'memory.capacity': 200,
    }  # fmt: skip

    def inputs(self, settings: Any, robot: RobotInfo) -> tuple[Input, ...]:
        """See Brain."""
        names = settings.senses.split() or [name for name in robot.modalities if name != CAMERA] or [EMBEDDING]
        return tuple(Input() if name == EMBEDDING else Input(name, 'vector') for name in names)

    def needs_encoder(self, settings: Any) -> bool:
        """See Brain."""
        return EMBEDDING in settings.senses.split()

    def check(self, settings: Any) -> None:
        """See Brain."""
        senses, network = settings.senses.split(), settings.network
        if len(set(senses)) < len(senses):
            raise UserError("parameter 'senses'", expected='different names', found=repr(settings.senses))
        if network.hidden % network.heads:
            raise UserError(
                "parameter 'network.hidden'", expected=f'a multiple of the {network.heads} heads',
                found=str(network.hidden),
            )  # fmt: skip
        if settings.memory.keep == 'spread' and settings.memory.segment < settings.sleep.window:
            raise UserError(
                "parameter 'memory.segment'", expected=f'{settings.sleep.window} or more, the steps of sleep.window',
                found=str(settings.memory.segment),
            )  # fmt: skip

    def phases(self, settings: Any) -> tuple[str, ...]:
        """See Brain."""
        return ('dream', 'anchor') if settings.sleep.anchor.penalty else ('dream',)

    def make_online_learner(self, model: Model) -> OnlineLearner:
        """See Brain."""
        from .online_learner import CrossModalOnlineLearner

        return CrossModalOnlineLearner(model)

    def make_consolidator(self, model: Model, device: str) -> Consolidator:
        """See Brain."""
        from .consolidator import CrossModalConsolidator

        return CrossModalConsolidator(model, device)

    def is_weight(self, part: str, name: str) -> bool:
        """See Brain."""
        return name.startswith(_WEIGHTS)


BRAIN = CrossModalBrain()
