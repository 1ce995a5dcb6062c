"""A request is repeated until it is answered, and its answer is delivered once."""

from collections.abc import Callable, Iterator
import time
from typing import Any

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from std_srvs.srv import Trigger

from cls_common import comms
from cls_common.nodes import qos
from cls_common.nodes.retrying_client import RetryingClient

DEADLINE = 60.0


class Server(Node):
    """Answers with its number of requests; receives none unless its executor is spun."""

    def __init__(self, context: rclpy.Context) -> None:
        super().__init__('server', context=context)
        self.received = 0
        self.own_executor = SingleThreadedExecutor(context=context)
        self.own_executor.add_node(self)
        self.create_service(Trigger, comms.REARM.name, self._answer)

    def _answer(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self.received += 1
        response.message = str(self.received)
        return response


@pytest.fixture
def make_node() -> Iterator[Callable[[Callable[..., Node]], Any]]:
    made: list[tuple[rclpy.Context, Node]] = []

    def make(kind: Callable[..., Node]) -> Node:
        context = rclpy.Context()
        context.init()
        made.append((context, kind(context=context)))
        return made[-1][1]

    yield make
    for context, node in made:
        node.destroy_node()
        context.try_shutdown()


def until(claim: Callable[[], Any], *executors: SingleThreadedExecutor) -> None:
    end = time.monotonic() + DEADLINE
    while not claim():
        assert time.monotonic() < end
        for executor in executors:
            executor.spin_once(timeout_sec=0.02)


def test_an_unanswered_request_is_repeated_and_its_answer_delivered_once(
    make_node: Callable[[Callable[..., Node]], Any],
) -> None:
    caller, server = make_node(lambda context: Node('caller', context=context)), make_node(Server)
    executor = SingleThreadedExecutor(context=caller.context)
    executor.add_node(caller)
    client = qos.client(caller, comms.REARM)
    first, patient, hasty = (RetryingClient(client, after) for after in (1.0, 1e9, 0.0))
    answers: list[str] = []

    def receive(answer: Trigger.Response) -> None:
        answers.append(answer.message)

    # Answers of a server that has not discovered the client are lost.
    until(lambda: answers or first.request(Trigger.Request(), receive), executor, server.own_executor)
    before = server.received
    assert answers == [str(before)]
    answers.clear()
    for _ in range(5):
        patient.request(Trigger.Request(), receive)
    until(lambda: answers, executor, server.own_executor)
    assert answers == [str(before + 1)], 'no other is sent while one is pending'

    for _ in range(3):
        hasty.request(Trigger.Request(), receive)
    until(lambda: server.received == before + 4, server.own_executor)
    until(lambda: len(answers) == 2, executor)
    for _ in range(5):
        executor.spin_once(timeout_sec=0.02)
    assert answers == [str(before + 1), str(before + 4)], 'only the last request is waited for'


def test_nothing_is_sent_to_an_absent_server(make_node: Callable[[Callable[..., Node]], Any]) -> None:
    caller = make_node(lambda context: Node('caller', context=context))
    absent = RetryingClient(qos.client(caller, comms.REARM), retry_after=0.0)
    absent.request(Trigger.Request(), lambda _: pytest.fail('no server can have answered'))
    server = make_node(Server)
    until(caller.create_client(Trigger, comms.REARM.name).service_is_ready, server.own_executor)
    for _ in range(5):
        server.own_executor.spin_once(timeout_sec=0.02)
    assert server.received == 0
