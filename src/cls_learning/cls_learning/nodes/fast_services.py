"""What slow_learner asks of fast_learner: hand over, sleep, wake up, load."""

import time
from typing import Any, TYPE_CHECKING

from cls_common import comms
from cls_common.errors import UserError
from cls_common.experience_codec import from_message
from cls_common.nodes.conversions import to_bytes
from cls_interfaces.srv import BeginSleep, EndSleep, GetState, LoadState

from .. import state_bytes
from ..brain import OnlineLearner
from ..model_store.config_file import ModelConfig
from ..runtime.learner_session import make_online_learner
from ..runtime.lease import Lease

if TYPE_CHECKING:
    from .fast_learner import FastLearnerNode

# An announced sleep whose asker went silent is forgotten after this, s.
WANTED_PATIENCE = 3.0


class FastServices:
    """Serves begin_sleep, end_sleep, get_state and load_state for the node.

    Attributes:
        lease: of the sleep under way.
    """

    def __init__(self, node: 'FastLearnerNode') -> None:
        self._node = node
        self.lease = Lease()
        self._wanted_until = 0.0
        self._loaded = ''
        node.create_service(BeginSleep, comms.BEGIN_SLEEP.name, self._begin_sleep)
        node.create_service(EndSleep, comms.END_SLEEP.name, self._end_sleep)
        node.create_service(GetState, comms.GET_STATE.name, self._get_state)
        node.create_service(LoadState, comms.LOAD_STATE.name, self._load_state)

    @property
    def is_wanted(self) -> bool:
        """Whether sleep was announced while a step is still open: no further action goes out."""
        return time.monotonic() < self._wanted_until

    def tick(self, now: float) -> None:
        """Wakes the robot where slow_learner went silent; steady time in s."""
        if self.lease.runs_out(now):
            self._node.get_logger().error(
                'slow_learner was silent for the whole lease: awake with the weights of before'
            )
            self._node.sleep_client.lost()
            self._node.status.woke_up()

    def _begin_sleep(self, request: BeginSleep.Request, response: BeginSleep.Response) -> BeginSleep.Response:
        node, now = self._node, time.monotonic()
        if request.renew or self.lease.id == request.id:
            if not self.lease.renew(request.id, now, request.lease):
                response.error_code, response.error_msg = BeginSleep.Request.LEASE_LOST, 'this sleep has ended'
                return response
        elif node.learner is None:
            response.error_code, response.error_msg = BeginSleep.Request.NOT_LOADED, 'no weights yet'
            return response
        elif self.lease.id:
            response.error_code, response.error_msg = BeginSleep.Request.OTHER_SLEEP, f'asleep for {self.lease.id}'
            return response
        elif node.steps.is_open:
            self._wanted_until = now + WANTED_PATIENCE
            response.error_code, response.error_msg = BeginSleep.Request.STEP_UNDER_WAY, 'a step is still open'
            return response
        else:
            self._wanted_until = 0.0
            self.lease.begin(request.id, now, request.lease)
            node.status.publish()
        if not request.renew:
            self._fill(response)
        return response

    def _fill(self, response: Any) -> None:
        assert self._node.learner is not None
        state = self._node.learner.to_bytes()
        response.run_id = self._node.run_id
        response.sequence = self._node.learner.total_steps
        response.state = to_bytes(state)
        response.sha256 = state_bytes.sha256(state)

    def _end_sleep(self, request: EndSleep.Request, response: EndSleep.Response) -> EndSleep.Response:
        node = self._node
        if self.lease.has_ended(request.id):
            return response
        if self.lease.id != request.id:
            response.error_code, response.error_msg = EndSleep.Request.LEASE_LOST, 'already awake with the old weights'
            return response
        if not request.keep_old:
            assert node.learner is not None
            before = node.learner.to_bytes()
            try:
                _load(node.learner, bytes(request.state), request.sha256)
            except UserError as error:
                node.learner.load_bytes(before)
                response.error_code, response.error_msg = EndSleep.Request.BAD_STATE, str(error)
        self.lease.end()
        node.sleep_client.end()
        node.status.woke_up()
        return response

    def _get_state(self, _request: GetState.Request, response: GetState.Response) -> GetState.Response:
        response.loaded = self._node.learner is not None
        if response.loaded:
            response.model = self._node.model
            self._fill(response)
        return response

    def _load_state(self, request: LoadState.Request, response: LoadState.Response) -> LoadState.Response:
        node = self._node
        if node.run_id == request.run_id and self._loaded == request.sha256:
            # Asked again: loading once more would discard every step since.
            response.success, response.message = True, 'loaded before'
            return response
        try:
            config = ModelConfig.from_json(request.config, 'config of load_state')
            if node.robot is not None:
                config.check_robot(node.robot)
            learner = make_online_learner(config)
            _load(learner, bytes(request.state), request.sha256)
        except UserError as error:
            response.message = str(error)
            return response
        node.learner, node.config, node.model, node.run_id = learner, config, request.model, request.run_id
        self._loaded = request.sha256
        node.loaded(config, from_message(request.last[0]) if request.last else None)
        response.success, response.message = True, f'loaded at step {node.learner.total_steps}'
        node.status.publish()
        return response


def _load(learner: OnlineLearner, state: bytes, sha256: str) -> None:
    if state_bytes.sha256(state) != sha256:
        raise UserError('state of the online learner', expected=f'sha256 {sha256}', found=state_bytes.sha256(state))
    learner.load_bytes(state)
