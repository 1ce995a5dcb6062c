"""Detection of changes: false alarms and delays on fixed seeds, and what holds for any errors."""

import math

from hypothesis import given, settings, strategies
import numpy as np
import pytest

from cls_common.errors import UserError
from cls_learning.evaluation.change_detection import ChangeDetectionSettings, ChangeDetector

TESTS = ('page_hinkley', 'adwin')
CALIBRATION = ChangeDetectionSettings().calibration


def detector(**chosen: object) -> ChangeDetector:
    return ChangeDetector(ChangeDetectionSettings(**chosen))


def alarms(found: ChangeDetector, errors: np.ndarray) -> list[int]:
    """Returns the indices of errors that raise an alarm."""
    return [index for index, error in enumerate(errors.tolist()) if found.observe(error)]


def correlated(size: int, share: float, draws: np.random.Generator) -> np.ndarray:
    """Returns a first-order autoregression of spread 1, (size,)."""
    found = draws.standard_normal(size)
    for index in range(1, size):
        found[index] = share * found[index - 1] + math.sqrt(1.0 - share * share) * found[index]
    return found


NOISES = {
    'white': lambda size, draws: draws.standard_normal(size),
    'correlated': lambda size, draws: correlated(size, 0.9, draws),
    'outliers': lambda size, draws: draws.standard_normal(size) + 10.0 * (draws.random(size) < 0.01),
    'squares': lambda size, draws: draws.chisquare(4, size) / math.sqrt(8.0),
    'falling': lambda size, draws: draws.standard_normal(size) - np.arange(size) / 5000.0,
}


def stream(noise: str, size: float, ramp: int, seed: int) -> tuple[np.ndarray, int]:
    """Returns errors with one rise by `size` spreads over `ramp` steps, and the step at which it begins."""
    draws = np.random.default_rng([seed, 7])
    begin = int(draws.integers(400, 1000))
    errors = NOISES[noise](begin + ramp + 50, draws)
    errors[begin:] += size * np.minimum(1.0, np.arange(1, ramp + 51) / ramp)
    return 10.0 + errors, begin


def found_share(chosen: str, noise: str, size: float, ramp: int, count: int = 20) -> float:
    """Returns the share of changes that are found by 50 steps after the end of their ramp."""
    streams = (stream(noise, size, ramp, seed) for seed in range(count))
    return sum(any(at >= begin for at in alarms(detector(detector=chosen), e)) for e, begin in streams) / count


@pytest.mark.parametrize('noise', NOISES)
def test_page_hinkley_raises_at_most_one_false_alarm_in_5000_steps(noise: str) -> None:
    errors = NOISES[noise](20_000, np.random.default_rng(0))
    assert len(alarms(detector(), errors)) <= 4


@pytest.mark.parametrize(
    ('noise', 'size'), [('white', 1.0), ('white', 3.0), ('outliers', 3.0), ('squares', 3.0), ('correlated', 5.0)]
)
def test_page_hinkley_finds_abrupt_changes_within_50_steps(noise: str, size: float) -> None:
    assert found_share('page_hinkley', noise, size, 1) >= 0.95


@pytest.mark.parametrize('size', [1.0, 3.0])
def test_page_hinkley_finds_gradual_changes(size: float) -> None:
    assert found_share('page_hinkley', 'white', size, 500) >= 0.95


def test_adwin_is_slower_and_as_quiet() -> None:
    assert len(alarms(detector(detector='adwin'), NOISES['white'](5_000, np.random.default_rng(1)))) <= 2
    assert found_share('adwin', 'white', 3.0, 1, 10) >= 0.9


@pytest.mark.parametrize('chosen', TESTS)
@given(strategies.floats(-1e12, 1e12), strategies.booleans())
@settings(max_examples=10)
def test_constant_errors_never_raise_an_alarm(chosen: str, error: float, two_sided: bool) -> None:
    found = detector(detector=chosen, two_sided=two_sided, calibration=20)
    assert alarms(found, np.full(100, error)) == [] and found.level < 1e-6


@pytest.mark.parametrize('chosen', TESTS)
@given(strategies.just(1000.0) | strategies.floats(1e-6, 1e6), strategies.integers(0, 20))
@settings(max_examples=5)
def test_the_scale_of_errors_changes_no_alarm(chosen: str, scale: float, seed: int) -> None:
    errors, _ = stream('white', 3.0, 1, seed)
    plain = alarms(detector(detector=chosen), errors)
    assert plain and plain == alarms(detector(detector=chosen), scale * errors)


@pytest.mark.parametrize('chosen', TESTS)
@pytest.mark.parametrize('bad', [math.nan, math.inf, -math.inf, 1e200])
def test_what_is_no_number_is_counted_and_left_out(chosen: str, bad: float) -> None:
    errors, _ = stream('white', 3.0, 1, 3)
    plain, holed = detector(detector=chosen), detector(detector=chosen)
    (at,) = alarms(plain, errors)[:1]
    for error in errors[:at].tolist():
        assert not holed.observe(bad) and not holed.observe(error)
    assert holed.observe(errors[at]) and holed.ignored == at == holed.metrics()['change_ignored']
    assert holed.last_alarm_step == holed.steps == 2 * at + 1


@pytest.mark.parametrize('chosen', TESTS)
@given(strategies.integers(0, 700), strategies.booleans())
@settings(max_examples=5)
def test_a_restored_detector_goes_on_bit_by_bit(chosen: str, at: int, two_sided: bool) -> None:
    errors = correlated(700, 0.5, np.random.default_rng(1)) + np.repeat([0.0, 6.0], [250, 450])
    whole, first = (detector(detector=chosen, two_sided=two_sided) for _ in range(2))
    alarms(whole, errors[:at]), alarms(first, errors[:at])
    again = detector(detector=chosen, two_sided=two_sided)
    again.load({name: tensor.clone() for name, tensor in first.state().items()})
    assert again.is_calibrating == first.is_calibrating
    assert alarms(again, errors[at:]) == alarms(whole, errors[at:]) and whole.alarms
    state = again.state()
    assert all(tensor.equal(state[name]) for name, tensor in whole.state().items())


def test_a_change_raises_one_alarm_and_the_next_change_another() -> None:
    draws = np.random.default_rng(2)
    errors = draws.standard_normal(3000) + np.repeat([0.0, 5.0, 12.0], 1000)
    found = detector(quiet=50)
    at = alarms(found, errors)
    assert len(at) == 2 and at[0] in range(1000, 1020) and at[1] in range(2000, 2020)
    assert found.alarms == 2 and found.last_alarm_step == at[1] + 1
    metrics = found.metrics()
    assert metrics['change_alarms'] == 2.0 and metrics['change_last_alarm'] == at[1] + 1


def test_it_is_changed_until_quiet_is_over_or_the_copy_is_frozen_again() -> None:
    draws = np.random.default_rng(3)
    found = detector(quiet=30)
    assert found.is_calibrating and math.isnan(found.metrics()['change_last_alarm'])
    alarms(found, draws.standard_normal(CALIBRATION))
    assert not found.is_calibrating and not found.is_changed
    while not found.observe(9.0):
        assert found.level < 1.0
    assert found.is_changed and found.level >= 1.0
    alarms(found, np.full(30, 9.0))
    assert found.is_changed and not found.is_calibrating
    found.observe(9.0)
    assert not found.is_changed and found.is_calibrating and found.level == 0.0
    alarms(found, draws.standard_normal(CALIBRATION - 1))
    assert not found.is_calibrating
    found.refreeze()
    assert found.is_calibrating and found.alarms == 1


@pytest.mark.parametrize('chosen', TESTS)
def test_a_fall_is_a_change_only_where_the_setting_says_so(chosen: str) -> None:
    errors = np.random.default_rng(4).standard_normal(600) - np.repeat([0.0, 4.0], [400, 200])
    assert alarms(detector(detector=chosen), errors) == []
    assert alarms(detector(detector=chosen, two_sided=True), errors)[0] in range(400, 450)


def test_a_single_outlier_of_any_size_raises_no_alarm_and_spoils_no_calibration() -> None:
    draws = np.random.default_rng(5)
    errors = draws.standard_normal(700)
    errors[[50, 300, 400]] = 1e9
    found = detector()
    assert alarms(found, errors) == []
    assert alarms(found, draws.standard_normal(50) + 3.0)


def test_an_unknown_test_is_refused() -> None:
    with pytest.raises(UserError, match='page_hinkley, adwin'):
        detector(detector='guess')


def test_bursts_at_the_start_of_each_episode_raise_no_alarm_and_hide_no_large_change() -> None:
    errors = np.random.default_rng(6).standard_normal(4000) + 20.0 * (np.arange(4000) % 100 < 15)
    assert alarms(detector(), errors) == []
    found = alarms(detector(), errors + np.repeat([0.0, 8.0], 2000))
    assert len(found) == 1 and found[0] in range(2000, 2100)
