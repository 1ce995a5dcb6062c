"""Runs a graph from its options to its exit status, with the live view or with lines."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
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
from cls_bringup.run_directory import RunDirectory
from cls_bringup.session import Limits, Session
from cls_bringup.supervision.commands import node_command
from cls_common.errors import UserError

from .run_policy.robot_process import check_alone
from .terminal import is_interactive, key_reader
from .view import line, render, Screen, WITH_PICTURE

_FRAME, _LINE_PERIOD = 0.1, 5.0
_LOG_TAIL = 5


@dataclass(frozen=True, kw_only=True)
class SessionOptions:
    """Options beside the graph. `view` None: the live view is shown on a terminal if the run has no limit."""

    namespace: str = ''
    log_level: str = ''
    duration: float = 0.0
    startup_timeout: float = 180.0
    report: Path | None = None
    view: bool | None = None


def run(options: GraphOptions, session: SessionOptions) -> int:
    """Starts the graph of `options`, runs it to its end and reports; see `run_processes`."""
    processes = describe(options)
    preflight.check(processes)
    check_model(options)
    model = Path(options.models_dir, options.model)
    return run_processes(
        processes,
        session,
        robot=options.robot,
        steps=options.steps > 0,
        model=model,
        replay=options.robot == REPLAY,
    )


def run_processes(
    processes: Sequence[Process], options: SessionOptions, *, robot: str, steps: bool, model: Path, replay: bool = False
) -> int:
    """Starts processes, runs them to their end and reports.

    Args:
        robot: its name, until its own description arrives.
        steps: whether fast_learner ends after a number of steps.
        model: the model folder.
        replay: whether the run ends when the recorded sessions end.

    Returns:
        exit status: 0 after a clean end, else 1.

    Raises:
        UserError: an option, the machine or a node reports a mistake of the user.
    """
    begun = time.monotonic()
    check_alone(options.namespace)
    commands = {p.name: node_command(p, options.namespace, options.log_level) for p in processes}
    # Imported after the checks, since importing ROS takes a third of a second.
    from cls_bringup.nodes.graph_client import connect

    _announce()
    limits = Limits(duration=options.duration, steps=steps, replay=replay, startup=options.startup_timeout)
    with_view = is_interactive() and (options.view if options.view is not None else not (limits.duration or steps))
    with Interrupts() as interrupts, connect(options.namespace) as client:
        client.check_alone()
        session = Session.start(commands, RunDirectory.create(), client, robot, options.namespace, limits, begun)
        try:
            (_run_with_view if with_view else _run_with_lines)(session, interrupts)
        finally:
            session.close()
        statuses = client.statuses()
    if options.report:
        report = build_report(
            statuses, startup_seconds=session.startup_seconds, ended=session.mistake or session.ended,
            weights_sha256=read_weights_hash(model), restarts=session.supervisor.policy.restarts,
        )  # fmt: skip
        write_report(options.report, report)
    return _conclude(session)


def _announce() -> None:
    print('To see the graph with `ros2` and other tools, in another shell:')
    for export in exports(os.environ):
        print(f'  export {export}')
    sys.stdout.flush()


def _run_with_view(session: Session, interrupts: Interrupts) -> None:
    from rich.live import Live

    from .controls import Controls

    controls = Controls(session.client)
    with key_reader() as keys, Live(auto_refresh=False) as live:
        if live.console.width >= WITH_PICTURE:
            session.client.watch_camera()
            session.client.watch_pictures()

        def show(message: str) -> None:
            screen = replace(
                _screen(session, message), size=(live.console.width, live.console.height),
                pictures=session.client.pictures(), are_pictures_alone=controls.are_pictures_alone,
            )  # fmt: skip
            live.update(render(screen), refresh=True)

        while not session.ended:
            for key in keys.read(_FRAME):
                controls.press(key)
            session.tick()
            # A closed terminal gives no more keys.
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

    printed = time.monotonic()
    while not session.ended:
        interrupts.wait(_FRAME)
        session.tick()
        if interrupts.count:
            session.stop()
        if time.monotonic() - printed >= _LINE_PERIOD:
            printed = time.monotonic()
            print(line(_screen(session, '')), flush=True)
    interrupts.reset()
    print(line(_screen(session, '')), flush=True)
    session.finish(show, interrupts)


def _screen(session: Session, message: str) -> Screen:
    """Returns the current contents of the view."""
    client, statuses = session.client, session.client.statuses()
    info, state = client.manual.info, client.robot_state
    return Screen(
        robot=info.name if info else session.robot, elapsed=time.monotonic() - session.begun, statuses=statuses,
        processes=session.processes, restarts=session.supervisor.policy.restarts,
        joint_names=info.joint_names if info else (),
        channels=tuple(channel.name for channel in info.channels) if info else (),
        robot_trouble=state.error_msg if state and state.error_code else '', message=message,
        replay=client.replay, picture=client.picture(),
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
