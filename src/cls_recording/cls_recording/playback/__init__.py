"""Replay of recorded sessions in a robot's place: selection, order and timing of messages. No ROS here."""
