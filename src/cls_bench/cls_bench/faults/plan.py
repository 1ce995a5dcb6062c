"""Which processes die in which trial, and when. Pure: every draw follows from seed and number of the trial."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cls_common.errors import UserError

# Who dies, by kind; of a graph everything does, and nothing comes back before the folder was looked at.
VICTIMS: dict[str, tuple[str, ...]] = {
    'slow': ('slow_learner',),
    'fast': ('fast_learner',),
    'both': ('fast_learner', 'slow_learner'),
    'graph': ('simulator', 'encoder', 'fast_learner', 'slow_learner'),
    # Nothing is killed: each graph is ended in order, by either way to end one.
    'end': ('saved', 'signalled'),
    # Nobody: whether the graph lives as one process does where nothing dies.
    'none': (),
}
# Waking takes most of the time and the other two are where it is delicate: uniform moments alone would rarely hit them.
AIMS = ('any', 'sleeping', 'saving')


@dataclass(frozen=True)
class Trial:
    """One kill.

    Attributes:
        number: from 1. kind: of VICTIMS.
        aim: any: uniform in time; sleeping, saving: uniform within the next night or the next save.
        share: of that stretch of time, 0 <= share < 1.
        order: victims, in the order in which they get the signal.
    """

    number: int
    kind: str
    aim: str
    share: float
    order: tuple[str, ...]


def parse_kinds(text: str) -> list[str]:
    """Reads 'slow,fast'; raises UserError where a kind is unknown."""
    kinds = [name.strip() for name in text.split(',') if name.strip()]
    unknown = [name for name in kinds if name not in VICTIMS]
    if unknown or not kinds:
        raise UserError(f'kinds {text!r}', expected='some of ' + ', '.join(VICTIMS))
    return kinds


def make_plan(trials: int, seed: int, kinds: Sequence[str]) -> list[Trial]:
    """Returns the trials: kinds in turn, `graph` last of each round, since it ends what the others share."""
    ordered = [*(k for k in kinds if k != 'graph'), *(k for k in kinds if k == 'graph')]
    return [_trial(number, seed, ordered, number - 1) for number in range(1, trials + 1)]


def _trial(number: int, seed: int, kinds: Sequence[str], position: int) -> Trial:
    generator = np.random.default_rng([seed, number])
    kind = kinds[position % len(kinds)]
    # Each kind meets each aim equally often.
    aim = AIMS[position // len(kinds) % len(AIMS)]
    order = tuple(str(name) for name in generator.permutation(VICTIMS[kind]))
    return Trial(number, kind, aim, float(generator.uniform()), order)
