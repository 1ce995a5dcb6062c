"""A recorded session of the toroidal dot, made without a graph."""

from pathlib import Path
from typing import Any

import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer

from cls_common import comms
from cls_recording.definitions import installed
from cls_recording.session import SessionInfo
from cls_sim.robots import make, SimulatorSettings


def record_dot(path: Path, actions: list[int], seed: int = 1) -> Path:
    """Records these actions of the dot, its image after each and its answers, as `ros2 bag record` does."""
    robot = make('toroidal_dot', SimulatorSettings(robot='toroidal_dot', seed=seed))
    messages = [(comms.IMAGE, _image(robot.reset()))]
    for number, action in enumerate(actions, 1):
        step = robot.step(np.array([action], np.float32))
        messages += [(comms.APPLIED_ACTION, _answer(step, number)), (comms.IMAGE, _image(step))]
    info = SessionInfo(name=path.name, robot=robot.info, total_steps=len(actions))
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as bag:
        for key, value in info.to_custom_data().items():
            bag.set_custom_data(key, value)
        places: dict[str, Any] = {}
        for number, (topic, message) in enumerate(messages):
            if topic.name not in places:
                places[topic.name] = bag.add_connection(f'/{topic.name}', topic.type, typestore=installed())
            bag.write(places[topic.name], 10**9 + number, installed().serialize_cdr(message, topic.type))
    robot.close()
    return path


def _made(type_name: str, /, **values: Any) -> Any:
    return installed().types[type_name](**values)


def _stamp(ns: int) -> Any:
    return _made('builtin_interfaces/msg/Time', sec=ns // 10**9, nanosec=ns % 10**9)


def _image(step: Any) -> Any:
    image = step.image
    return _made(
        comms.IMAGE.type, header=_made('std_msgs/msg/Header', stamp=_stamp(step.stamp_ns), frame_id='camera'),
        height=image.shape[0], width=image.shape[1], encoding='rgb8', is_bigendian=0, step=image.shape[1] * 3,
        data=image.reshape(-1),
    )  # fmt: skip


def _answer(step: Any, number: int) -> Any:
    return _made(
        comms.APPLIED_ACTION.type, source='runner', sequence=number, commanded=step.commanded, applied=step.applied,
        joints_before=step.joints_before, joints_after=step.joints, start=_stamp(step.start_ns),
        end=_stamp(step.end_ns), error_code=0, error_msg='', reward=float('nan'), terminal=False, truncated=False,
    )  # fmt: skip
