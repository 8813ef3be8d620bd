"""What an address tells before anything is sent to it."""

from __future__ import annotations

import ipaddress


def is_loopback(host: str) -> bool:
    """Whether a host, by its name or number, is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_private(host: str) -> bool:
    """Whether a host is not on the public internet, by its number, or because it is this machine.

    False for any other name: where it leads is known when it is connected to.
    """
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return host == "localhost"
