"""JetBot without hardware: the real protocol on loopback, a picture that its motors turn, and fault injection.

`python -m cls_jetbot_driver.fake_jetbot` serves one on the port of a real robot.
"""

import argparse
import base64
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
import logging
import threading
import time
from types import TracebackType
from typing import Any, Self

import cv2
import numpy as np
import rpyc
from rpyc.utils.server import ThreadedServer

from cls_common.images import Image, to_jpeg

from .motion import Motors, STILL
from .settings import PORT
from .wire_proxy import WireProxy

SIDE = 224
_PANORAMA, _PATCHES = 2048, 64  # columns of the whole turn, and of them independent
_TURN_RATE = 4096.0  # columns per second at a difference of 1 between the motors
_NOISE = 2.0
_DEADLINE = 20.0
_log = logging.getLogger(__name__)
_log.setLevel(logging.CRITICAL)  # RPyC logs each connection that ends


@dataclass(frozen=True)
class MotorCommand:
    """Motor values from a time on, s of the steady clock; `is_request` false: set by the robot's own timeout."""

    time: float
    motors: Motors
    is_request: bool


class FakeJetBot:
    """A robot that is switched on within its context; it drives on after a lost link until its own timeout.

    Args:
        timeout: s without a motor command after which it stops by itself.
        battery: V; None: it does not report one, as that of the original system.
        port: of its service, without faults of the network; 0: any.

    Attributes:
        battery: V.
        frame_fault: makes an answer to a request for an image; None: a picture.
        motor_fault: makes an answer to a motor command, which is carried out; None: True.
        log: all motor commands, oldest first.
        wire: the network between it and a driver.
    """

    def __init__(self, *, timeout: float = 0.5, battery: float | None = 12.0, port: int = 0, seed: int = 0) -> None:
        self.battery = battery
        self.frame_fault: Callable[[], object] | None = None
        self.motor_fault: Callable[[], object] | None = None
        self.log = [MotorCommand(time.monotonic(), STILL, False)]
        self._timeout = timeout
        self._changed = threading.Condition(threading.RLock())
        self._is_off = False
        self._heading, self._turned = 0.0, time.monotonic()
        self._random = np.random.default_rng(seed)
        patches = self._random.integers(0, 256, (8, _PATCHES, 3), np.uint8)
        # Its first columns stand at its end again: a whole turn.
        patches = np.concatenate([patches, patches[:, :8]], axis=1)
        wide = _PANORAMA * (_PATCHES + 8) // _PATCHES
        self._panorama = cv2.resize(patches, (wide, SIDE), interpolation=cv2.INTER_LINEAR)
        config = {'allow_pickle': False, 'propagate_KeyboardInterrupt_locally': False, 'logger': _log}
        # One service for all connections.
        self._server = ThreadedServer(
            _service(self), hostname='127.0.0.1', port=port, protocol_config=config, logger=_log, listener_timeout=0.05
        )
        self._server.listener.listen()  # before its thread does: connections wait from now on
        self.wire = WireProxy(self._server.port, seed)
        self._threads = [
            threading.Thread(target=work, name='fake jetbot', daemon=True)
            for work in (self._server.start, self._stop_in_time)
        ]

    @property
    def port(self) -> int:
        """Port to connect to."""
        return self.wire.port

    @property
    def motors(self) -> Motors:
        """Current values of the motors."""
        return self.log[-1].motors

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        self.wire.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.wire.__exit__(kind, error, trace)
        with self._changed:
            self._is_off = True
            self._changed.notify_all()
        self._server.close()
        for thread in self._threads:
            thread.join(5.0)

    def wait_for(self, predicate: Callable[[], bool], timeout: float = _DEADLINE) -> None:
        """Waits until a predicate of the motor commands holds; raises TimeoutError."""
        with self._changed:
            if not self._changed.wait_for(predicate, timeout):
                raise TimeoutError(f'the last of {len(self.log)} motor commands: {self.log[-1]}')

    def set_motors(self, motors: Motors, *, is_request: bool = True) -> None:
        """Sets the motors and logs the command."""
        with self._changed:
            self._turn()
            self.log.append(MotorCommand(time.monotonic(), motors, is_request))
            self._changed.notify_all()

    def picture(self) -> Image:
        """Returns what its camera sees, uint8 (SIDE, SIDE, 3) RGB, with noise."""
        with self._changed:
            self._turn()
            column = int(self._heading) % _PANORAMA
            noise = self._random.normal(0.0, _NOISE, (SIDE, SIDE, 3))
        return np.clip(self._panorama[:, column : column + SIDE] + noise, 0, 255).astype(np.uint8)

    def _turn(self) -> None:
        now, motors = time.monotonic(), self.motors
        self._heading += _TURN_RATE * (motors.left - motors.right) * (now - self._turned)
        self._turned = now

    def _stop_in_time(self) -> None:
        with self._changed:
            while not self._is_off:
                left = None if self.motors == STILL else self.log[-1].time + self._timeout - time.monotonic()
                if left is not None and left <= 0:
                    self.set_motors(STILL, is_request=False)
                else:
                    self._changed.wait(left)


def _service(robot: FakeJetBot) -> Any:
    """Returns the service as a JetBot serves it: these methods, and nothing else of the robot."""

    class JetBotService(rpyc.Service):  # type: ignore[misc]
        def exposed_set_motors(self, left: float, right: float) -> object:
            robot.set_motors(Motors(float(left), float(right)))
            return True if robot.motor_fault is None else robot.motor_fault()

        def exposed_get_camera_frame(self) -> object:
            if robot.frame_fault is not None:
                return robot.frame_fault()
            return base64.b64encode(to_jpeg(robot.picture())).decode()

    if robot.battery is not None:
        JetBotService.exposed_get_battery_voltage = lambda self: robot.battery
    return JetBotService()


def main() -> None:
    """Serves a robot until Ctrl-C, and prints its motor commands."""
    parser = argparse.ArgumentParser(description='Serves a JetBot without hardware on 127.0.0.1.')
    parser.add_argument('--port', type=int, default=PORT)
    port = parser.parse_args().port
    with FakeJetBot(port=port) as robot, suppress(KeyboardInterrupt):
        print(f'a JetBot without hardware on 127.0.0.1:{port}; Ctrl-C ends it', flush=True)
        motors = robot.motors
        while True:
            robot.wait_for(lambda: robot.motors != motors, threading.TIMEOUT_MAX)  # noqa: B023
            motors = robot.motors
            print(f'left {motors.left:.2f}  right {motors.right:.2f}', flush=True)


if __name__ == '__main__':
    main()
