"""Which resource types a tenant has, with the extensions that its administrators wrote. Knows no request."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from uuid import UUID

from provisioning.models import Scope
from provisioning.selectors import schemas
from provisioning.selectors.tokens import Caller
from scim import conformance
from scim.roles import ENTITLEMENT, ROLE
from scim.schemas import GROUP, KINDS, USER, ResourceKind, with_extensions, without_showing

TENANTS_KEPT = 256

# What one type tells of the other, by name: (the scope that reads the other, attribute, part).
_OF_OTHERS: Mapping[str, tuple[str, str, str]] = {
    USER.name: (str(Scope.GROUPS), "groups", ""),
    GROUP.name: (str(Scope.USERS), "members", "display"),
}


class Kinds(Mapping[str, ResourceKind]):
    """The resource types of one tenant at one version of its schemas, by name."""

    def __init__(self, kinds: Iterable[ResourceKind]) -> None:
        self._by_name = {kind.name: kind for kind in kinds}

    def __getitem__(self, name: str) -> ResourceKind:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def without(self, names: Collection[str]) -> "Kinds":
        return Kinds(kind for name, kind in self._by_name.items() if name not in names)

    @property
    def all(self) -> tuple[ResourceKind, ...]:
        """In the order of discovery."""
        return tuple(self._by_name.values())

    @property
    def user(self) -> ResourceKind:
        return self._by_name[USER.name]

    @property
    def group(self) -> ResourceKind:
        return self._by_name[GROUP.name]


def kinds_of(caller: Caller) -> Kinds:
    """The types as they are for this caller's tenant; groups and names only where the token's scopes read them.

    Every change of a tenant's schemas makes a new version in the same transaction, so that what is kept here for
    an old one is never asked for again.
    """
    kinds = kinds_at(caller.tenant_id, caller.schema_version)
    if Scope.READ in caller.scopes or caller.scopes.issuperset((Scope.USERS, Scope.GROUPS)):
        return kinds
    return Kinds(_seen_with(kind, caller.scopes) for kind in kinds.all)


def kinds_of_tenant(tenant_id: UUID) -> Kinds:
    """The same for somebody who comes without a token. One statement."""
    return kinds_at(tenant_id, schemas.version_of(tenant_id))


def kinds_at(tenant_id: UUID, schema_version: int) -> Kinds:
    profile = conformance.is_served()
    # A tenant begins with version 1 and without extensions.
    return _base(profile) if schema_version <= 1 else _compiled(tenant_id, schema_version, profile)


@lru_cache(maxsize=4 * TENANTS_KEPT)
def _seen_with(kind: ResourceKind, scopes: frozenset[str]) -> ResourceKind:
    scope, name, part = _OF_OTHERS.get(kind.name, ("", "", ""))
    return without_showing(kind, name, part) if scope and scope not in scopes else kind


@lru_cache(maxsize=2)
def _base(profile: bool) -> Kinds:
    return Kinds((*KINDS, ROLE, ENTITLEMENT, *([conformance.kind()] if profile else [])))


@lru_cache(maxsize=TENANTS_KEPT)
def _compiled(tenant_id: UUID, schema_version: int, profile: bool) -> Kinds:
    extensions = schemas.extensions_of(tenant_id)
    return Kinds(
        with_extensions(
            kind, [(one.document, one.required) for one in extensions if one.resource == kind.name]
        )
        for kind in _base(profile).all
    )
