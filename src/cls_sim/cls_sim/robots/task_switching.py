"""Several vector senses of one state, in a world whose task changes."""

from typing import TYPE_CHECKING

from ..settings import SimulatorSettings
from ..worlds.task_switching import TaskSwitchingEnv, TaskSwitchingSettings

if TYPE_CHECKING:
    from ..bodies.body import Body

SETTINGS = TaskSwitchingSettings


def make(name: str, settings: SimulatorSettings) -> 'Body':
    """Makes it with TaskSwitchingEnv and its settings."""
    from ..bodies.gym_body import GymBody  # OpenCV, without which settings are listed

    return GymBody(name, TaskSwitchingEnv(settings.plugins.of(TaskSwitchingSettings)), settings, splits=True)
