"""Real-time recurrent learning: exact or approximate gradients of a recurrent cell online, without a tape.

The influence M_t = dc_t/dtheta follows M_t = J_t M_{t-1} + Mbar_t with J_t = dc_t/dc_{t-1} and Mbar_t the direct
derivative of c_t (Williams and Zipser 1989). The gradient of a loss of step t is dL/dh_t dh_t/dtheta, available at step
t; nothing of earlier steps is kept, so memory does not grow with the length of a sequence.

    cell = EventGruCell(inputs=4, units=32, seed=1)
    prune(cell, 0.8, numpy_generator)
    learner = RtrlLearner(cell, 'sparse')
    state = learner.initial(batch=1)
    for x, target in stream:
        state, output = learner.step(state, x)
        loss(readout(output), target).backward()  # through this one step and, by the influence, all before it
        optimizer.step()
"""

from .event_gru import EventGruCell
from .learner import LEVELS, RtrlLearner
from .pruning import prune, rewire
from .trace_units import TraceUnitsCell

__all__ = ['LEVELS', 'EventGruCell', 'RtrlLearner', 'TraceUnitsCell', 'prune', 'rewire']
