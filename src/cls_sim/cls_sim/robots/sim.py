"""The default robot: a pan-tilt camera in a generated room."""

from ..bodies.body import Body
from ..bodies.pan_tilt_body import PanTiltBody, room_env
from ..settings import SimulatorSettings


def make(name: str, settings: SimulatorSettings) -> Body:
    """Makes it with RoomEnv."""
    return PanTiltBody(name, room_env(settings), settings)
