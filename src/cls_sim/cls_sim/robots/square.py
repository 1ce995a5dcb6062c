"""A pan-tilt camera that sees a square on black, as in the original visual-motor system."""

import gymnasium

from ..bodies.body import Body
from ..bodies.pan_tilt_body import PanTiltBody
from ..settings import SimulatorSettings
from ..worlds import SQUARE_ID
from ..worlds.pan_tilt import PanTiltEnv


def make(name: str, settings: SimulatorSettings) -> Body:
    """Makes it with SquareEnv."""
    start = (settings.start_pan, settings.start_tilt)
    env = gymnasium.make(
        SQUARE_ID,
        seed=settings.seed,
        start_pose_deg=start,
        frame_rate=settings.frame_rate,
        has_target=settings.reward == 'track',
    )
    assert isinstance(env.unwrapped, PanTiltEnv)
    return PanTiltBody(name, env.unwrapped, settings)
