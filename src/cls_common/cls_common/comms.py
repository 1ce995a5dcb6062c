"""Names, types and quality of service of all topics, services and actions, without ROS imports.

Tests compare the table in docs/graph.md with this one, and the running graph with both.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """Quality of service by name.

    Attributes:
        reliable: lost messages are sent again.
        latched: late subscribers receive the last message.
        depth: messages kept, count.
        lifespan: s after which an undelivered message is dropped; 0: never.
    """

    reliable: bool
    latched: bool
    depth: int
    lifespan: float = 0.0


SENSOR = Profile(reliable=False, latched=False, depth=1)
# Images in lock-step, where a lost one would stop the simulation.
SENSOR_RELIABLE = Profile(reliable=True, latched=False, depth=10)
STATE = Profile(reliable=True, latched=False, depth=10)
COMMAND = Profile(reliable=True, latched=False, depth=1, lifespan=1.0)
# At depth 100 and 100 Hz a subscriber that paused for 2 s lost 600 of 2,000 messages, at 1000 none.
EVENT = Profile(reliable=True, latched=False, depth=1000)
LATCHED = Profile(reliable=True, latched=True, depth=1)
DEFAULT = Profile(reliable=True, latched=False, depth=10)


@dataclass(frozen=True)
class Topic:
    """One topic: relative name, ROS type, profile, and the nodes that publish it."""

    name: str
    type: str
    profile: Profile
    publishers: tuple[str, ...]


@dataclass(frozen=True)
class Service:
    """One service: relative name, ROS type, and the nodes that serve it."""

    name: str
    type: str
    servers: tuple[str, ...]


_ROBOTS = ('simulator', 'servo_driver', 'jetbot_driver', 'player')
_IMAGE_SOURCES = ('simulator', 'camera', 'jetbot_driver', 'player')

IMAGE = Topic('camera/image_raw', 'sensor_msgs/msg/Image', SENSOR, _IMAGE_SOURCES)
CAMERA_INFO = Topic('camera/camera_info', 'sensor_msgs/msg/CameraInfo', SENSOR, _IMAGE_SOURCES)
COMPRESSED = Topic('camera/image_raw/compressed', 'sensor_msgs/msg/CompressedImage', STATE, _IMAGE_SOURCES)
OBSERVATION_PREFIX = 'observation/'
# Between a learner and the name of one of its metrics: `fast_learner/metrics/skill`.
METRICS_INFIX = '/metrics/'
JOINT_STATES = Topic('joint_states', 'sensor_msgs/msg/JointState', STATE, ('simulator', 'servo_driver', 'player'))
ROBOT_INFO = Topic('robot/info', 'cls_interfaces/msg/RobotInfo', LATCHED, _ROBOTS)
ROBOT_STATE = Topic('robot/state', 'cls_interfaces/msg/RobotState', LATCHED, _ROBOTS)
# One publisher at a time: runner or teleop only where no learner runs. Not the player: a real robot would move.
ROBOT_ACTION = Topic('robot/action', 'cls_interfaces/msg/RobotAction', COMMAND, ('fast_learner', 'runner', 'teleop'))
MANUAL_ACTION = Topic('manual_action', 'cls_interfaces/msg/RobotAction', COMMAND, ('teleop', 'dashboard'))
APPLIED_ACTION = Topic('robot/applied_action', 'cls_interfaces/msg/AppliedAction', EVENT, _ROBOTS)
# The player only where the recorded embeddings are of the configured encoder.
EMBEDDING = Topic('embedding', 'cls_interfaces/msg/Embedding', STATE, ('encoder', 'player'))
EXPERIENCE = Topic('experience', 'cls_interfaces/msg/Experience', EVENT, ('fast_learner',))
FAST_STATUS = Topic('fast_learner/status', 'cls_interfaces/msg/LearnerStatus', LATCHED, ('fast_learner',))
SLOW_STATUS = Topic('slow_learner/status', 'cls_interfaces/msg/LearnerStatus', LATCHED, ('slow_learner',))
# Computed only while a viewer subscribes.
PICTURES = Topic('fast_learner/pictures', 'sensor_msgs/msg/Image', DEFAULT, ('fast_learner',))
RECORDER_STATUS = Topic('recorder/status', 'cls_interfaces/msg/RecorderStatus', LATCHED, ('recorder',))
PLAYER_STATUS = Topic('player/status', 'cls_interfaces/msg/PlayerStatus', LATCHED, ('player',))
DIAGNOSTICS = Topic(
    '/diagnostics',
    'diagnostic_msgs/msg/DiagnosticArray',
    DEFAULT,
    ('camera', 'servo_driver', 'jetbot_driver', 'simulator'),
)
CLOCK = Topic('/clock', 'rosgraph_msgs/msg/Clock', DEFAULT, ('player', 'simulator'))

TOPICS = (
    IMAGE,
    CAMERA_INFO,
    COMPRESSED,
    JOINT_STATES,
    ROBOT_INFO,
    ROBOT_STATE,
    ROBOT_ACTION,
    MANUAL_ACTION,
    APPLIED_ACTION,
    EMBEDDING,
    EXPERIENCE,
    FAST_STATUS,
    SLOW_STATUS,
    PICTURES,
    RECORDER_STATUS,
    PLAYER_STATUS,
    DIAGNOSTICS,
    CLOCK,
)

SET_MODE = Service('set_mode', 'cls_interfaces/srv/SetMode', ('fast_learner',))
SAVE_MODEL = Service('save_model', 'std_srvs/srv/Trigger', ('slow_learner',))
_STOPPABLE = ('simulator', 'servo_driver', 'jetbot_driver')
EMERGENCY_STOP = Service('emergency_stop', 'std_srvs/srv/Trigger', _STOPPABLE)
REARM = Service('rearm', 'std_srvs/srv/Trigger', _STOPPABLE)
BEGIN_SLEEP = Service('fast_learner/begin_sleep', 'cls_interfaces/srv/BeginSleep', ('fast_learner',))
END_SLEEP = Service('fast_learner/end_sleep', 'cls_interfaces/srv/EndSleep', ('fast_learner',))
GET_STATE = Service('fast_learner/get_state', 'cls_interfaces/srv/GetState', ('fast_learner',))
LOAD_STATE = Service('fast_learner/load_state', 'cls_interfaces/srv/LoadState', ('fast_learner',))
GET_EXPERIENCES = Service('fast_learner/get_experiences', 'cls_interfaces/srv/GetExperiences', ('fast_learner',))
GET_ENCODER = Service('encoder/get_encoder', 'cls_interfaces/srv/GetEncoder', ('encoder',))
START_RECORDING = Service('recorder/start', 'cls_interfaces/srv/StartRecording', ('recorder',))
STOP_RECORDING = Service('recorder/stop', 'std_srvs/srv/Trigger', ('recorder',))
PAUSE_PLAYER = Service('player/set_paused', 'std_srvs/srv/SetBool', ('player',))
SET_PLAYER_RATE = Service('player/set_rate', 'cls_interfaces/srv/SetRate', ('player',))
SEEK_PLAYER = Service('player/seek', 'cls_interfaces/srv/Seek', ('player',))

SERVICES = (
    SET_MODE,
    SAVE_MODEL,
    EMERGENCY_STOP,
    REARM,
    BEGIN_SLEEP,
    END_SLEEP,
    GET_STATE,
    LOAD_STATE,
    GET_EXPERIENCES,
    GET_ENCODER,
    START_RECORDING,
    STOP_RECORDING,
    PAUSE_PLAYER,
    SET_PLAYER_RATE,
    SEEK_PLAYER,
)

SLEEP = Service('sleep', 'cls_interfaces/action/Sleep', ('slow_learner',))

# Modes in which the brain acts: at random; by its own policy, whatever that seeks; by that policy without exploring.
ACTING_MODES = ('random', 'curiosity', 'greedy')
MODES = ('manual', *ACTING_MODES, 'follow')


def observation_topic(modality: str) -> Topic:
    """Returns the topic of a robot's modality other than its camera."""
    return Topic(OBSERVATION_PREFIX + modality, 'cls_interfaces/msg/Observation', STATE, ('simulator', 'player'))
