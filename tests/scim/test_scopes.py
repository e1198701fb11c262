"""What a token may do: every address, read and written, against every scope."""

from uuid import uuid4

import pytest

from provisioning.models import Scope
from provisioning.selectors.tokens import Caller
from scim.scopes import InsufficientScopeException, demand

READ, USERS, GROUPS = Scope.values


def caller(*scopes: str) -> Caller:
    return Caller(
        token_id=uuid4(),
        tenant_id=uuid4(),
        connection_id=uuid4(),
        unknown_member="refuse",
        scopes=frozenset(scopes),
        schema_version=1,
        requests_per_minute=0,
        digest_key=b"",
    )


# (endpoint, method): the scopes of which one is enough; none means that every token may.
NEEDED = [
    ("Users", "GET", {READ, USERS}),
    ("/Users", "HEAD", {READ, USERS}),
    ("users", "POST", {USERS}),
    ("Users", "PUT", {USERS}),
    ("Users", "PATCH", {USERS}),
    ("Users", "DELETE", {USERS}),
    ("Users/.search", "POST", {READ, USERS}),
    ("Groups", "GET", {READ, GROUPS}),
    ("Groups", "PATCH", {GROUPS}),
    ("Groups/.search", "POST", {READ, GROUPS}),
    (".search", "POST", {READ}),
    ("Roles", "GET", {READ, USERS}),
    ("Entitlements", "GET", {READ, USERS}),
    ("TestResources", "GET", {READ, USERS}),
    ("TestResources", "POST", {USERS}),
    ("Bulk", "POST", set()),
    ("Schemas", "GET", set()),
    ("ResourceTypes", "GET", set()),
    ("ServiceProviderConfig", "GET", set()),
]


@pytest.mark.parametrize(
    ("endpoint", "method", "needed"), NEEDED, ids=[f"{method} {endpoint}" for endpoint, method, _ in NEEDED]
)
def test_who_may(endpoint: str, method: str, needed: set[str]) -> None:
    writes = method not in ("GET", "HEAD")
    for scope in (READ, USERS, GROUPS):
        if not needed or scope in needed:
            demand(caller(scope), endpoint, writes=writes)
        else:
            with pytest.raises(InsufficientScopeException):
                demand(caller(scope), endpoint, writes=writes)
    demand(caller(READ, USERS, GROUPS), endpoint, writes=writes)


def test_the_refusal_names_what_is_missing() -> None:
    """RFC 6750 3.1: "The request requires higher privileges than provided by the access token"."""
    with pytest.raises(InsufficientScopeException) as refused:
        demand(caller(READ), "Users", writes=True)
    assert (refused.value.status, refused.value.scim_type) == (403, "")
    assert refused.value.headers == {
        "WWW-Authenticate": 'Bearer realm="scim", error="insufficient_scope", scope="users"'
    }
