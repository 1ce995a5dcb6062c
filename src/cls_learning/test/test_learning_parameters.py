"""The parameters of slow_learner show the recipe of the model that it runs."""

from collections.abc import Iterator
from pathlib import Path
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from rcl_interfaces.srv import GetParameters
import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from cls_common import comms
from cls_common.nodes import qos
from cls_common.nodes.retrying_client import RetryingClient
from cls_learning.model_store.folder import ModelFolder

LONG = 100.0  # s; torch alone takes up to 10 s to import on a busy machine
GET = comms.Service('slow_learner/get_parameters', 'rcl_interfaces/srv/GetParameters', ('slow_learner',))


@pytest.fixture
def asker() -> Iterator[Node]:
    context = Context()
    rclpy.init(context=context)
    node = Node('asker', context=context)
    yield node
    node.destroy_node()
    rclpy.try_shutdown(context=context)


@pytest.mark.timeout(200)
def test_parameters_show_the_recipe_of_a_model_that_exists(tmp_path: Path, tools: SimpleNamespace, asker: Node) -> None:
    folder = ModelFolder(tmp_path, 'old')
    folder.create(tools.config(tools.recipe({'sleep.rem_steps': 5})), b'weights')
    folder.close()
    values = {'models_dir': tmp_path, 'model': 'old', 'seed': 3}
    command = [sys.executable, '-m', 'cls_learning.nodes.slow_learner', '--ros-args']
    command += [part for name, value in values.items() for part in ('-p', f'{name}:={value}')]
    executor = SingleThreadedExecutor(context=asker.context)
    executor.add_node(asker)
    names = ['sleep.rem_steps', 'memory.capacity', 'seed', 'policy.kind']
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL) as process:
        requests, answers, until = RetryingClient(qos.client(asker, GET), retry_after=5.0), [], time.monotonic() + LONG
        while not answers and process.poll() is None and time.monotonic() < until:
            requests.request(GetParameters.Request(names=names), answers.append)
            executor.spin_once(timeout_sec=0.1)
        process.send_signal(signal.SIGINT)
    executor.shutdown()
    config = tools.config()
    assert [value.integer_value for value in answers[0].values[:3]] == [5, tools.SMALL['memory.capacity'], config.seed]
    assert answers[0].values[3].string_value == config.settings.policy.kind
