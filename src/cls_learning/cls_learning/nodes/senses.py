"""The senses of a brain as subscriptions: embeddings, images and vectors as readings."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.subscription import Subscription

from cls_common import comms, images
from cls_common.errors import UserError
from cls_common.experience_codec import from_embedding, from_observation
from cls_common.nodes import qos
from cls_common.nodes.conversions import from_image, to_nanoseconds
from cls_common.transition import JOINTS, Reading

from ..brain import Input
from ..model_store.config_file import ModelConfig


class Senses:
    """Opens what a brain perceives, and refuses readings that are not what its model was made with.

    Embeddings are received from the start, since an encoder may send its first one before the model is loaded.
    """

    def __init__(self, node: Node, receive: Callable[[str, Reading], None], refuse: Callable[[str], None]) -> None:
        self._node = node
        self._receive = receive
        self._refuse = refuse
        self._shapes: Mapping[str, tuple[int, ...]] = {}
        self._encoder_id = ''
        self._opened: list[Subscription] = []
        qos.subscription(node, comms.EMBEDDING, lambda m: self._take('embedding', from_embedding(m)))

    def open(self, config: ModelConfig) -> None:
        """Subscribes to what the brain of a model perceives."""
        for subscription in self._opened:
            self._node.destroy_subscription(subscription)
        self._shapes, self._encoder_id = config.shapes, str(config.encoder.get('id', ''))
        # Joints come with the robot's answers.
        others = [each for each in config.inputs if each.kind != 'embedding' and each.name != JOINTS]
        self._opened = [self._subscribe(each, config.robot.lock_step) for each in others]

    def _subscribe(self, each: Input, is_lock_step: bool) -> Subscription:
        if each.kind == 'image':
            profile = comms.SENSOR_RELIABLE if is_lock_step else comms.SENSOR
            return qos.subscription(self._node, comms.IMAGE, partial(self._on_image, each), profile=profile)
        topic = comms.observation_topic(each.name)
        return qos.subscription(self._node, topic, lambda m: self._take(each.name, from_observation(m)))

    def _on_image(self, each: Input, message: Any) -> None:
        try:
            image = images.resize(from_image(message), (each.size[0], each.size[1]))
        except UserError as error:
            self._refuse(str(error))
            return
        self._take(each.name, Reading(image, to_nanoseconds(message.header.stamp)))

    def _take(self, name: str, reading: Reading) -> None:
        if self._shapes:
            if name not in self._shapes:
                return
            problem = self._problem(name, reading)
            if problem:
                self._refuse(problem)
                return
        self._receive(name, reading)

    def _problem(self, name: str, reading: Reading) -> str:
        if reading.encoder_id != self._encoder_id and name == 'embedding':
            return f'embedding: expected encoder {self._encoder_id}, found {reading.encoder_id}'
        expected = self._shapes[name]
        if reading.data.shape != expected or not np.isfinite(reading.data).all():
            return f'{name}: expected finite numbers of shape {expected}'
        return ''


class VectorSizes:
    """Finds the lengths of vectors, which no description of a robot has, from the first message of each."""

    def __init__(self, node: Node, modalities: Sequence[str]) -> None:
        self.sizes: dict[str, int] = {}
        self._modalities = modalities
        for modality in modalities:
            qos.subscription(node, comms.observation_topic(modality), partial(self._on_observation, modality))

    def _on_observation(self, modality: str, message: Any) -> None:
        self.sizes.setdefault(modality, len(message.data))

    @property
    def are_known(self) -> bool:
        """Whether each has been seen."""
        return len(self.sizes) == len(self._modalities)
