"""Runs `up` with the fake graph in place of the real one: python run_fake.py JSON."""

import json
import os
from pathlib import Path
import sys

from cls_bringup.graph import Process
from cls_cli import entry
from cls_cli.running import run_processes, SessionOptions


def main() -> int:
    """Takes one JSON argument: {"options": {...}, "simulator": {...}, "fast_learner": {...}, "slow_learner": {...}}.

    With "player" instead of "simulator" it is a replay.
    """
    given = json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}
    names = ('player' if 'player' in given else 'simulator', 'fast_learner', 'slow_learner')
    processes = [Process(name, 'fake_graph', given.get(name, {})) for name in names]
    options = given.get('options', {})
    if 'report' in options:
        options['report'] = Path(options['report'])
    os.environ['PYTHONPATH'] = f'{Path(__file__).parents[1]}{os.pathsep}{os.environ.get("PYTHONPATH", "")}'
    has_steps = bool(given.get('fast_learner', {}).get('max_steps'))
    return entry.guarded(
        lambda: run_processes(
            processes,
            SessionOptions(**options),
            robot='fake',
            steps=has_steps,
            model=Path('fake'),
            replay='player' in given,
        )
    )


if __name__ == '__main__':
    sys.exit(main())
