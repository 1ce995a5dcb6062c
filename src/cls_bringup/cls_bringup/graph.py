"""Description of the node graph: its processes and their parameters, without ROS imports.

`launch/*.launch.py` and `./cls up` both start the processes that `describe` returns.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from cls_common.comms import MODES
from cls_common.errors import UserError
from cls_common.overrides import by_node
from cls_common.registry import split
from cls_common.robot import GYM
from cls_learning.brain import find
from cls_sim.settings import ROBOTS as SIMULATED

JETBOT = 'jetbot'
HARDWARE = ('pan_tilt', JETBOT)
REPLAY = 'replay'  # a recorded session instead of a robot
# s from SIGINT until a node is killed; saving a model at low priority on a busy machine takes long.
STOP_WAIT = 45.0
# Asked to end when all others have: they take their last messages.
ENDS_LAST = ('recorder', 'frame_writer')


@dataclass(frozen=True)
class Process:
    """One node as an operating system process.

    Attributes:
        name: node name, equal to the executable's.
        package: its ROS package.
        parameters: by dotted name; they override `parameter_files`.
        parameter_files: names in `config/`, or paths; later ones override earlier ones.
    """

    name: str
    package: str
    parameters: dict[str, Any] = field(default_factory=dict)
    parameter_files: tuple[str, ...] = ()

    @property
    def module(self) -> str:
        """Python module whose `main()` is the node."""
        return f'{self.package}.nodes.{self.name}'


@dataclass(frozen=True, kw_only=True)
class GraphOptions:
    """The options of a graph: launch arguments and options of `./cls up` and `./cls play`.

    `arguments.ARGUMENTS` describes each. Options at their default here are left to the parameter files.
    """

    robot: str = 'sim'
    brain: str = ''
    model: str = 'default'
    models_dir: str = 'models'
    mode: str = ''
    encoder: str = ''
    preset: str = ''
    port: str = ''
    camera: str = ''
    scene: int = -1
    lock_step: bool = False
    seed: int = -1
    steps: int = 0
    save_frames: bool = False
    record: bool = False
    sessions_dir: str = 'sessions'
    session: str = ''
    rate: float = 1.0
    loop: bool = False
    paused: bool = False
    filter_action: str = ''
    params_file: str = ''
    settings: tuple[str, ...] = ()
    accept_robot: bool = False

    def __post_init__(self) -> None:
        name, argument = split(self.robot)
        known = [*SIMULATED.names(), *HARDWARE, REPLAY]
        if name not in known or (name == GYM.rstrip(':') and not argument):
            listed = ', '.join(robot for robot in known if robot not in (GYM.rstrip(':'), REPLAY))
            raise UserError(f'unknown robot {self.robot!r}', expected=f'{listed} or {GYM}ID')
        if self.brain:
            find(self.brain)
        if self.mode and self.mode not in MODES:
            raise UserError(f'unknown mode {self.mode!r}', expected=' or '.join(MODES))
        self._check_replay()
        chosen = by_node(self.settings)
        if 'simulator' in chosen and not self.simulated:
            raise UserError('a setting of the simulation', expected='a simulated robot', found=self.robot)
        if 'jetbot_driver' in chosen and self.robot != JETBOT:
            raise UserError('a setting of the JetBot', expected=f'robot {JETBOT}', found=self.robot)
        if self.steps < 0:
            raise UserError('steps', expected='0 (no end) or more', found=str(self.steps))

    def _check_replay(self) -> None:
        if (self.robot == REPLAY) != bool(self.session):
            raise UserError(
                f'robot {self.robot!r} with session {self.session!r}',
                expected=f'a session with robot {REPLAY}, and with no other',
                do='Replay with `./cls play SESSION`.',
            )
        if self.robot == REPLAY and (self.lock_step or self.mode not in ('', 'follow')):
            raise UserError('a replay', expected='mode follow, without lock-step', found=f'mode {self.mode!r}')
        if not (self.rate == 0.0 or 0.1 <= self.rate <= 100.0):
            expected = '0.1 to 100, or 0 for as fast as the learner takes it'
            raise UserError('rate', expected=expected, found=f'{self.rate}')

    @property
    def simulated(self) -> bool:
        """Whether the robot is simulated."""
        return self.robot not in (*HARDWARE, REPLAY)

    @property
    def deployment(self) -> str:
        """Name of the parameter file in config/."""
        return 'sim.param.yaml' if self.simulated else f'{self.robot}.param.yaml'


def describe_body(options: GraphOptions) -> list[Process]:
    """Returns the processes of the robot: a simulator, a player, or its drivers."""
    files = _files(options)
    if options.simulated:
        parameters: dict[str, Any] = {'robot': options.robot}
        if options.lock_step:
            parameters['lock_step'] = True
        if options.scene >= 0:
            parameters['scene'] = options.scene
        if options.seed >= 0:
            parameters['seed'] = options.seed
        return _with_settings(options, [Process('simulator', 'cls_sim', parameters, files)])
    if options.robot == REPLAY:
        return [Process('player', 'cls_recording', _replay(options), files)]
    if options.robot == JETBOT:
        return _with_settings(options, [Process('jetbot_driver', 'cls_jetbot_driver', {}, files)])
    camera = {'source': options.camera} if options.camera else {}
    driver = {'port': options.port} if options.port else {}
    return [
        Process('camera', 'cls_perception', camera, files),
        Process('servo_driver', 'cls_servo_driver', driver, files),
    ]


def describe_brain(options: GraphOptions) -> list[Process]:
    """Returns the processes of the brain, the same for every robot."""
    files = _files(options)
    threads = {'threads': 1} if options.seed >= 0 else {}
    seed = {'seed': options.seed} if options.seed >= 0 else {}
    model = {'model': options.model, 'models_dir': options.models_dir}
    # In lock-step the simulator publishes /clock, in a replay the player.
    clock = {'use_sim_time': True} if options.lock_step or options.robot == REPLAY else {}
    encoder: dict[str, Any] = {**model, **threads, **seed, **clock}
    if options.lock_step:
        encoder['reliable_images'] = True
    if options.encoder:
        encoder['encoder'] = options.encoder
    fast: dict[str, Any] = {**threads, **clock}
    if options.steps:
        fast['max_steps'] = options.steps
    if options.mode:
        fast['mode'] = options.mode
    slow: dict[str, Any] = {**model, **threads, **seed, **clock}
    if options.preset:
        slow['preset'] = options.preset
    if options.accept_robot:
        slow['accept_robot'] = True
    if options.brain:
        slow['brain'] = options.brain
    processes = [
        Process('fast_learner', 'cls_learning', fast, files),
        Process('slow_learner', 'cls_learning', slow, files),
    ]
    if _needs_encoder(_with_settings(options, processes)[1]):
        processes.insert(0, Process('encoder', 'cls_perception', encoder, files))
    if options.save_frames:
        folder = f'{options.models_dir}/{options.model}/frames'
        processes.append(Process('frame_writer', 'cls_recording', {'folder': folder}, files))
    return _with_settings(options, processes)


def describe_recorder(options: GraphOptions) -> list[Process]:
    """Returns the recorder if requested, which uses the machine's clock, also in lock-step."""
    if not options.record:
        return []
    return [Process('recorder', 'cls_recording', {'sessions_dir': options.sessions_dir}, _files(options))]


def describe(options: GraphOptions) -> list[Process]:
    """Returns all processes: robot, brain and recorder."""
    brain = describe_brain(options)
    return _with_senses(options, describe_body(options), brain) + brain + describe_recorder(options)


def _with_senses(options: GraphOptions, body: list[Process], brain: Sequence[Process]) -> list[Process]:
    """Tells a player what a brain perceives where no encoder runs."""
    found = {process.name: process for process in brain}
    if options.robot != REPLAY or 'encoder' in found:
        return body
    # Imported here, since a brain is described without reading sessions otherwise.
    from .replay_senses import senses

    chosen = {'senses': senses(found['slow_learner'], options.session)}
    return [replace(process, parameters={**process.parameters, **chosen}) for process in body]


def _replay(options: GraphOptions) -> dict[str, Any]:
    chosen: dict[str, Any] = {'session': options.session, 'rate': options.rate}
    if options.loop:
        chosen['loop'] = True
    if options.paused:
        chosen['paused'] = True
    if options.filter_action:
        chosen['filter_action'] = options.filter_action
    return chosen


def _with_settings(options: GraphOptions, processes: Sequence[Process]) -> list[Process]:
    chosen = by_node(options.settings)
    return [replace(p, parameters={**p.parameters, **chosen.get(p.name, {})}) for p in processes]


def _needs_encoder(slow_learner: Process) -> bool:
    # Imported here, since it reads processes.
    from .chosen_brain import settings_of_brain

    brain, settings = settings_of_brain(slow_learner)
    return brain.needs_encoder(settings)


def _files(options: GraphOptions) -> tuple[str, ...]:
    return (options.deployment, options.params_file) if options.params_file else (options.deployment,)
