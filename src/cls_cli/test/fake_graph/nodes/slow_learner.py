"""Saves by writing a line, sleeps by counting."""

from pathlib import Path
import sys
import time

from rclpy.action import ActionServer, CancelResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import MultiThreadedExecutor
from rclpy.node import Node
from std_srvs.srv import Trigger

from cls_common import comms
from cls_common.errors import UserError
from cls_common.nodes import runner
from cls_common.nodes.experience_messages import to_metrics
from cls_common.nodes.qos import publisher, steady_timer
from cls_interfaces.action import Sleep
from cls_interfaces.msg import LearnerStatus


class FakeSlowLearner(Node):
    """Publishes slow_learner/status; save_model appends to `saves`; a sleep step takes 10 ms."""

    def __init__(self) -> None:
        super().__init__('slow_learner')
        self._saves = self.declare_parameter('saves', '').value
        if refusal := self.declare_parameter('refusal', '').value:
            raise UserError(refusal)
        self._status = LearnerStatus(node='slow_learner', phase='wake', model='fake', loaded=True, memory_size=7)
        self._status.metrics = to_metrics({'slow_raw': 0.5, 'skill': 0.5}, {'skill': True})
        self._publisher = publisher(self, comms.SLOW_STATUS)
        self.create_service(Trigger, comms.SAVE_MODEL.name, self._save)
        steady_timer(self, 0.1, lambda: self._publisher.publish(self._status))
        self._server = ActionServer(
            self,
            Sleep,
            comms.SLEEP.name,
            self._sleep,
            callback_group=ReentrantCallbackGroup(),
            cancel_callback=lambda _: CancelResponse.ACCEPT,
        )

    def _save(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if self._status.phase != 'wake':
            response.message = 'not now: asleep'
            return response
        self._status.generation += 1
        if self._saves:
            with Path(self._saves).open('a') as file:
                file.write(f'generation {self._status.generation}\n')
        response.success, response.message = True, f'generation {self._status.generation}'
        return response

    def _sleep(self, goal) -> Sleep.Result:
        count = dict(zip(goal.request.phases, goal.request.steps)).get('sws', 0)
        result = Sleep.Result(
            status='ok', phases=['sws'], steps=[count], metrics=to_metrics({'avg_l_ms': float('nan')})
        )
        self._status.phase, self._status.is_asleep = 'sws', True
        for step in range(count):
            time.sleep(0.01)
            goal.publish_feedback(Sleep.Feedback(phase='sws', step=step + 1, steps=count, loss=0.5))
            if goal.is_cancel_requested:
                self._status.phase, self._status.is_asleep = 'wake', False
                goal.canceled()
                return Sleep.Result(
                    error_code=Sleep.Result.CANCELLED, error_msg='woken', steps=[step + 1], phases=['sws']
                )
        self._status.phase, self._status.is_asleep = 'wake', False
        goal.succeed()
        return result


def main() -> int:
    """Runs the node."""
    return runner.run(FakeSlowLearner, make_executor=lambda: MultiThreadedExecutor(num_threads=4))


if __name__ == '__main__':
    sys.exit(main())
