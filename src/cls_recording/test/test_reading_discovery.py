"""Discovery and summary of sessions, and action filters."""

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from cls_common.errors import UserError
from cls_common.robot import Channel, Kind, RobotInfo
from cls_recording.discovery import find_sessions
from cls_recording.filters import ActionFilter
from cls_recording.session import SessionInfo
from cls_recording.summary import summarize

ROBOT = RobotInfo(
    name='wheels',
    modalities=('camera',),
    channels=(Channel('motor_right', Kind.VELOCITY, '', 0.0, 1.0), Channel('action', Kind.DISCRETE, '', 0.0, 3.0)),
)


@pytest.fixture(scope='module')
def sessions(bags, tmp_path_factory):
    """A folder of two robots' sessions, one of them damaged, beside other things."""
    folder = tmp_path_factory.mktemp('sessions')
    for name in ('sim/session_2', 'sim/session_10', 'sim/session_1', 'arm/session_3'):
        custom = SessionInfo(name='x', total_steps=2).to_custom_data()
        bags.write(folder / name, bags.session_messages(2), custom=custom)
    (folder / 'sim/session_2/metadata.yaml').unlink()
    (folder / 'sim/notes').mkdir()
    (folder / 'sim/.trash/session_0').mkdir(parents=True)
    (folder / 'readme').write_text('sessions')
    return folder


def test_a_session_is_found_itself_and_a_folder_gives_all_in_it(sessions):
    def names(*given):
        found = find_sessions([sessions / name for name in given])
        return [str(path.relative_to(sessions)) for path in found]

    sim = ['sim/session_1', 'sim/session_10', 'sim/session_2']
    assert names('.') == ['arm/session_3', *sim]
    assert names('sim') == sim
    assert names('sim/session_2', 'arm', 'sim/session_1') == ['sim/session_2', 'arm/session_3', 'sim/session_1']


@pytest.mark.parametrize(('name', 'found'), [('nowhere', 'nothing there'), ('readme', 'a file'), ('sim/notes', 'none')])
def test_a_path_without_a_session_is_refused(sessions, name, found):
    with pytest.raises(UserError, match=f'{name}; expected a session, or a folder of sessions; found {found}'):
        find_sessions([sessions / name])


def test_any_folder_has_a_summary(sessions, tmp_path):
    whole, damaged = summarize(sessions / 'arm/session_3'), summarize(sessions / 'sim/session_2')
    assert (whole.state, whole.problem, whole.steps, whole.messages) == ('whole', '', 2, 10)
    assert 0.4 < whole.duration < 0.5 and whole.size > 1000
    assert damaged.state == 'damaged' and 'no metadata.yaml' in damaged.problem and damaged.size > 1000
    assert summarize(tmp_path).state == summarize(tmp_path / 'nowhere').state == 'unreadable'


@pytest.mark.parametrize(
    ('text', 'values', 'matches'),
    [
        ('motor_right=0.12', (0.12, 1.0), True),
        ('motor_right=0.12', (np.nextafter(np.float32(0.12), np.float32(1.0)), 1.0), False),
        ('action=1', (0.0, 1.0), True),
        ('action=1', (1.0, 0.0), False),
        (' action = 1.0 ', (0.0, 1.0), True),
        ('motor_right=-0.0', (0.0, 1.0), True),
        ('action=1', (0.5,), False),
    ],
)
def test_a_filter_matches_exactly_in_float32(text, values, matches):
    assert ActionFilter.parse(text).matches(ROBOT, values) is matches


@given(value=st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_every_action_matches_its_own_value_as_it_is_written(value):
    assert ActionFilter.parse(f'motor_right={value!r}').matches(ROBOT, np.array([value, 0], np.float32))
    assert ActionFilter.parse(f'motor_right={np.float32(value)}').matches(ROBOT, np.array([value, 0], np.float32))


@pytest.mark.parametrize('text', ['', 'action', '=1', 'action=', 'action=one', 'action=nan', 'action=1e99', 'a=1=2'])
def test_an_invalid_filter_is_one_clear_line(text):
    with pytest.raises(UserError, match='action filter'):
        ActionFilter.parse(text)


def test_an_unknown_channel_is_named_with_the_known_ones():
    with pytest.raises(UserError, match="filter 'pan'; expected a channel of 'wheels': motor_right, action"):
        ActionFilter.parse('pan=1').matches(ROBOT, (0.0, 1.0))
