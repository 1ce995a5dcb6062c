"""Which robots the driver may connect to: loopback, and what the user lists."""

from collections.abc import Sequence
import ipaddress
import socket

from cls_common.errors import UserError

LOOPBACK = '127.0.0.1 ::1 localhost'


def find_address(host: str, port: int, allowed: Sequence[str]) -> tuple[str, int]:
    """Returns the IP address and port of a host that is allowed.

    Args:
        host: name or IP address.
        allowed: names, IP addresses, or networks such as 192.168.1.0/24. A name has to be listed itself.

    Raises:
        UserError: it is not allowed, or has no address.
    """
    if host not in allowed and not any(_holds(entry, host) for entry in allowed):
        raise UserError(
            f'JetBot {host!r}',
            expected=f'a host of allowed_hosts: {" ".join(allowed) or "none"}',
            do='Add it there if this is your robot: what answers there is sent motor commands.',
        )
    try:
        return str(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][4][0]), port
    except (OSError, UnicodeError) as error:
        raise UserError(f'JetBot {host!r}', expected='a host with an address', found=str(error)) from error


def _holds(network: str, host: str) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:  # one of them is a name
        return False
