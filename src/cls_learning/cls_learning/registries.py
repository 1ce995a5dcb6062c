"""Registries of parts that are found by name. No PyTorch here: a registry imports a part only when it is found."""

from typing import Final

from cls_common.registry import Registry

WORLD_MODELS: Final = Registry('cls_learning.world_models', 'world model')
POLICIES: Final = Registry('cls_learning.policies', 'policy', exclude=('action_parsing',))
REWARDS: Final = Registry(
    'cls_learning.rewards',
    'reward',
    exclude=(
        'candidate_rollouts',
        'cells',
        'ensemble',
        'ensemble_reward',
        'product',
        'running_normalizer',
        'sim_hash',
        'visits',
    ),
)
MEMORIES: Final = Registry(
    'cls_learning.memory',
    'memory',
    exclude=(
        'chain',
        'observation_memory',
        'ring_reservoir',
        'scene_jump',
        'segment_buffer',
        'static_scene',
        'trajectory_stitching',
    ),
)
PHASES: Final = Registry('cls_learning.consolidation', 'sleep phase', exclude=('phases',))
PENALTIES: Final = Registry(
    'cls_learning.penalties',
    'penalty',
    exclude=('fisher', 'memory_aware_synapses', 'samples', 'settings', 'synaptic_intelligence'),
)
# Of the brain `cross_modal`.
OBJECTIVES: Final = Registry('cls_learning.brains.cross_modal.objectives', 'objective')
BRAINS: Final = Registry('cls_learning.brains', 'brain')
DEVELOPMENTAL_NETWORKS: Final = Registry(
    'cls_learning.brains.developmental.networks',
    'network of developmental',
    exclude=('action_classifier', 'action_embedding'),
)
