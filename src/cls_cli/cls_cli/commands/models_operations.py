"""`models operations`: what acting and learning cost in operations."""

from collections.abc import Callable
import json
import math
from pathlib import Path
from typing import Any

import click

from cls_common.errors import UserError

from .. import options
from ..invocation import examples

# Steps of which acting and learning awake are means: a multiple of the interval at which brains learn awake.
_STEPS = 40
_ROWS: dict[str, Callable[[Any], float]] = {
    'multiply-accumulates (MAC)': lambda o: o.macs,
    'accumulates of spikes (AC)': lambda o: o.acs,
    'effective: MAC + AC, no zeros': lambda o: o.effective,
    'dense: zeros included': lambda o: o.dense,
    'gradients, MAC': lambda o: o.backward,
    'parameters updated': lambda o: o.parameter_updates,
    'all: effective, gradients, optimiser': lambda o: o.total,
    'membranes updated': lambda o: o.membrane_updates,
    'operations of neurons': lambda o: o.neuron_operations,
    'spike rate': lambda o: o.spike_rate,
    'energy, pJ': lambda o: o.picojoules,
}


@click.command('operations', epilog=examples('./cls models operations cart', './cls models operations cart --json'))
@options.model_argument
@options.models_dir
@options.as_json
def command(model: str, models_dir: Path, as_json: bool) -> int:
    """Count the operations of MODEL: acting, learning, one sleep.

    They are counted while it repeats its last steps and then sleeps once, on a copy: MODEL does not change. A model in
    use is refused.
    """
    import torch

    from cls_learning.operations.counts import ASSUMPTIONS
    from cls_learning.operations.of_model import count_model
    from cls_learning.runtime.model_copy import model_copy

    torch.set_num_threads(1)  # the networks are too small for more
    with model_copy(options.model_folder(models_dir, model), steps=_STEPS) as copy:
        if not copy.recent:
            raise UserError(f'model {model!r}', expected='steps in its journal', found='none', do='Train it first.')
        found = count_model(copy.online, copy.consolidator, copy.recent)
    if as_json:
        print(json.dumps({**found.to_plain(), 'assumptions': ASSUMPTIONS}, indent=2))
        return 0
    columns = {
        'acting': found.acting, 'learning awake': found.awake, 'one sleep': found.asleep,
        'learning in all': found.learning,
    }  # fmt: skip
    print(f'{"":<36}' + ''.join(f'{name:>18}' for name in columns))
    for name, number in _ROWS.items():
        print(f'{name:<36}' + ''.join(f'{_text(number(each)):>18}' for each in columns.values()))
    share = f' and a {found.wake_steps}th of a sleep' if found.wake_steps else ''
    print(f'Acting and learning awake: of one step, means of {found.steps}. Learning in all: awake{share}.')
    print(f'Sleep: {found.sleep}. Energy: {ASSUMPTIONS}.')
    return 0


def _text(number: float) -> str:
    if math.isnan(number):
        return '-'
    return f'{number:.3f}' if 0 < number < 1 else f'{number:,.0f}'
