"""What passes between a robot, its memory and its brain: observations, transitions and experiences. Plain numpy.

Letters used here and in the learners: B batch, D length of an embedding, A length of an action, J joints.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from .errors import UserError
from .robot import RobotInfo
from .stamps import NS

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

# Names of readings: what the encoder makes of a sense, the images themselves, and the angles of a robot's joints. A
# vector has the name of its sense.
EMBEDDING = 'embedding'
CAMERA = 'camera'
JOINTS = 'joints'


@dataclass(frozen=True)
class Reading:
    """What one sense gave at one time.

    Attributes:
        data: an image, uint8 (H, W, 3) RGB; or a vector or an embedding, float32 (D,).
        stamp: ns, when it was sensed; of an embedding, when its image was taken.
        encoder_id, encoder_version: the encoder that made it; empty and 0 where none did.
    """

    data: NDArray[Any]
    stamp: int
    encoder_id: str = ''
    encoder_version: int = 0


@dataclass(frozen=True)
class Observation:
    """Readings of one or several senses that belong together, by name; at least one."""

    readings: Mapping[str, Reading]

    @property
    def stamp(self) -> int:
        """ns of the newest reading."""
        return max(reading.stamp for reading in self.readings.values())

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Returns the array of one sense."""
        return self.readings[name].data

    @property
    def z(self) -> Floats:
        """The embedding, float32 (D,) raw; for brains that perceive one."""
        return self.readings[EMBEDDING].data

    def with_joints(self, joints: Doubles) -> 'Observation':
        """Returns it with joint angles (J,), rad, as the vector JOINTS, float32."""
        return Observation({**self.readings, JOINTS: Reading(joints.astype(np.float32), self.stamp)})

    @classmethod
    def of_embedding(cls, z: Floats, stamp: int = 0, encoder_id: str = '', encoder_version: int = 0) -> Self:
        """Makes the observation that is one embedding, float32 (D,) raw."""
        return cls({EMBEDDING: Reading(z, stamp, encoder_id, encoder_version)})


@dataclass(frozen=True, kw_only=True)
class Transition:
    """One closed wake step.

    Attributes:
        before, after: what was sensed before the action and after it.
        action_commanded, action_applied: float32 (A,), robot units.
        joints, joints_next: float64 (J,), rad, before and after.
        boundary: `before` is not the `after` of the transition before.
        reward: the robot's own, NaN where none. terminal, truncated: the episode ended here.
        image_delay: steps by which its images were late, so that it has the motion of that many transitions before.
    """

    before: Observation
    after: Observation
    action_commanded: Floats
    action_applied: Floats
    joints: Doubles
    joints_next: Doubles
    boundary: bool
    reward: float = float('nan')
    terminal: bool = False
    truncated: bool = False
    image_delay: int = 0

    @classmethod
    def of_embeddings(cls, *, z: Floats, z_next: Floats, stamp_z: int = 0, stamp_next: int = 0, **others: Any) -> Self:
        """Makes the transition between two embeddings, float32 (D,) raw, with the stamps of their images, ns."""
        return cls(
            before=Observation.of_embedding(z, stamp_z), after=Observation.of_embedding(z_next, stamp_next), **others
        )

    @property
    def z(self) -> Floats:
        """The embedding before, float32 (D,) raw."""
        return self.before.z

    @property
    def z_next(self) -> Floats:
        """The embedding after, float32 (D,) raw."""
        return self.after.z

    @property
    def stamp_z(self) -> int:
        """ns of what was sensed before."""
        return self.before.stamp

    @property
    def stamp_next(self) -> int:
        """ns of what was sensed after."""
        return self.after.stamp

    @property
    def duration(self) -> float:
        """Seconds from what was sensed before to what was sensed after."""
        return (self.after.stamp - self.before.stamp) / NS

    def arrays(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """Yields every array of numbers by its name in errors."""
        for when, observation in (('before', self.before), ('after', self.after)):
            for name, reading in observation.readings.items():
                yield f'{name} {when}', reading.data
        for name in ('action_commanded', 'action_applied', 'joints', 'joints_next'):
            yield name.replace('_', ' '), getattr(self, name)


@dataclass(frozen=True, kw_only=True)
class Experience:
    """A transition as the online learner learned from it: what the consolidator gets.

    Attributes:
        sequence: wake steps of the model so far, this one included.
        episode: rises at every boundary.
        extras: what the consolidator needs beside the transition, by name; which ones is up to the brain.
        metrics: figures of this step by name; NaN where undefined.
    """

    transition: Transition
    sequence: int
    episode: int
    extras: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)


def check(transition: Transition, robot: RobotInfo, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Refuses what can't be learned from.

    Args:
        shapes: of every reading, by name.

    Raises:
        UserError: a number is not finite, a reading is missing, or a shape is not that of the robot or the input.
    """
    actions, joints = (len(robot.channels),), (len(robot.joint_names),)
    expected = {f'{name} {when}': shape for when in ('before', 'after') for name, shape in shapes.items()}
    expected |= {'action commanded': actions, 'action applied': actions, 'joints': joints, 'joints next': joints}
    arrays = dict(transition.arrays())
    found = {name: array.shape for name, array in arrays.items() if name in expected}
    if found != expected:
        wrong = {name: found.get(name) for name, shape in expected.items() if found.get(name) != shape}
        raise UserError(
            'shapes of a transition', found=_shapes(wrong), expected=_shapes({name: expected[name] for name in wrong})
        )
    for name, array in arrays.items():
        if array.dtype.kind == 'f' and not np.isfinite(array).all():
            raise UserError(f'{name} of a transition', expected='finite numbers only', found='NaN or infinity')


def _shapes(shapes: Mapping[str, tuple[int, ...] | None]) -> str:
    return ', '.join(f'{name} {"missing" if shape is None else shape}' for name, shape in shapes.items())
