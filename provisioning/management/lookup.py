"""Whom an operator means by a key. The operator may see every tenant; each query still asks one at a time."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.core.management.base import CommandError
from django.db.models import Q, QuerySet

from identity_hub.core.ids import as_uuid
from provisioning.decision.keys import fold
from provisioning.models import (
    Account,
    Alias,
    Connection,
    Finding,
    Identity,
    ReconciliationRun,
    Tenant,
    Tombstone,
)

AT_MOST = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    identity: Identity
    tenant: str
    """The tenant's short name; empty for an installation superuser."""


def finding_named(key: str) -> Finding:
    as_id = as_uuid(key)
    rows = Finding.objects.select_related("account", "connection", "tenant")
    finding: Finding | None = rows.filter(pk=as_id).first() if as_id else None
    if finding is None:
        raise CommandError(f"There is no finding {key!r}.")
    return finding


def run_named(key: str) -> ReconciliationRun:
    """By id. Raises CommandError."""
    as_id = as_uuid(key)
    run = ReconciliationRun.objects.filter(pk=as_id).first() if as_id else None
    if run is None:
        raise CommandError(f"There is no run {key!r}.")
    return run


def identities_named(key: str, tenant: Tenant | None = None) -> list[Found]:
    """Those whom the whole key names now; where it names nobody, those whom it named once (aliases)."""
    wanted = key.strip().replace("\x00", "")
    if not wanted:
        return []
    tenants = [tenant] if tenant is not None else [*Tenant.objects.order_by("slug"), None]
    for condition in (_now, _once):
        found = [
            Found(identity=identity, tenant=one.slug if one else "")
            for one in tenants
            for identity in _of(one).filter(condition(wanted, one)).order_by("id")[:AT_MOST]
        ]
        if found:
            return found
    return []


def _of(tenant: Tenant | None) -> QuerySet[Identity]:
    rows: QuerySet[Identity] = Identity.objects.with_state().filter(tenant=tenant)
    return rows


def _now(key: str, tenant: Tenant | None) -> Q:
    name = fold(key)
    # Whoever ended in somebody else is found by the id; the names are the other one's now.
    shown = Q(user_name_key=name) | Q(email_key=name) | Q(login_name=key)
    condition = shown & Q(merged_into__isnull=True)
    accounts = Q(user_name_key=name) | Q(email_keys__contains=[name]) | Q(external_id=key)
    if as_id := as_uuid(key):
        condition |= Q(pk=as_id)
        accounts |= Q(pk=as_id)
        condition |= Q(pk__in=Tombstone.objects.filter(tenant=tenant, pk=as_id).values("identity_id"))
    theirs = Account.objects.filter(accounts, tenant=tenant, deleted_at__isnull=True, identity__isnull=False)
    return condition | Q(pk__in=theirs.values("identity_id"))


def _once(key: str, tenant: Tenant | None) -> Q:
    aliases = Alias.objects.filter(tenant=tenant, value_key=fold(key), identity__isnull=False)
    deleted = Account.objects.filter(
        tenant=tenant, user_name_key=fold(key), deleted_at__isnull=False, identity__isnull=False
    )
    return Q(pk__in=aliases.values("identity_id")) | Q(pk__in=deleted.values("identity_id"))


def tenants_of(tenant: Tenant | None) -> Iterator[Tenant]:
    yield from [tenant] if tenant is not None else Tenant.objects.order_by("slug")


def identity_named(key: str, tenant: Tenant | None = None) -> Identity:
    """The one whom the key names; whoever it named before a merge is named by the id alone."""
    found = identities_named(key, tenant)
    if not found:
        raise CommandError(f"Nobody answers to {key!r}.")
    if len(found) > 1:
        ids = ", ".join(str(hit.identity.pk) for hit in found[:5])
        raise CommandError(f"{len(found)} identities answer to {key!r}; give an id: {ids}.")
    return found[0].identity


def account_named(key: str, connection: Connection | None = None) -> Account:
    """A live account by its id, or by the userName or externalId that one connection knows it by."""
    rows = Account.objects.select_related("connection", "identity", "tenant").filter(deleted_at__isnull=True)
    if as_id := as_uuid(key):
        rows = rows.filter(pk=as_id)
    elif connection is not None:
        named = Q(user_name_key=fold(key)) | Q(external_id=key)
        rows = rows.filter(named, tenant_id=connection.tenant_id, connection=connection)
    else:
        raise CommandError("Give the account's id, or --connection beside its userName or externalId.")
    found = list(rows[:2])
    if len(found) != 1:
        raise CommandError(f"{'No' if not found else 'More than one'} live account answers to {key!r}.")
    return found[0]
