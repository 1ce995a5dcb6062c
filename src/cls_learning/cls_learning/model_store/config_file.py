"""config.json: the definition of a model, written when it is created."""

from dataclasses import dataclass, field, replace
import hashlib
import json
from pathlib import Path
from typing import Any

from cls_common.errors import UserError
from cls_common.robot import difference, from_plain, RobotInfo, to_plain

from ..brain import Brain, check_reward, find, Input
from .files import write_whole

SCHEMA = 1


@dataclass(frozen=True)
class ModelConfig:
    """Everything that determines the shape and the settings of a model.

    Attributes:
        robot: as it was when the model was created.
        encoder: its config, with `id` and `size`; the model runs only with this encoder. Empty where the brain has no
            embedding.
        seed: of networks and exploration.
        settings: of the class that the brain declares. origins: origin of each value, by dotted name.
        created_at: ISO 8601.
        accepted_robots: names of other robots that the user accepted for it.
        brain_name: name of its brain.
        vectors: length of each vector input of the brain, by modality.
    """

    robot: RobotInfo
    encoder: dict[str, Any]
    seed: int
    settings: Any
    origins: dict[str, str]
    created_at: str
    accepted_robots: tuple[str, ...] = ()
    brain_name: str = 'cls'
    vectors: dict[str, int] = field(default_factory=dict)

    @property
    def brain(self) -> Brain:
        """Its brain; raises UserError where it is not installed."""
        return find(self.brain_name)

    @property
    def inputs(self) -> tuple[Input, ...]:
        """Inputs of the brain on this robot."""
        return self.brain.inputs(self.settings, self.robot)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each reading, by the name of its input: (D,) or (H, W, 3)."""
        return {each.name: self._shape(each) for each in self.inputs}

    def _shape(self, each: Input) -> tuple[int, ...]:
        if each.kind == 'embedding':
            return (self.z_size,)
        return (*each.size, 3) if each.kind == 'image' else (self.vectors[each.name],)

    @property
    def z_size(self) -> int:
        """Length of an embedding, D; 0 where the brain has none."""
        return int(self.encoder.get('size', 0))

    @property
    def sha256(self) -> str:
        """Hash of everything but date and accepted robots, 64 hex digits; models with equal ones learn the same."""
        recipe = replace(self, created_at='', accepted_robots=())
        return hashlib.sha256(recipe.to_json().encode()).hexdigest()

    def to_json(self) -> str:
        """Returns the file's contents."""
        content = {
            'schema': SCHEMA,
            'created_at': self.created_at,
            'seed': self.seed,
            'robot': to_plain(self.robot),
            'encoder': self.encoder,
            'values': self.settings.to_flat(),
            'origins': self.origins,
        }
        # Absent where they have the only value of older versions, so that the hash stays.
        if self.brain_name != 'cls':
            content['brain'] = self.brain_name
        if self.vectors:
            content['vectors'] = self.vectors
        if self.accepted_robots:
            content['accepted_robots'] = list(self.accepted_robots)
        return json.dumps(content, indent=2)

    @classmethod
    def from_json(cls, text: str, where: str) -> 'ModelConfig':
        """Parses the contents of the file; `where` names it in an error.

        Raises:
            UserError: the file is damaged or of a newer version.
        """
        try:
            content = json.loads(text)
            if content['schema'] > SCHEMA:
                raise UserError(
                    where,
                    expected=f'schema {SCHEMA} or older',
                    found=f'schema {content["schema"]}',
                    do='This model was made by a newer version: update this software.',
                )
            encoder = content['encoder'] and {**content['encoder'], 'id': str(content['encoder']['id'])}
            if encoder:
                encoder['size'] = int(encoder['size'])
            brain = str(content.get('brain', 'cls'))
            return cls(
                from_plain(content['robot']),
                encoder,
                int(content['seed']),
                find(brain).settings.from_flat(content['values']),
                content['origins'],
                content['created_at'],
                tuple(map(str, content.get('accepted_robots', ()))),
                brain,
                {str(name): int(size) for name, size in content.get('vectors', {}).items()},
            )
        except UserError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UserError(where, expected='a whole config.json', found=repr(error)) from error

    def check_robot(self, robot: RobotInfo, *, any_name: bool = False) -> None:
        """Raises UserError for another robot than the model's, unless it was accepted and has equal actions and joints.

        Its modalities may differ: only the inputs of the brain are needed, and a reward where the brain needs one.

        Args:
            any_name: the name is not checked, since the robot is about to be accepted.
        """
        other = difference(self.robot, robot, ('actions', 'joints'))
        if other is not None:
            raise UserError(
                f'robot {robot.name!r}',
                expected=f'{other.aspect} of {self.robot.name!r}: {other.expected}',
                found=other.found,
                do='Choose another model name for another robot.',
            )
        check_reward(self.brain, self.settings, robot)
        if not any_name:
            self.check_robot_name(robot.name)

    def check_robot_name(self, name: str) -> None:
        """Raises UserError for a robot whose name is neither that of the model's robot nor accepted."""
        if name not in (self.robot.name, *self.accepted_robots):
            raise UserError(
                'robot of the model',
                found=repr(name),
                expected=' or '.join(map(repr, (self.robot.name, *self.accepted_robots))),
                do='Choose another model name, or accept this robot for the model: --accept-robot.',
            )

    def check_encoder(self, encoder_id: str) -> None:
        """Raises UserError for embeddings of another encoder than the model's."""
        if self.encoder and encoder_id != self.encoder['id']:
            raise UserError(
                'encoder',
                expected=f'{self.encoder["id"]}, with which this model was made',
                found=encoder_id,
                do='Start the encoder with the model name, or choose another model name.',
            )


def write(path: Path, config: ModelConfig) -> None:
    """Writes config.json atomically."""
    write_whole(path, config.to_json().encode())
