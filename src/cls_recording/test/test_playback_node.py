"""The player as a process, with a learner and an encoder of this test."""

import os
from pathlib import Path
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from std_srvs.srv import SetBool

from cls_common import comms, images
from cls_common.experience_codec import from_applied_action, from_observation
from cls_common.nodes import qos
from cls_common.nodes.conversions import from_image, from_robot_info, to_nanoseconds
from cls_common.nodes.experience_messages import to_experience_message
from cls_common.nodes.retrying_client import RetryingClient
from cls_common.step_builder import StepBuilder
from cls_common.transition import CAMERA, EMBEDDING, Experience, Reading
from cls_interfaces.msg import Embedding, LearnerStatus, PlayerStatus
from cls_interfaces.srv import GetEncoder, GetExperiences, Seek, SetRate

DEADLINE = 60.0
COUNT = 8
BOTH = ('camera', 'state')
# ns from an image to its vector.
LATER = 30_000_000
RECEIVED = (
    comms.ROBOT_INFO,
    comms.ROBOT_STATE,
    comms.COMPRESSED,
    comms.APPLIED_ACTION,
    comms.EMBEDDING,
    comms.CLOCK,
    comms.PLAYER_STATUS,
)


class LearnerAndEncoder:
    """Nodes `fast_learner` and `encoder` that pair messages by the rules of the real ones."""

    def __init__(self) -> None:
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.learner = rclpy.create_node('fast_learner', context=self.context)
        self.encoder = rclpy.create_node('encoder', context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        for node in (self.learner, self.encoder):
            self.executor.add_node(node)
        self.wake, self.steps, self.received, self.images = StepBuilder(), [], [], []
        self.transitions = []
        self.encoder_id, self.mode = 'recorded', 'follow'
        self.unseen: set[str] = set()
        self._subscribe()
        self._process: subprocess.Popen[str] | None = None

    def _subscribe(self) -> None:
        self._experience = qos.publisher(self.learner, comms.EXPERIENCE)
        self._status = qos.publisher(self.learner, comms.FAST_STATUS)
        self._embedding = qos.publisher(self.encoder, comms.EMBEDDING)
        for topic in RECEIVED:
            qos.subscription(self.learner, topic, lambda m, name=topic.name: self._on_message(name, m))
        qos.subscription(self.encoder, comms.IMAGE, self._on_image, profile=comms.SENSOR_RELIABLE)
        self.learner.create_service(GetExperiences, comms.GET_EXPERIENCES.name, lambda _, response: response)
        self.encoder.create_service(GetEncoder, comms.GET_ENCODER.name, self._on_get_encoder)
        qos.steady_timer(self.learner, 0.2, self._publish_status)

    def perceive(self, image: bool, vectors: tuple[str, ...]) -> None:
        """Makes it a learner that perceives these itself, and has weights once it has seen each vector."""
        self.executor.remove_node(self.encoder)
        self.encoder.destroy_node()
        self.wake.set_senses((CAMERA,) * image + vectors)
        self.unseen = set(vectors)
        if image:
            qos.subscription(self.learner, comms.IMAGE, self._on_raw_image, profile=comms.SENSOR_RELIABLE)
        for name in vectors:
            qos.subscription(
                self.learner,
                comms.observation_topic(name),
                lambda m, name=name: self._on_vector(name, m),
            )

    def _on_raw_image(self, message) -> None:
        image = from_image(message)
        self.images.append(image)
        self._on_transition(self.wake.add_reading(CAMERA, Reading(image, to_nanoseconds(message.header.stamp))))

    def _on_vector(self, name, message) -> None:
        self.unseen.discard(name)
        self._on_transition(self.wake.add_reading(name, from_observation(message)))

    def _publish_status(self) -> None:
        steps, loaded = len(self.steps), not self.unseen
        self._status.publish(LearnerStatus(phase='wake', mode=self.mode, loaded=loaded, total_steps=steps))

    def _on_get_encoder(self, _request, response):
        response.encoder_id, response.modality = self.encoder_id, 'camera'
        return response

    def _on_image(self, message) -> None:
        self.images.append(from_image(message))
        self._embedding.publish(Embedding(header=message.header, encoder_id=self.encoder_id))

    def _on_message(self, name, message) -> None:
        self.received.append((name, message))
        if name == comms.ROBOT_INFO.name:
            self.wake.reset()
        elif name == comms.EMBEDDING.name:
            self._on_transition(
                self.wake.add_reading(EMBEDDING, Reading(np.zeros(1, np.float32), to_nanoseconds(message.header.stamp)))
            )
        elif name == comms.APPLIED_ACTION.name:
            applied = from_applied_action(message)
            self._on_transition(
                self.wake.add_applied_action((message.source, message.sequence), applied, time.monotonic())
            )

    def _on_transition(self, transition) -> None:
        if transition is not None:
            self.steps.append((transition.stamp_z, transition.stamp_next, transition.boundary))
            self.transitions.append(transition)
            experience = Experience(transition=transition, sequence=len(self.steps), episode=0)
            self._experience.publish(to_experience_message(experience, 'run', 'test'))

    def play(self, *sessions, **parameters) -> subprocess.Popen:
        parameters = {'session': ','.join(map(str, sessions)), **parameters}
        command = [sys.executable, '-m', 'cls_recording.nodes.player', '--ros-args']
        command += [part for name, value in parameters.items() for part in ('-p', f'{name}:={value}')]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        return self._process

    def all(self, topic: comms.Topic) -> list:
        return [message for name, message in self.received if name == topic.name]

    @property
    def status(self) -> PlayerStatus:
        recorded = self.all(comms.PLAYER_STATUS)
        return recorded[-1] if recorded else PlayerStatus()

    def until(self, condition, what: str):
        end = time.monotonic() + DEADLINE
        while not (found := condition()):
            assert self._process.poll() in (None, 0), self._process.stderr.read()
            assert time.monotonic() < end, f'{what} did not come: {self.status}, {len(self.steps)} steps'
            self.executor.spin_once(timeout_sec=0.05)
        return found

    def until_finished(self) -> None:
        self.until(lambda: self.status.state == PlayerStatus.FINISHED, 'the end')

    def call(self, service: comms.Service, request):
        requests, tracker = RetryingClient(qos.client(self.learner, service), retry_after=5.0), []
        self.until(lambda: tracker or requests.request(request, tracker.append), f'an answer of {service.name}')
        return tracker[0]

    def close(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            try:
                assert self._process.wait(DEADLINE) == 0
            finally:
                self._process.kill()
                self._process.stderr.close()
        self.executor.shutdown()
        for node in (self.learner, self.encoder):
            node.destroy_node()
        rclpy.try_shutdown(context=self.context)


@pytest.fixture
def peers():
    made = LearnerAndEncoder()
    yield made
    made.close()


def picture(n):
    image = np.zeros((24, 32, 3), np.uint8)
    image[:, : n % 32] = (200, 100, 50)
    return image


@pytest.fixture(scope='module')
def recorded(bags):
    """Messages of a session with decodable images, their embeddings, and a robot/action."""
    messages = [(bags.begin + 2, '/robot/action', bags.make('cls_interfaces/msg/RobotAction'))]
    for n, (time_ns, topic, message) in enumerate(bags.session_messages(COUNT)):
        if topic.endswith('compressed'):
            message.data = np.frombuffer(images.to_jpeg(picture(n)), np.uint8)
            z = bags.make('cls_interfaces/msg/Embedding', header=message.header, encoder_id='recorded')
            messages.append((time_ns + 1000, '/embedding', z))
        messages.append((time_ns, topic, message))
    return sorted(messages, key=lambda one: one[0])


def expected(bags):
    tenth = bags.second // 10
    return [(bags.begin + (2 * k + 1) * tenth, bags.begin + (2 * k + 3) * tenth, k == 0) for k in range(COUNT - 1)]


def test_recorded_embeddings_are_replayed_with_pause_seek_and_end(peers, bags, recorded, tmp_path):
    peers.play(bags.write(tmp_path / 's', recorded), rate=1.0, paused=True)
    peers.until(lambda: peers.status.state == PlayerStatus.PAUSED and peers.all(comms.ROBOT_INFO), 'a pause')
    assert from_robot_info(peers.all(comms.ROBOT_INFO)[0]).name == 'twin'
    assert not peers.call(comms.SET_PLAYER_RATE, SetRate.Request(rate=0.01)).success
    assert peers.call(comms.SET_PLAYER_RATE, SetRate.Request(rate=0.0)).success
    assert peers.steps == [] and not peers.all(comms.APPLIED_ACTION)
    assert peers.call(comms.PAUSE_PLAYER, SetBool.Request(data=False)).success
    peers.until_finished()
    assert peers.steps == expected(bags)
    status = peers.status
    assert (status.steps, status.unanswered, status.sessions, status.fault) == (COUNT, 1, 1, '')
    assert status.reuses_embeddings and status.progress == 1.0 and not status.missing
    assert peers.images == [] and len(peers.all(comms.COMPRESSED)) == 2 * COUNT
    clock = [to_nanoseconds(m.clock) for m in peers.all(comms.CLOCK)]
    assert clock == sorted(clock) and bags.begin <= clock[0] < clock[-1] <= bags.begin + 2 * bags.second
    assert peers.learner.count_publishers(comms.ROBOT_ACTION.name) == 0
    refused = peers.call(comms.SEEK_PLAYER, Seek.Request(session_index=3))
    assert not refused.success and 'session_index' in refused.message
    assert peers.call(comms.SEEK_PLAYER, Seek.Request(position=1.05)).success
    peers.until(lambda: len(peers.steps) == len(expected(bags)) + 2, 'what follows the place')
    assert peers.steps[-2:] == [(*expected(bags)[-2][:2], True), expected(bags)[-1]]


def test_images_are_published_for_another_encoder_and_the_process_ends(peers, bags, recorded, tmp_path):
    peers.encoder_id = 'another encoder'
    process = peers.play(bags.write(tmp_path / 's', recorded), rate=0.0, exit_at_end=True)
    peers.until(lambda: process.poll() is not None, 'the end of the process')
    assert process.returncode == 0 and peers.steps == expected(bags)
    jpegs = [message for _, topic, message in recorded if topic.endswith('compressed')]
    assert len(peers.images) == len(jpegs)
    for shown, jpeg in zip(peers.images, jpegs):
        np.testing.assert_array_equal(shown, images.from_jpeg(jpeg.data.tobytes()))
    assert {m.encoder_id for m in peers.all(comms.EMBEDDING)} == {'another encoder'}


def test_a_player_without_the_names_of_nodes_finds_learner_and_encoder(peers, bags, recorded, tmp_path, monkeypatch):
    profiles = Path(os.environ['FASTRTPS_DEFAULT_PROFILES_FILE']).read_text()
    refusing = '<qos><ownership><kind>EXCLUSIVE</kind></ownership></qos>'
    refusing = f'<data_reader profile_name="ros_discovery_info">{refusing}</data_reader></profiles>'
    (tmp_path / 'nameless.xml').write_text(profiles.replace('</profiles>', refusing))
    monkeypatch.setenv('FASTRTPS_DEFAULT_PROFILES_FILE', str(tmp_path / 'nameless.xml'))
    peers.encoder_id = 'another encoder'
    peers.play(bags.write(tmp_path / 's', recorded), rate=0.0)
    peers.until_finished()
    assert peers.steps == expected(bags) and peers.status.fault == ''


def test_a_filter_replays_matching_actions_in_a_loop_with_boundaries(peers, bags, recorded, tmp_path):
    # pan goes 0, 1, 2, 0, 1, 2, ...
    peers.play(bags.write(tmp_path / 's', recorded), rate=0.0, loop=True, filter_action='pan=1')
    peers.until(lambda: len(peers.steps) == 4, 'the second turn')
    matching = [(*expected(bags)[k][:2], True) for k in (1, 4)]
    assert peers.steps == 2 * matching
    assert {m.sequence for m in peers.all(comms.APPLIED_ACTION)} <= {2, 5, 8}
    peers.until(lambda: peers.status.filtered >= 10, 'a status')
    assert peers.status.state in (PlayerStatus.PLAYING, PlayerStatus.WAITING) and peers.status.unanswered <= 2


def with_vectors(bags, recorded):
    """The same messages and a vector 30 ms after each image; the vector says which."""
    images = [(t, m) for t, topic, m in recorded if topic.endswith('compressed')]
    vectors = []
    for n, (time_ns, message) in enumerate(images):
        later = bags.header(to_nanoseconds(message.header.stamp) + LATER)
        data = np.full(3, n, np.float32)
        vector = bags.make('cls_interfaces/msg/Observation', header=later, modality='state', data=data)
        vectors.append((time_ns + LATER, '/observation/state', vector))
    return sorted([*recorded, *vectors], key=lambda one: one[0])


@pytest.mark.parametrize('senses', [BOTH, ('state',)], ids=','.join)
def test_a_learner_without_an_encoder_gets_images_and_vectors(peers, bags, recorded, tmp_path, senses):
    peers.perceive('camera' in senses, ('state',))
    path = bags.write(tmp_path / 's', with_vectors(bags, recorded))
    process = peers.play(path, rate=0.0, exit_at_end=True, senses=','.join(senses))
    peers.until(lambda: process.poll() is not None, 'the end of the process')
    assert process.returncode == 0
    jpegs = [message for _, topic, message in recorded if topic.endswith('compressed')]
    # An action ends with an image: the next vector comes before the next image.
    after = [{'camera': 2 * k + 2, 'state': 2 * k + 1} for k in range(COUNT)]
    steps = list(zip([dict.fromkeys(BOTH, 0), *after], after))[: COUNT - ('camera' in senses)]
    assert len(peers.transitions) == len(steps)
    for k, (transition, step) in enumerate(zip(peers.transitions, steps)):
        assert transition.boundary == (k == 0)
        for observation, places in zip((transition.before, transition.after), step):
            assert set(observation.readings) == set(senses)
            np.testing.assert_array_equal(observation['state'], np.full(3, places['state']))
            if 'camera' in senses:
                shown = images.from_jpeg(jpegs[places['camera']].data.tobytes())
                np.testing.assert_array_equal(observation['camera'], shown)
    status = peers.status
    assert (status.unanswered, status.fault, status.reuses_embeddings) == (COUNT - len(steps), '', False)
    assert peers.all(comms.EMBEDDING) == []


@pytest.mark.parametrize('values', [{'session': '/nowhere'}, {'session': 'x', 'rate': '0.01'}], ids=['session', 'rate'])
def test_invalid_parameters_give_one_line_and_status_2(values):
    command = [sys.executable, '-m', 'cls_recording.nodes.player', '--ros-args']
    command += [part for name, value in values.items() for part in ('-p', f'{name}:={value}')]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE)
    assert ended.returncode == 2
    errors = [line for line in ended.stderr.splitlines() if line.startswith('error: ')]
    assert len(errors) == 1 and 'Traceback' not in ended.stderr, ended.stderr
    assert ('nowhere' if 'rate' not in values else 'rate') in errors[0]
