"""The graph as launch actions, for the launch files in `launch/`."""

import os
from typing import Any

from launch import LaunchContext, LaunchDescription
from launch.action import Action
from launch.actions import DeclareLaunchArgument, LogInfo, OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from ..graph import (
    ARGUMENTS,
    DDS_PROFILE,
    describe,
    describe_brain,
    describe_recorder,
    parse_options,
    Process,
    REPLAY,
    REPLAY_ARGUMENTS,
)  # fmt: skip
from ..resources import config_dir

# Nav2's words, and `network`: they are about how processes run and not about the robot.
RUN_ARGUMENTS = {
    'namespace': ('', 'Pushed before every name.'),
    'log_level': ('info', 'debug, info, warn, error or fatal.'),
    'use_respawn': ('false', 'Start a process again whenever it ends.'),
    'network': ('false', 'true: discovery beyond this machine.'),
}


def launch_graph(robot: str, *, brain_only: bool = False) -> LaunchDescription:
    """Returns a launch description of `cls_common.graph.describe`.

    Args:
        robot: default of the argument `robot`; see `cls_common.graph.GraphOptions`. 'replay' has arguments of its own.
        brain_only: the robot runs elsewhere.
    """
    about_robot = REPLAY_ARGUMENTS if robot == REPLAY else {'robot': (robot, 'sim, square, pan_tilt or gym:ID.')}
    arguments = {**about_robot, **ARGUMENTS, **RUN_ARGUMENTS}
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, (default, text) in arguments.items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=_start, args=[robot, brain_only])])


def _start(context: LaunchContext, robot: str, brain_only: bool) -> list[Action]:
    def chosen(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    names = {**ARGUMENTS, **REPLAY_ARGUMENTS} if robot == REPLAY else ARGUMENTS
    options = parse_options(robot if robot == REPLAY else chosen('robot'), {name: chosen(name) for name in names})
    processes = describe_brain(options) + describe_recorder(options) if brain_only else describe(options)
    how = {name: chosen(name) for name in RUN_ARGUMENTS}
    return [*_network(how['network'] == 'true'), *(_node(process, how) for process in processes)]


def _network(is_open: bool) -> list[Action]:
    """Keeps discovery on this machine unless asked for more or already decided by the environment."""
    if is_open:
        return []
    wanted = {
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
        'FASTRTPS_DEFAULT_PROFILES_FILE': str(config_dir() / DDS_PROFILE),
    }
    values = {name: os.environ.get(name, value) for name, value in wanted.items()}
    exports = ' '.join(f'{name}={values[name]}' for name in ('ROS_AUTOMATIC_DISCOVERY_RANGE',))
    domain = os.environ.get('ROS_DOMAIN_ID', '0')
    return [
        *(SetEnvironmentVariable(name, value) for name, value in values.items()),
        LogInfo(msg=f'to see this graph: export {exports} ROS_DOMAIN_ID={domain}'),
    ]


def _node(process: Process, how: dict[str, str]) -> Node:
    files = [name if os.path.isabs(name) else str(config_dir() / name) for name in process.parameter_files]
    return Node(
        package=process.package,
        executable=process.name,
        name=process.name,
        namespace=how['namespace'],
        parameters=[*files, _typed(process.parameters)] if process.parameters else files,
        arguments=['--ros-args', '--log-level', how['log_level']],
        prefix=f'nice -n {process.nice}' if process.nice else None,
        respawn=how['use_respawn'] == 'true',
        respawn_delay=2.0,
        output='screen',
    )


def _typed(parameters: dict[str, Any]) -> dict[str, Any]:
    # launch reads texts as YAML unless told: camera '0' would reach the node as a number and be refused.
    return {
        name: ParameterValue(value, value_type=str) if isinstance(value, str) else value
        for name, value in parameters.items()
    }
