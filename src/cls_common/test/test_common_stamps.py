"""Stamps and nanoseconds: every ns is kept, whatever the stamp's class and its fields' type."""

from types import SimpleNamespace

from hypothesis import given, strategies
import numpy as np

from cls_common import stamps


@given(strategies.integers(-(2**31) * stamps.NS, (2**31) * stamps.NS - 1))
def test_split_and_join_are_inverse_also_before_the_epoch(nanoseconds: int) -> None:
    seconds, rest = stamps.split(nanoseconds)
    assert 0 <= rest < stamps.NS
    assert stamps.join(seconds, rest) == nanoseconds


def test_a_stamp_of_numpy_integers_does_not_overflow() -> None:
    stamp = SimpleNamespace(sec=np.int32(2**31 - 1), nanosec=np.uint32(999_999_999))
    assert stamps.to_nanoseconds(stamp) == (2**31 - 1) * 10**9 + 999_999_999
