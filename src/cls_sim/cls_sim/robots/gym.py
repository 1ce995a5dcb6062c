"""Any Gymnasium environment, by its ID."""

from ..bodies import gym_env
from ..bodies.body import Body
from ..bodies.gym_body import GymBody
from ..settings import SimulatorSettings

ARGUMENT = 'ID'


def check(name: str) -> None:
    """Raises UserError for an unknown ID."""
    gym_env.find(name)


def make(name: str, settings: SimulatorSettings, argument: str) -> Body:
    """Makes the body of 'gym:ID'; the robot's name includes the version.

    Raises:
        UserError: unknown ID, a required package is missing, or its spaces are not supported.
    """
    full_name, spec = gym_env.find(name)
    return GymBody(full_name, gym_env.make_env(full_name, spec), settings)
