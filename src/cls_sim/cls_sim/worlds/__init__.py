"""Worlds as Gymnasium environments; importing this registers them."""

import gymnasium

ROOM_ID = 'cls_sim/Room-v0'
SQUARE_ID = 'cls_sim/Square-v0'
CART_POLE_ID = 'cls_sim/CartPole-v0'
MEMORY_CHAIN_ID = 'cls_sim/MemoryChain-v0'
TASK_SWITCHING_ID = 'cls_sim/TaskSwitching-v0'
TOROIDAL_DOT_ID = 'cls_sim/ToroidalDot-v0'
STUB_ID = 'cls_sim/Stub-v0'
CORRIDOR_ID = 'cls_sim/Corridor-v0'

# They end their episodes themselves, and gymnasium's default wrappers would only cost time.
for _id, _entry in (
    (ROOM_ID, 'room:RoomEnv'),
    (SQUARE_ID, 'square:SquareEnv'),
    (CART_POLE_ID, 'cart_pole:CartPoleEnv'),
    (MEMORY_CHAIN_ID, 'memory_chain:MemoryChainEnv'),
    (TASK_SWITCHING_ID, 'task_switching:TaskSwitchingEnv'),
    (TOROIDAL_DOT_ID, 'toroidal_dot:ToroidalDotEnv'),
    (STUB_ID, 'stub:StubEnv'),
    (CORRIDOR_ID, 'corridor:CorridorEnv'),
):
    gymnasium.register(_id, f'cls_sim.worlds.{_entry}', disable_env_checker=True, order_enforce=False)
