"""Every knob of the simulator, also the parameters of its node."""

from dataclasses import dataclass

from cls_common.settings import group, setting, Settings

# Of the joints, degrees either way (row 000-066).
PAN_LIMIT, TILT_LIMIT = 90.0, 40.0


@dataclass(frozen=True, kw_only=True)
class FaultSettings(Settings):
    """What goes wrong on purpose. Chances are drawn from the seed and the count of frames or actions."""

    frozen_from: int = setting(-1, 'frame from which the picture stands still; -1: never', low=-1)
    duplicate: float = setting(0.0, 'chance that a frame repeats the one before', low=0.0, high=1.0)
    black: float = setting(0.0, 'chance that a frame is black', low=0.0, high=1.0)
    late: float = setting(0.0, 'chance that a frame arrives late', low=0.0, high=1.0)
    late_by: float = setting(0.3, 'how late a late frame arrives', unit='s', low=0.0, high=60.0)
    image_lag: int = setting(0, 'by how many images every picture is older than its stamp says', low=0, high=30)
    lost_action: float = setting(0.0, 'chance that an action is never heard', low=0.0, high=1.0)
    stuck_joint: int = setting(-1, 'index of a joint that does not move; -1: none', low=-1)
    stuck_from: int = setting(0, 'action from which that joint is stuck', low=0)


@dataclass(frozen=True, kw_only=True)
class SimulatorSettings(Settings):
    """A simulated robot, its world, its pace and its faults."""

    robot: str = setting('sim', "which robot: 'sim' (the room), 'square' or 'gym:ID'")
    scene: int = setting(0, 'which room; another number is another room', low=0, high=2**31)
    seed: int = setting(0, 'of the world, of sensor noise and of faults', low=0, high=2**31)
    scenery: str = setting('room', 'kind of generated panorama', choices=('room', 'bare', 'tiles', 'photograph'))
    panorama: str = setting('', 'path of an image to look around in, in place of a generated one')
    moving_things: int = setting(0, 'things that move about in the room', low=0, high=50)
    fan_size: float = setting(0.0, 'diameter of a fan that turns in the room; 0: none', unit='deg', low=0.0, high=90.0)
    fan_speed: float = setting(1.3, 'of the fan', unit='turns/s', low=0.0, high=50.0)
    light_drift: float = setting(0.0, 'share by which the light rises and falls', low=0.0, high=0.9)
    light_period: float = setting(60.0, 'of one rise and fall of the light', unit='s', low=1.0, high=86400.0)
    change_at: float = setting(
        0.0, 'time at which the next scene takes the place of this one; 0: never', unit='s', low=0.0, high=1e6
    )
    noise_sigma: float = setting(2.0, "of the room camera's noise", unit='grey levels', low=0.0, high=30.0)
    servo_speed: float = setting(1200.0, 'of each joint', unit='deg/s', low=1.0, high=1e6)
    gear_play: float = setting(
        0.0, 'angle that each servo turns after a reversal before the camera follows', unit='deg', low=0.0, high=10.0
    )
    latency: float = setting(0.0, 'from hearing an action to its start', unit='s', low=0.0, high=10.0)
    lock_step: bool = setting(False, 'one image for each action and none in between, as fast as possible')
    frame_rate: float = setting(30.0, 'images a second (of simulated time)', unit='Hz', low=0.1, high=1000.0)
    start_pan: float = setting(0.0, 'where pan starts', unit='deg', low=-PAN_LIMIT, high=PAN_LIMIT)
    start_tilt: float = setting(0.0, 'where tilt starts', unit='deg', low=-TILT_LIMIT, high=TILT_LIMIT)
    faults: FaultSettings = group(FaultSettings)
