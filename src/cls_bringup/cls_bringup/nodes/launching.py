"""The graph as launch actions, for the launch files in `launch/`."""

from collections.abc import Callable
import os
import time
from typing import Any

from launch import LaunchContext, LaunchDescription
from launch.action import Action
from launch.actions import DeclareLaunchArgument, LogInfo, OpaqueFunction, TimerAction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from cls_common.errors import UserError
from cls_common.resources import config_dir

from .. import discovery
from ..arguments import ARGUMENTS, default_text, description, parse_flag, parse_options, REPLAY_ONLY
from ..graph import describe, describe_brain, describe_recorder, Process, REPLAY, STOP_WAIT
from ..supervision.restarts import RestartPolicy, USER_ERROR

# Arguments of how processes run, named as in Nav2, and `network`.
RUN_ARGUMENTS = {
    'namespace': ('', 'Pushed before every name.'),
    'log_level': ('info', 'debug, info, warn, error or fatal.'),
    'use_respawn': ('false', 'Start a crashed process again, at most five times in a row with growing delays.'),
    'network': ('false', 'true: discovery beyond this machine.'),
}


def launch_graph(robot: str, *, brain_only: bool = False) -> LaunchDescription:
    """Returns a launch description of `cls_bringup.graph.describe`.

    Args:
        robot: default of the argument `robot`; see `cls_bringup.graph.GraphOptions`. 'replay' has its own arguments.
        brain_only: the robot runs elsewhere.
    """
    arguments = {name: (default_text(name), description(name)) for name in _names(robot)} | RUN_ARGUMENTS
    if robot != REPLAY:
        arguments['robot'] = robot, description('robot')
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, (default, text) in arguments.items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=_start, args=[robot, brain_only])])


def _names(robot: str) -> list[str]:
    """Returns the names of the arguments that a launch file of this robot has."""
    return [name for name in ARGUMENTS if (name != 'robot' if robot == REPLAY else name not in REPLAY_ONLY)]


def _start(context: LaunchContext, robot: str, brain_only: bool) -> list[Action]:
    def chosen(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    options = parse_options({'robot': robot} | {name: chosen(name) for name in _names(robot)})
    processes = describe_brain(options) + describe_recorder(options) if brain_only else describe(options)
    graph = _Graph(context, chosen)
    exports = ' '.join(discovery.exports({**context.environment, **graph.environment}))
    return [LogInfo(msg=f'to see this graph: export {exports}'), *map(graph.start, processes)]


class _Graph:
    """Makes the nodes of one launch and handles their exits.

    Exit status 2 is a mistake of the user, so the graph ends. With `use_respawn` a crashed node is restarted by
    RestartPolicy; without it the other nodes go on, as is usual with launch.
    """

    def __init__(self, context: LaunchContext, chosen: Callable[[str], str]) -> None:
        self.environment = discovery.environment(
            context.environment, config_dir(), network=parse_flag('network', chosen('network'))
        )
        self._namespace, self._log_level = chosen('namespace'), chosen('log_level')
        self._policy = RestartPolicy() if parse_flag('use_respawn', chosen('use_respawn')) else None

    def start(self, process: Process) -> Node:
        """Returns a node's action; its environment is not set for other processes of the launch."""
        files = [name if os.path.isabs(name) else str(config_dir() / name) for name in process.parameter_files]
        if self._policy is not None:
            self._policy.saw_running(process.name, time.monotonic())
        return Node(
            package=process.package,
            executable=process.name,
            name=process.name,
            namespace=self._namespace,
            parameters=[*files, _typed(process.parameters)] if process.parameters else files,
            arguments=['--ros-args', '--log-level', self._log_level],
            additional_env=self.environment,
            output='screen',
            # launch's default of 5 s would kill a node that writes its model.
            sigterm_timeout=LaunchConfiguration('sigterm_timeout', default=str(STOP_WAIT)),
            on_exit=lambda event, context: self._on_exit(process, event.returncode, context),
        )

    def _on_exit(self, process: Process, status: int, context: LaunchContext) -> list[Action]:
        if context.is_shutdown:
            return []
        if status == USER_ERROR:
            # An exception, since only an error gives `ros2 launch` an exit status other than 0.
            raise UserError(f'{process.name} can not work as it was started', do='Its own error stands above.')
        if self._policy is None or status == 0:
            return []
        now = time.monotonic()
        if ended := self._policy.saw_end(process.name, status, now):
            raise UserError(str(ended), do='Its own error stands above.')
        delay = self._policy.delay(process.name, now)
        again = OpaqueFunction(function=lambda _context: [self.start(process)])
        return [
            LogInfo(msg=f'{process.name} is started again in {delay:.0f} s'),
            TimerAction(period=delay, actions=[again]),
        ]


def _typed(parameters: dict[str, Any]) -> dict[str, Any]:
    # launch reads texts as YAML by default: camera '0' would reach the node as a number and be refused.
    return {
        name: ParameterValue(value, value_type=str) if isinstance(value, str) else value
        for name, value in parameters.items()
    }
