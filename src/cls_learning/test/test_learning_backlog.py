"""Backlog of slow_learner: acting waits at a limit, and an end waits until everything is in the journal."""

from hypothesis import given, strategies

from cls_learning.runtime.backlog import Backlog, LONGEST_END, SILENCE
from cls_learning.runtime.lease import Lease, STALL


def backlog(limit: int = 10, start: int = 100) -> Backlog:
    made = Backlog(limit)
    made.reset(start)
    return made


def test_acting_waits_at_the_limit_until_half_is_learned() -> None:
    found = backlog()
    found.send(109)
    assert found.behind == 9 and not found.must_wait and found.slowed == 0
    found.send(110)
    assert found.must_wait and found.must_wait and found.slowed == 1, 'one wait, asked twice'
    found.add_report(104, 110, 0.0)
    assert found.must_wait, 'six are left'
    found.add_report(105, 110, 0.0)
    assert not found.must_wait and found.behind == 5
    found.send(115)
    assert found.must_wait and found.slowed == 2


def test_without_a_limit_acting_never_waits() -> None:
    found = backlog(limit=0)
    found.send(10_000)
    assert not found.must_wait and found.behind == 9_900


@given(strategies.lists(strategies.tuples(strategies.booleans(), strategies.integers(0, 30)), max_size=60))
def test_never_more_than_the_limit_are_sent_ahead(events: list[tuple[bool, int]]) -> None:
    """Where acting stops as soon as it must wait, slow_learner is never further behind than the limit."""
    found, sent, learned = backlog(start=0), 0, 0
    for sends, count in events:
        if sends:
            for _ in range(count):
                if not found.must_wait:
                    sent += 1
                    found.send(sent)
        else:
            learned = min(learned + count, sent)
            found.add_report(learned, learned, 0.0)
        assert sent - learned <= found.limit


def test_a_late_or_repeated_report_changes_nothing() -> None:
    found = backlog()
    found.send(108)
    found.add_report(107, 108, 1.0)
    found.add_report(103, 104, 2.0)
    assert found.behind == 1 and found.unwritten == 0


def test_an_end_waits_until_everything_is_in_the_journal() -> None:
    found = backlog()
    assert not found.may_end(5.0), 'no end was asked for'
    found.send(103)
    found.begin_end(5.0)
    assert not found.may_end(5.1)
    found.acknowledge(102)
    assert not found.may_end(5.2) and found.unwritten == 1
    found.acknowledge(103)
    assert found.may_end(5.3) and found.unwritten == 0


def test_an_end_gives_up_on_a_silent_slow_learner_and_counts_what_is_lost() -> None:
    found = backlog()
    found.send(107)
    found.add_report(101, 104, 8.0)
    found.begin_end(5.0)
    assert not found.may_end(8.0 + SILENCE) and found.may_end(8.1 + SILENCE)
    assert found.unwritten == 3


def test_an_end_takes_no_longer_than_a_supervisor_waits() -> None:
    found = backlog()
    found.send(101)
    found.begin_end(0.0)
    for second in range(int(LONGEST_END)):
        found.add_report(100, 100, float(second))
        assert not found.may_end(float(second))
    assert found.may_end(LONGEST_END + 0.1)


def test_an_end_without_experiences_is_immediate() -> None:
    found = Backlog(10)
    found.begin_end(0.0)
    assert found.may_end(0.0)


def test_a_lease_does_not_run_out_while_its_holder_was_stopped() -> None:
    """A stopped process has not received the renewals sent meanwhile, so it looks once more before it gives up."""
    lease = Lease()
    lease.begin('a', 10.0, 3.0)
    assert not lease.runs_out(60.0), 'stopped for 50 s'
    assert not lease.runs_out(60.0 + STALL) and lease.renew('a', 60.6, 3.0)
    assert not lease.runs_out(60.9)
