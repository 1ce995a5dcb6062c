"""The node of the online learner: acts, closes wake steps, learns from each, pauses while slow_learner sleeps."""

from collections.abc import Sequence
import sys
import time
from typing import Any

import numpy as np
from rclpy.node import Node
import torch

from cls_common import comms
from cls_common.errors import UserError
from cls_common.experience_codec import from_applied_action
from cls_common.nodes import qos
from cls_common.nodes.conversions import from_robot_info, to_array, to_floats
from cls_common.nodes.experience_messages import to_experience_message
from cls_common.nodes.parameters import declare
from cls_common.nodes.runner import run
from cls_common.robot import check_action, RobotInfo
from cls_common.step_builder import StepBuilder
from cls_common.transition import Experience, Floats, Reading, Transition
from cls_interfaces.msg import AppliedAction, RobotAction
from cls_interfaces.srv import SetMode

from ..brain import OnlineLearner
from ..model_store.config_file import ModelConfig
from ..node_settings import FastNodeSettings
from ..runtime.backlog import Backlog
from ..runtime.online_step import ACTING_MODES, online_step, until_the_last_action
from .fast_services import FastServices
from .fast_status import FastStatus
from .retransmit_buffer import RetransmitBuffer
from .senses import Senses
from .sleep_client import SleepClient

TICK = 0.01
# An action or its answer may be lost while processes are still finding each other.
ASK_AGAIN = 0.5
# Acting is held from the first signal to the end of the process, s.
UNTIL_THE_END = 3600.0


class FastLearnerNode(Node):
    """The online learner of any brain.

    Parameters: `cls_learning.node_settings.FastNodeSettings`. The brain comes with its state, by `load_state`.

    Publishers: robot/action, experience, fast_learner/status, fast_learner/metrics/<name>.
    Subscribers: embedding, and images and vectors where the brain perceives them; robot/applied_action, robot/info,
        joint_states, manual_action, slow_learner/status.
    Services: set_mode, fast_learner/{begin_sleep, end_sleep, get_state, load_state, get_experiences}.
    Action clients: sleep, after the last wake step of a cycle.
    Timers (steady): 10 ms for pace, timeouts and the lease; 0.5 s for the status.
    """

    def __init__(self) -> None:
        super().__init__('fast_learner')
        self._settings = declare(self, FastNodeSettings)
        torch.set_num_threads(self._settings.threads)
        self.mode = self._settings.mode
        self.robot: RobotInfo | None = None
        self.learner: OnlineLearner | None = None
        self.config: ModelConfig | None = None
        self.run_id = ''
        self.model = ''
        self.steps = StepBuilder(max_still=self._settings.max_still)
        self.backlog = Backlog(self._settings.max_behind)
        self.exit_status = 0
        # Sequences go on rising over a restart of this node, so that no driver takes a new action for an old one.
        self._sequence = time.time_ns() // 1000
        self._last_sent = self._last_asked = 0.0
        self.config_sha256 = ''
        self._last_action = RobotAction()
        self._due: list[Floats] = []
        self._action_out = qos.publisher(self, comms.ROBOT_ACTION)
        self._experience_out = qos.publisher(self, comms.EXPERIENCE)
        self._status = FastStatus(self)
        self._senses = Senses(self, self._on_reading, self.report_fault)
        qos.subscription(self, comms.APPLIED_ACTION, self._on_applied)
        qos.subscription(self, comms.ROBOT_INFO, self._on_robot_info)
        qos.subscription(self, comms.JOINT_STATES, self._on_joints)
        qos.subscription(self, comms.MANUAL_ACTION, self._on_manual)
        self.services_of_sleep = FastServices(self)
        self.sleep_client = SleepClient(self)
        self.retransmit = RetransmitBuffer(self)
        self.create_service(SetMode, comms.SET_MODE.name, self._on_set_mode)
        qos.steady_timer(self, TICK, self._on_tick)
        qos.steady_timer(self, 0.5, self.publish_status)
        self.publish_status()

    @property
    def phase(self) -> str:
        """What the status says."""
        if self.learner is None:
            return 'waiting'
        if self.retransmit.is_held:
            return 'ending'
        if self.services_of_sleep.lease.id:
            return 'asleep'
        if self.services_of_sleep.is_wanted or self.sleep_client.is_wanted:
            return 'falling_asleep'
        return 'done' if self._is_done else 'wake'

    @property
    def _is_done(self) -> bool:
        return 0 < self._settings.max_steps <= self._status.steps

    def _on_robot_info(self, message: Any) -> None:
        is_first = self.robot is None
        self.robot = from_robot_info(message)
        if not is_first:
            self.steps.reset()
            self.steps.joints = np.zeros(0)
        self.steps.settle_time = self.robot.settle_time
        self.steps.lock_step = self.robot.lock_step
        self._number_actions()
        if self.config is not None:
            self._check_robot(self.config, self.robot)

    def _check_robot(self, config: ModelConfig, robot: RobotInfo) -> None:
        """Puts the weights down where another robot appears: they would mean something else."""
        try:
            config.check_robot(robot)
        except UserError as error:
            self.learner = None
            self.report_fault(str(error))

    def _on_joints(self, message: Any) -> None:
        joints = to_array(message.position, np.float64)
        if np.isfinite(joints).all():
            self.steps.set_joints(joints)

    def _on_reading(self, sense: str, reading: Reading) -> None:
        if sense == self.steps.senses[0]:
            self._status.frame_rate.tick(time.monotonic())
        self._close(self.steps.add_reading(sense, reading))

    def _on_applied(self, message: AppliedAction) -> None:
        if message.error_code != AppliedAction.NONE:
            self.report_fault(f'action refused ({message.error_code}): {message.error_msg}')
            self.steps.break_chain()
            # Not at once again: a robot that refuses would be asked a thousand times a second.
            self._last_sent = time.monotonic() + 0.5
            return
        key = (message.source, message.sequence)
        if self.retransmit.is_held and not self.steps.awaits(key):
            self.steps.break_chain()  # slow_learner would not receive it
            return
        self._close(self.steps.add_applied_action(key, from_applied_action(message), time.monotonic()))

    def _close(self, transition: Transition | None) -> None:
        learner = self.learner
        if transition is None or learner is None or self.services_of_sleep.lease.id:
            return
        assert self.config is not None
        transition = learner.prepare(transition)
        ends_cycle = learner.ends_cycle
        last = self._status.steps + 1 == self._settings.max_steps
        goes_on = not (ends_cycle or last or self.services_of_sleep.is_wanted) and self._settings.action_rate == 0
        # In lock-step nothing waits for us, and a step that is known before the next begins is never repeated.
        # An action that has to wait is chosen now all the same: later the policy would choose another one.
        held: list[Floats] = []
        waits = self.steps.lock_step or self._is_held_back
        send = held.append if waits else self._send
        try:
            experience = online_step(learner, transition, self.mode, goes_on, send)
        except UserError as error:
            self.report_fault(str(error))
            return
        message = to_experience_message(experience, self.run_id, self.config.brain_name, ends_cycle=ends_cycle)
        message.header.stamp = self.get_clock().now().to_msg()
        self.retransmit.add(message)
        self.backlog.send(message.sequence)
        self._experience_out.publish(message)
        self._status.stepped(experience)
        if self._is_held_back:
            self._due = held
        else:
            for action in held:
                self._send(action)
        if ends_cycle:
            self.sleep_client.begin()

    def loaded(self, config: ModelConfig, last: Experience | None) -> None:
        """Continues with a state that came: with the chain of the last step, and with the sleep that was due."""
        assert self.learner is not None
        self.config_sha256 = config.sha256
        self._senses.open(config)
        self.steps.set_senses(tuple(config.shapes))
        self.backlog.reset(self.learner.total_steps)
        self.retransmit.clear()
        self.sleep_client.end()
        self.steps.break_chain()
        self._due = []
        if last is not None:
            self._repeat_last(self.learner, last)
        self._number_actions()
        if self.learner.wants_sleep:
            self.sleep_client.begin()

    def _repeat_last(self, learner: OnlineLearner, last: Experience) -> None:
        """Learns the last step again where the state is that of before it: its action may be under way."""
        t = last.transition
        if learner.total_steps < last.sequence:
            learner.episode = last.episode - t.boundary
            online_step(learner, t, self.mode, not learner.ends_cycle, self._due.append)
        if not (t.terminal or t.truncated):
            self.steps.resume(t.after, t.joints_next)

    def _number_actions(self) -> None:
        """In lock-step an action is numbered by its step, so that one asked again after a restart is done once."""
        if self.learner is not None and self.robot is not None and self.robot.lock_step:
            self._sequence = self.learner.total_steps

    def _on_tick(self) -> None:
        now = time.monotonic()
        self.services_of_sleep.tick(now)
        self.sleep_client.tick(now)
        self.retransmit.tick(now)
        self._ask_again(now)
        missing = self.steps.missing()
        if self.steps.expire(now, self._settings.step_timeout):
            what = f'{" and ".join(missing)} after an action' if missing else 'answer to an action'
            self.report_fault(f'no {what} within {self._settings.step_timeout:g} s')
        if self.phase == 'wake' and self.mode in ACTING_MODES and self._may_act(now):
            assert self.learner is not None
            observation, is_new = self.steps.start()
            due, self._due = self._due, []
            if due and not is_new:
                self._send(due[0])
                return
            with until_the_last_action(self):
                self._send(self.learner.act(observation, self.steps.joints, self.mode, self.learner.total_steps))

    def _ask_again(self, now: float) -> None:
        """Sends an unanswered action once more: a driver answers a sequence twice but acts on it once."""
        if self.steps.is_unanswered and now - self._last_asked > ASK_AGAIN and self._last_action.source:
            self._last_asked = now
            self._action_out.publish(self._last_action)

    def _may_act(self, now: float) -> bool:
        rate = self._settings.action_rate
        rested = now - self._last_sent >= (1.0 / rate if rate > 0 else 0.0)
        knows_joints = self.robot is not None and len(self.steps.joints) == len(self.robot.joint_names)
        return self.steps.can_start and rested and knows_joints and not self._is_held_back

    @property
    def _is_held_back(self) -> bool:
        return self.retransmit.is_held or self.backlog.must_wait

    def _send(self, values: Floats) -> None:
        self._sequence += 1
        self._last_sent = time.monotonic()
        self.steps.open((self.get_name(), self._sequence), self._last_sent)
        message = RobotAction(source=self.get_name(), sequence=self._sequence, values=to_floats(values))
        message.header.stamp = self.get_clock().now().to_msg()
        self._last_action, self._last_asked = message, self._last_sent
        self._action_out.publish(message)

    def _on_manual(self, message: RobotAction) -> None:
        if self.mode != 'manual' or self.phase != 'wake' or self.robot is None:
            self.report_fault(f'manual action refused: mode is {self.mode}, phase is {self.phase}')
        elif self.steps.can_start:
            try:
                self._send(check_action(self.robot, to_array(message.values)))
            except UserError as error:
                self.report_fault(str(error))

    def _on_set_mode(self, request: SetMode.Request, response: SetMode.Response) -> SetMode.Response:
        response.success = request.mode in comms.MODES
        if response.success:
            self.mode, self._due = request.mode, []
            response.message = f'mode {self.mode}'
            self.publish_status()
        else:
            response.message = f'unknown mode {request.mode!r}; expected one of {", ".join(comms.MODES)}'
        response.mode = self.mode
        return response

    def wind_down(self) -> bool:
        """Acts no more after the first signal, and ends when slow_learner has every experience in its journal."""
        now = time.monotonic()
        if not self.retransmit.is_held:
            self.retransmit.hold(UNTIL_THE_END)
            self.publish_status()
        self.backlog.begin_end(now)
        if not self.backlog.may_end(now):
            return False
        if self.backlog.unwritten:
            self.exit_status = 1
            self.get_logger().fatal(
                f'{self.backlog.unwritten} experiences are lost: slow_learner did not say that it wrote them down'
            )
        return True

    def woke_up(self) -> None:
        """Begins a new cycle: the rate is measured again, the next step decides whether the chain holds."""
        self._status.woke_up()
        self.publish_status()

    def report_fault(self, text: str) -> None:
        """Counts and shows a fault; said in the log at most once a second."""
        self._status.faults += 1
        self._status.fault = text
        self.get_logger().warning(text, throttle_duration_sec=1.0)

    def publish_status(self) -> None:
        """Says how it goes."""
        self._status.publish()


def main(args: Sequence[str] | None = None) -> int:
    """Runs the node."""
    return run(FastLearnerNode, args)


if __name__ == '__main__':
    sys.exit(main())
