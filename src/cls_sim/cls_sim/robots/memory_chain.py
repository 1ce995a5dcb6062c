"""A cue to be remembered and answered after a number of steps; senses numbers only."""

from typing import TYPE_CHECKING

from ..settings import SimulatorSettings
from ..worlds.memory_chain import MemoryChainEnv, MemoryChainSettings

if TYPE_CHECKING:
    from ..bodies.body import Body

SETTINGS = MemoryChainSettings


def make(name: str, settings: SimulatorSettings) -> 'Body':
    """Makes it with MemoryChainEnv and its settings."""
    from ..bodies.gym_body import GymBody  # OpenCV, without which settings are listed

    return GymBody(name, MemoryChainEnv(settings.plugins.of(MemoryChainSettings)), settings)
