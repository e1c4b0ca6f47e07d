"""Which hosts are this machine."""

import ipaddress


def is_loopback(name: str) -> bool:
    """Whether a host name or address means this machine."""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
