"""Finds the namespace of a recorded robot, and its topics' names without it. No ROS here."""

from collections.abc import Collection

from cls_common import comms
from cls_common.errors import UserError

_TYPES = {topic.name: topic.type for topic in comms.TOPICS}
_OBSERVATION = 'cls_interfaces/msg/Observation'
# Topics of a robot or its learner identify the namespace better than a camera, of which there may be several.
_SURE = (comms.ROBOT_INFO.name, comms.APPLIED_ACTION.name, comms.EXPERIENCE.name, comms.EMBEDDING.name)
_OURS = tuple(name for name in _TYPES if not name.startswith('/'))


def expected_type(name: str) -> str:
    """Returns the type that `comms` gives to a relative name; empty for unknown names."""
    return _OBSERVATION if name.startswith(comms.OBSERVATION_PREFIX) else _TYPES.get(name, '')


def relative_names(full: Collection[str]) -> dict[str, str]:
    """Returns the relative name of each full one: the robot's namespace removed, `/clock` and `/diagnostics` kept.

    Raises:
        UserError: no topic of a robot, or topics of several robots.
    """
    namespace = _namespace(sorted(full))
    return {name: _relative(name, namespace) for name in full}


def _relative(full: str, namespace: str) -> str:
    if full in _TYPES:  # absolute in every graph
        return full
    inside = full.removeprefix(namespace + '/')
    return inside if inside != full else full


def _namespace(names: list[str]) -> str:
    for known in (_SURE, _OURS):
        found = {full.removesuffix('/' + name) for name in known for full in names if full.endswith('/' + name)}
        if known is _OURS:
            found |= {full[: full.index('/' + comms.OBSERVATION_PREFIX)] for full in names if _is_observation(full)}
            found = {min(found, key=lambda n: (len(n), n))} if found else found
        if len(found) > 1:
            listed = ', '.join(name or '/' for name in sorted(found))
            raise UserError('topics', expected='one robot', found=f'several, in {listed}', do='Record each by itself.')
        if found:
            return found.pop()
    raise UserError(
        'topics',
        expected='some of a robot, such as robot/applied_action or camera/image_raw',
        found=', '.join(sorted(names)[:5]) + (', ...' if len(names) > 5 else '') if names else 'none',
    )


def _is_observation(full: str) -> bool:
    return '/' + comms.OBSERVATION_PREFIX in full
