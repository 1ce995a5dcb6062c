"""The encoder node as a process, with inputs published by the test."""

import hashlib
from itertools import pairwise
import json
import signal

import numpy as np
import pytest
from rcl_interfaces.srv import GetParameters
from sensor_msgs.msg import Image

from cls_common import comms
from cls_common.nodes import conversions, qos
from cls_interfaces.msg import LearnerStatus, Observation
from cls_interfaces.srv import GetEncoder
from cls_perception import encoders
from cls_perception.settings import EncoderSettings
from cls_perception.sleep_throttle import SleepThrottle


class InputPublisher:
    """Publishes one kind of input and collects embeddings."""

    def __init__(self, graph, topic, profile=None):
        self.graph = graph
        self.embeddings = []
        self.publisher = qos.publisher(graph.node, topic, profile=profile)
        qos.subscription(graph.node, comms.EMBEDDING, self.embeddings.append)

    def connect(self):
        connected = self.publisher.get_subscription_count
        self.graph.until(lambda: self.exited() or (connected() and self.graph.node.count_publishers('embedding')))
        assert not self.exited(), self.graph.log()

    def exited(self):
        return self.graph.processes[-1].poll() is not None

    def send(self, message):
        """Publishes repeatedly, since best effort may lose a message, until an embedding with its stamp arrives."""

        def mine():
            return next((e for e in self.embeddings if e.header.stamp == message.header.stamp), None)

        return self.graph.until(mine, each=lambda: self.publisher.publish(message))


def stamped(image, second):
    return conversions.to_image(image, conversions.to_time(second * 10**9), 'eye')


def observation(values, second=1):
    message = Observation(modality='pose', data=conversions.to_floats(values))
    message.header.stamp.sec = second
    return message


def observations(modality):
    return comms.Topic(f'observation/{modality}', 'cls_interfaces/msg/Observation', comms.STATE, ())


def save(folder, answer):
    folder.mkdir(parents=True)
    (folder / 'config.json').write_text(answer.config)
    (folder / 'weights.safetensors').write_bytes(bytes(answer.weights))


def test_embeddings_of_a_model_are_equal_after_a_restart(graph, tmp_path, scene):
    """Through processes, files and the service; one test, since each torch process costs seconds."""
    asked = EncoderSettings(name='early_resnet18', seed=7, threads=1)
    # Reliable matches both kinds of subscription.
    images = InputPublisher(graph, comms.IMAGE, comms.SENSOR_RELIABLE)
    first = graph.start('encoder', encoder=asked.name, models_dir=str(tmp_path), model='bob', seed=7, threads=1)
    images.connect()
    before = images.send(stamped(scene, 1))
    check_the_newest_image_wins(graph, images, first, scene)
    answer = graph.call(comms.GET_ENCODER, GetEncoder.Request(with_weights=True))
    save(tmp_path / 'bob' / 'encoder', answer)
    assert graph.end(first) == 0

    # Another seed and default: the model's files have priority.
    graph.start(
        'encoder',
        default_encoder='resnet50',
        models_dir=str(tmp_path),
        model='bob',
        seed=8,
        threads=1,
        reliable_images=True,
    )
    graph.until(lambda: 'encoder early_resnet18' in graph.log())
    images.connect()
    after = images.send(stamped(scene, 200))
    assert after.encoder_id == before.encoder_id == answer.encoder_id
    assert bytes(after.data) == bytes(before.data)
    assert len(after.data) == 512
    assert (after.modality, after.version, after.header.frame_id) == ('camera', 1, 'eye')
    # A learner without the graph loads the same encoder.
    assert encoders.make(asked).id == answer.encoder_id
    check_parameters_show_the_encoder_of_the_model(graph)
    check_weights_travel_whole(graph, answer, scene, before)
    check_bad_images_are_refused(graph, images, scene)


def check_the_newest_image_wins(graph, images, process, scene):
    """If the encoder is too slow, images are dropped, not queued."""
    images.embeddings.clear()
    process.send_signal(signal.SIGSTOP)
    for second in range(2, 102):
        images.publisher.publish(stamped(scene, second))
    process.send_signal(signal.SIGCONT)
    images.send(stamped(scene, 150))
    stamps = [e.header.stamp.sec for e in images.embeddings]
    assert stamps == sorted(stamps)
    assert len([stamp for stamp in stamps if stamp < 150]) < 50


def check_parameters_show_the_encoder_of_the_model(graph):
    service = comms.Service('encoder/get_parameters', 'rcl_interfaces/srv/GetParameters', ('encoder',))
    answer = graph.call(service, GetParameters.Request(names=['encoder', 'seed', 'threads']))
    assert [v.string_value or v.integer_value for v in answer.values] == ['early_resnet18', 7, 1]


def check_weights_travel_whole(graph, answer, scene, before):
    assert hashlib.sha256(bytes(answer.weights)).hexdigest() == answer.sha256
    here = encoders.load(json.loads(answer.config), bytes(answer.weights), threads=1)
    assert (here.id, here.size) == (answer.encoder_id, answer.size)
    assert np.array_equal(here.encode(scene[None])[0], conversions.to_array(before.data))
    light = graph.call(comms.GET_ENCODER, GetEncoder.Request(with_weights=False))
    assert light.encoder_id == answer.encoder_id and not light.weights


def check_bad_images_are_refused(graph, images, scene):
    """Invalid images give no embedding and one line in the log, and the node continues."""
    unknown, short, torn = (stamped(scene, second) for second in (211, 212, 213))
    unknown.encoding = 'bayer_rggb16'
    short.step = 10
    torn.data = torn.data[:100]
    images.embeddings.clear()
    for message in (unknown, short, torn, Image(encoding='rgb8')):
        images.publisher.publish(message)
    good = images.send(stamped(scene[::2], 214))
    assert {e.header.stamp.sec for e in images.embeddings} == {214}
    assert np.isfinite(conversions.to_array(good.data)).all()
    assert graph.log().count('refused') == 1
    assert graph.end(graph.processes[-1]) == 0
    assert '4 inputs were refused in total' in graph.log()


def test_observations_are_embedded_and_invalid_ones_refused(graph):
    body = InputPublisher(graph, observations('pose'))
    process = graph.start('encoder', encoder='identity', modality='pose')
    body.connect()
    unknown = graph.call(comms.GET_ENCODER, GetEncoder.Request(with_weights=True))
    assert unknown.encoder_id == ''

    first = body.send(observation([1.0, -2.0], 1))
    assert (list(first.data), first.encoder_id, first.modality) == ([1.0, -2.0], 'identity-pose-2-float32', 'pose')
    for values in ([np.nan, 1.0], [1.0, 2.0, 3.0], [], [np.inf, 0.0]):
        body.publisher.publish(observation(values, 2))
    body.send(observation([3.0, 4.0], 3))
    assert {e.header.stamp.sec for e in body.embeddings} == {1, 3}
    answer = graph.call(comms.GET_ENCODER, GetEncoder.Request(with_weights=True))
    assert (answer.size, answer.encoder_id) == (2, first.encoder_id)
    assert encoders.load(json.loads(answer.config), bytes(answer.weights)).id == first.encoder_id
    assert graph.end(process) == 0
    assert '4 inputs were refused in total' in graph.log()


class ImageStream:
    """Endless images, numbered by the seconds of their stamps, and a learner's status."""

    def __init__(self, graph, scene):
        self.graph, self.scene, self.sent, self.phase = graph, scene, 0, ''
        self.images = InputPublisher(graph, comms.IMAGE, comms.SENSOR_RELIABLE)
        self.status = qos.publisher(graph.node, comms.FAST_STATUS)

    def send(self):
        self.sent += 1
        self.images.publisher.publish(stamped(self.scene, self.sent))
        if self.phase:
            self.status.publish(LearnerStatus(phase=self.phase))

    def gaps(self, count):
        """Number of images between consecutive newest embeddings; empty until there are enough."""
        numbers = [e.header.stamp.sec for e in self.images.embeddings[-count - 1 :]]
        return [later - number for number, later in pairwise(numbers)] if len(numbers) > count else []

    def until(self, claim):
        self.graph.until(claim, each=self.send)

    def until_all_are_embedded(self):
        self.until(lambda: (gaps := self.gaps(8)) and max(gaps) <= 2)

    def until_few_are_embedded(self):
        self.until(lambda: (gaps := self.gaps(2)) and min(gaps) >= 5)


def test_few_images_are_embedded_while_the_learner_is_asleep(graph, scene):
    stream = ImageStream(graph, scene)
    graph.start('encoder', encoder='thumbnail', threads=1)
    stream.images.connect()
    stream.until_all_are_embedded()
    for phase in ('wake', 'falling_asleep'):
        stream.phase = phase
        stream.images.embeddings.clear()
        stream.until_all_are_embedded()
    stream.phase = 'asleep'
    stream.until_few_are_embedded()
    # The pending image is embedded without another image.
    stream.send()
    stream.status.publish(LearnerStatus(phase='wake'))
    graph.until(lambda: stream.images.embeddings[-1].header.stamp.sec == stream.sent)
    stream.phase = 'wake'
    stream.until_all_are_embedded()
    # If a learner ends while asleep, embeddings must continue.
    stream.phase = 'asleep'
    stream.until_few_are_embedded()
    stream.phase = ''
    stream.until_all_are_embedded()
    assert max(stream.gaps(8)) <= 2


def test_every_image_is_embedded_with_reliable_images(graph, scene):
    stream = ImageStream(graph, scene)
    graph.start('encoder', encoder='thumbnail', threads=1, reliable_images=True)
    stream.images.connect()
    stream.phase = 'asleep'
    stream.until(lambda: (gaps := stream.gaps(25)) and max(gaps) == 1)
    assert len(stream.gaps(25)) > 0 and max(stream.gaps(25)) == 1


def test_the_rate_is_limited_while_the_learner_is_asleep():
    pace = SleepThrottle()
    assert pace.accept(0.0) and pace.accept(0.01), 'no learner'
    pace.on_phase('asleep', 0.1)
    assert [pace.accept(time) for time in (0.2, 0.9, 1.1, 1.2)] == [False, False, True, False]
    pace.on_phase('wake', 1.3)
    assert pace.accept(1.3), 'at once'
    pace.on_phase('asleep', 1.4)
    assert not pace.accept(2.0)
    assert [pace.accept(time) for time in (4.5, 4.51, 4.52)] == [True, True, True], 'silent for 3 s'


@pytest.mark.parametrize(
    'values', [{'encoder': 'resnet_50'}, {'encodr': 'identity'}, {'encoder': 'identity', 'modality': 'a b'}]
)
def test_wrong_parameters_end_the_start(graph, values):
    process = graph.start('encoder', **values)
    graph.until(lambda: process.poll() is not None)
    assert process.returncode == 2
    assert 'error: ' in graph.log()
