"""Settings of the simulator, also the parameters of its node."""

from dataclasses import dataclass
from typing import Final

from cls_common.registry import Registry
from cls_common.settings import group, plugin_group, PluginSettings, setting, Settings

ROBOTS: Final = Registry('cls_sim.robots', 'robot')
# Joint limits, degrees in both directions.
PAN_LIMIT, TILT_LIMIT = 90.0, 40.0


@dataclass(frozen=True, kw_only=True)
class FaultSettings(Settings):
    """Fault injection. Random faults are determined by the seed and the number of the frame or action."""

    frozen_from: int = setting(-1, 'frame from which the image is frozen; -1: never', low=-1)
    duplicate: float = setting(0.0, 'probability that a frame repeats the one before', low=0.0, high=1.0)
    black: float = setting(0.0, 'probability that a frame is black', low=0.0, high=1.0)
    late: float = setting(0.0, 'probability that a frame is delayed', low=0.0, high=1.0)
    late_by: float = setting(0.3, 'delay of a delayed frame', unit='s', low=0.0, high=60.0)
    image_lag: int = setting(0, 'number of images by which every image is older than its stamp', low=0, high=30)
    action_lag: int = setting(
        0, 'number of actions by which the body acts late: it carries out the action of so many before', low=0, high=30
    )
    lost_action: float = setting(0.0, 'probability that an action is lost', low=0.0, high=1.0)
    stuck_joint: int = setting(-1, 'index of a joint that does not move; -1: none', low=-1)
    stuck_from: int = setting(0, 'action from which stuck_joint does not move', low=0)


@dataclass(frozen=True, kw_only=True)
class SimulatorSettings(Settings):
    """A simulated robot: world, timing and faults."""

    robot: str = setting('sim', "robot to simulate: 'sim' (the room), 'square', 'cart_pole' and others, or 'gym:ID'")
    scene: int = setting(0, 'number of the generated room', low=0, high=2**31)
    seed: int = setting(0, 'random seed of world, sensor noise and faults', low=0, high=2**31)
    scenery: str = setting('room', 'kind of generated panorama', choices=('room', 'bare', 'tiles', 'photograph'))
    panorama: str = setting('', 'path of an image to use as the panorama; empty: a generated one')
    moving_things: int = setting(0, 'number of moving objects in the room', low=0, high=50)
    fan_size: float = setting(0.0, 'diameter of a rotating fan in the room; 0: none', unit='deg', low=0.0, high=90.0)
    fan_speed: float = setting(1.3, 'speed of the fan', unit='turns/s', low=0.0, high=50.0)
    light_drift: float = setting(0.0, 'relative amplitude of the brightness of the light', low=0.0, high=0.9)
    light_period: float = setting(60.0, 'period of the brightness of the light', unit='s', low=1.0, high=86400.0)
    change_at: float = setting(
        0.0, 'time at which the next scene replaces this one; 0: never', unit='s', low=0.0, high=1e6
    )
    reward: str = setting(
        'none',
        'reward of a pan-tilt robot: none, or track, for a coloured thing in the middle of the image',
        choices=('none', 'track'),
    )
    noise_sigma: float = setting(
        2.0, "standard deviation of the room camera's noise", unit='grey levels', low=0.0, high=30.0
    )
    servo_speed: float = setting(1200.0, 'speed of each joint', unit='deg/s', low=1.0, high=1e6)
    gear_play: float = setting(
        0.0,
        'backlash: angle that each servo turns after a reversal before the camera follows',
        unit='deg',
        low=0.0,
        high=10.0,
    )
    delay_steps: int = setting(
        0, 'number of observations by which everything sensed arrives late, images and vectors', low=0, high=30
    )
    latency: float = setting(0.0, 'time from receiving an action to its start', unit='s', low=0.0, high=10.0)
    lock_step: bool = setting(False, 'publish one image for each action and none between, as fast as possible')
    frame_rate: float = setting(30.0, 'images per second of simulated time', unit='Hz', low=0.1, high=1000.0)
    start_pan: float = setting(0.0, 'initial pan angle', unit='deg', low=-PAN_LIMIT, high=PAN_LIMIT)
    start_tilt: float = setting(0.0, 'initial tilt angle', unit='deg', low=-TILT_LIMIT, high=TILT_LIMIT)
    faults: FaultSettings = group(FaultSettings)
    plugins: PluginSettings = plugin_group(ROBOTS, 'robot')
