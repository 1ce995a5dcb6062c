"""Environment variables of DDS discovery: this machine only by default, in the ROS domain of the shell.

`./cls` sets the same defaults before Python starts. The domain is the shell's ROS_DOMAIN_ID, or ROS's own default of
0, so every ROS tool in the same shell sees the graph.
"""

from collections.abc import Mapping
from pathlib import Path

DOMAIN, RANGE, PROFILE = 'ROS_DOMAIN_ID', 'ROS_AUTOMATIC_DISCOVERY_RANGE', 'FASTRTPS_DEFAULT_PROFILES_FILE'
# Sockets on loopback only, and shared memory large enough for images.
PROFILE_NAME = 'fastdds.xml'


def environment(shell: Mapping[str, str], config: Path, *, network: bool = False) -> dict[str, str]:
    """Returns the variables to set for a process that joins the graph; values that the shell has set are kept.

    Args:
        shell: environment of the process that starts it.
        config: folder of the DDS profile.
        network: discover other machines; replaces LOCALHOST and the loopback profile, also where the shell has them.
    """
    ours, scope, profile = config / PROFILE_NAME, shell.get(RANGE, ''), shell.get(PROFILE, '')
    if not network:
        return {RANGE: scope or 'LOCALHOST', PROFILE: profile or str(ours)}
    if profile and Path(profile).resolve() == ours.resolve():
        profile = ''
    return {RANGE: 'SUBNET' if scope in ('', 'LOCALHOST') else scope, PROFILE: profile}


def exports(variables: Mapping[str, str]) -> list[str]:
    """Returns NAME=VALUE for each variable that another shell needs to join the same graph."""
    values = {DOMAIN: variables.get(DOMAIN) or '0', **{name: variables.get(name, '') for name in (RANGE, PROFILE)}}
    return [f'{name}={value}' for name, value in values.items() if value]
