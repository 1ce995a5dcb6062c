"""One wake step: acting and learning in the same order in the graph and in one process."""

from collections.abc import Callable, Iterator
import contextlib
from typing import Protocol

from cls_common.comms import ACTING_MODES
from cls_common.transition import Experience, Floats, Transition

from ..brain import OnlineLearner
from ..policies.contract import EndOfActionsError


def online_step(
    learner: OnlineLearner, transition: Transition, mode: str, goes_on: bool, send: Callable[[Floats], None]
) -> Experience:
    """Learns one step and sends the next action: before learning, so that the robot moves meanwhile, or after.

    Args:
        goes_on: another action follows at once; False before sleep, at the end, or with a limited action rate.
        send: called with the next action, float32 (A,) robot units.
    """
    acts = goes_on and mode in ACTING_MODES and not (transition.terminal or transition.truncated)
    early = learner.acts_before_learning
    # The step is learned also where the policy has no further action; the next call of `act` raises again.
    if acts and early:
        learner.carry(transition)
        with contextlib.suppress(EndOfActionsError):
            send(learner.act(transition.after, transition.joints_next, mode, learner.total_steps + 1))
    experience = learner.learn(transition)
    if acts and not early:
        with contextlib.suppress(EndOfActionsError):
            send(learner.act(transition.after, transition.joints_next, mode, learner.total_steps))
    return experience


class Acting(Protocol):
    """A node or loop that acts in a mode and reports faults."""

    mode: str

    def report_fault(self, text: str) -> None: ...


@contextlib.contextmanager
def until_the_last_action(acting: Acting) -> Iterator[None]:
    """Sets the mode to `manual` and reports it once where a policy has no further action."""
    try:
        yield
    except EndOfActionsError as end:
        acting.mode = 'manual'
        acting.report_fault(f'{end}; mode is manual now')
