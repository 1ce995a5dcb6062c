"""Sends the action 1 to a robot ten times a second, until it is killed."""

import rclpy
from rclpy.node import Node

from cls_common import comms
from cls_common.nodes import qos
from cls_interfaces.msg import RobotAction


def main() -> None:
    rclpy.init()
    node = Node('acting')
    actions = qos.publisher(node, comms.ROBOT_ACTION)
    sequence = 0

    def act() -> None:
        nonlocal sequence
        sequence += 1
        actions.publish(RobotAction(source='acting', sequence=sequence, values=[1.0]))

    node.create_timer(0.1, act)
    rclpy.spin(node)


if __name__ == '__main__':
    main()
