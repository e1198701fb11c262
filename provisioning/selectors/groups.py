"""Directory groups as SCIM documents, and the groups that an identity is in."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from provisioning.models import Account, AssertedGroup, DirectoryGroup, Identity
from provisioning.selectors.pages import Table, instant


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupDocument:
    """`members` are account ids in the order they joined; `names` their userNames, where those were asked for."""

    id: UUID
    version: int
    display_name: str
    external_id: str | None
    resource: dict[str, Any]
    created_at: str
    updated_at: str
    members: list[str]
    names: list[str]


def _document(row: Sequence[Any], related: str) -> GroupDocument:
    group_id, version, display_name, external_id, resource, created_at, updated_at, members = row
    named = members or () if related == "names" else ()
    return GroupDocument(
        id=group_id,
        version=version,
        display_name=display_name,
        external_id=external_id,
        resource=orjson.loads(resource),
        created_at=created_at,
        updated_at=updated_at,
        members=members.split() if related == "members" and members else [key for key, _ in named],
        names=[name for _, name in named],
    )


GROUPS = Table(
    name="provisioning_directorygroup",
    alias="g",
    scope="g.tenant_id = caller.tenant_id AND g.connection_id = caller.connection_id",
    columns="g.id, g.version, g.display_name, g.external_id, g.resource, "
    f"{instant('g.created_at')}, {instant('g.updated_at')}",
    width=8,
    document=_document,
    weight="""(
        SELECT count(*) FROM provisioning_membership m WHERE m.tenant_id = g.tenant_id AND m.group_id = g.id)""",
    related={
        # A deleted account's memberships go with it. Ids as one text: ten thousand of them cost little to read.
        "members": """(
        SELECT string_agg(m.account_id::text, ' ' ORDER BY m.id)
          FROM provisioning_membership m WHERE m.tenant_id = g.tenant_id AND m.group_id = g.id)""",
        "names": """(
        SELECT json_agg(json_build_array(m.account_id, a.user_name) ORDER BY m.id)
          FROM provisioning_membership m
          JOIN provisioning_account a ON a.tenant_id = m.tenant_id AND a.id = m.account_id
         WHERE m.tenant_id = g.tenant_id AND m.group_id = g.id)""",
    },
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """A group that the last login of an account brought. `why_not` says why it gives nothing now; "" where it does."""

    value: str
    connection: str
    gives: list[str]
    why_not: str


def brought_by(identity: Identity) -> list[Brought]:
    """What the logins of an identity's live accounts brought of their allow-lists. Three statements at most."""
    accounts = list(
        Account.objects.filter(
            tenant_id=identity.tenant_id,
            identity=identity,
            deleted_at__isnull=True,
            assertion__has_key="groups",
        ).select_related("connection")
    )
    if not accounts:
        return []
    here = {"tenant_id": identity.tenant_id, "connection_id__in": {one.connection_id for one in accounts}}
    given: dict[tuple[UUID, str], list[str]] = defaultdict(list)
    for row in AssertedGroup.objects.filter(**here).select_related("entitlement"):
        given[row.connection_id, row.value].append(row.entitlement.name)
    managed = set(DirectoryGroup.objects.filter(**here).values_list("connection_id", flat=True).distinct())
    return [
        Brought(
            value=value,
            connection=account.connection.name,
            gives=given.get((account.connection_id, value), []),
            why_not=_why_not(
                account,
                managed=account.connection_id in managed,
                listed=(account.connection_id, value) in given,
            ),
        )
        for account in accounts
        for value in account.assertion["groups"]
    ]


def _why_not(account: Account, *, managed: bool, listed: bool) -> str:
    """As `AssertedGroupQuerySet.in_force` decides it, in words."""
    if not listed:
        return "no longer on the allow-list"
    if not account.active:
        return "the account is inactive"
    if not account.connection.group_attribute:
        return "the connection has no group attribute"
    if managed:
        return "SCIM manages groups of this connection"
    if account.confirmed_at is None and not account.connection.groups_unconfirmed:
        return "SCIM has not confirmed the account"
    return ""


def of_identity(*, tenant_id: UUID, identity_id: UUID) -> list[str]:
    """Names of the groups that an identity is in through its live, active accounts: of the directory, and of logins."""
    directory = DirectoryGroup.objects.filter(
        tenant_id=tenant_id,
        memberships__account__identity_id=identity_id,
        memberships__account__deleted_at__isnull=True,
        memberships__account__active=True,
    ).values_list("display_name", flat=True)
    asserted = AssertedGroup.objects.in_force(Identity(tenant_id=tenant_id, pk=identity_id))
    return sorted({*directory, *asserted.values_list("value", flat=True)})
