"""Numbers of operations, and the energy that they would take. No PyTorch here."""

from dataclasses import asdict, dataclass, fields

# Energy of one operation on 32-bit floating point numbers in 45 nm CMOS, pJ (Horowitz 2014).
MAC_PICOJOULES, AC_PICOJOULES = 4.6, 0.9
ASSUMPTIONS = (
    f'{MAC_PICOJOULES} pJ a multiply-accumulate, {AC_PICOJOULES} pJ an accumulate: 32-bit floating point, 45 nm '
    '(Horowitz 2014); without operations of neurons and without memory traffic, which can cost more than all of this'
)
# Operations of one neuron in one tick, by its kind: decay, input, comparison and reset; of a second-order neuron also
# decay and input of its current. As the `neurobench` package counts them.
NEURON_OPERATIONS = {'leaky': 4, 'synaptic': 6}
# Multiplications of Adam for one parameter: 2 for the first moment, 3 for the second, 2 bias corrections, root,
# division, learning rate.
ADAM_OPERATIONS = 10


@dataclass(frozen=True)
class Operations:
    """Operations of a run, or means of several.

    Attributes:
        macs: multiply-accumulates of real-valued inputs that are not 0, with weights that are not 0.
        acs: accumulates of inputs that are all 0, 1 or -1 (spikes), the same way.
        dense: synaptic operations, zeros included: those of a processor that skips none.
        backward: multiply-accumulates of gradients, see `counter`.
        parameter_updates: parameters changed by an optimiser, once each step.
        membrane_updates: membranes that a tick changed.
        neuron_operations: operations of neurons, which are not synaptic.
        neuron_ticks: neurons times ticks. spikes: of them, those that fired.
    """

    macs: float = 0.0
    acs: float = 0.0
    dense: float = 0.0
    backward: float = 0.0
    parameter_updates: float = 0.0
    membrane_updates: float = 0.0
    neuron_operations: float = 0.0
    neuron_ticks: float = 0.0
    spikes: float = 0.0

    def __add__(self, other: 'Operations') -> 'Operations':
        return Operations(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def __truediv__(self, steps: float) -> 'Operations':
        return Operations(*(getattr(self, f.name) / steps for f in fields(self)))

    @property
    def effective(self) -> float:
        """Synaptic operations, without those of a zero."""
        return self.macs + self.acs

    @property
    def total(self) -> float:
        """Effective synaptic operations, those of gradients and those of the optimiser."""
        return self.effective + self.backward + ADAM_OPERATIONS * self.parameter_updates

    @property
    def spike_rate(self) -> float:
        """Share of neurons that fire in a tick; NaN without neurons."""
        return self.spikes / self.neuron_ticks if self.neuron_ticks else float('nan')

    @property
    def picojoules(self) -> float:
        """Energy of `total` by ASSUMPTIONS."""
        multiplied = self.macs + self.backward + ADAM_OPERATIONS * self.parameter_updates
        return MAC_PICOJOULES * multiplied + AC_PICOJOULES * self.acs

    def to_plain(self) -> dict[str, float | None]:
        """Returns all numbers by name, for JSON; the spike rate is None without neurons."""
        rate = self.spike_rate if self.neuron_ticks else None
        derived = {'effective': self.effective, 'total': self.total, 'picojoules': self.picojoules}
        return {**asdict(self), **derived, 'spike_rate': rate}


COUNTS = tuple(each.name for each in fields(Operations))
