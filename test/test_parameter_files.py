"""Every name and value in config/ is one that its node declares: ROS would ignore a misspelt one in silence."""

from pathlib import Path

import pytest

from cls_bringup.graph import describe, GraphOptions, HARDWARE, REPLAY
from cls_bringup.preflight import SETTINGS, settings_of
from cls_common.errors import UserError
from cls_common.resources import config_dir
from cls_common.settings import read_parameter_file
from cls_learning.presets import read_preset

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted(ROOT.glob('config/**/*.param.yaml'))
# Folders of presets: of a brain by its name.
PRESETS = ROOT / 'config' / 'presets'


def of_robot(path: Path) -> GraphOptions:
    robot = path.name.removesuffix('.param.yaml')
    if robot == REPLAY:
        return GraphOptions(robot=REPLAY, session='session', record=True)
    return GraphOptions(robot=robot if robot in HARDWARE else 'sim', record=True)


def test_presets_of_a_brain_are_those_of_its_folder() -> None:
    assert read_preset(PRESETS, 'reference', 'spiking')['agent.hidden'] == 512
    assert read_preset(PRESETS, 'reference')['policy.kind'] == 'prediction_error'
    # As installed: what is not listed in setup.py is not found there.
    assert read_preset(config_dir() / 'presets', 'reference', 'spiking') == read_preset(PRESETS, 'reference', 'spiking')
    for name, brain in (('best', 'spiking'), ('reference', 'unknown')):
        with pytest.raises(UserError, match=f"unknown preset '{name}'; expected one of default"):
            read_preset(PRESETS, name, brain)


@pytest.mark.parametrize('path', FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_names_and_values_are_those_of_the_nodes(path: Path) -> None:
    for node, values in read_parameter_file(path).items():
        assert node in SETTINGS, f'{path.name} names {node!r}, which is no node of ours'
        brain = path.parent.name if path.parent.parent == PRESETS else 'cls'
        settings_of(node, {'brain': brain}).from_flat(values)


@pytest.mark.parametrize('path', FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_names_only_nodes_that_are_started_with_it(path: Path) -> None:
    started = {process.name for process in describe(of_robot(path))}
    assert set(read_parameter_file(path)) <= started


@pytest.mark.parametrize('robot', ['sim', 'pan_tilt', 'jetbot', REPLAY])
def test_every_deployment_has_its_file(robot: str) -> None:
    session = 'session' if robot == REPLAY else ''
    assert ROOT / 'config' / GraphOptions(robot=robot, session=session).deployment in FILES


@pytest.mark.parametrize('robot', ['sim', 'square', 'gym:CartPole-v1', 'pan_tilt', 'jetbot'])
def test_parameters_of_launch_are_declared_by_the_nodes(robot: str) -> None:
    everything = GraphOptions(
        robot=robot,
        model='m',
        mode='random',
        encoder='early_resnet18',
        preset='reference',
        port='/dev/null',
        camera='0',
        scene=1,
        lock_step=True,
        seed=1,
        steps=5,
        save_frames=True,
        record=True,
        sessions_dir='s',
    )
    replay = GraphOptions(
        robot=REPLAY, session='a,b', rate=0.0, loop=True, paused=True, filter_action='pan=5', model='m', seed=1
    )
    for process in describe(everything) + describe(replay):
        ours = {name: value for name, value in process.parameters.items() if name != 'use_sim_time'}
        taken = settings_of(process.name).from_flat(ours).to_flat()
        assert {name: taken[name] for name in ours} == ours


def test_every_node_of_the_graph_has_a_settings_class() -> None:
    graphs = [
        GraphOptions(robot='sim', record=True, save_frames=True),
        GraphOptions(robot='pan_tilt'),
        GraphOptions(robot='jetbot'),
        GraphOptions(robot=REPLAY, session='a'),
    ]
    nodes = {p.name for graph in graphs for p in describe(graph)}
    assert set(SETTINGS) == nodes
    for node in nodes:
        for name, field in settings_of(node).leaves():
            assert field.metadata['description'], f'{node} {name} has no description'
