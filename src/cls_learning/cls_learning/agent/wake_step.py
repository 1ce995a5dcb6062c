"""The order of one closed wake step, the same in the graph and in one process."""

from collections.abc import Callable, Iterator
import contextlib
from typing import Protocol

from ..policies.contract import EndOfActionsError
from ..types import Experience, Floats, Transition
from .waking import WakingHalf

ACTING_MODES = ('random', 'curiosity')


def close(
    waking: WakingHalf, transition: Transition, mode: str, goes_on: bool, send: Callable[[Floats], None]
) -> Experience:
    """Closes a step: the next action goes out first, so that the body moves while we learn, or last.

    Args:
        goes_on: another action follows at once; False before sleep, at the end, or where acting is paced.
        send: takes the next action, float32 (A,) robot units.
    """
    acts = goes_on and mode in ACTING_MODES and not (transition.terminal or transition.truncated)
    early = waking.settings.act_before_learning
    # The step is learned from also where no action follows: asking for the next one again gives the same end.
    if acts and early:
        waking.carry(transition)
        with contextlib.suppress(EndOfActionsError):
            send(waking.act(transition.z_next, transition.joints_next, mode, waking.total_steps + 1))
    experience = waking.learn(transition)
    if acts and not early:
        with contextlib.suppress(EndOfActionsError):
            send(waking.act(transition.z_next, transition.joints_next, mode, waking.total_steps))
    return experience


class Acting(Protocol):
    """A node or loop that acts in a mode and reports faults."""

    mode: str

    def report_fault(self, text: str) -> None: ...


@contextlib.contextmanager
def until_the_last_action(acting: Acting) -> Iterator[None]:
    """Where a policy has no further action, says so once; mode `manual` then, until somebody chooses another."""
    try:
        yield
    except EndOfActionsError as end:
        acting.mode = 'manual'
        acting.report_fault(f'{end}; mode is manual now')


def ends_cycle(waking: WakingHalf) -> bool:
    """Whether the step that is about to close is the last one before sleep (row 000-028)."""
    return (waking.wake_steps_in_cycle + 1) % waking.settings.sleep.wake_steps_per_cycle == 0
