"""Events a second over the last few seconds."""

import pytest

from cls_learning.runtime.rate_meter import RateMeter


def test_the_rate_falls_while_no_events_come_and_a_pause_does_not_count() -> None:
    rate = RateMeter(window=5.0)
    assert rate.value(0.0) == 0.0
    for number in range(100):
        rate.tick(100.0 + number * 0.1)
    assert rate.value(109.9) == pytest.approx(10.0)
    assert rate.value(112.0) == pytest.approx(10.0 * 29 / 50, rel=0.1), 'falls while no event comes'
    assert rate.value(200.0) == 0.0
    rate.tick(200.0)
    rate.pause()
    rate.tick(260.0)
    rate.tick(260.5)
    assert rate.value(260.5) == pytest.approx(2.0)
