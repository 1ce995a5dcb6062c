"""`play`: progress of a replay, end of the run, and options that are refused before anything starts."""

import json

import pytest
from rich.console import Console

from cls_bringup.snapshot import LearnerStatuses, Replayed, Snapshot
from cls_cli import entry
from cls_cli.view import line, render, Screen

FAST = Snapshot(node='fast_learner', phase='wake', mode='follow', model='m', loaded=True, steps=12, total_steps=112)
SLOW = Snapshot(node='slow_learner', phase='wake', model='m', loaded=True)
HALF = Replayed(
    state='playing', session_index=1, sessions=3, progress=0.426, steps=1260, filtered=40, unanswered=2,
    missing=('robot/applied_action',), fault='no experience after an action within 5 s',
)  # fmt: skip


def test_line_and_view_show_the_progress_of_a_replay_and_its_losses():
    screen = Screen(robot='sim', elapsed=5.0, statuses=LearnerStatuses(FAST, SLOW), replay=HALF)
    wanted = 'playing 43% of session 2/3  1,260 actions, 40 left out, 2 not learned'
    console = Console(width=200, record=True, file=open('/dev/null', 'w'))  # noqa: SIM115 - the console's own
    console.print(render(screen))
    for text in (line(screen), console.export_text()):
        shown = ' '.join(text.replace('│', ' ').split())
        assert ' '.join(wanted.split()) in shown
        assert 'the session lacks robot/applied_action' in shown
    assert 'no experience after an action' in line(screen)
    assert 'replay' not in line(Screen(robot='sim', elapsed=5.0, statuses=LearnerStatuses(FAST, SLOW)))


def test_the_end_of_a_replay_ends_the_run_and_saves(up, tmp_path):
    report, saves = tmp_path / 'report.json', tmp_path / 'saves'
    run = up(
        player={'seconds': 2.0},
        fast_learner={'mode': 'follow'},
        slow_learner={'saves': str(saves)},
        options={'report': str(report)},
    )
    assert run.process.wait(60) == 0, run.output.read_text()
    assert 'replay finished 100% 40 actions, 3 not learned' in ' '.join(run.output.read_text().split())
    assert json.loads(report.read_text())['exit'] == 'clean' and saves.read_text() == 'generation 1\n'


@pytest.mark.slow
def test_a_replay_that_waits_too_long_ends_with_what_it_waits_for(up):
    fault = 'the learner has not subscribed yet'
    player = {'seconds': 1000.0, 'fault': fault}
    run = up(player=player, fast_learner={'mode': 'follow'}, options={'startup_timeout': 15.0})
    assert run.process.wait(60) == 1
    assert f'error: player waited 15 s: {fault}' in run.output.read_text()


@pytest.mark.parametrize(
    'arguments, what',
    [
        (['/nowhere'], 'sessions in /nowhere; expected a session'),
        (['/a,b'], 'session /a,b; expected a path without a comma'),
        (['/nowhere', '--filter-action', 'pan'], "action filter 'pan'; expected CHANNEL=VALUE"),
        (['/nowhere', '--rate', '0.01'], 'rate; expected 0.1 to 100'),
        ([], 'Missing argument'),
    ],
)
def test_wrong_arguments_are_one_line_before_any_process_starts(capsys, arguments, what):
    assert entry.main(['play', *arguments]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 and what in said[0]
