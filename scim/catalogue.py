"""Every resource type that this server answers for, in the order of discovery."""

from typing import Any

from scim import conformance
from scim.data_resources import TEST_RESOURCES
from scim.groups import GROUPS
from scim.resources import Resources
from scim.users import USERS

_ALWAYS: tuple[Resources[Any], ...] = (USERS, GROUPS)


def every() -> tuple[Resources[Any], ...]:
    return (*_ALWAYS, TEST_RESOURCES) if conformance.is_served() else _ALWAYS


def resources_at(endpoint: str) -> Resources[Any] | None:
    """Whose address it is; RFC 7644 writes the endpoints with capitals, and clients do not always."""
    return next((one for one in every() if one.endpoint.lower() == endpoint.lower()), None)
