"""The report of a run, from statuses to JSON."""

import io
import json
import math

import numpy as np
import pytest
from rich.console import Console

from cls_bringup.report import build_report, write_report
from cls_bringup.snapshot import LearnerStatuses, measures, Snapshot
from cls_cli.commands.status import as_text
from cls_cli.view import clock, line, render, Screen

FAST = Snapshot(
    node='fast_learner', phase='wake', mode='curiosity', model='m', loaded=True, steps=12, total_steps=112,
    wake_steps_in_cycle=12, wake_steps_per_cycle=500, cycles=1, dropped=1, faults=2, fault='no answer', rate_hz=10.0,
    frame_rate=30.0, joints=(0.1, -0.2), behind=1, headlines={'skill': True}, brain='cls',
    metrics={'fast_loss': 0.25, 'policy_loss': math.nan, 'skill': 0.5},
)  # fmt: skip
SLOW = Snapshot(
    node='slow_learner', phase='wake', model='m', loaded=True, total_steps=111, cycles=1, dropped=3, memory_size=110,
    memory_bytes=2_345_678,
    metrics={'slow_raw': 0.125, 'skill': math.nan, 'held_out_skill': 0.25, 'forgetting': 0.125}, sleeps_rolled_back=1,
    headlines={'skill': True, 'held_out_skill': True, 'forgetting': False}, alarms=('the camera changed',),
    last_sleep='slept 9 s, kept', brain='cls',
)  # fmt: skip
BOTH = LearnerStatuses(FAST, SLOW)


def test_report_joins_both_learners_and_has_no_nan(tmp_path):
    report = build_report(BOTH, startup_seconds=1.23456, ended='clean', weights_sha256='ab', restarts={'encoder': 1})
    assert report == {
        'startup_seconds': 1.235, 'steps': 12, 'total_steps': 112, 'cycles': 1, 'rate_hz': 10.0, 'frame_rate': 30.0,
        'brain': 'cls', 'sleeps_rolled_back': 1,
        'headlines': {
            'skill': {'fast': 0.5, 'slow': None}, 'held_out_skill': {'slow': 0.25}, 'forgetting': {'slow': 0.125},
        },
        'metrics': {
            'fast': {'fast_loss': 0.25, 'policy_loss': None, 'skill': 0.5},
            'slow': {'slow_raw': 0.125, 'skill': None, 'held_out_skill': 0.25, 'forgetting': 0.125},
        },
        'alarms': ['the camera changed'], 'dropped': 4, 'faults': 2, 'model': 'm', 'exit': 'clean',
        'weights_sha256': 'ab', 'restarts': {'encoder': 1}, 'behind': 1, 'slowed': 0,
        'last_sleep': 'slept 9 s, kept', 'memory_size': {'fast': 0, 'slow': 110},
        'memory_bytes': {'fast': 0, 'slow': 2_345_678},
    }  # fmt: skip
    write_report(tmp_path / 'report.json', report)
    assert json.loads((tmp_path / 'report.json').read_text()) == report
    assert [path.name for path in tmp_path.iterdir()] == ['report.json']


def test_a_run_without_statuses_still_reports():
    report = build_report(LearnerStatuses(), startup_seconds=None, ended='not ready', weights_sha256=None, restarts={})
    assert report['steps'] is None and report['headlines'] == report['metrics'] == {}


def change(snapshot: Snapshot, **values) -> Snapshot:
    return Snapshot(**{**vars(snapshot), **values})


@pytest.mark.parametrize(
    'fast, slow, ready',
    [
        (FAST, SLOW, True),
        (change(FAST, steps=0), SLOW, False),
        (change(FAST, steps=0, mode='manual'), SLOW, True),
        (change(FAST, loaded=False), SLOW, False),
        (FAST, change(SLOW, loaded=False), False),
        (None, SLOW, False),
        (FAST, None, False),
    ],
)
def test_ready_means_loaded_and_acting_or_waiting_for_a_person(fast, slow, ready):
    statuses = LearnerStatuses(fast, slow)
    assert statuses.ready is ready
    assert bool(statuses.missing()) is not ready


def test_phase_is_that_of_the_slow_learner_during_sleep():
    assert LearnerStatuses(change(FAST, phase='asleep'), change(SLOW, phase='rem', is_asleep=True)).phase == 'rem'
    assert BOTH.phase == 'wake'


def test_progress_is_that_of_the_phase_of_sleep_under_way():
    asleep = change(FAST, phase='asleep', wake_steps_in_cycle=500)
    statuses = LearnerStatuses(asleep, change(SLOW, phase='rem', is_asleep=True, phase_step=64, phase_steps=200))
    assert statuses.progress == (64, 200) and statuses.is_asleep
    assert 'rem 64/200' in line(Screen(robot='sim', elapsed=1.0, statuses=statuses))
    assert BOTH.progress == (12, 500) and not BOTH.is_asleep
    # After a sleep that failed another whole cycle follows.
    again = [LearnerStatuses(change(FAST, wake_steps_in_cycle=n), SLOW).progress for n in (0, 500, 501, 1000)]
    assert again == [(0, 500), (500, 500), (1, 500), (500, 500)]


def test_the_view_shows_losses_and_keys_that_this_robot_has():
    metrics = {'fast_loss': 0.25, 'param_ratio': 3.0, 'consolidation_count': 1.0, 'skill': 0.5}
    screen = Screen(
        robot='x', elapsed=1.0, statuses=LearnerStatuses(change(FAST, metrics=metrics), SLOW), channels=('push',)
    )
    console = Console(record=True, width=120, file=io.StringIO())
    console.print(render(screen))
    text = console.export_text()
    assert 'fast_loss 0.25' in text and 'param_ratio' not in text and 'no better than' in text
    assert 'a/d push' in text and 'w/s' not in text and 'tilt' not in text.split('mode')[1].split('pose')[0]


@pytest.mark.parametrize('width', [60, 80, 140])
def test_the_view_shows_faults_and_states_at_any_width(width):
    console = Console(width=width, record=True, file=open('/dev/null', 'w'))  # noqa: SIM115
    screen = Screen(
        robot='sim',
        elapsed=75.0,
        statuses=BOTH,
        processes={'encoder': 'EXITED'},
        joint_names=('pan', 'tilt'),
        message='generation 3',
    )
    console.print(render(screen))
    text = console.export_text()
    for part in (
        '12/500',
        'curiosity',
        '112',
        'pan +5.7°',
        'tilt -11.5°',
        'not yet',
        '110',
        'encoder is down',
        '0:01:15',
    ):
        assert part in ' '.join(text.replace('│', '').split()), f'{part} at width {width}:\n{text}'
    assert all(len(row) <= width for row in text.splitlines())


def test_the_image_is_beside_the_figures():
    console = Console(width=130, record=True, file=io.StringIO(), color_system='truecolor')
    rgb = np.zeros((48, 64, 3), np.uint8)
    rgb[:24] = (255, 0, 0)
    console.print(render(Screen(robot='sim', elapsed=5.0, statuses=BOTH, picture=rgb)))
    text = console.export_text(styles=True)
    rows = [row for row in text.splitlines() if '▀' in row]
    assert 2 <= len(rows) <= 12 and '38;2;255;0;0' in rows[0] and '38;2;0;0;0' in rows[-1]
    assert 'curiosity' in text and 'losses' in text


def test_the_view_names_the_missing_learner_before_the_first_status():
    console = Console(width=100, record=True, file=open('/dev/null', 'w'))  # noqa: SIM115
    console.print(
        render(Screen(robot='sim', elapsed=1.0, statuses=LearnerStatuses(), processes={'fast_learner': 'RUNNING'}))
    )
    text = console.export_text()
    assert 'fast_learner' in text and 'slow_learner has no status yet' in text


def test_the_line_has_phase_mode_and_steps():
    text = line(Screen(robot='sim', elapsed=3725.0, statuses=BOTH))
    assert text.startswith('1:02:05  wake 12/500  curiosity  step 12 (112 in all)') and '\n' not in text
    assert 'waiting: slow_learner' in line(Screen(robot='sim', elapsed=1.0, statuses=LearnerStatuses(FAST, None)))
    assert clock(59.9) == '0:00:59'


def test_alarms_and_rolled_back_sleeps_are_shown():
    console = Console(record=True, width=120, file=io.StringIO())
    console.print(render(Screen(robot='sim', elapsed=5.0, statuses=BOTH)))
    shown = console.export_text()
    assert all('the camera changed' in text for text in (shown, line(Screen(robot='sim', elapsed=5.0, statuses=BOTH))))
    assert (
        'held out skill' in shown
        and 'slow +0.25' in shown
        and '1 sleeps rolled back' in shown
        and 'slept 9 s, kept' in shown
        and '110 transitions, 2.3 MB' in shown
    )
    text = as_text(measures(BOTH))
    assert [row.split(None, 1)[1] for row in text.splitlines() if row.startswith('alarms')] == ['the camera changed']
    quiet = LearnerStatuses(FAST, change(SLOW, alarms=()))
    assert 'camera' not in line(Screen(robot='sim', elapsed=5.0, statuses=quiet)) and 'none' in as_text(measures(quiet))
