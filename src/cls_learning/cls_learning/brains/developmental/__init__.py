"""The brain `developmental`: it learns to see and to predict what it will see, at the same time, while it acts.

A masked autoencoder codes pictures as tokens and a predictor gives the tokens after an action. While it reconstructs
pictures badly the robot rests; then it may choose the action whose outcome it knows least. Asleep both networks learn
from a memory of pictures. After ih/developmental-robot-movement, whose networks and losses are the preset `reference`.
"""

from typing import Any

from cls_common.errors import UserError
from cls_common.robot import RobotInfo
from cls_common.transition import CAMERA

from ...brain import Brain, Consolidator, Input, Model, OnlineLearner
from .settings import check_networks, DevelopmentalSettings


class DevelopmentalBrain(Brain):
    """Perceives the camera of any robot."""

    name = 'developmental'
    settings = DevelopmentalSettings
    modes = ('random', 'curiosity')
    headlines = {'r2': True, 'reconstruction_share': False, 'action_gap': True}
    columns = (
        'loss', 'reconstruction_loss', 'error_before', 'copy_error', 'constant_error', 'predictor_explained_variance',
        'gate_open', 'rests', 'mask_ratio', 'autoencoder_training_loss', 'autoencoder_training_step',
        'predictor_training_loss', 'predictor_training_step', 'predictor_patch_loss', 'predictor_latent_loss',
        'predictor_action_loss', 'predictor_lr', 'predictor_grad_norm', 'predictor_uwr_95th', 'dream_loss',
        'error_before_sleep', 'error_after_sleep', 'change', 'change_low', 'change_high', 'replay_size',
    )  # fmt: skip
    short_cycles = {
        'sleep.wake_steps_per_cycle': 30, 'sleep.reconstruct_steps': 3, 'sleep.predict_steps': 3,
        'sleep.dream_steps': 2, 'sleep.dream_length': 3, 'sleep.batch_size': 2, 'network.size': 32, 'network.width': 16,
        'wake.batch_size': 2, 'wake.kept': 16, 'memory.capacity': 100, 'memory.segment': 4,
    }  # fmt: skip

    def inputs(self, settings: Any, robot: RobotInfo) -> tuple[Input, ...]:
        """See Brain."""
        return (Input(CAMERA, 'image', (settings.network.size, settings.network.size)),)

    def needs_encoder(self, settings: Any) -> bool:
        """See Brain."""
        return False

    def check(self, settings: Any) -> None:
        """See Brain."""
        check_networks(settings.network)
        own, sleep = settings.network, settings.sleep
        if own.size % own.patch:
            raise UserError(
                "parameter 'network.size'", expected=f'a multiple of {own.patch} px', found=f'{own.size} px'
            )
        if own.heads and own.width % own.heads:
            raise UserError(
                "parameter 'network.width'", expected=f'a multiple of the {own.heads} heads', found=str(own.width)
            )
        needed = sleep.dream_length + own.context - 1
        if settings.memory.keep == 'spread' and settings.memory.segment < needed:
            raise UserError(
                "parameter 'memory.segment'", expected=f'{needed} or more, the steps of a dream and its context',
                found=str(settings.memory.segment),
            )  # fmt: skip

    def phases(self, settings: Any) -> tuple[str, ...]:
        """See Brain."""
        return ('reconstruct', 'predict', 'dream')

    def make_online_learner(self, model: Model) -> OnlineLearner:
        """See Brain."""
        from .online_learner import DevelopmentalOnlineLearner

        return DevelopmentalOnlineLearner(model)

    def make_consolidator(self, model: Model, device: str) -> Consolidator:
        """See Brain."""
        from .consolidator import DevelopmentalConsolidator

        return DevelopmentalConsolidator(model, device)

    def is_weight(self, part: str, name: str) -> bool:
        """See Brain."""
        return name.startswith(('online.', 'fast.'))


BRAIN = DevelopmentalBrain()
