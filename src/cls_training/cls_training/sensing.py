"""What a brain perceives of a simulated robot, and the transitions between two of its steps."""

from collections.abc import Sequence

from cls_common.images import resize
from cls_common.transition import Observation, Reading, Transition
from cls_learning.brain import Input
from cls_perception.encoder import Encoder
from cls_sim.robots import SimulatedRobot, Step


class Sensing:
    """Turns steps of a robot into observations of a brain. The robot draws images only if they are perceived.

    Args:
        inputs: of the brain. encoder: of its embeddings, None where it has none.
    """

    def __init__(self, robot: SimulatedRobot, inputs: Sequence[Input], encoder: Encoder | None) -> None:
        self._inputs, self._encoder = inputs, encoder
        robot.draws = any(
            each.kind == 'image' or (each.kind == 'embedding' and encoder is not None and encoder.modality == 'camera')
            for each in inputs
        )

    def observe(self, step: Step) -> Observation:
        """Returns what the brain perceives after a step."""
        return Observation({each.name: self._read(each, step) for each in self._inputs})

    def _read(self, each: Input, step: Step) -> Reading:
        if each.kind == 'vector':
            return Reading(step.vector(each.name), step.stamp_ns)
        if each.kind == 'image':
            assert step.image is not None
            return Reading(resize(step.image, (each.size[0], each.size[1])), step.stamp_ns)
        encoder = self._encoder
        assert encoder is not None
        sensed = step.image if encoder.modality == 'camera' else step.observations[encoder.modality]
        assert sensed is not None
        return Reading(encoder.encode(sensed[None])[0], step.stamp_ns, encoder.id, encoder.version)


def transition_of(before: Observation, after: Observation, step: Step, *, boundary: bool) -> Transition:
    """Returns the transition of a step between two observations; `boundary`: it begins an episode."""
    return Transition(
        before=before, after=after, action_commanded=step.commanded, action_applied=step.applied,
        joints=step.joints_before, joints_next=step.joints, boundary=boundary, reward=step.reward,
        terminal=step.terminal, truncated=step.truncated,
    )  # fmt: skip
