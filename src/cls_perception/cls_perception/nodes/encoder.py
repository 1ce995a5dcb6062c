"""The node `encoder`: publishes embeddings of images or observations."""

from collections.abc import Sequence
import hashlib
import json
import re
import sys
import time
from typing import Any

from rclpy.node import Node

from cls_common import comms
from cls_common.errors import UserError
from cls_common.nodes import conversions, parameters, qos
from cls_common.nodes.runner import run
from cls_interfaces.msg import Embedding, LearnerStatus, Observation
from cls_interfaces.srv import GetEncoder
from cls_perception import encoder_selection, encoders
from cls_perception.clips import Clip
from cls_perception.encoder import Array
from cls_perception.settings import EncoderNodeSettings
from cls_perception.sleep_throttle import SleepThrottle

_LOG_EVERY = 10.0  # s between two log lines about refused input
_PENDING_PERIOD = 0.25  # s; period of checking for a pending image after the learner's statuses end


class EncoderNode(Node):
    """Embeds the newest image, or every observation, and provides the encoder with all its weights.

    The encoder files of a model have priority; `encoder` and `default_encoder` are for new models only.
    With best-effort images the queue holds one, so a slow encoder drops images and does not lag behind; while
    fast_learner sleeps one image per second is embedded, and the newest at once when it wakes up.

    Parameters:
        encoder, default_encoder, model, models_dir, reliable_images, modality, seed, weights, backend,
        threads, device: see cls_perception/settings.py. All are read at start.

    Publishers:
        embedding (cls_interfaces/Embedding): with the header of its image or observation.

    Subscribers:
        camera/image_raw (sensor_msgs/Image): image encoders; SENSOR, or reliable with `reliable_images`.
        fast_learner/status (cls_interfaces/LearnerStatus): whether it is asleep; not with `reliable_images`.
        observation/<modality> (cls_interfaces/Observation): vector encoders; the first one determines their size.

    Services:
        encoder/get_encoder (cls_interfaces/GetEncoder): description of the encoder, and its weights on request.
            An empty encoder_id: a vector encoder before its first observation.
    """

    def __init__(self) -> None:
        super().__init__('encoder')
        self.refused = 0
        chosen = parameters.read(self, EncoderNodeSettings)
        self._new = encoder_selection.for_new_model(chosen)
        self._encoder = encoder_selection.from_model(chosen)
        if self._encoder is None and not encoders.find(self._new.name).vectors:
            self._encoder = encoders.make(self._new)
        self._settings = parameters.declare(
            self, EncoderNodeSettings, in_force=encoder_selection.settings_of(self._encoder)
        )
        self._clip = Clip(self._encoder.frames if self._encoder else 1)
        self._throttle = SleepThrottle()
        self._pending: tuple[Array, Any] | None = None  # the newest input and its header, if not embedded yet
        self._publisher = qos.publisher(self, comms.EMBEDDING)
        self._subscribe()
        service = comms.GET_ENCODER
        self.create_service(qos.interface(service.type), service.name, self._on_get_encoder)
        self._log_encoder()

    def close(self) -> None:
        """Logs the number of refused inputs."""
        if self.refused:
            self.get_logger().warning(f'{self.refused} inputs were refused in total')

    def _subscribe(self) -> None:
        if self._encoder is not None and not self._encoder.vectors:
            profile = comms.SENSOR_RELIABLE if self._settings.reliable_images else comms.SENSOR
            qos.subscription(self, comms.IMAGE, self._on_image, profile=profile)
            if not self._settings.reliable_images:
                qos.subscription(self, comms.FAST_STATUS, self._on_status)
                qos.steady_timer(self, _PENDING_PERIOD, self._embed_pending)
            return
        modality = self._encoder.modality if self._encoder else self._settings.modality
        if not re.fullmatch('[a-z][a-z0-9_]*', modality):
            raise UserError(f'modality {modality!r}', expected='lower-case letters, digits and underscores')
        topic = comms.observation_topic(modality)
        qos.subscription(self, topic, self._on_observation)

    def _on_image(self, message: Any) -> None:
        try:
            image = conversions.from_image(message)
            clip = self._clip.add(image, conversions.to_nanoseconds(message.header.stamp))
        except UserError as error:
            self._refuse(error)
            return
        self._pending = clip, message.header
        self._embed_pending()

    def _on_status(self, message: LearnerStatus) -> None:
        self._throttle.on_phase(message.phase, time.monotonic())
        self._embed_pending()

    def _embed_pending(self) -> None:
        if self._pending is None or not self._throttle.accept(time.monotonic()):
            return
        held, self._pending = self._pending, None
        try:
            self._embed(*held)
        except UserError as error:
            self._refuse(error)

    def _on_observation(self, message: Observation) -> None:
        values = conversions.to_array(message.data)
        try:
            if self._encoder is None:
                self._encoder = encoders.make(self._new, size=values.size, modality=self._settings.modality)
                self._log_encoder()
            self._embed(values[None], message.header)
        except UserError as error:
            self._refuse(error)

    def _embed(self, x: Array, header: Any) -> None:
        assert self._encoder is not None
        z = self._encoder.encode(x)[0]  # (size,)
        message = Embedding(header=header, modality=self._encoder.modality, encoder_id=self._encoder.id)
        message.version, message.data = self._encoder.version, conversions.to_floats(z)
        self._publisher.publish(message)

    def _refuse(self, error: UserError) -> None:
        self.refused += 1
        self.get_logger().warning(f'refused, {self.refused} so far: {error}', throttle_duration_sec=_LOG_EVERY)

    def _on_get_encoder(self, request: GetEncoder.Request, response: GetEncoder.Response) -> GetEncoder.Response:
        encoder = self._encoder
        if encoder is None:
            return response
        response.modality, response.encoder_id = encoder.modality, encoder.id
        response.config = json.dumps(encoder.config())
        response.version, response.size = encoder.version, encoder.size
        if request.with_weights:
            weights = encoder.weights()
            response.weights = conversions.to_bytes(weights)
            response.sha256 = hashlib.sha256(weights).hexdigest()
        return response

    def _log_encoder(self) -> None:
        if self._encoder is None:
            self.get_logger().info(f'waiting for the first observation {self._settings.modality!r}')
            return
        self.get_logger().info(f'encoder {self._encoder.id}: {self._encoder.modality} to {self._encoder.size} floats')


def main(args: Sequence[str] | None = None) -> int:
    """Runs the node."""
    return run(EncoderNode, args)


if __name__ == '__main__':
    sys.exit(main())
