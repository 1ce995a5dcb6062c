"""slow_learner's side of the calls between the learners: each has a timeout, is repeated, and is idempotent."""

from collections.abc import Callable
import threading
import time
from typing import Any

from rclpy.client import Client
from rclpy.node import Node

from cls_common import comms
from cls_common.errors import UserError
from cls_common.experience_codec import from_message
from cls_common.nodes import qos
from cls_common.nodes.conversions import to_bytes
from cls_common.nodes.experience_messages import to_experience_message
from cls_common.transition import Experience
from cls_interfaces.srv import BeginSleep, EndSleep, GetEncoder, GetExperiences, GetState, LoadState

from .. import state_bytes
from ..model_store.config_file import ModelConfig
from ..runtime.learner_link import NoAnswerError, OnlineState, SentExperiences

# A request to a server that has just died is never answered, even after it is back: so each try is short.
TRY_TIMEOUT = 2.0


class FastLink:
    """Blocking calls for a worker thread; the node's executor must spin in another one."""

    def __init__(self, node: Node, stopping: Callable[[], bool], callback_group: Any) -> None:
        self._node = node
        self._stopping = stopping
        services = (
            comms.BEGIN_SLEEP, comms.END_SLEEP, comms.GET_STATE, comms.LOAD_STATE, comms.GET_EXPERIENCES,
            comms.GET_ENCODER,
        )  # fmt: skip
        self._clients: dict[str, Client] = {
            service.name: qos.client(node, service, callback_group=callback_group) for service in services
        }

    def call(self, service: comms.Service, request: Any, patience: float, *, while_ending: bool = False) -> Any:
        """Repeats a request until it is answered, and returns the response.

        Raises:
            NoAnswerError: none came for `patience` s, or this node ends and the call is not `while_ending`.
        """
        client = self._clients[service.name]
        until = time.monotonic() + patience
        while time.monotonic() < until and (while_ending or not self._stopping()):
            # A short wait, between which the loop checks `stopping`.
            if not client.wait_for_service(timeout_sec=0.2):
                continue
            answered = threading.Event()
            future = client.call_async(request)
            future.add_done_callback(lambda _: answered.set())  # noqa: B023 - waited for before the next round
            if answered.wait(min(TRY_TIMEOUT, max(until - time.monotonic(), 0.1))):
                return future.result()
            client.remove_pending_request(future)
        raise NoAnswerError(
            f'service {service.name}', expected=f'an answer within {patience:g} s', found='none',
            do=f'Is {service.servers[0]} running?',
        )  # fmt: skip

    def begin_sleep(self, sleep_id: str, lease: float, patience: float = 10.0) -> OnlineState:
        """Begins a sleep of fast_learner and returns its whole state; raises NoAnswerError or UserError."""
        request = BeginSleep.Request(id=sleep_id, lease=lease)
        until = time.monotonic() + patience
        while True:
            answer: BeginSleep.Response = self.call(comms.BEGIN_SLEEP, request, until - time.monotonic())
            if answer.error_code == BeginSleep.Request.NONE:
                return OnlineState(True, '', answer.run_id, answer.sequence, _checked(answer))
            if answer.error_code != BeginSleep.Request.STEP_UNDER_WAY:
                raise UserError('fast_learner can not sleep', found=f'{answer.error_code}: {answer.error_msg}')
            # Its open step closes with the next image, or runs into its own timeout.
            threading.Event().wait(0.01)

    def renew(self, sleep_id: str, lease: float, lost: Callable[[], None]) -> None:
        """Prolongs the lease without waiting; calls `lost` when the answer says that it is over."""
        client = self._clients[comms.BEGIN_SLEEP.name]
        future = client.call_async(BeginSleep.Request(id=sleep_id, lease=lease, renew=True))
        future.add_done_callback(lambda f: lost() if f.result() and f.result().error_code else None)

    def end_sleep(self, sleep_id: str, state: bytes | None, patience: float = 20.0) -> EndSleep.Response:
        """Ends a sleep of fast_learner with a new state, or with its old one where `state` is None."""
        request = EndSleep.Request(id=sleep_id, keep_old=state is None)
        if state is not None:
            request.state, request.sha256 = to_bytes(state), state_bytes.sha256(state)
        answer: EndSleep.Response = self.call(comms.END_SLEEP, request, patience, while_ending=state is None)
        return answer

    def get_state(self, patience: float = 5.0) -> OnlineState:
        """Returns the whole state of fast_learner, or that it has none."""
        answer: GetState.Response = self.call(comms.GET_STATE, GetState.Request(), patience)
        if not answer.loaded:
            return OnlineState()
        return OnlineState(True, answer.model, answer.run_id, answer.sequence, _checked(answer))

    def load_state(self, run_id: str, model: str, config: ModelConfig, data: bytes, last: Experience | None) -> None:
        """Loads the state of a model into fast_learner; raises UserError where it is refused."""
        request = LoadState.Request(
            run_id=run_id, model=model, config=config.to_json(), state=to_bytes(data),
            sha256=state_bytes.sha256(data),
            last=[] if last is None else [to_experience_message(last, run_id, config.brain_name)],
        )  # fmt: skip
        answer: LoadState.Response = self.call(comms.LOAD_STATE, request, patience=10.0)
        if not answer.success:
            raise UserError('fast_learner refuses the model', found=answer.message)

    def get_experiences(self, after: int, patience: float = 2.0, *, hold: float = 0.0) -> SentExperiences:
        """Returns the experiences after a sequence that fast_learner still holds, a part at a time.

        Args:
            hold: s for which it does not act, since this node ends and has all up to `after`; 0: it acts.
        """
        request = GetExperiences.Request(after=after, hold=hold)
        answer: GetExperiences.Response = self.call(comms.GET_EXPERIENCES, request, patience, while_ending=hold > 0)
        experiences = [from_message(message) for message in answer.experiences]
        return SentExperiences(answer.run_id, answer.oldest, answer.newest, answer.settled, experiences)

    def get_encoder(self, with_weights: bool, patience: float) -> GetEncoder.Response:
        """Returns what the encoder is, with its weights on request."""
        request = GetEncoder.Request(with_weights=with_weights)
        answer: GetEncoder.Response = self.call(comms.GET_ENCODER, request, patience)
        if with_weights and state_bytes.sha256(bytes(answer.weights)) != answer.sha256:
            raise UserError('weights of the encoder', expected=f'sha256 {answer.sha256}', found='other bytes')
        return answer


def _checked(answer: Any) -> bytes:
    data = bytes(answer.state)
    found = state_bytes.sha256(data)
    if found != answer.sha256:
        raise UserError('state of fast_learner', expected=f'sha256 {answer.sha256}', found=found)
    return data
