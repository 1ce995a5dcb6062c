"""What is compared: methods by library and name, and the values that each may have. No PyTorch here."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, Final

from cls_common.errors import UserError

Values = Mapping[str, Any]
Grid = tuple[dict[str, Any], ...]

OURS: Final = 'ours'
AVALANCHE: Final = 'avalanche'


def _grid(optimizers: Sequence[dict[str, Any]], **values: Sequence[Any]) -> Grid:
    return tuple(
        {**optimizer, **dict(zip(values, chosen))} for optimizer in optimizers for chosen in product(*values.values())
    )


_ADAM, _FAST_ADAM = {'optimizer': 'adam', 'rate': 1e-3}, {'optimizer': 'adam', 'rate': 4e-3}
_SGD, _FAST_SGD = {'optimizer': 'sgd', 'rate': 0.1}, {'optimizer': 'sgd', 'rate': 0.3}
# Of methods that both libraries have, with the same values in each.
_NONE = _grid((_ADAM, _SGD))
_LWF = _grid((_ADAM, _SGD), alpha=(1.0,))
_AGEM = _grid((_ADAM, _FAST_ADAM))
_REPLAY = _grid((_ADAM, _FAST_ADAM, _FAST_SGD))
_DER = (
    *_grid((_ADAM,), alpha=(0.5,), beta=(1.0,)),
    *(
        {**optimizer, 'alpha': alpha, 'beta': beta}
        for optimizer in (_FAST_ADAM, _FAST_SGD)
        for alpha, beta in ((0.1, 0.5), (0.5, 1.0))
    ),
)
# Of an importance that is divided by its mean; that of Avalanche is not, and has lambdas of its own.
_PENALTY = (*_grid((_ADAM, _SGD), weight=(0.03,)), *_grid((_ADAM,), weight=(0.1,)))

# Libraries -> methods -> values to choose from.
GRIDS: Final[dict[str, dict[str, Grid]]] = {
    OURS: {
        'none': _NONE,
        'ewc_exact': _PENALTY,
        'ewc_sampled': _PENALTY,
        'ewc_empirical': _PENALTY,
        'ewc_batched': _PENALTY,
        'si': _PENALTY,
        'mas': _PENALTY,
        'lwf': _LWF,
        'agem': _AGEM,
        'replay': _REPLAY,
        'der++': _DER,
        'cls_er': _grid((_ADAM, _FAST_ADAM, _FAST_SGD), alpha=(0.1,), quick=((0.9, 0.9),), slow=((0.5, 0.9),)),
        'sleep': (
            *_grid((_FAST_ADAM,), alpha=(0.5, 1.0), beta=(1.0,), average=(0.95,)),
            *_grid((_FAST_SGD,), alpha=(0.1,), beta=(1.0,), average=(0.8,)),
        ),
        'joint': _grid((_ADAM, _FAST_ADAM, _FAST_SGD)),
    },
    AVALANCHE: {
        'none': _NONE,
        'ewc_batched': (*_grid((_ADAM, _SGD), weight=(100.0,)), *_grid((_ADAM,), weight=(1000.0,))),
        'ewc_online': _grid((_ADAM, _SGD), weight=(100.0, 1000.0)),
        'si': _grid((_ADAM, _SGD), weight=(100.0,)),
        'mas': _grid((_ADAM, _SGD), weight=(0.1, 1.0)),
        'lwf': _LWF,
        'agem': _AGEM,
        'replay': _REPLAY,
        'er_ace': _REPLAY,
        'der++': _DER,
    },
}


# The benchmarks of `worlds`, with parts of the brain `cross_modal` as methods; nothing is tuned.
WORLDS: Final = 'cross_modal'
PAN_TILT: Final = 'pan_tilt'
WORLD_BENCHMARKS: Final = (WORLDS, PAN_TILT)
WORLD_METHODS: Final = ('none', 'replay', 'sleep', 'joint')
# The default rate, and one for embeddings: with 512 numbers instead of 128 the default predicts worse than no change.
_RECIPES: Final[dict[str, Grid]] = {
    WORLDS: ({'optimizer': 'adam', 'rate': 3e-3},),
    PAN_TILT: ({'optimizer': 'adam', 'rate': 3e-4},),
}


def grid(library: str, method: str, benchmark: str) -> Grid:
    """Returns the values to choose from."""
    return _RECIPES[benchmark] if benchmark in WORLD_BENCHMARKS else GRIDS[library][method]


def rows(methods: Sequence[str], ours: Sequence[str] = ()) -> tuple[tuple[str, str], ...]:
    """Returns libraries and methods of these names, or, without a name, ours by name or all, and all of Avalanche.

    Raises:
        UserError: a name that neither library has.
    """
    names = list(dict.fromkeys(name for methods_of in GRIDS.values() for name in methods_of))
    for name in methods:
        if name not in names:
            raise UserError(f'unknown method {name!r}', expected='one of ' + ', '.join(names))
    chosen = {OURS: methods or ours or names, AVALANCHE: methods or names}
    return tuple((library, name) for library, own in GRIDS.items() for name in own if name in chosen[library])
