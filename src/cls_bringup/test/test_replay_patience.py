"""When a replay that waits is given up."""

from dataclasses import replace

import pytest

from cls_bringup.replay_patience import ReplayPatience
from cls_bringup.snapshot import LearnerStatuses, Replayed, Snapshot

FAST = Snapshot(node='fast_learner', mode='follow')
WAITING = Replayed(state='waiting', fault='the learner has not subscribed yet')


def test_time_counts_from_the_first_status_that_waits_and_names_its_reason() -> None:
    patience, statuses = ReplayPatience(), LearnerStatuses(FAST)
    waited = [patience.waited(status, statuses, now) for status, now in ((None, 5.0), (None, 7.0), (WAITING, 9.0))]
    assert waited == [0.0, 2.0, 4.0] and patience.missing == WAITING.fault
    assert patience.waited(replace(WAITING, fault='the encoder has not answered yet'), statuses, 10.0) == 5.0
    assert patience.missing == 'the encoder has not answered yet'


@pytest.mark.parametrize(
    'replay, mode',
    [
        (replace(WAITING, state='playing'), 'follow'),
        (replace(WAITING, state='paused'), 'follow'),
        (replace(WAITING, fault=''), 'follow'),
        (WAITING, 'manual'),
    ],
    ids=['playing', 'paused', 'asleep', 'a person'],
)
def test_progress_a_pause_sleep_or_a_person_ends_the_count(replay: Replayed, mode: str) -> None:
    patience = ReplayPatience()
    patience.waited(WAITING, LearnerStatuses(FAST), 0.0)
    assert patience.waited(replay, LearnerStatuses(replace(FAST, mode=mode)), 50.0) == 0.0 and not patience.missing
    assert patience.waited(WAITING, LearnerStatuses(FAST), 60.0) == 0.0
    assert patience.waited(WAITING, LearnerStatuses(FAST), 61.0) == 1.0
