"""What a token may do: which scopes an address needs, and the refusal of a token that has none of them.

Knows no request and no resource. A scope that writes reads its own resources, too.
"""

from collections.abc import Mapping
from functools import lru_cache

from scim2_models.exceptions import SCIMException

from provisioning.models import Scope
from provisioning.selectors.tokens import Caller

Needed = frozenset[str]
"""Any one of them suffices; none at all means that every valid token may."""

ANY: Needed = frozenset()
_READ, _USERS, _GROUPS = Scope.values

# (to read, to write). What is neither a user nor a group (roles, entitlements, a tenant's own types) says something
# about users. The root's search asks about everything at once.
_RESOURCES: Mapping[str, tuple[Needed, Needed]] = {
    "users": (frozenset({_READ, _USERS}), frozenset({_USERS})),
    "groups": (frozenset({_READ, _GROUPS}), frozenset({_GROUPS})),
    ".search": (frozenset({_READ}), frozenset({_READ})),
}
_OTHERS = (frozenset({_READ, _USERS}), frozenset({_USERS}))
# Discovery tells no secret, and of a Bulk body each operation is asked about by itself.
_OPEN = frozenset({"", "serviceproviderconfig", "resourcetypes", "schemas", "bulk", "me"})


class InsufficientScopeException(SCIMException):
    """RFC 7644 3.12: 403, "Operation is not permitted based on the supplied authorization"."""

    status = 403

    def __init__(self, needed: Needed) -> None:
        words = " ".join(sorted(needed))
        super().__init__(detail=f"The token lacks the scope for this; it needs one of: {words}.")
        # RFC 6750 3.1: insufficient_scope "MAY include the "scope" attribute with the scope necessary".
        self.headers = {
            "WWW-Authenticate": f'Bearer realm="scim", error="insufficient_scope", scope="{words}"'
        }


def demand(caller: Caller, endpoint: str, *, writes: bool) -> None:
    """403 for a token without any of the scopes that this needs. `endpoint` is relative to the root: `Users`."""
    needed = _needed(endpoint, writes)
    if needed and needed.isdisjoint(caller.scopes):
        raise InsufficientScopeException(needed)


@lru_cache(maxsize=256)
def _needed(endpoint: str, writes: bool) -> Needed:
    name = endpoint.strip("/").partition("/")[0].lower()
    if name in _OPEN:
        return ANY
    return _RESOURCES.get(name, _OTHERS)[writes and not reads(endpoint)]


def reads(endpoint: str) -> bool:
    """RFC 7644 3.4.3: a search is a POST, and reads."""
    return endpoint.endswith(".search")
