"""The order of one closed wake step, the same in the graph and in one process."""

from collections.abc import Callable, Iterator
import contextlib
from typing import Protocol

from cls_common.transition import Experience, Floats, Transition

from ..brain import OnlineLearner
from ..policies.contract import EndOfActionsError

ACTING_MODES = ('random', 'curiosity')


def online_step(
    learner: OnlineLearner, transition: Transition, mode: str, goes_on: bool, send: Callable[[Floats], None]
) -> Experience:
    """Acts and learns once: the next action goes out first, so that the robot moves meanwhile, or last.

    Args:
        goes_on: another action follows at once; False before sleep, at the end, or where acting is paced.
        send: takes the next action, float32 (A,) robot units.
    """
    acts = goes_on and mode in ACTING_MODES and not (transition.terminal or transition.truncated)
    early = learner.acts_before_learning
    # The step is learned from also where no action follows: asking for the next one again gives the same end.
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
    """Where a policy has no further action, reports it once; the mode is `manual` then, until another is chosen."""
    try:
        yield
    except EndOfActionsError as end:
        acting.mode = 'manual'
        acting.report_fault(f'{end}; mode is manual now')
