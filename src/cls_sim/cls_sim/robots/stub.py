"""Nine actions of two motors and random pictures: for tests of the loop without hardware."""

from ..bodies.body import Body
from ..bodies.gym_body import GymBody
from ..settings import SimulatorSettings
from ..worlds.stub import DURATION, StubEnv


def make(name: str, settings: SimulatorSettings) -> Body:
    """Makes it with StubEnv."""
    return GymBody(name, StubEnv(), settings, has_reward=False, duration=DURATION)
