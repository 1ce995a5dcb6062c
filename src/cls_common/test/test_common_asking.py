"""A question is asked again until it is answered, and answered once."""

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
from cls_common.nodes.asking import Asking

DEADLINE = 60.0


class Server(Node):
    """Answers with how often it was asked; hears nothing while nobody spins it."""

    def __init__(self, context: rclpy.Context) -> None:
        super().__init__('server', context=context)
        self.heard = 0
        self.executor_of_its_own = SingleThreadedExecutor(context=context)
        self.executor_of_its_own.add_node(self)
        self.create_service(Trigger, comms.REARM.name, self._answer)

    def _answer(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self.heard += 1
        response.message = str(self.heard)
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


def test_an_unanswered_question_is_asked_again_and_answered_once(
    make_node: Callable[[Callable[..., Node]], Any],
) -> None:
    asker, server = make_node(lambda context: Node('asker', context=context)), make_node(Server)
    executor = SingleThreadedExecutor(context=asker.context)
    executor.add_node(asker)
    client = qos.client(asker, comms.REARM)
    first, patient, hasty = (Asking(client, again) for again in (1.0, 1e9, 0.0))
    answers: list[str] = []

    def hear(answer: Trigger.Response) -> None:
        answers.append(answer.message)

    # A server that does not know the client yet answers into the void.
    until(lambda: answers or first.ask(Trigger.Request(), hear), executor, server.executor_of_its_own)
    before = server.heard
    assert answers == [str(before)]
    answers.clear()
    for _ in range(5):
        patient.ask(Trigger.Request(), hear)
    until(lambda: answers, executor, server.executor_of_its_own)
    assert answers == [str(before + 1)], 'while one is under way, no other is sent'

    for _ in range(3):
        hasty.ask(Trigger.Request(), hear)
    until(lambda: server.heard == before + 4, server.executor_of_its_own)
    until(lambda: len(answers) == 2, executor)
    for _ in range(5):
        executor.spin_once(timeout_sec=0.02)
    assert answers == [str(before + 1), str(before + 4)], 'the last question alone is waited for'


def test_nobody_is_asked_who_is_not_there(make_node: Callable[[Callable[..., Node]], Any]) -> None:
    asker = make_node(lambda context: Node('asker', context=context))
    asking = Asking(qos.client(asker, comms.REARM), again=0.0)
    asking.ask(Trigger.Request(), lambda _: pytest.fail('answered by nobody'))
    server = make_node(Server)
    until(asker.create_client(Trigger, comms.REARM.name).service_is_ready, server.executor_of_its_own)
    for _ in range(5):
        server.executor_of_its_own.spin_once(timeout_sec=0.02)
    assert server.heard == 0
