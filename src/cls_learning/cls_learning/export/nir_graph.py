"""Spiking networks as graphs of the Neuromorphic Intermediate Representation (NIR, Pedersen et al. 2024).

A graph is feed-forward; the state of its neurons is carried or reset by the program that runs it. NIR states
differential equations, so a tick is an Euler step of `DT`. Time constants are float64, so that the decays in float32
are exactly those learned.

    tau = dt / (1 - decay), r = tau / dt      so that      v <- decay v + input

What NIR leaves open is in the metadata of the graph: a neuron fires above its threshold, which is subtracted from the
membrane in the next tick; an input is held for `ticks` ticks; the output is read after the last of them, and its trace
begins at 0 in each step.
"""

from collections.abc import Mapping
import itertools
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn, Tensor

from cls_common.atomic_file import publish, temporary_of
from cls_common.errors import UserError

from ..neurons.layers import LeakyLayer, SpikingNetwork, SynapticLayer

# Length of a tick, s; snnTorch reads and writes NIR with the same.
DT = 1e-4
_RULES = {
    'dt': DT,
    'reset': 'the threshold is subtracted from the membrane one tick after a spike',
    'spike': 'membrane > v_threshold, after the update of the membrane',
    'current': 'a CubaLIF adds its new current to the membrane in the same tick',
    'input': 'held for all ticks of a step',
    'state': 'carried from step to step or at rest before each, as the settings of the model say',
    'output': 'read after the last tick of a step; the node `trace` begins each step at 0',
}


def find_network(networks: Mapping[str, nn.Module], name: str) -> SpikingNetwork:
    """Returns the spiking network in a network of a model.

    Args:
        networks: of the model, by name. name: of one of them, or of a part of it: `world.members.0`.

    Raises:
        UserError: there is no such network, or not exactly one spiking network in it.
    """
    first, _, rest = name.partition('.')
    try:
        module = networks[first].get_submodule(rest)
    except (KeyError, AttributeError) as error:
        raise UserError(f'network {name!r}', expected='one of ' + ', '.join(networks), do='--network NAME') from error
    found = _spiking(name, module)
    if len(found) == 1:
        return next(iter(found.values()))
    others = [path for each in networks for path in _spiking(each, networks[each])]
    raise UserError(
        f'network {name!r} for NIR', expected='one spiking network', found=', '.join(found) or 'none in it',
        do=f'--network with one of {", ".join(found or others)}' if found or others else 'This model has none.',
    )  # fmt: skip


def _spiking(name: str, module: nn.Module) -> dict[str, SpikingNetwork]:
    parts = ((f'{name}.{path}'.rstrip('.'), part) for path, part in module.named_modules())
    return {path: part for path, part in parts if isinstance(part, SpikingNetwork)}


def write_graph(network: SpikingNetwork, output: Path, about: Mapping[str, Any]) -> None:
    """Writes a network to a new file, which appears only when it is complete.

    Args:
        about: further metadata: texts, numbers and arrays.
    """
    import nir

    partial = temporary_of(output)
    try:
        nir.write(partial, make_graph(network, about))
        publish(partial, output)
    finally:
        partial.unlink(missing_ok=True)


def make_graph(network: SpikingNetwork, about: Mapping[str, Any]) -> Any:
    """Returns the `nir.NIRGraph` of a network: input, layers of weights and neurons, trace, read-out, output."""
    import nir

    layers = [layer for layer in network.layers if isinstance(layer, LeakyLayer)]
    nodes: dict[str, Any] = {'input': nir.Input(np.array([layers[0].linear.in_features]))}
    for number, layer in enumerate(layers):
        nodes[f'affine_{number}'] = _affine(layer.linear)
        nodes[f'neurons_{number}'] = _neurons(layer)
    nodes['trace'] = _trace(network)
    nodes['readout'] = _affine(network.output)
    nodes['output'] = nir.Output(np.array([network.output.out_features]))
    metadata = {**_RULES, 'ticks': len(network.shares), **about}
    return nir.NIRGraph(nodes, list(itertools.pairwise(nodes)), metadata=metadata)


def _affine(layer: nn.Linear) -> Any:
    import nir

    return nir.Affine(layer.weight.detach().numpy().copy(), layer.bias.detach().numpy().copy())


def _neurons(layer: LeakyLayer) -> Any:
    import nir

    tau = _time_constant(_array(layer.decay))
    threshold = _array(layer.threshold)
    own = {'r': tau / DT, 'v_leak': np.zeros_like(tau), 'v_threshold': threshold, 'v_reset': np.zeros_like(tau)}
    if isinstance(layer, SynapticLayer):
        tau_current = _time_constant(_array(layer.synapse))
        return nir.CubaLIF(tau_syn=tau_current, tau_mem=tau, w_in=tau_current / DT, **own)
    return nir.LIF(tau=tau, **own)


def _trace(network: SpikingNetwork) -> Any:
    """The read-out's trace: shares of decay ** (ticks left), of which all together are 1."""
    import nir

    shares = _array(network.shares)
    decay = float(shares[-2] / shares[-1]) if len(shares) > 1 else 0.0
    tau = np.full(network.output.in_features, _time_constant(decay))
    return nir.LI(tau=tau, r=float(shares[-1]) * tau / DT, v_leak=np.zeros_like(tau))


def _time_constant(decay: Any) -> Any:
    return DT / (1.0 - decay)


def _array(tensor: Tensor) -> NDArray[np.float64]:
    return tensor.detach().double().numpy()
