"""What fast_learner keeps of sent experiences: within a count and a byte limit, and never less than may be missed."""

from hypothesis import given, strategies
import numpy as np

from cls_common.nodes.experience_messages import to_experience_message
from cls_common.transition import Experience, Observation, Reading, Transition
from cls_learning.nodes.retransmit_buffer import size_of
from cls_learning.runtime.sent_messages import SentMessages

sizes_of_runs = strategies.lists(strategies.integers(0, 50), max_size=60)


@given(
    sizes=sizes_of_runs,
    capacity=strategies.integers(10, 30),
    max_bytes=strategies.integers(0, 300),
    at_least=strategies.integers(1, 10),
)
def test_as_many_are_kept_as_limits_allow_and_never_fewer_than_may_be_missed(
    sizes: list[int], capacity: int, max_bytes: int, at_least: int
) -> None:
    sent: SentMessages[str] = SentMessages(capacity, max_bytes, at_least)
    for sequence, size in enumerate(sizes, 1):
        sent.add(sequence, f'message {sequence}', size)
        fits = [n for n in range(1, sequence + 1) if n <= at_least or sum(sizes[sequence - n : sequence]) <= max_bytes]
        kept = min(max(fits), capacity)
        assert (len(sent), sent.nbytes) == (kept, sum(sizes[sequence - kept : sequence]))
        assert sent.sequences == (sequence - kept + 1, sequence) and sent.newest == f'message {sequence}'
    sent.clear()
    assert (len(sent), sent.nbytes, sent.newest, sent.sequences) == (0, 0, None, (0, 0))


@given(sizes=sizes_of_runs, count=strategies.integers(1, 20), max_bytes=strategies.integers(1, 100))
def test_asking_again_with_the_last_sequence_gets_everything_in_order(
    sizes: list[int], count: int, max_bytes: int
) -> None:
    sent: SentMessages[int] = SentMessages(1000, 10_000, 1)
    for sequence, size in enumerate(sizes, 1):
        sent.add(sequence, sequence, size)
    received: list[int] = []
    while answer := sent.after(received[-1] if received else 0, count, max_bytes):
        assert len(answer) <= count
        assert len(answer) == 1 or sum(sizes[sequence - 1] for sequence in answer) <= max_bytes
        received += answer
    assert received == list(range(1, len(sizes) + 1))


def test_the_size_of_a_message_is_that_of_its_arrays() -> None:
    image, vector = np.zeros((64, 48, 3), np.uint8), np.zeros(5, np.float32)
    observation = Observation({'camera': Reading(image, 1), 'state': Reading(vector, 1)})
    nothing = np.zeros(0, np.float32)
    transition = Transition(
        before=observation,
        after=observation,
        action_commanded=nothing,
        action_applied=nothing,
        joints=np.zeros(0),
        joints_next=np.zeros(0),
        boundary=True,
    )
    experience = Experience(transition=transition, sequence=1, episode=0, extras={'trace': np.zeros(3)})
    message = to_experience_message(experience, 'run', 'brain')
    assert size_of(message) == 2 * (64 * 48 * 3 + 5 * 4) + 3 * 8
