"""The node `simulator`, which replaces camera and servo driver in the graph."""

from collections.abc import Sequence
import math
import sys
from typing import Any

from rclpy.node import Node
from rosgraph_msgs.msg import Clock
from std_srvs.srv import Trigger

from cls_common import comms, diagnostics
from cls_common.diagnostics import Health, Level
from cls_common.nodes import qos
from cls_common.nodes.conversions import to_array, to_image, to_robot_info, to_time
from cls_common.nodes.diagnostics import to_diagnostics
from cls_common.nodes.parameters import declare
from cls_common.nodes.runner import run
from cls_common.stamps import NS
from cls_interfaces.msg import RobotAction

from ..lock_step import LockStep
from ..pace import ActionCommand, CommandResult, Output, Pace, Status
from ..real_time import RealTime
from ..robot import SensorFrame
from ..robots import make
from ..settings import SimulatorSettings
from . import messages

# After this time without an action, lock-step publishes its last images again, for late subscribers.
REPEAT_PERIOD = 2.0
# Below this share of the requested frame rate, diagnostics warn.
SLOW_SHARE = 0.9


class Simulator(Node):
    """A simulated robot with the topics of a real one.

    Parameters: the fields of `cls_sim.settings.SimulatorSettings`.

    Publishers:
        camera/image_raw (sensor_msgs/Image): rgb8, 224 x 224, stamped when taken.
        camera/camera_info (sensor_msgs/CameraInfo)
        camera/image_raw/compressed (sensor_msgs/CompressedImage): JPEG, only while there are subscribers.
        observation/<modality> (cls_interfaces/Observation): modalities other than images.
        joint_states (sensor_msgs/JointState): with each image, if the robot has joints.
        robot/info (cls_interfaces/RobotInfo), robot/state (cls_interfaces/RobotState): latched.
        robot/applied_action (cls_interfaces/AppliedAction): when the motion has ended; before its image.
        /diagnostics (diagnostic_msgs/DiagnosticArray): 1 Hz; the names of the hardware: `camera: stream`,
            `robot: link`, `robot: joint <name>`, after the namespace.
        /clock (rosgraph_msgs/Clock): in lock-step.

    Subscribers:
        robot/action (cls_interfaces/RobotAction)

    Services:
        emergency_stop, rearm (std_srvs/Trigger)

    Timers (steady clock): images or their repetition, diagnostics, ends of motions.
    """

    def __init__(self) -> None:
        super().__init__('simulator')
        self._settings = declare(self, SimulatorSettings)
        self._robot = make(self._settings.robot, self._settings)
        lock_step = self._settings.lock_step
        self._pace: Pace = LockStep(self._robot) if lock_step else RealTime(self._robot, self._settings.latency)
        self._published_clock_ns = self._frames = self._actions = 0
        self._status: Status | None = None
        self._open_publishers(lock_step)
        qos.subscription(self, comms.ROBOT_ACTION, self._on_action)
        self.create_service(Trigger, comms.EMERGENCY_STOP.name, self._on_emergency_stop)
        self.create_service(Trigger, comms.REARM.name, self._on_rearm)
        qos.steady_timer(self, 1.0, self._on_diagnose)
        # Set to the end of each motion; idle otherwise.
        self._due_timer = qos.steady_timer(self, 3600.0, self._on_due)
        self._info.publish(to_robot_info(self._robot.info, to_time(self._now())))
        self._publish(self._pace.start(self._now()))
        self._tick_timer = qos.steady_timer(
            self, REPEAT_PERIOD if lock_step else 1.0 / self._settings.frame_rate, self._on_tick
        )

    def close(self) -> None:
        """Stops the current motion and frees the environment."""
        self._publish(self._pace.stop(self._now()))
        self._robot.close()

    def _open_publishers(self, lock_step: bool) -> None:
        image_profile = comms.SENSOR_RELIABLE if lock_step else comms.SENSOR
        self._image = qos.publisher(self, comms.IMAGE, profile=image_profile)
        self._camera_info = qos.publisher(self, comms.CAMERA_INFO)
        self._compressed = qos.publisher(self, comms.COMPRESSED)
        self._joint_states = qos.publisher(self, comms.JOINT_STATES)
        self._info = qos.publisher(self, comms.ROBOT_INFO)
        self._state = qos.publisher(self, comms.ROBOT_STATE)
        self._applied = qos.publisher(self, comms.APPLIED_ACTION)
        self._diagnostics = qos.publisher(self, comms.DIAGNOSTICS)
        self._simulated_clock = qos.publisher(self, comms.CLOCK) if lock_step else None
        self._observations = {
            modality: qos.publisher(self, comms.observation_topic(modality))
            for modality in self._robot.info.modalities
            if modality != 'camera'
        }

    def _now(self) -> int:
        return self._pace.now_ns(self.get_clock().now().nanoseconds)

    def _on_action(self, message: RobotAction) -> None:
        self._actions += 1
        command = ActionCommand(message.source, message.sequence, to_array(message.values))
        self._publish(self._pace.submit(command, self._now()))
        if self._settings.lock_step:
            self._tick_timer.reset()

    def _on_tick(self) -> None:
        self._publish(self._pace.tick(self._now()))

    def _on_due(self) -> None:
        self._publish(self._pace.poll(self._now()))

    def _on_emergency_stop(self, _request: Any, response: Trigger.Response) -> Trigger.Response:
        self._publish(self._pace.stop(self._now()))
        response.success, response.message = True, 'stopped; rearm to move again'
        return response

    def _on_rearm(self, _request: Any, response: Trigger.Response) -> Trigger.Response:
        self._pace.rearm()
        self._publish([])
        response.success, response.message = True, 'ready'
        return response

    def _publish(self, outputs: list[Output]) -> None:
        for output in outputs:
            if isinstance(output, CommandResult):
                self._publish_clock(output.motion.end_ns)
                self._applied.publish(messages.to_applied_action(output))
            else:
                self._publish_clock(output.stamp_ns)
                self._publish_frame(output)
        if self._pace.status is not self._status:
            self._status = self._pace.status
            self._state.publish(messages.to_robot_state(self._status, self._now()))
        self._schedule_due()

    def _publish_frame(self, frame: SensorFrame) -> None:
        self._frames += 1
        for observation in messages.to_observations(frame):
            self._observations[observation.modality].publish(observation)
        if self._robot.info.joint_names:
            self._joint_states.publish(messages.to_joint_state(frame, self._robot.info.joint_names))
        if frame.image is None:
            return
        self._camera_info.publish(messages.to_camera_info(frame, self._robot.view_deg))
        self._image.publish(to_image(frame.image, to_time(frame.stamp_ns), messages.CAMERA_FRAME))
        if self._compressed.get_subscription_count():
            self._compressed.publish(messages.to_compressed(frame))

    def _publish_clock(self, now_ns: int) -> None:
        if self._simulated_clock is not None:
            self._published_clock_ns = max(self._published_clock_ns, now_ns)
            self._simulated_clock.publish(Clock(clock=to_time(self._published_clock_ns)))

    def _schedule_due(self) -> None:
        due_ns = self._pace.due_ns
        if due_ns is None:
            self._due_timer.cancel()
            return
        self._due_timer.timer_period_ns = max(due_ns - self._now(), NS // 10_000)
        self._due_timer.reset()

    def _on_diagnose(self) -> None:
        rate, self._frames = self._frames, 0
        robot, settings = self._robot.info, self._settings
        slow = not settings.lock_step and rate < SLOW_SHARE * settings.frame_rate
        stopped = self._pace.status is Status.STOPPED
        health = [
            Health(
                diagnostics.CAMERA,
                Level.WARN if slow else Level.OK,
                f'{rate} of {settings.frame_rate:g} frames in a second; is the machine busy?' if slow else 'simulated',
                {'rate [Hz]': rate},
            )
        ] * ('camera' in robot.modalities)
        level = Level.WARN if stopped else Level.OK
        text = 'emergency stop; call rearm to continue' if stopped else 'simulated'
        health.append(Health(diagnostics.LINK, level, text, {'actions': self._actions}))
        health += [
            Health(diagnostics.joint(name), level, text, {'angle_deg': f'{math.degrees(angle):.2f}'})
            for name, angle in zip(robot.joint_names, self._pace.joints(self._now()))
        ]
        self._diagnostics.publish(to_diagnostics(self.get_namespace(), robot.name, health, to_time(self._now())))


def main(args: Sequence[str] | None = None) -> int:
    """Runs the simulator."""
    return run(Simulator, args)


if __name__ == '__main__':
    sys.exit(main())
