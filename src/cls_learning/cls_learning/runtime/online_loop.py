"""Acts and learns step after step; keeps an action that was chosen while acting is held back. Pure."""

from collections.abc import Callable

from cls_common.step_builder import StepBuilder
from cls_common.transition import Experience, Floats, Transition

from ..brain import OnlineLearner
from .online_step import online_step


class OnlineLoop:
    """Connects an online learner with the steps of a robot.

    Args:
        send: sends an action, float32 (A,) in robot units, and opens its step.
    """

    def __init__(self, steps: StepBuilder, send: Callable[[Floats], None]) -> None:
        self._steps = steps
        self._send = send
        self._due: list[Floats] = []

    def clear(self) -> None:
        """Discards an action that was not sent."""
        self._due = []

    def learn(
        self, learner: OnlineLearner, transition: Transition, mode: str, goes_on: bool, is_held: bool
    ) -> Experience:
        """Learns from a prepared transition, and chooses the next action.

        In lock-step the action is sent by `send_due` only, since a step that is published before the next one begins
        is never repeated. While acting is held it is chosen all the same: later the policy would choose another one.

        Args:
            goes_on: another action follows at once.

        Raises:
            UserError: it can't be learned from; nothing was learned.
        """
        held: list[Floats] = []
        waits = self._steps.lock_step or is_held
        experience = online_step(learner, transition, mode, goes_on, held.append if waits else self._send)
        self._due = held
        return experience

    def send_due(self) -> None:
        """Sends the action that was chosen and not yet sent, if any."""
        due, self._due = self._due, []
        for action in due:
            self._send(action)

    def act(self, learner: OnlineLearner, mode: str) -> None:
        """Sends the action that was chosen before, where the chain continues, or a new one.

        Raises:
            EndOfActionsError: the policy has no further action.
        """
        observation, is_new = self._steps.start()
        if self._due and not is_new:
            self.send_due()
            return
        self._due = []
        self._send(learner.act(observation, self._steps.joints, mode, learner.total_steps))

    def continue_from(self, learner: OnlineLearner, last: Experience, mode: str) -> None:
        """Continues the chain of another process from its last step.

        Where the learner's state is that of before this step, it learns the step again, and chooses again the action
        that may be under way.
        """
        transition = last.transition
        if learner.total_steps < last.sequence:
            learner.episode = last.episode - transition.boundary
            online_step(learner, transition, mode, not learner.ends_cycle, self._due.append)
        if transition.terminal or transition.truncated:
            self._steps.resume_after(transition.after)
        else:
            self._steps.resume(transition.after, transition.joints_next)
