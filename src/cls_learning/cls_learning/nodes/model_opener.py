"""Opens the model of slow_learner, or creates it as soon as robot, encoder and vectors are known."""

from collections.abc import Callable
from dataclasses import dataclass
import secrets
import threading
from typing import Any

from rclpy.node import Node

from cls_common import comms
from cls_common.nodes import qos
from cls_common.nodes.conversions import encoder_config, from_robot_info
from cls_common.robot import RobotInfo
from cls_common.transition import JOINTS
from cls_perception.devices import choose_device

from ..brain import Brain, inputs_of
from ..model_store.config_file import ModelConfig
from ..model_store.folder import ModelFolder
from ..node_settings import SlowNodeSettings
from ..runtime.config_resolution import check_against
from ..runtime.learner_link import NoAnswerError
from ..runtime.learner_session import LearnerSession
from ..runtime.model_creation import create_model, new_config
from .fast_link import FastLink
from .senses import VectorSizes

_POLL_PERIOD = 0.1


@dataclass(frozen=True)
class Recipe:
    """Settings of a new model.

    Attributes:
        settings: of the brain. origins: of each setting by name.
        requested: those set by parameter or preset; an existing model must have the same.
    """

    brain: Brain
    settings: Any
    origins: dict[str, str]
    requested: dict[str, Any]


class ModelOpener:
    """Opens the session of a model; receives the robot's description."""

    def __init__(
        self, node: Node, folder: ModelFolder, settings: SlowNodeSettings, recipe: Recipe, link: FastLink,
        stopping: threading.Event, callback_group: Any,
    ) -> None:  # fmt: skip
        self._node, self._log = node, node.get_logger()
        self._folder, self._settings, self._recipe = folder, settings, recipe
        self._link = link
        self._stopping = stopping
        self._robot: RobotInfo | None = None
        qos.subscription(node, comms.ROBOT_INFO, self._on_robot_info, callback_group=callback_group)

    def open(self) -> LearnerSession:
        """Waits for what a new model needs, and returns the open session; called in the worker's thread.

        Raises:
            NoAnswerError: the node stops. UserError: an existing model has other settings or another robot.
        """
        folder, name = self._folder, self._settings.model
        if folder.config is None:
            self._log.info(f'new model {name!r}: waiting for robot and encoder')
            create_model(folder, *self._describe_new_model())
        else:
            check_against(folder.config.settings, self._recipe.requested, name)
            if self._settings.accept_robot:
                folder.accept_robot(self._await_robot())
        session = LearnerSession(folder, str(choose_device(self._settings.device)))
        self._log.info(f'model {name!r} at step {session.sequence}, cycle {session.cycles}')
        return session

    def _describe_new_model(self) -> tuple[ModelConfig, bytes]:
        recipe, robot = self._recipe, self._await_robot()
        inputs = inputs_of(recipe.brain, recipe.settings, robot)
        names = [each.name for each in inputs if each.kind == 'vector']
        vectors = VectorSizes(self._node, [name for name in names if name != JOINTS])
        self._await(lambda: vectors.are_known)
        encoder, weights = self._await_encoder() if any(each.kind == 'embedding' for each in inputs) else ({}, b'')
        sizes = vectors.sizes | ({JOINTS: len(robot.joint_names)} if JOINTS in names else {})
        seed = self._settings.seed if self._settings.seed >= 0 else secrets.randbelow(2**31)
        config = new_config(robot, encoder, seed, recipe.settings, recipe.origins, recipe.brain.name, sizes)
        return config, weights

    def _await_encoder(self) -> tuple[dict[str, Any], bytes]:
        # An encoder of observations has no size, and so no id, before it has seen the first one.
        self._await(lambda: bool(self._link.get_encoder(with_weights=False, patience=float('inf')).encoder_id))
        answer = self._link.get_encoder(with_weights=True, patience=float('inf'))
        return encoder_config(answer), bytes(answer.weights)

    def _await_robot(self) -> RobotInfo:
        self._await(lambda: self._robot is not None)
        assert self._robot is not None
        return self._robot

    def _await(self, is_known: Callable[[], bool]) -> None:
        while not is_known():
            if self._stopping.wait(_POLL_PERIOD):
                raise NoAnswerError('slow_learner', found='its own end')

    def _on_robot_info(self, message: Any) -> None:
        self._robot = from_robot_info(message)
