"""Declares a settings class on a node: every leaf with description, limits and read-only flag."""

import math
from typing import Any, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

from ..errors import UserError
from ..settings import Settings

S = TypeVar('S', bound=Settings)
# Declared by rclpy itself or by qos_overriding_options.
_FOREIGN = ('use_sim_time', 'start_type_description_service', 'qos_overrides.')
_INT_MAX, _FLOAT_MAX = 2**62, 1e300


def overrides(node: Node) -> dict[str, Any]:
    """Returns the values that files and command line set for this node, by dotted name, without ROS's own."""
    return {
        name: parameter.value for name, parameter in node._parameter_overrides.items() if not name.startswith(_FOREIGN)
    }


def read(node: Node, settings_class: type[S], defaults: dict[str, Any] | None = None) -> S:
    """Returns the settings without declaring them, for a node whose defaults depend on some of them.

    Args:
        defaults: values by dotted name that replace the class's defaults.

    Raises:
        UserError: unknown parameter (which ROS itself ignores silently), or invalid value.
    """
    return settings_class.from_flat({**(defaults or {}), **overrides(node)})


def declare(
    node: Node, settings_class: type[S], defaults: dict[str, Any] | None = None, in_force: dict[str, Any] | None = None
) -> S:
    """Declares every leaf and returns the settings; further arguments and errors are those of `read`.

    Args:
        in_force: values by dotted name that override all others, such as those of an existing model.
    """
    settings = read(node, settings_class, defaults)
    settings = settings_class.from_flat({**settings.to_flat(), **(in_force or {})})
    flat = settings.to_flat()
    for name, field in settings_class.leaves():
        value = flat.get(name, field.default)  # plug-ins that are not chosen have no values
        node.declare_parameter(name, value, _descriptor(field.metadata, type(field.default)), ignore_override=True)
    node.add_on_set_parameters_callback(lambda changes: _validate(node, settings_class, changes))
    return settings


def _validate(node: Node, settings_class: type[Settings], changes: list[Parameter]) -> SetParametersResult:
    # Descriptors cannot express choices, NaN without limits, or constraints between fields.
    names = [name for name, _ in settings_class.leaves()]
    values = {name: node.get_parameter(name).value for name in names}
    values |= {change.name: change.value for change in changes if change.name in values}
    try:
        settings_class.from_flat(values)
    except UserError as error:
        return SetParametersResult(successful=False, reason=str(error))
    return SetParametersResult(successful=True)


def _descriptor(metadata: Any, kind: type) -> ParameterDescriptor:
    unit = f' [{metadata["unit"]}]' if metadata['unit'] else ''
    descriptor = ParameterDescriptor(description=metadata['description'] + unit, read_only=metadata['read_only'])
    if metadata['choices']:
        descriptor.additional_constraints = 'one of ' + ', '.join(metadata['choices'])
    low, high = metadata['low'], metadata['high']
    if low is None and high is None:
        return descriptor
    if kind is int:
        descriptor.integer_range = [
            IntegerRange(
                from_value=-_INT_MAX if low is None else math.ceil(low),
                to_value=_INT_MAX if high is None else math.floor(high),
            )
        ]
    else:
        descriptor.floating_point_range = [
            FloatingPointRange(
                from_value=-_FLOAT_MAX if low is None else float(low),
                to_value=_FLOAT_MAX if high is None else float(high),
            )
        ]
    return descriptor
