"""One restricted RPyC connection to the robot, whose answers have a deadline and a largest size."""

from collections.abc import Callable
from contextlib import suppress
import socket
import time
from typing import Any, Final

import rpyc
from rpyc.core.stream import SocketStream

from cls_common.driver.link import LinkError

# A frame of 640 x 480 as JPEG in base64 is about 0.2 MB.
MAX_ANSWER: Final = 8_000_000
# The robot may ask this side for nothing: no attributes, no pickles, no exceptions of its own classes.
_RESTRICTED: Final = {
    'allow_pickle': False,
    'allow_getattr': False,
    'allow_setattr': False,
    'allow_delattr': False,
    'allow_all_attrs': False,
    'allow_public_attrs': False,
    'allow_exposed_attrs': False,
    'allow_safe_attrs': False,
    'import_custom_exceptions': False,
    'instantiate_custom_exceptions': False,
    'include_local_traceback': False,
    'include_local_version': False,
    'propagate_KeyboardInterrupt_locally': False,
}
# RPyC raises whatever exception the other side names, these included.
_ANY = (Exception, SystemExit, KeyboardInterrupt, GeneratorExit)


class _DeadlineStream(SocketStream):  # type: ignore[misc]
    """A stream whose reads end: RPyC's own waits for the rest of a torn message without limit."""

    def __init__(self, sock: socket.socket, timeout: float) -> None:
        super().__init__(sock)
        self._timeout = timeout
        sock.settimeout(timeout)  # of writes

    def read(self, count: int) -> bytes:
        # What is no answer leaves the stream open, so that a stop can still be sent: RPyC closes it after EOFError.
        if count > MAX_ANSWER:
            raise ValueError(f'a message of {count} bytes')
        deadline, data = time.monotonic() + self._timeout, b''
        while len(data) < count:
            if not self.poll(max(0.0, deadline - time.monotonic())):
                raise ValueError('the rest of a message did not come')
            try:
                part = self.sock.recv(count - len(data))
            except OSError as error:
                raise EOFError(error) from error
            if not part:
                raise EOFError('the connection ended')
            data += part
        return data


class Connection:
    """Calls the service of a JetBot. One thread waits for answers; `send` and `abort` may be called from any.

    A connection on which anything failed is not used again.

    Args:
        address: IP address and port.
        timeout: s for each answer, and for connecting.

    Raises:
        LinkError: at construction, if the robot does not answer.
    """

    def __init__(self, address: tuple[str, int], timeout: float) -> None:
        self._name = f'JetBot at {address[0]}:{address[1]}'
        self._timeout = timeout
        self._methods: dict[str, Any] = {}
        try:
            self._socket = socket.create_connection(address, timeout)
        except OSError as error:
            raise LinkError(
                f'{self._name} can not be reached', found=str(error),
                do='Check its power, its network and that its program runs.',
            ) from error  # fmt: skip
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream = _DeadlineStream(self._socket, timeout)
        config = {**_RESTRICTED, 'sync_request_timeout': timeout}
        self._rpyc = rpyc.connect_stream(stream, service=rpyc.VoidService, config=config)

    def prepare(self, name: str) -> None:
        """Looks up a method of the service, so that calls of it are one message; raises LinkError."""
        self._methods[name] = self._guarded(lambda: rpyc.async_(getattr(self._rpyc.root, name)), name)

    def offers(self, name: str) -> bool:
        """Whether the service has a method; prepares it. Raises LinkError if the robot does not answer."""
        try:
            self._methods[name] = rpyc.async_(getattr(self._rpyc.root, name))
        except AttributeError:
            return False
        except _ANY as error:
            raise self._lost(name, error) from error
        return True

    def send(self, name: str, *arguments: float) -> Callable[[], object]:
        """Sends a call of a prepared method, without waiting; from any thread.

        Calls reach the robot in the order in which they are sent.

        Returns:
            a function that waits for the answer and returns it; it raises LinkError.
        """
        result = self._guarded(lambda: self._methods[name](*arguments), name)
        result.set_expiry(self._timeout)
        return lambda: self._guarded(lambda: result.value, name)

    def call(self, name: str, *arguments: float) -> object:
        """Calls a prepared method and returns its answer; raises LinkError."""
        return self.send(name, *arguments)()

    def abort(self) -> None:
        """Ends a wait for an answer, from any thread; the connection is lost."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Closes the connection without waiting for the robot; may be called twice."""
        self.abort()
        with suppress(*_ANY):
            self._rpyc.close()
        with suppress(OSError):
            self._socket.close()

    def _guarded(self, work: Callable[[], Any], name: str) -> Any:
        try:
            return work()
        except _ANY as error:
            raise self._lost(name, error) from error

    def _lost(self, name: str, error: BaseException) -> LinkError:
        return LinkError(
            f'{self._name} does not answer {name}',
            expected=f'a valid answer within {self._timeout:g} s',
            found=' '.join(f'{type(error).__name__}: {error}'.split())[:200],
            do='Check its battery, its network and that its program runs.',
        )
