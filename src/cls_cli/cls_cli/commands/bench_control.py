"""`bench control`: real steps until a task is solved, by the brain `spiking` and its peers."""

from typing import Any

import click

from ..invocation import examples
from ..layers import require
from .bench_report import deliver, job_count, names, peers, run_shown, seeds, shared_options

_SHORT = ('spiking', 'mlp')
_EXAMPLES = examples(
    './cls bench control --short',
    './cls bench control --agent spiking --agent ppo --seeds 3',
)


@click.command('control', epilog=_EXAMPLES)
@names(
    '--agent',
    'agents',
    f'all; with --short {", ".join(_SHORT)}',
    'Agent: spiking, spiking_actor, spiking_sparse, awake, mlp, gru, event_gru, trace_units, planner, ppo, '
    'ppo_default, dqn or dqn_default.',
)
@names('--env', 'environments', 'CartPole-v1', 'Environment: CartPole-v1, Acrobot-v1, Pendulum-v1 or cart_pole.')
@seeds(10, 2)
@peers('peers', 'runs_peers', 'PPO and DQN')
@click.option('--short', is_flag=True, help=f'Use {", ".join(_SHORT)} and 2 seeds, and do not run PPO and DQN.')
@shared_options
def command(**chosen: Any) -> int:
    """Count the real steps until a control task is solved.

    Finished runs are cached; a run that was stopped continues.
    """
    require('bench')
    from cls_bench.control.peers import write_figures
    from cls_bench.control.plots import draw
    from cls_bench.control.report import document
    from cls_bench.control.runner import run
    from cls_bench.control.table import show

    results = run_shown(run, _request(chosen))
    report = document(results)
    if chosen['keeps_peers'] and not results.peers_date:
        write_figures(report['runs'])
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
        jobs=job_count(chosen),
        folder=chosen['cache_dir'],
    )
