"""Plan of the trials: which processes are killed, and when, drawn from seed and number of the trial."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cls_common.errors import UserError

# Victims by kind, of the processes that the graph has. Of `graph` all are killed, and the model is opened before any of
# them starts again.
VICTIMS: dict[str, tuple[str, ...]] = {
    'slow': ('slow_learner',),
    'fast': ('fast_learner',),
    'both': ('fast_learner', 'slow_learner'),
    'graph': ('simulator', 'encoder', 'fast_learner', 'slow_learner'),
    # Nothing is killed: the graph is ended in order, by one of two ways.
    'end': ('saved', 'signalled'),
    # Nothing is killed: compares the running graph with the run in one process.
    'none': (),
}
# Most of the time is spent awake, so moments uniform in time would rarely hit sleep or save.
AIMS = ('any', 'sleeping', 'saving')


@dataclass(frozen=True)
class Trial:
    """One kill.

    Attributes:
        number: from 1. kind: of VICTIMS.
        aim: any: uniform in time; sleeping, saving: uniform within the next sleep or the next save.
        share: of that time, 0 <= share < 1.
        order: victims, in the order in which they get the signal.
    """

    number: int
    kind: str
    aim: str
    share: float
    order: tuple[str, ...]


def parse_kinds(text: str) -> list[str]:
    """Parses 'slow,fast'; raises UserError for an unknown kind."""
    kinds = [name.strip() for name in text.split(',') if name.strip()]
    unknown = [name for name in kinds if name not in VICTIMS]
    if unknown or not kinds:
        raise UserError(f'kinds {text!r}', expected='some of ' + ', '.join(VICTIMS))
    return kinds


def make_plan(trials: int, seed: int, kinds: Sequence[str]) -> list[Trial]:
    """Returns the trials: kinds in turn, `graph` last of each round, since it ends the graph that the others share."""
    ordered = [*(k for k in kinds if k != 'graph'), *(k for k in kinds if k == 'graph')]
    return [_trial(number, seed, ordered, number - 1) for number in range(1, trials + 1)]


def _trial(number: int, seed: int, kinds: Sequence[str], position: int) -> Trial:
    generator = np.random.default_rng([seed, number])
    kind = kinds[position % len(kinds)]
    # Each kind gets each aim equally often.
    aim = AIMS[position // len(kinds) % len(AIMS)]
    order = tuple(str(name) for name in generator.permutation(VICTIMS[kind]))
    return Trial(number, kind, aim, float(generator.uniform()), order)
