"""The lease of a sleep; monotonic time in s."""

from cls_learning.runtime.lease import Lease


def test_a_lease_holds_while_it_is_renewed() -> None:
    lease = Lease()
    assert lease.id == '' and not lease.renew('a', 0.0, 3.0) and not lease.runs_out(9.9)

    def runs_out(begin: int, end: int) -> bool:
        return any(lease.runs_out(tick / 10) for tick in range(begin, end + 1))

    lease.begin('a', 10.0, 3.0)
    assert lease.id == 'a' and not runs_out(100, 130)
    assert lease.renew('a', 13.0, 3.0) and not lease.renew('b', 13.0, 3.0)
    assert not runs_out(130, 160) and runs_out(160, 161)
    assert lease.id == '' and not lease.runs_out(17.0), 'reported once'
    assert not lease.renew('a', 17.0, 3.0) and not lease.has_ended('a'), 'too late: the learner woke by itself'


def test_ended_leases_are_remembered_by_id() -> None:
    lease = Lease()
    for sleep_id in ('a', 'b'):
        lease.begin(sleep_id, 0.0, 3.0)
        assert not lease.has_ended(sleep_id)
        lease.end()
        assert lease.id == '' and lease.has_ended(sleep_id) and not lease.runs_out(100.0)
    assert lease.has_ended('a') and not lease.has_ended('c')
