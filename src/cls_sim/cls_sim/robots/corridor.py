"""A square that walks in a corridor with bends."""

from typing import TYPE_CHECKING

from ..settings import SimulatorSettings
from ..worlds.corridor import CorridorEnv
from ..worlds.corridor_map import CorridorSettings

if TYPE_CHECKING:
    from ..bodies.body import Body

SETTINGS = CorridorSettings


def make(name: str, settings: SimulatorSettings) -> 'Body':
    """Makes it with CorridorEnv and its settings."""
    from ..bodies.gym_body import GymBody  # OpenCV, without which settings are listed

    return GymBody(name, CorridorEnv(settings.plugins.of(CorridorSettings)), settings, has_reward=False)
