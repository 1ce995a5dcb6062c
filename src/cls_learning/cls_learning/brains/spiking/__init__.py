"""The brain `spiking`: a spiking world model learned from few real steps, and an actor-critic that learns inside it.

Awake the actor collects transitions, and the world model learns a little. Asleep the world model learns from replay
(phase `sws`), then actor and critic learn from imagined trajectories alone (phase `rem`), after Dreamer (Hafner et al.
2023).
"""

from typing import Any

from cls_common.errors import UserError
from cls_common.robot import RobotInfo
from cls_common.transition import EMBEDDING

from ...brain import Brain, Consolidator, Input, Model, OnlineLearner
from ...registries import WORLD_MODELS
from .settings import SpikingBrainSettings, WorldSettings

HAND_OVER = 'hand_over'
_WEIGHTS = ('model.', 'actor.', 'critic.', 'slow_critic.', 'return_range')


class SpikingBrain(Brain):
    """Perceives vectors or an embedding of a robot that gives a reward."""

    name = 'spiking'
    settings = SpikingBrainSettings
    modes = ('random', 'curiosity', 'greedy')
    headlines = {'return': True, 'model_error': False, 'spike_rate': False}
    columns = (
        'reward', 'episode_return', 'error_before', 'copy_error', 'spike_rate', 'model_loss', 'critic_loss',
        'imagined_return', 'entropy', 'replay_size', 'actor_return', 'actor_change', 'actor_low', 'actor_high',
    )  # fmt: skip
    short_cycles = {
        'warmup': 120, 'sleep.wake_steps_per_cycle': 60, 'sleep.naps': 1, 'sleep.sws_steps': 20, 'sleep.rem_steps': 10,
        'world.hidden': 32, 'world.batch_size': 32, 'agent.starts': 16, 'agent.wake_interval': 4,
    }  # fmt: skip

    def inputs(self, settings: Any, robot: RobotInfo) -> tuple[Input, ...]:
        """See Brain."""
        return tuple(Input() if name == EMBEDDING else Input(name, 'vector') for name in settings.senses.split())

    def needs_encoder(self, settings: Any) -> bool:
        """See Brain."""
        return EMBEDDING in settings.senses.split()

    def needs_reward(self, settings: Any) -> bool:
        """See Brain."""
        return bool(settings.agent.task)

    def check(self, settings: Any) -> None:
        """See Brain."""
        _check_online(settings.world, getattr(WORLD_MODELS.find(settings.world.model), 'RTRL_LEVELS', ()))
        senses = settings.senses.split()
        if not senses or len(set(senses)) < len(senses):
            raise UserError("parameter 'senses'", expected='different names', found=repr(settings.senses))
        agent, world = settings.agent, settings.world
        needed = world.batch_size + world.window - 1
        if world.capacity < needed:
            raise UserError(
                "parameter 'world.capacity'",
                expected=f'{needed} or more, for {world.batch_size} windows of {world.window} steps',
                found=str(world.capacity),
            )
        if settings.sleep.naps >= settings.sleep.wake_steps_per_cycle:
            raise UserError(
                "parameter 'sleep.naps'",
                expected=f'fewer than the {settings.sleep.wake_steps_per_cycle} of sleep.wake_steps_per_cycle',
                found=str(settings.sleep.naps),
            )
        if not agent.task and agent.curiosity <= 0:
            raise UserError(
                "parameters 'agent.task' and 'agent.curiosity'",
                expected='one above 0',
                found=f'{agent.task} and {agent.curiosity}',
            )
        if agent.curiosity and agent.intrinsic == 'disagreement' and world.ensemble < 2:
            raise UserError(
                "parameter 'agent.curiosity'",
                expected="0, or 'world.ensemble' of 2 or more",
                found=str(agent.curiosity),
            )

    def phases(self, settings: Any) -> tuple[str, ...]:
        """See Brain."""
        return ('sws', 'rem', HAND_OVER) if settings.sleep.naps else ('sws', 'rem')

    def make_online_learner(self, model: Model) -> OnlineLearner:
        """See Brain."""
        from .online_learner import SpikingOnlineLearner

        return SpikingOnlineLearner(model)

    def make_consolidator(self, model: Model, device: str) -> Consolidator:
        """See Brain."""
        from .consolidator import SpikingConsolidator

        return SpikingConsolidator(model, device)

    def is_weight(self, part: str, name: str) -> bool:
        """See Brain."""
        return name.startswith(_WEIGHTS)


def _check_online(world: WorldSettings, levels: tuple[str, ...]) -> None:
    if world.online not in ('off', *levels):
        raise UserError(
            f"parameter 'world.online' for world model {world.model!r}",
            expected='one of ' + ', '.join(('off', *levels)) if levels else 'off',
            found=repr(world.online),
            do='' if levels else 'Choose the world model event_gru or trace_units to learn online.',
        )
    if world.online != 'off' and world.window < 2:
        raise UserError(
            "parameter 'world.online'",
            expected="off, or 'world.window' of 2 or more, over which a state is carried",
            found=f'{world.online!r} and window {world.window}',
        )
    if world.online != 'off' and world.step_duration:
        raise UserError(
            "parameter 'world.online'",
            expected="off, or 'world.step_duration' 0: its gradients are those of nominal steps",
            found=f'{world.online!r} and duration {world.step_duration}',
        )


BRAIN = SpikingBrain()
