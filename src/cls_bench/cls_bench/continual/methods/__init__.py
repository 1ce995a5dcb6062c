"""Methods by name: what learns the tasks of a stream."""

from typing import Final

from .contract import Method
from .distillation import ClsEr, Lwf
from .joint import Joint
from .penalty import EwcBatched, EwcEmpirical, EwcExact, EwcSampled, Mas, Si
from .replay import Agem, DerPlusPlus, Replay
from .sleep import Sleep

METHODS: Final[dict[str, type[Method]]] = {
    'none': Method,
    'ewc_exact': EwcExact,
    'ewc_sampled': EwcSampled,
    'ewc_empirical': EwcEmpirical,
    'ewc_batched': EwcBatched,
    'si': Si,
    'mas': Mas,
    'lwf': Lwf,
    'agem': Agem,
    'replay': Replay,
    'der++': DerPlusPlus,
    'cls_er': ClsEr,
    'sleep': Sleep,
    'joint': Joint,
}
