"""The encoder node as a real process, fed by a publisher of the test."""

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
from cls_perception.idle_pace import IdlePace
from cls_perception.settings import EncoderSettings


class Sense:
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
        """Sends again and again, since best effort may lose a message, until an embedding with its stamp is back."""

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


def test_a_model_sees_the_same_after_a_restart(graph, tmp_path, scene):
    """Hazard H1, through processes, files and the service; one torch process costs seconds, so much is asked of it."""
    asked = EncoderSettings(name='early_resnet18', seed=7, threads=1)
    # Reliable serves both kinds of subscription.
    eyes = Sense(graph, comms.IMAGE, comms.SENSOR_RELIABLE)
    first = graph.start('encoder', encoder=asked.name, models_dir=str(tmp_path), model='bob', seed=7, threads=1)
    eyes.connect()
    before = eyes.send(stamped(scene, 1))
    check_the_newest_image_wins(graph, eyes, first, scene)
    answer = graph.call(comms.GET_ENCODER, GetEncoder.Request(with_weights=True))
    save(tmp_path / 'bob' / 'encoder', answer)
    assert graph.end(first) == 0

    # Another seed and default: the model's own files decide.
    graph.start(
        'encoder', default_encoder='resnet50', models_dir=str(tmp_path), model='bob', seed=8, threads=1,
        reliable_images=True,
    )  # fmt: skip
    graph.until(lambda: 'encoder early_resnet18' in graph.log())
    eyes.connect()
    after = eyes.send(stamped(scene, 200))
    assert after.encoder_id == before.encoder_id == answer.encoder_id
    assert bytes(after.data) == bytes(before.data)
    assert len(after.data) == 512
    assert (after.modality, after.version, after.header.frame_id) == ('camera', 1, 'eye')
    # A learner without the graph makes the very same one.
    assert encoders.make(asked).id == answer.encoder_id
    check_parameters_show_the_encoder_of_the_model(graph)
    check_weights_travel_whole(graph, answer, scene, before)
    check_bad_images_are_refused(graph, eyes, scene)


def check_the_newest_image_wins(graph, eyes, process, scene):
    """While the encoder can't keep up images are dropped, not queued: it never lags behind."""
    eyes.embeddings.clear()
    process.send_signal(signal.SIGSTOP)
    for second in range(2, 102):
        eyes.publisher.publish(stamped(scene, second))
    process.send_signal(signal.SIGCONT)
    eyes.send(stamped(scene, 150))
    stamps = [e.header.stamp.sec for e in eyes.embeddings]
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


def check_bad_images_are_refused(graph, eyes, scene):
    """Bad images give no embedding, one line in the log, and the node goes on."""
    unknown, short, torn = (stamped(scene, second) for second in (211, 212, 213))
    unknown.encoding = 'bayer_rggb16'
    short.step = 10
    torn.data = torn.data[:100]
    eyes.embeddings.clear()
    for message in (unknown, short, torn, Image(encoding='rgb8')):
        eyes.publisher.publish(message)
    good = eyes.send(stamped(scene[::2], 214))
    assert {e.header.stamp.sec for e in eyes.embeddings} == {214}
    assert np.isfinite(conversions.to_array(good.data)).all()
    assert graph.log().count('refused') == 1
    assert graph.end(graph.processes[-1]) == 0
    assert '4 inputs were refused in all' in graph.log()


def test_observations_pass_and_bad_ones_are_refused(graph):
    body = Sense(graph, observations('pose'))
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
    assert '4 inputs were refused in all' in graph.log()


class Stream:
    """Images without end, numbered by the seconds of their stamps, and a learner that says how it is."""

    def __init__(self, graph, scene):
        self.graph, self.scene, self.sent, self.phase = graph, scene, 0, ''
        self.eyes = Sense(graph, comms.IMAGE, comms.SENSOR_RELIABLE)
        self.status = qos.publisher(graph.node, comms.FAST_STATUS)

    def send(self):
        self.sent += 1
        self.eyes.publisher.publish(stamped(self.scene, self.sent))
        if self.phase:
            self.status.publish(LearnerStatus(phase=self.phase))

    def gaps(self, count):
        """How many images farther each of the newest embeddings is than the one before; none until there are enough."""
        numbers = [e.header.stamp.sec for e in self.eyes.embeddings[-count - 1 :]]
        return [later - number for number, later in pairwise(numbers)] if len(numbers) > count else []

    def until(self, claim):
        self.graph.until(claim, each=self.send)

    def until_all_are_embedded(self):
        self.until(lambda: (gaps := self.gaps(8)) and max(gaps) <= 2)

    def until_few_are_embedded(self):
        self.until(lambda: (gaps := self.gaps(2)) and min(gaps) >= 5)


def test_few_images_are_embedded_while_the_learner_is_asleep(graph, scene):
    stream = Stream(graph, scene)
    graph.start('encoder', encoder='thumbnail', threads=1)
    stream.eyes.connect()
    stream.until_all_are_embedded()
    for phase in ('wake', 'falling_asleep'):
        stream.phase = phase
        stream.eyes.embeddings.clear()
        stream.until_all_are_embedded()
    stream.phase = 'asleep'
    stream.until_few_are_embedded()
    # The newest image that was held back is embedded, without another image.
    stream.send()
    stream.status.publish(LearnerStatus(phase='wake'))
    graph.until(lambda: stream.eyes.embeddings[-1].header.stamp.sec == stream.sent)
    stream.phase = 'wake'
    stream.until_all_are_embedded()
    # A learner that dies asleep must not leave the robot blind.
    stream.phase = 'asleep'
    stream.until_few_are_embedded()
    stream.phase = ''
    stream.until_all_are_embedded()


def test_every_image_is_embedded_where_each_one_counts(graph, scene):
    stream = Stream(graph, scene)
    graph.start('encoder', encoder='thumbnail', threads=1, reliable_images=True)
    stream.eyes.connect()
    stream.phase = 'asleep'
    stream.until(lambda: (gaps := stream.gaps(25)) and max(gaps) == 1)


def test_a_pace_of_its_own_while_the_learner_is_asleep():
    pace = IdlePace()
    assert pace.take(0.0) and pace.take(0.01), 'no learner'
    pace.hear('asleep', 0.1)
    assert [pace.take(time) for time in (0.2, 0.9, 1.1, 1.2)] == [False, False, True, False]
    pace.hear('wake', 1.3)
    assert pace.take(1.3), 'at once'
    pace.hear('asleep', 1.4)
    assert not pace.take(2.0)
    assert [pace.take(time) for time in (4.5, 4.51, 4.52)] == [True, True, True], 'silent for 3 s'


@pytest.mark.parametrize(
    'values', [{'encoder': 'resnet_50'}, {'encodr': 'identity'}, {'encoder': 'identity', 'modality': 'a b'}]
)
def test_wrong_parameters_end_the_start(graph, values):
    process = graph.start('encoder', **values)
    graph.until(lambda: process.poll() is not None)
    assert process.returncode == 2
    assert 'error: ' in graph.log()
