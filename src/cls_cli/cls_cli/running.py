"""`up` as a whole: from options to exit status, with the live view or a line now and then."""

from collections.abc import Sequence
from dataclasses import dataclass
import os
from pathlib import Path
import sys
import time

from cls_bringup import preflight
from cls_bringup.discovery import exports
from cls_bringup.graph import describe, GraphOptions, Process, REPLAY
from cls_bringup.interrupts import Interrupts
from cls_bringup.report import build_report, CLEAN, read_weights_hash, write_report
from cls_bringup.robot_checks import check_model
from cls_bringup.run_directory import domain, find_status, RunDirectory
from cls_bringup.session import Limits, Session
from cls_bringup.supervision.commands import node_command
from cls_common.errors import UserError

from .terminal import is_interactive, key_reader
from .view import line, render, Scene, WITH_PICTURE

_FRAME, _LINE_PERIOD = 0.1, 5.0
_LOG_TAIL = 5


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What a user may choose beside the graph. `view` None: where there is a terminal and no end."""

    namespace: str = ''
    log_level: str = ''
    duration: float = 0.0
    startup_timeout: float = 180.0
    report: Path | None = None
    view: bool | None = None


def run(options: GraphOptions, choices: Choices) -> int:
    """Starts the graph that `options` describe, runs it to its end and reports; see `run_processes`."""
    processes = describe(options)
    preflight.check(processes)
    check_model(options)
    model = Path(options.models_dir, options.model)
    return run_processes(
        processes, choices, robot=options.robot, steps=options.steps > 0, model=model,
        replay=options.robot == REPLAY,
    )  # fmt: skip


def run_processes(
    processes: Sequence[Process], choices: Choices, *, robot: str, steps: bool, model: Path, replay: bool = False,
) -> int:  # fmt: skip
    """Starts processes, runs them to their end and reports.

    Args:
        robot: its name, until it says so itself.
        steps: whether fast_learner was given a number of wake steps after which it is done.
        model: the model folder.
        replay: whether the run ends when everything recorded was played.

    Returns:
        exit status: 0 after a clean end, else 1.

    Raises:
        UserError: something outside is wrong, also where a node says so.
    """
    begun = time.monotonic()
    _check(choices)
    commands = {p.name: node_command(p, choices.namespace, choices.log_level) for p in processes}
    # Importing ROS takes a third of a second: after the checks that need none.
    from cls_bringup.nodes.graph_client import connect

    _announce()
    limits = Limits(duration=choices.duration, steps=steps, replay=replay, startup=choices.startup_timeout)
    with_view = is_interactive() and (choices.view if choices.view is not None else not (limits.duration or steps))
    with Interrupts() as interrupts, connect(choices.namespace) as remote:
        remote.check_alone()
        session = Session.start(commands, RunDirectory.create(), remote, robot, choices.namespace, limits, begun)
        try:
            (_run_with_view if with_view else _run_with_lines)(session, interrupts)
        finally:
            session.close()
        pair = remote.pair()
    if choices.report:
        report = build_report(
            pair, startup_seconds=session.startup_seconds, ended=session.mistake or session.ended,
            weights_sha256=read_weights_hash(model), restarts=session.supervisor.policy.restarts,
        )  # fmt: skip
        write_report(choices.report, report)
    return _conclude(session)


def _check(choices: Choices) -> None:
    folder = choices.report.parent if choices.report else Path()
    if not folder.is_dir():
        raise UserError(f'report {choices.report}', expected='an existing folder', do=f'mkdir -p {folder}')
    if other := find_status(choices.namespace):
        raise UserError(
            f'a graph runs already in ROS domain {domain()}', found=f'process {other["pid"]}',
            do='End it (q or Ctrl-C there), or set another ROS_DOMAIN_ID.',
        )  # fmt: skip


def _announce() -> None:
    print('To see the graph with `ros2` and other tools, in another shell:')
    for export in exports(os.environ):
        print(f'  export {export}')
    sys.stdout.flush()


def _run_with_view(session: Session, interrupts: Interrupts) -> None:
    from rich.live import Live

    from .controls import Controls

    controls = Controls(session.remote)
    with key_reader() as keys, Live(auto_refresh=False) as live:
        if live.console.width >= WITH_PICTURE:
            session.remote.watch_camera()

        def show(message: str) -> None:
            live.update(render(_scene(session, message)), refresh=True)

        while not session.ended:
            for key in keys.read(_FRAME):
                controls.press(key)
            session.tick()
            # A terminal that went away can't be asked any more.
            if controls.has_quit or interrupts.count or not keys.is_open:
                session.stop()
            show(controls.message)
        controls.close()
        interrupts.reset()
        session.finish(show, interrupts)


def _run_with_lines(session: Session, interrupts: Interrupts) -> None:
    last = ''

    def show(message: str) -> None:
        nonlocal last
        if message != last:
            last = message
            print(message, flush=True)

    said = time.monotonic()
    while not session.ended:
        interrupts.wait(_FRAME)
        session.tick()
        if interrupts.count:
            session.stop()
        if time.monotonic() - said >= _LINE_PERIOD:
            said = time.monotonic()
            print(line(_scene(session, '')), flush=True)
    interrupts.reset()
    print(line(_scene(session, '')), flush=True)
    session.finish(show, interrupts)


def _scene(session: Session, message: str) -> Scene:
    """Returns what the view shows now."""
    remote, pair = session.remote, session.remote.pair()
    info, state = remote.manual.info, remote.robot_state
    return Scene(
        robot=info.name if info else session.robot, elapsed=time.monotonic() - session.begun, pair=pair,
        processes=session.processes, restarts=session.supervisor.policy.restarts,
        joint_names=info.joint_names if info else (),
        channels=tuple(channel.name for channel in info.channels) if info else (),
        robot_trouble=state.error_msg if state and state.error_code else '', message=message,
        replay=remote.replay, picture=remote.picture(),
    )  # fmt: skip


def _conclude(session: Session) -> int:
    if session.mistake:
        raise UserError(session.mistake)
    if session.ended == CLEAN:
        print(f'saved ({session.saved}), ended cleanly' if session.saved else 'ended cleanly, nothing to save')
        return 0
    print(f'error: {session.ended}', file=sys.stderr)
    print(f'logs: {session.directory.path}', file=sys.stderr)
    for name in session.processes:
        if session.ended.startswith(name):
            print(*_tail(session, name), sep='\n', file=sys.stderr)
    return 1


def _tail(session: Session, name: str) -> list[str]:
    try:
        return session.supervisor.log(name).read_text(errors='replace').splitlines()[-_LOG_TAIL:]
    except OSError:
        return []
