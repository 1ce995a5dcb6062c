"""A white dot on a black torus that moves to the right or stays."""

from typing import TYPE_CHECKING

from ..settings import SimulatorSettings
from ..worlds.toroidal_dot import ToroidalDotEnv, ToroidalDotSettings

if TYPE_CHECKING:
    from ..bodies.body import Body

SETTINGS = ToroidalDotSettings


def make(name: str, settings: SimulatorSettings) -> 'Body':
    """Makes it with ToroidalDotEnv and its settings."""
    from ..bodies.gym_body import GymBody  # OpenCV, without which settings are listed

    return GymBody(name, ToroidalDotEnv(settings.plugins.of(ToroidalDotSettings)), settings, has_reward=False)
