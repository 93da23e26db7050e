"""Addresses of hosts."""

from __future__ import annotations

import ipaddress


def is_address(host: str) -> bool:
    """Return whether a host is an IP address, not a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Return whether a host can be reached from this machine only."""
    return ipaddress.ip_address(host).is_loopback if is_address(host) else host == "localhost"
