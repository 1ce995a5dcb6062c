"""The description of the graph: every robot and option gives processes that exist, nothing unknown passes."""

import dataclasses
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from cls_bringup.arguments import ARGUMENTS, default_text, description, parse_flag, parse_options, REPLAY_ONLY
from cls_bringup.chosen_brain import settings_of_brain
from cls_bringup.graph import describe, describe_body, describe_brain, GraphOptions, Process
from cls_common.comms import MODES
from cls_common.errors import UserError
from cls_common.resources import config_dir
from cls_sim import settings as simulation

ROBOTS = ('sim', 'square', 'pan_tilt', 'jetbot', 'gym:CartPole-v1')
DRIVERS = {'pan_tilt': ['camera', 'servo_driver'], 'jetbot': ['jetbot_driver']}
BRAIN = ['encoder', 'fast_learner', 'slow_learner']


def process(name: str, **options: Any) -> Process:
    (found,) = [p for p in describe(GraphOptions(**options)) if p.name == name]
    return found


@pytest.mark.parametrize('robot', ROBOTS)
def test_every_robot_has_a_body_and_the_same_brain(robot: str) -> None:
    options = GraphOptions(robot=robot)
    body = DRIVERS.get(robot, ['simulator'])
    assert [p.name for p in describe_body(options)] == body
    assert [p.name for p in describe_brain(options)] == BRAIN
    assert [p.name for p in describe(options)] == body + BRAIN
    assert options.simulated == (robot not in DRIVERS)


@pytest.mark.parametrize(('robot', 'mode'), list(product(ROBOTS, ('', *MODES))))
def test_names_are_unique_and_name_their_module(robot: str, mode: str) -> None:
    processes = describe(GraphOptions(robot=robot, mode=mode))
    assert len({p.name for p in processes}) == len(processes)
    for p in processes:
        assert p.module == f'{p.package}.nodes.{p.name}'
        assert p.parameter_files == (f'{robot if robot in DRIVERS else "sim"}.param.yaml',)


@pytest.mark.parametrize(
    ('options', 'name', 'expected'),
    [
        ({'robot': 'square'}, 'simulator', {'robot': 'square'}),
        ({'lock_step': True}, 'simulator', {'lock_step': True}),
        ({'lock_step': True}, 'encoder', {'reliable_images': True}),
        ({'scene': 0}, 'simulator', {'scene': 0}),
        ({'seed': 0}, 'simulator', {'seed': 0}),
        ({'seed': 3}, 'encoder', {'seed': 3, 'threads': 1}),
        ({'seed': 3}, 'fast_learner', {'threads': 1}),
        ({'seed': 3}, 'slow_learner', {'seed': 3, 'threads': 1}),
        ({'mode': 'random'}, 'fast_learner', {'mode': 'random'}),
        ({'steps': 500}, 'fast_learner', {'max_steps': 500}),
        ({'encoder': 'resnet50'}, 'encoder', {'encoder': 'resnet50'}),
        ({'model': 'kitchen', 'models_dir': 'm'}, 'encoder', {'model': 'kitchen', 'models_dir': 'm'}),
        ({'model': 'kitchen', 'models_dir': 'm'}, 'slow_learner', {'model': 'kitchen', 'models_dir': 'm'}),
        ({'preset': 'reference'}, 'slow_learner', {'preset': 'reference'}),
        ({'save_frames': True, 'model': 'm', 'models_dir': '/d'}, 'frame_writer', {'folder': '/d/m/frames'}),
        ({'robot': 'pan_tilt', 'port': '/dev/ttyACM0'}, 'servo_driver', {'port': '/dev/ttyACM0'}),
        ({'robot': 'pan_tilt', 'camera': '2'}, 'camera', {'source': '2'}),
        ({'robot': 'jetbot', 'settings': ('jetbot.host="::1"',)}, 'jetbot_driver', {'host': '::1'}),
    ],
)
def test_each_option_reaches_its_node(options: dict[str, Any], name: str, expected: dict[str, Any]) -> None:
    assert expected.items() <= process(name, **options).parameters.items()


def test_defaults_are_left_to_the_parameter_files() -> None:
    identity = {'robot', 'model', 'models_dir'}
    for robot in ROBOTS:
        for p in describe(GraphOptions(robot=robot)):
            assert set(p.parameters) <= identity, p.name


def test_a_parameter_file_of_the_user_overrides_the_default(tmp_path: Path) -> None:
    mine = tmp_path / 'mine.yaml'
    mine.write_text('slow_learner: {ros__parameters: {brain: spiking}}')
    processes = describe(GraphOptions(params_file=str(mine)))
    assert [p.parameter_files for p in processes] == [('sim.param.yaml', str(mine))] * len(processes)
    assert 'encoder' not in [p.name for p in processes], 'its brain perceives a vector'


def test_a_preset_is_that_of_the_brain() -> None:
    slow = process('slow_learner', brain='spiking', preset='reference')
    brain, settings = settings_of_brain(slow)
    assert (brain.name, settings.agent.hidden, settings.agent.layers) == ('spiking', 512, 4)


def test_a_model_that_can_not_be_read_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / 'torn').mkdir()
    (tmp_path / 'torn' / 'config.json').write_bytes(b'\xff\xfe')
    with pytest.raises(UserError, match=r"model 'torn'; expected a readable config.json; found"):
        describe(GraphOptions(model='torn', models_dir=str(tmp_path)))


def test_an_encoder_runs_where_the_settings_of_the_brain_perceive_an_embedding() -> None:
    for senses, expected in (('state', False), ('state embedding', True)):
        options = GraphOptions(brain='spiking', settings=(f'senses={senses}',))
        names = [p.name for p in describe(options)]
        assert ('encoder' in names) == expected


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'robot': 'rover'}, "'rover'.*pan_tilt"),
        ({'robot': ''}, 'unknown robot'),
        ({'robot': 'gym:'}, 'unknown robot'),
        ({'robot': 'simulator'}, 'unknown robot'),
        ({'brain': 'no_such_brain'}, "'no_such_brain'.*cls"),
        ({'mode': 'sleep'}, "'sleep'.*manual or random or curiosity or greedy or follow"),
        ({'mode': 'Manual'}, 'unknown mode'),
        ({'settings': ('jetbot.duration=0.1',)}, 'robot jetbot'),
        ({'steps': -1}, 'steps'),
        ({'robot': 'replay'}, 'session'),
        ({'session': 'a'}, 'replay'),
        ({'robot': 'replay', 'session': 'a', 'mode': 'random'}, 'follow'),
        ({'robot': 'replay', 'session': 'a', 'lock_step': True}, 'lock-step'),
        ({'robot': 'replay', 'session': 'a', 'rate': 0.01}, 'rate'),
        ({'robot': 'replay', 'session': 'a', 'rate': float('nan')}, 'rate'),
    ],
)
def test_unknown_choices_are_refused_with_the_known_ones(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        GraphOptions(**options)


def test_every_option_is_described_and_its_default_is_read_from_text() -> None:
    assert list(ARGUMENTS) == [field.name for field in dataclasses.fields(GraphOptions)]
    assert set(REPLAY_ONLY) < set(ARGUMENTS)
    assert [name for name in simulation.ROBOTS.names() if name not in ARGUMENTS['robot'].text] == []
    assert parse_options({name: default_text(name) for name in ARGUMENTS}) == GraphOptions()


@pytest.mark.parametrize('name', ARGUMENTS)
def test_a_description_is_sentences_and_says_what_an_empty_default_means(name: str) -> None:
    assert description(name)[0].isupper() and description(name).endswith('.')
    if default_text(name) in ('', '-1') and name != 'session':
        assert f'Default: {ARGUMENTS[name].unset}.' in description(name)


def test_arguments_are_read_as_their_kind() -> None:
    texts = {
        'robot': 'square', 'lock_step': 'True', 'seed': '7', 'model': '12', 'mode': 'random', 'camera': '0',
        'settings': 'fast.ring=7; sim.noise_sigma=3;',
    }  # fmt: skip
    assert parse_options(texts) == GraphOptions(
        robot='square', lock_step=True, seed=7, model='12', mode='random', camera='0',
        settings=('fast.ring=7', 'sim.noise_sigma=3'),
    )  # fmt: skip


@pytest.mark.parametrize(
    ('text', 'flag'), [('True', True), ('TRUE', True), ('1', True), ('False', False), ('0', False)]
)
def test_flags_are_read_in_the_words_of_launch(text: str, flag: bool) -> None:
    assert parse_flag('record', text) is flag
    assert parse_options({'lock_step': text}).lock_step is flag


@pytest.mark.parametrize(
    'arguments',
    [{'lock_step': 'yes'}, {'lock_step': ''}, {'record': '2'}, {'seed': 'some'}, {'steps': '1.5'}, {'mode': 'asleep'}],
)
def test_arguments_of_another_kind_are_refused_by_name(arguments: dict[str, str]) -> None:
    (name,) = arguments
    with pytest.raises(UserError, match=name):
        parse_options(arguments)


def test_lock_step_takes_its_time_from_the_simulator() -> None:
    processes = describe(GraphOptions(lock_step=True))
    assert {p.name for p in processes if p.parameters.get('use_sim_time')} == set(BRAIN)


def test_a_replay_replaces_the_robot_and_publishes_the_clock() -> None:
    options = GraphOptions(robot='replay', session='a,b', rate=0.0, loop=True, filter_action='pan=5')
    player, *brain = describe(options)
    assert (player.name, player.package) == ('player', 'cls_recording')
    assert player.parameters == {'session': 'a,b', 'rate': 0.0, 'loop': True, 'filter_action': 'pan=5'}
    assert [p.name for p in brain] == BRAIN
    assert all(p.parameters['use_sim_time'] and p.parameter_files == ('replay.param.yaml',) for p in brain)


@pytest.mark.parametrize('robot', ROBOTS)
def test_a_recorder_is_started_on_request(robot: str) -> None:
    with_it = describe(GraphOptions(robot=robot, record=True, sessions_dir='/s'))
    assert with_it[:-1] == describe(GraphOptions(robot=robot))
    assert with_it[-1].name == 'recorder'
    assert with_it[-1].parameters == {'sessions_dir': '/s'}


def test_parameter_files_are_found_in_the_sourced_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / 'install' / 'share' / 'cls_learning' / 'config'
    folder.mkdir(parents=True)
    monkeypatch.setenv('AMENT_PREFIX_PATH', f'{tmp_path / "other"}:{tmp_path / "install"}')
    assert config_dir() == folder
    monkeypatch.delenv('AMENT_PREFIX_PATH')
    with pytest.raises(UserError, match='not entered'):
        config_dir()
