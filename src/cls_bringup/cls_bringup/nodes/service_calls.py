"""Calls of services of a running graph: each has a deadline and an error that names the missing node."""

from collections.abc import Callable
import threading
import time
from typing import Any

from rclpy.client import Client
from rclpy.node import Node
from std_srvs.srv import Trigger

from cls_common import comms
from cls_common.errors import UserError
from cls_common.nodes import qos

from ..run_directory import domain

# s; discovery takes a quarter of a second on an idle machine, two and more on a busy one.
DISCOVERY, _POLL_PERIOD = 4.0, 0.02
# s; a request to a server that ended is never answered, not even by its successor, so it is repeated.
_RETRY_PERIOD = 2.0
_TURN = 0.1


class ServiceCalls:
    """Blocking calls from any thread; the node must be spun in another one."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._clients: dict[str, Client] = {}

    def call(
        self,
        service: comms.Service,
        request: Any,
        timeout: float,
        again: float = _RETRY_PERIOD,
        give_up: Callable[[], bool] = lambda: False,
    ) -> Any:
        """Calls a service of the table and returns the reply.

        Args:
            timeout: s for the answer, after the server was found.
            again: s after which an unanswered request is sent again; all our services are idempotent.
            give_up: polled ten times a second; true ends the wait.

        Raises:
            UserError: no server, or no answer in time.
        """
        client = self.client(service)
        if not wait_until(client.service_is_ready, DISCOVERY):
            raise missing(service)
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            future = client.call_async(request)
            turn = min(deadline, time.monotonic() + again)
            while time.monotonic() < turn and not give_up():
                if finished(future, min(_TURN, turn - time.monotonic())):
                    return future.result()
            client.remove_pending_request(future)
            if give_up():
                raise UserError(f'{service.name} was cancelled before it was answered')
        raise UserError(
            f'{service.name} was not answered within {timeout:g} s', do='See the log of ' + _servers(service)
        )

    def trigger(
        self,
        service: comms.Service,
        timeout: float,
        again: float = _RETRY_PERIOD,
        give_up: Callable[[], bool] = lambda: False,
    ) -> str:
        """Calls a Trigger service as `call` does; returns its message, raises UserError where it failed."""
        reply = self.call(service, Trigger.Request(), timeout, again, give_up)
        if not reply.success:
            raise UserError(f'{service.name} failed', found=reply.message)
        return str(reply.message)

    def client(self, service: comms.Service) -> Client:
        """Returns the client of a service, created at the first call: discovery begins then."""
        if service.name not in self._clients:
            self._clients[service.name] = qos.client(self._node, service)
        return self._clients[service.name]


def missing(service: comms.Service) -> UserError:
    """Returns the error of a service without a server."""
    return UserError(
        f'no answer of {service.name!r} in ROS domain {domain()}',
        expected=_servers(service) + ' to run',
        do='Start it with `./cls up`, or set ROS_DOMAIN_ID and --namespace to those of the graph.',
    )


def _servers(service: comms.Service) -> str:
    return ' or '.join(service.servers)


def wait_until(condition: Callable[[], bool], timeout: float) -> bool:
    """Polls a condition for up to `timeout` s; returns whether it held."""
    deadline = time.monotonic() + timeout
    never = threading.Event()
    while not condition():
        if time.monotonic() > deadline:
            return False
        never.wait(_POLL_PERIOD)
    return True


def finished(future: Any, timeout: float) -> bool:
    """Waits up to `timeout` s for a future; returns whether it is done."""
    event = threading.Event()
    future.add_done_callback(lambda _: event.set())
    return event.wait(timeout)
