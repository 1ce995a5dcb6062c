"""The kinds of parts that are found by name. No PyTorch here: a registry imports nothing until a part is found."""

from typing import Final

from cls_common.registry import Registry

WORLD_MODELS: Final = Registry('cls_learning.world_models', 'world model')
POLICIES: Final = Registry('cls_learning.policies', 'policy', exclude=('typed',))
REWARDS: Final = Registry(
    'cls_learning.rewards', 'reward',
    exclude=('bounded', 'cells', 'headed', 'heads', 'imagined', 'product', 'visits'),
)  # fmt: skip
MEMORIES: Final = Registry(
    'cls_learning.memory', 'memory',
    exclude=('chain', 'observation_memory', 'recent', 'scene_jump', 'stillness', 'virtual_walks'),
)  # fmt: skip
PHASES: Final = Registry('cls_learning.consolidation', 'sleep phase', exclude=('phases',))
BRAINS: Final = Registry('cls_learning.brains', 'brain')
