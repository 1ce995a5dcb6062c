"""A JetBot without hardware, and a driver with its link as in the node."""

from collections.abc import Callable, Iterator

from hypothesis import settings
import pytest

from cls_jetbot_driver.fake_jetbot import FakeJetBot
from cls_jetbot_driver.testing import Host

# A busy machine must not fail property tests.
settings.register_profile('patient', deadline=None)
settings.load_profile('patient')


@pytest.fixture
def make_host() -> Iterator[Callable[..., Host]]:
    """Returns a function that makes a robot and a driver; `timeout` and `battery` are the robot's."""
    hosts: list[Host] = []

    def make(timeout: float = 0.5, battery: float | None = 12.0, seed: int = 0, **changes: object) -> Host:
        robot = FakeJetBot(timeout=timeout, battery=battery, seed=seed)
        robot.__enter__()
        hosts.append(Host(robot, **changes))
        return hosts[-1]

    yield make
    for host in hosts:
        host.link.close()
        host.robot.__exit__(None, None, None)
