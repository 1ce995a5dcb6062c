"""Runs a launch file: `python launch_stand_in.py FILE NAME:=VALUE ...`, with the real launch where it is installed.

launch and launch_ros are not on PyPI. In their place stand the few classes that our launch files use, with what is
documented of them: arguments, processes with their exit handlers, timers, an error that ends everything with status 1,
SIGINT and, after `sigterm_timeout`, SIGTERM for what still runs.
"""

from collections.abc import Callable
import dataclasses
import importlib.util
import os
from pathlib import Path
import runpy
import signal
import subprocess
import sys
import tempfile
import time
import types
from typing import Any

import yaml


class LaunchContext:
    def __init__(self) -> None:
        self.launch_configurations: dict[str, str] = {}
        self.environment = dict(os.environ)
        self.is_shutdown = False


@dataclasses.dataclass
class LaunchConfiguration:
    variable_name: str
    default: str = ''

    def perform(self, context: LaunchContext) -> str:
        return context.launch_configurations.get(self.variable_name, self.default)


class Action:
    def execute(self, context: LaunchContext) -> 'list[Action]':
        return []


@dataclasses.dataclass
class DeclareLaunchArgument(Action):
    name: str
    default_value: str
    description: str

    def execute(self, context: LaunchContext) -> list[Action]:
        context.launch_configurations.setdefault(self.name, self.default_value)
        return []


@dataclasses.dataclass
class LogInfo(Action):
    msg: str

    def execute(self, context: LaunchContext) -> list[Action]:
        print(f'[INFO] [launch.user]: {self.msg}', flush=True)
        return []


@dataclasses.dataclass
class OpaqueFunction(Action):
    function: Callable[..., list[Action]]
    args: list[Any] = dataclasses.field(default_factory=list)

    def execute(self, context: LaunchContext) -> list[Action]:
        return self.function(context, *self.args)


@dataclasses.dataclass
class TimerAction(Action):
    period: float
    actions: list[Action]
    due: float = 0.0


@dataclasses.dataclass
class ParameterValue:
    value: Any
    value_type: type


@dataclasses.dataclass(kw_only=True, eq=False)
class Node(Action):
    package: str
    executable: str
    name: str
    namespace: str
    parameters: list[Any]
    arguments: list[str]
    additional_env: dict[str, str]
    output: str
    sigterm_timeout: LaunchConfiguration
    on_exit: Callable[[Any, LaunchContext], list[Action]]

    def start(self, context: LaunchContext) -> 'subprocess.Popen[bytes]':
        prefixes = map(Path, context.environment['AMENT_PREFIX_PATH'].split(os.pathsep))
        paths = [prefix / 'lib' / self.package / self.executable for prefix in prefixes]
        command = [str(next(path for path in paths if path.is_file())), *self.arguments]
        command += ['--ros-args', '-r', f'__node:={self.name}']
        command += ['-r', f'__ns:=/{self.namespace}'] if self.namespace else []
        for parameters in self.parameters:
            command += ['--params-file', parameters if isinstance(parameters, str) else _written(parameters)]
        return subprocess.Popen(command, env={**context.environment, **self.additional_env})


def _written(parameters: dict[str, Any]) -> str:
    values = {k: str(v.value) if isinstance(v, ParameterValue) else v for k, v in parameters.items()}
    with tempfile.NamedTemporaryFile('w', prefix='launch_params_', delete=False) as file:
        yaml.safe_dump({'/**': {'ros__parameters': values}}, file)
    return file.name


@dataclasses.dataclass
class LaunchDescription:
    entities: list[Action]


class LaunchService:
    def __init__(self) -> None:
        self.context = LaunchContext()
        self.todo: list[Action] = []
        self.timers: list[TimerAction] = []
        self.processes: dict[subprocess.Popen[bytes], Node] = {}
        self.escalate_at = float('inf')
        # A terminal signals the whole process group, the nodes as well.
        signal.signal(signal.SIGINT, lambda _number, _frame: self.shut_down(forward=False))

    def include_launch_description(self, description: LaunchDescription) -> None:
        self.todo = list(description.entities)

    def shut_down(self, *, forward: bool = True) -> None:
        if self.context.is_shutdown:
            return
        self.context.is_shutdown, self.timers = True, []
        waits = [float(node.sigterm_timeout.perform(self.context)) for node in self.processes.values()]
        self.escalate_at = time.monotonic() + min(waits, default=0.0)
        for process in self.processes if forward else ():
            process.send_signal(signal.SIGINT)

    def run(self) -> int:
        status = 0
        while self.todo or self.timers or self.processes:
            try:
                self.turn()
            except Exception as error:
                print(f'[ERROR] [launch]: Caught exception in launch (see debug for traceback): {error}', flush=True)
                status = 1
                self.shut_down()
        return status

    def turn(self) -> None:
        while self.todo:
            self.execute(self.todo.pop(0))
        for process in [process for process in self.processes if process.poll() is not None]:
            print(f'[{process.args[0]}]: ended with {process.returncode}', flush=True)  # type: ignore[index]
            handler = self.processes.pop(process).on_exit
            self.todo += handler(types.SimpleNamespace(returncode=process.returncode), self.context) or []
        now = time.monotonic()
        if now >= self.escalate_at:
            self.escalate_at = float('inf')
            for process in self.processes:
                process.terminate()
        for timer in [timer for timer in self.timers if timer.due <= now]:
            self.timers.remove(timer)
            self.todo += timer.actions
        time.sleep(0.01)  # as an event loop would wait

    def execute(self, action: Action) -> None:
        if isinstance(action, Node) and not self.context.is_shutdown:
            self.processes[action.start(self.context)] = action
        elif isinstance(action, TimerAction):
            action.due = time.monotonic() + action.period
            self.timers.append(action)
        else:
            self.todo[:0] = action.execute(self.context)


MODULES = {
    'launch': (LaunchContext, LaunchDescription, LaunchService),
    'launch.action': (Action,),
    'launch.actions': (DeclareLaunchArgument, LogInfo, OpaqueFunction, TimerAction),
    'launch.substitutions': (LaunchConfiguration,),
    'launch_ros': (),
    'launch_ros.actions': (Node,),
    'launch_ros.parameter_descriptions': (ParameterValue,),
}


def main() -> int:
    file, *arguments = sys.argv[1:]
    if importlib.util.find_spec('launch_ros') is None:
        for name, classes in MODULES.items():
            sys.modules[name] = types.ModuleType(name)
            vars(sys.modules[name]).update({one.__name__: one for one in classes})
    import launch

    service = launch.LaunchService()
    service.context.launch_configurations.update(argument.split(':=', 1) for argument in arguments)
    service.include_launch_description(runpy.run_path(file)['generate_launch_description']())
    return int(service.run())


if __name__ == '__main__':
    sys.exit(main())
