"""`bench control`: real steps until a task is solved, by the brain `spiking` and its peers."""

import os
from typing import Any

import click

from ..invocation import examples
from ..layers import require
from .bench_report import deliver, shared_options

_SHORT = ('spiking', 'mlp')
_EXAMPLES = examples(
    './cls bench control --short',
    './cls bench control --agent spiking --agent ppo --seeds 3',
)


@click.command('control', epilog=_EXAMPLES)
@click.option(
    '--agent',
    'agents',
    multiple=True,
    metavar='NAME',
    show_default=f'all; with --short {", ".join(_SHORT)}',
    help='Agent: spiking, spiking_actor, spiking_sparse, awake, mlp, gru, event_gru, trace_units, planner, ppo, '
    'ppo_default, dqn or dqn_default. This option may be repeated.',
)
@click.option(
    '--env',
    'environments',
    multiple=True,
    metavar='NAME',
    show_default='CartPole-v1',
    help='Environment: CartPole-v1, Acrobot-v1, Pendulum-v1 or cart_pole. This option may be repeated.',
)
@click.option(
    '--seeds',
    type=click.IntRange(1),
    metavar='N',
    show_default='10; with --short 2',
    help='Number of seeds.',
)
@click.option(
    '--peers/--no-peers',
    'runs_peers',
    default=None,
    show_default='on, but not with --short',
    help='Run PPO and DQN in an environment of their own, or show the figures of an earlier run.',
)
@click.option(
    '--keep-peers', is_flag=True, help='Store the figures of PPO and DQN of this run for machines that do not run them.'
)
@click.option('--short', is_flag=True, help=f'Use {", ".join(_SHORT)} and 2 seeds, and do not run PPO and DQN.')
@shared_options
def command(**chosen: Any) -> int:
    """Count the real steps until a control task is solved.

    Finished runs are cached; a run that was stopped continues.
    """
    from rich.progress import Progress

    require('bench')
    from cls_bench.control import peers
    from cls_bench.control.plots import draw
    from cls_bench.control.report import document
    from cls_bench.control.runner import run
    from cls_bench.control.table import show

    request = _request(chosen)
    with Progress(transient=True) as bar:
        task = bar.add_task('', total=1.0)
        results = run(request, lambda label, share: bar.update(task, description=label, completed=share))
    report = document(results)
    if chosen['keep_peers'] and not results.peers_date:
        peers.write_figures(report['runs'])
    return deliver(report, show, draw, chosen)


def _request(chosen: dict[str, Any]) -> Any:
    from cls_bench.control.agents import available, PEERS
    from cls_bench.control.runner import ControlRequest

    short = chosen['short']
    runs_peers = chosen['runs_peers']
    return ControlRequest(
        agents=tuple(dict.fromkeys(chosen['agents'])) or ((*_SHORT, *PEERS) if short else available()),
        environments=tuple(dict.fromkeys(chosen['environments'])) or ('CartPole-v1',),
        seeds=chosen['seeds'] or (2 if short else 10),
        runs_peers=not short if runs_peers is None else runs_peers,
        jobs=chosen['jobs'] or len(os.sched_getaffinity(0)),
        folder=chosen['cache_dir'],
    )
