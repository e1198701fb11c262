"""Every resource type that this server answers for, in the order of discovery."""

from typing import Any

from provisioning.selectors import entitlements
from provisioning.selectors.entitlements import Kind
from provisioning.selectors.tokens import Caller
from scim import conformance
from scim.data_resources import TEST_RESOURCES
from scim.entitlements import ENTITLEMENTS, ROLES
from scim.groups import GROUPS
from scim.kinds import Kinds, kinds_of
from scim.resources import Resources
from scim.users import USERS

ALL: tuple[Resources[Any], ...] = (USERS, GROUPS, ROLES, ENTITLEMENTS, TEST_RESOURCES)


def every() -> tuple[Resources[Any], ...]:
    """Those that are served: the conformance profile's only where the setting says so."""
    return ALL if conformance.is_served() else ALL[:-1]


def resources_at(endpoint: str) -> Resources[Any] | None:
    """Whose address it is; RFC 7644 writes the endpoints with capitals, and clients do not always."""
    return next((one for one in every() if one.endpoint.lower() == endpoint.lower()), None)


def shown_to(caller: Caller) -> Kinds:
    """The types that discovery tells a connection of.

    Roles and entitlements only where there are any for it: to a client that means to manage every type it reads of,
    they would be nothing but refusals.
    """
    mapped = entitlements.kinds_mapped(tenant_id=caller.tenant_id, connection_id=caller.connection_id)
    absent = {name for kind, name in _BY_KIND.items() if kind not in mapped}
    return kinds_of(caller).without(absent)


_BY_KIND = {Kind.ROLE: ROLES.name, Kind.GROUP: ENTITLEMENTS.name}
