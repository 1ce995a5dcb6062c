"""The node of the online learner: acts, closes wake steps, learns from each, pauses while slow_learner sleeps."""

from collections.abc import Sequence
import sys
import time

from rclpy.node import Node
import torch

from cls_common import comms
from cls_common.errors import UserError
from cls_common.nodes import qos
from cls_common.nodes.experience_messages import to_experience_message
from cls_common.nodes.parameters import declare
from cls_common.nodes.runner import run
from cls_common.robot import RobotInfo
from cls_common.step_builder import StepBuilder
from cls_common.transition import Experience, Reading, Transition

from ..brain import OnlineLearner
from ..model_store.config_file import ModelConfig
from ..node_settings import FastNodeSettings
from ..runtime.backlog import Backlog
from ..runtime.online_loop import OnlineLoop
from ..runtime.online_step import until_the_last_action
from .action_sender import ActionSender
from .fast_services import FastServices
from .fast_status import FastStatus
from .mode_control import ModeControl
from .pictures import PicturePublisher
from .retransmit_buffer import RetransmitBuffer
from .robot_inputs import RobotInputs
from .senses import Senses
from .sleep_client import SleepClient

TICK = 0.01
# Acting is held from the first signal to the end of the process, s.
UNTIL_THE_END = 3600.0


class FastLearnerNode(Node):
    """The online learner of any brain.

    Parameters: `cls_learning.node_settings.FastNodeSettings`. The brain comes with its state, by `load_state`.

    Publishers: robot/action, experience, fast_learner/status, fast_learner/metrics/<name>, fast_learner/pictures.
    Subscribers: embedding, and images and vectors where the brain perceives them; robot/applied_action, robot/info,
        joint_states, manual_action, slow_learner/status.
    Services: set_mode, fast_learner/{begin_sleep, end_sleep, get_state, load_state, get_experiences}.
    Action clients: sleep, after the last wake step of a cycle.
    Timers (steady): 10 ms for pace, timeouts and the lease; 0.5 s for the status and for pictures.
    """

    def __init__(self) -> None:
        super().__init__('fast_learner')
        self._settings = declare(self, FastNodeSettings)
        torch.set_num_threads(self._settings.threads)
        self.learner: OnlineLearner | None = None
        self.config: ModelConfig | None = None
        self.run_id = self.model = self.config_sha256 = ''
        self.steps = StepBuilder(max_still=self._settings.max_still)
        self.backlog = Backlog(self._settings.max_behind)
        self.exit_status = 0
        self.actions = ActionSender(self, self.steps, self._settings.action_rate)
        self._loop = OnlineLoop(self.steps, self.actions.send)
        self._experience_out = qos.publisher(self, comms.EXPERIENCE)
        self.status = FastStatus(self)
        self._pictures = PicturePublisher(self)
        self._senses = Senses(self, self._on_reading, self.status.report_fault)
        self._robot_inputs = RobotInputs(self)
        self._mode_control = ModeControl(self, self._settings.mode, self._loop)
        self.services_of_sleep = FastServices(self)
        self.sleep_client = SleepClient(self)
        self.retransmit = RetransmitBuffer(self)
        qos.steady_timer(self, TICK, self._on_tick)
        qos.steady_timer(self, 0.5, self.status.publish)
        self.status.publish()

    @property
    def mode(self) -> str:
        """Who decides on actions."""
        return self._mode_control.mode

    @property
    def robot(self) -> RobotInfo | None:
        """The robot's description, None before it is known."""
        return self._robot_inputs.robot

    @property
    def phase(self) -> str:
        """What this node does, as in the status."""
        if self.learner is None:
            return 'waiting'
        if self.retransmit.is_held:
            return 'ending'
        if self.services_of_sleep.lease.id:
            return 'asleep'
        if self.services_of_sleep.is_wanted or self.sleep_client.is_wanted:
            return 'falling_asleep'
        return 'done' if 0 < self._settings.max_steps <= self.status.steps else 'wake'

    def _on_reading(self, sense: str, reading: Reading) -> None:
        if sense == self.steps.senses[0]:
            self.status.frame_rate.tick(time.monotonic())
        self.close_step(self.steps.add_reading(sense, reading))

    def close_step(self, transition: Transition | None) -> None:
        """Learns from a closed step, publishes its experience, and sends the next action where one follows."""
        learner = self.learner
        if transition is None or learner is None or self.services_of_sleep.lease.id:
            return
        assert self.config is not None
        transition = learner.prepare(transition)
        ends_cycle = learner.ends_cycle
        last = self.status.steps + 1 == self._settings.max_steps
        goes_on = not (ends_cycle or last or self.services_of_sleep.is_wanted) and not self.actions.pacing.is_paced
        try:
            experience = self._loop.learn(learner, transition, self.mode, goes_on, self._is_held_back)
        except UserError as error:
            self.status.report_fault(str(error))
            return
        message = to_experience_message(experience, self.run_id, self.config.brain_name, ends_cycle=ends_cycle)
        message.header.stamp = self.get_clock().now().to_msg()
        self.retransmit.add(message)
        self.backlog.send(message.sequence)
        self._experience_out.publish(message)
        self.status.stepped(experience)
        if not self._is_held_back:
            self._loop.send_due()
        if ends_cycle:
            self.sleep_client.begin()

    def loaded(self, config: ModelConfig, last: Experience | None) -> None:
        """Continues with a state that was loaded: with the chain of its last step, and with the sleep that was due."""
        assert self.learner is not None
        self.config_sha256 = config.sha256
        self._senses.open(config)
        self.steps.set_senses(tuple(config.shapes))
        self._mode_control.check()
        self.backlog.reset(self.learner.total_steps)
        self.retransmit.clear()
        self.sleep_client.end()
        self.steps.break_chain()
        self._loop.clear()
        if last is not None:
            self._loop.continue_from(self.learner, last, self.mode)
        self.number_actions()
        if self.learner.wants_sleep:
            self.sleep_client.begin()

    def number_actions(self) -> None:
        """Numbers actions by steps in lock-step."""
        if self.learner is not None and self.robot is not None and self.robot.lock_step:
            self.actions.number_from(self.learner.total_steps)

    def _on_tick(self) -> None:
        now = time.monotonic()
        self.services_of_sleep.tick(now)
        self.sleep_client.tick(now)
        self.retransmit.tick(now)
        self.actions.tick(now)
        missing = self.steps.missing()
        if self.steps.expire(now, self._settings.step_timeout):
            what = f'{" and ".join(missing)} after an action' if missing else 'answer to an action'
            self.status.report_fault(f'no {what} within {self._settings.step_timeout:g} s')
        if self.phase == 'wake' and self.mode in comms.ACTING_MODES and self._may_act(now):
            assert self.learner is not None
            with until_the_last_action(self._mode_control):
                self._loop.act(self.learner, self.mode)

    def _may_act(self, now: float) -> bool:
        is_rested = self.steps.can_start and self.actions.pacing.may_send(now)
        return is_rested and self._robot_inputs.are_joints_known and not self._is_held_back

    @property
    def _is_held_back(self) -> bool:
        return self.retransmit.is_held or self.backlog.must_wait

    def wind_down(self) -> bool:
        """Stops acting after the first signal, and ends when slow_learner has every experience in its journal."""
        now = time.monotonic()
        if not self.retransmit.is_held:
            self.retransmit.hold(UNTIL_THE_END)
            self.status.publish()
        self.backlog.begin_end(now)
        if not self.backlog.may_end(now):
            return False
        if self.backlog.unwritten:
            self.exit_status = 1
            self.get_logger().fatal(
                f'{self.backlog.unwritten} experiences are lost: slow_learner did not report that it wrote them down'
            )
        return True


def main(args: Sequence[str] | None = None) -> int:
    """Runs the node."""
    return run(FastLearnerNode, args)


if __name__ == '__main__':
    sys.exit(main())
