"""The one description of the node graph: which processes, with which parameters. No ROS here.

`launch/*.launch.py` and `./cls up` both start what `describe` returns, so the two can't drift.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from cls_common.comms import MODES
from cls_common.errors import UserError
from cls_common.overrides import by_node
from cls_common.registry import split
from cls_common.robot import GYM
from cls_sim.settings import ROBOTS as SIMULATED

BRAINS = ('cls',)
HARDWARE = ('pan_tilt',)
REPLAY = 'replay'  # a recorded session in the place of a robot
# A node may still be writing its model when it is asked to end, at low priority on a busy machine; after so many
# seconds it hangs and is killed.
STOP_WAIT = 45.0


@dataclass(frozen=True)
class Process:
    """One node as an operating system process.

    Attributes:
        name: node name, equal to the executable's.
        package: ROS package that holds it.
        parameters: by dotted name; what stands in `parameter_files` loses against these.
        parameter_files: names in `config/`, or paths; later ones win.
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
    """What a user may choose, in the words of the launch arguments.

    What the user leaves at its default here is left to the parameter files.

    Attributes:
        robot: 'pan_tilt', or the name of a simulated robot: 'sim', 'square', 'gym:ID' or one of an installed package.
        brain: which composition of learner nodes.
        model: name of the model folder; created where it is missing.
        mode: manual, random, curiosity or follow; empty: manual on hardware, curiosity in simulation.
        encoder: by name; empty: the model's own, or the robot's default for a new one.
        preset: name of a file in config/presets/, for a new model.
        port, camera: of the hardware; camera is an index, path, video file or folder of images.
        scene: which simulated scene; -1: as the parameter file says.
        lock_step: simulator gives one image for each action.
        seed: of simulation, networks and exploration; -1: drawn. Implies one thread.
        steps: wake steps of this run after which fast_learner stops; 0: no end.
        save_frames: keep a JPEG before and after each action.
        record: a recorder starts with the graph.
        sessions_dir: folder of recorded sessions, one folder a robot below it.
        session: of robot 'replay': folders of sessions, with commas between; a robot's folder stands for all in it.
        rate: of a replay, times real time; 0: as fast as the learner takes it.
        loop: a replay begins anew at its end. paused: it begins paused.
        filter_action: of a replay: 'KEY=VALUE', only actions of this value; empty: all.
        params_file: path of a parameter file that wins over ours.
        settings: NAME=VALUE each, which win over every file: a learning parameter of a new model, or sim.NAME.
        accept_robot: an existing model goes on though it was made with a robot of another name.
    """

    robot: str = 'sim'
    brain: str = 'cls'
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
        if self.brain not in BRAINS:
            raise UserError(f'unknown brain {self.brain!r}', expected=' or '.join(BRAINS))
        if self.mode and self.mode not in MODES:
            raise UserError(f'unknown mode {self.mode!r}', expected=' or '.join(MODES))
        self._check_replay()
        if 'simulator' in by_node(self.settings) and not self.simulated:
            raise UserError('a setting of the simulation', expected='a simulated robot', found=self.robot)
        if self.steps < 0:
            raise UserError('steps', expected='0 (no end) or more', found=str(self.steps))

    def _check_replay(self) -> None:
        if (self.robot == REPLAY) != bool(self.session):
            raise UserError(
                f'robot {self.robot!r} with session {self.session!r}',
                expected=f'a session with robot {REPLAY}, and with no other', do='Replay with `./cls play SESSION`.',
            )  # fmt: skip
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
    """The robot's own processes: a simulator, or camera and servo driver."""
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
    camera = {'source': options.camera} if options.camera else {}
    driver = {'port': options.port} if options.port else {}
    return [
        Process('camera', 'cls_perception', camera, files),
        Process('servo_driver', 'cls_servo_driver', driver, files),
    ]


def describe_brain(options: GraphOptions) -> list[Process]:
    """The processes of the brain, the same for every robot."""
    files = _files(options)
    threads = {'threads': 1} if options.seed >= 0 else {}
    seed = {'seed': options.seed} if options.seed >= 0 else {}
    model = {'model': options.model, 'models_dir': options.models_dir}
    # In lock-step the simulator owns /clock, in a replay the player.
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
    if options.save_frames:
        slow['save_frames'] = True
    if options.preset:
        slow['preset'] = options.preset
    if options.accept_robot:
        slow['accept_robot'] = True
    processes = [
        Process('encoder', 'cls_perception', encoder, files),
        Process('fast_learner', 'cls_learning', fast, files),
        Process('slow_learner', 'cls_learning', slow, files),
    ]
    return _with_settings(options, processes)


def describe_recorder(options: GraphOptions) -> list[Process]:
    """The recorder where it is wanted: it stamps with the machine's clock, also in lock-step."""
    if not options.record:
        return []
    return [Process('recorder', 'cls_recording', {'sessions_dir': options.sessions_dir}, _files(options))]


def describe(options: GraphOptions) -> list[Process]:
    """Everything: body, brain and recorder."""
    return describe_body(options) + describe_brain(options) + describe_recorder(options)


def _replay(options: GraphOptions) -> dict[str, Any]:
    chosen: dict[str, Any] = {'session': options.session, 'rate': options.rate}
    if options.loop:
        chosen['loop'] = True
    if options.paused:
        chosen['paused'] = True
    if options.filter_action:
        chosen['filter_action'] = options.filter_action
    return chosen


# What a user may choose, as launch argument and as option of `./cls up`: name -> (default, meaning).
ARGUMENTS: dict[str, tuple[str, str]] = {
    'brain': ('cls', 'Which composition of learner nodes.'),
    'model': ('default', 'Name of the model folder; created where it is missing, gone on with where it exists.'),
    'models_dir': ('models', 'Folder that holds the models.'),
    'mode': ('', 'manual, random, curiosity or follow; empty: manual on hardware, curiosity in simulation.'),
    'encoder': ('', "By name; empty: the model's own, or the robot's default for a new one."),
    'preset': ('', 'Recipe in config/presets/ for a new model.'),
    'port': ('', 'Serial port of the servo board; empty: the only one there is.'),
    'camera': ('', 'Index, path, video file or folder of images; empty: as the parameter file says.'),
    'scene': ('-1', 'Which simulated scene; -1: as the parameter file says.'),
    'lock_step': ('false', 'The simulator gives one image for each action, as fast as possible.'),
    'seed': ('-1', 'Of simulation, networks and exploration; -1: drawn. Implies one thread.'),
    'steps': ('0', 'Wake steps after which acting ends; 0: never.'),
    'save_frames': ('false', 'Keep a picture before and after each action.'),
    'record': ('false', 'Record the run as a session: a standard rosbag2 folder.'),
    'sessions_dir': ('sessions', 'Folder of recorded sessions.'),
    'params_file': ('', 'Parameter file that wins over ours.'),
    'settings': ('', 'NAME=VALUE, semicolons between: learning parameters of a new model, sim.NAME of the simulation.'),
    'accept_robot': ('false', 'An existing model goes on though it was made with a robot of another name.'),
}

# What a user may choose of a replay, as launch argument of replay.launch.py and as option of `./cls play`.
REPLAY_ARGUMENTS: dict[str, tuple[str, str]] = {
    'session': ('', 'Folders of sessions, with commas between; the folder of a robot stands for all its sessions.'),
    'rate': ('1.0', 'Times real time, 0.1 to 100; 0: as fast as the learner takes it.'),
    'loop': ('false', 'Begin anew at the end.'),
    'paused': ('false', 'Begin paused.'),
    'filter_action': ('', 'KEY=VALUE: replay only actions of this value, such as pan=5.'),
}


def parse_flag(name: str, text: str) -> bool:
    """Returns the boolean that a text means, in the words that launch's own conditions take.

    Raises:
        UserError: another text.
    """
    flags = {'true': True, '1': True, 'false': False, '0': False}
    if text.lower() not in flags:
        raise UserError(f'argument {name}', expected='true or false', found=repr(text))
    return flags[text.lower()]


def parse_options(robot: str, arguments: dict[str, str]) -> GraphOptions:
    """Returns the options from texts by the names of ARGUMENTS and REPLAY_ARGUMENTS.

    Raises:
        UserError: a text that is not of its kind, or a choice that there is not.
    """
    values: dict[str, Any] = {}
    for name, text in arguments.items():
        kind = type(getattr(GraphOptions(), name))
        if kind is tuple:
            values[name] = tuple(part.strip() for part in text.split(';') if part.strip())
        elif kind is bool:
            values[name] = parse_flag(name, text)
        elif kind in (int, float):
            try:
                values[name] = kind(text)
            except ValueError as error:
                expected = 'a whole number' if kind is int else 'a number'
                raise UserError(f'argument {name}', expected=expected, found=repr(text)) from error
        else:
            values[name] = text
    return GraphOptions(robot=robot, **values)


def _with_settings(options: GraphOptions, processes: Sequence[Process]) -> list[Process]:
    chosen = by_node(options.settings)
    return [replace(p, parameters={**p.parameters, **chosen.get(p.name, {})}) for p in processes]


def _files(options: GraphOptions) -> tuple[str, ...]:
    return (options.deployment, options.params_file) if options.params_file else (options.deployment,)
