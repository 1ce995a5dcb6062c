"""A cart with a pole to swing up and balance."""

from typing import TYPE_CHECKING

from ..settings import SimulatorSettings
from ..worlds.cart_pole import CartPoleEnv, CartPoleSettings

if TYPE_CHECKING:
    from ..bodies.body import Body

SETTINGS = CartPoleSettings


def make(name: str, settings: SimulatorSettings) -> 'Body':
    """Makes it with CartPoleEnv and its settings."""
    from ..bodies.gym_body import GymBody  # OpenCV, without which settings are listed

    return GymBody(name, CartPoleEnv(settings.plugins.of(CartPoleSettings), render_mode='rgb_array'), settings)
