"""A TCP proxy on loopback with the faults of a network, so that the program behind it stays as it is."""

from collections.abc import Callable
from contextlib import suppress
import random
import select
import socket
import threading
from types import TracebackType
from typing import Self

_POLL = 0.02
_CHUNK = 65536


class WireProxy:
    """Forwards connections to a port of this machine within its context.

    Attributes:
        port: to connect to.
        holds_requests, holds_answers: bytes wait, and are forwarded when this is false again, as TCP does after a
            network was cut.
        garbles_answers: answers are replaced by random bytes.
        refuses: new connections are closed at once.
    """

    def __init__(self, target: int, seed: int = 0) -> None:
        self.holds_requests = self.holds_answers = self.garbles_answers = self.refuses = False
        self._target = target
        self._random = random.Random(seed)
        self._closing = threading.Event()
        self._guard = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(('127.0.0.1', 0))
        self._listener.settimeout(_POLL)
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self.drop()
        for thread in list(self._threads):
            thread.join(5.0)
        self._listener.close()

    def drop(self) -> None:
        """Closes all connections."""
        with self._guard:
            for each in self._sockets:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def _start(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, name='wire proxy', daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:  # the timeout, too
                continue
            try:
                server = socket.create_connection(('127.0.0.1', self._target))
            except OSError:
                client.close()
                continue
            if self.refuses:
                client.close()
                server.close()
                continue
            for each in (client, server):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._guard:
                self._sockets |= {client, server}
            self._start(lambda a=client, b=server: self._forward(a, b))  # type: ignore[misc]

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        """Forwards both directions of one connection until one side ends it and what it sent is delivered."""
        is_open = {client, server}
        while not self._closing.is_set() and len(is_open) == 2:
            ready, _, _ = select.select([each for each in is_open if not self._holds(each is server)], [], [], _POLL)
            for source in ready:
                if self._holds(source is server):  # since then: what is sent from then on waits
                    continue
                with suppress(OSError):
                    data = source.recv(_CHUNK)
                    if data:
                        self._deliver(data, server if source is client else client, is_answer=source is server)
                        continue
                is_open.discard(source)
        with self._guard:
            self._sockets -= {client, server}
        client.close()
        server.close()

    def _holds(self, is_answer: bool) -> bool:
        return self.holds_answers if is_answer else self.holds_requests

    def _deliver(self, data: bytes, to: socket.socket, *, is_answer: bool) -> None:
        to.sendall(self._random.randbytes(len(data)) if is_answer and self.garbles_answers else data)
