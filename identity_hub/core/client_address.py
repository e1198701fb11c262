"""Where a request comes from. Knows the proxy in front of the hub, and nothing of who asks."""

import re
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest


def address_of(request: HttpRequest) -> str:
    """Where a request comes from. An IPv6 customer has a whole /64, so that is one address here."""
    said = request.META.get("REMOTE_ADDR", "")
    if settings.BEHIND_PROXY:
        # The last entry is the one that our own proxy wrote; those before it are the caller's to invent.
        said = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip() or said
    return _counted(said)


# Of `address:port` and `[address]:port`, as some proxies write it; an IPv6 address alone has more than one colon.
_WITH_PORT = re.compile(r"([^:\[\]]+):\d+|\[([^\[\]]+)\](?::\d+)?", re.ASCII)


@lru_cache(maxsize=1024)
def _counted(said: str) -> str:
    if found := _WITH_PORT.fullmatch(said):
        said = found[1] or found[2]
    try:
        address = ip_address(said)
    except ValueError:
        return ""
    if isinstance(address, IPv6Address):
        # A socket that takes both families writes an IPv4 address so: all of those are within one /64.
        mapped = address.ipv4_mapped
        return str(mapped or ip_network((address, 64), strict=False))
    return str(address)


def network_of(request: HttpRequest) -> str | None:
    """The address without its last part: enough to see an attack's origin, not to follow a person."""
    return network_within(address_of(request))


# A request is told of in more than one place.
@lru_cache(maxsize=1024)
def network_within(address: str) -> str | None:
    """The same of an address that somebody typed; None for what is none."""
    try:
        network = ip_network(address, strict=False)
    except ValueError:
        return None
    return str(network.supernet(new_prefix=24 if network.version == 4 else 48).network_address)
