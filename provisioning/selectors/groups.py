"""Directory groups as SCIM documents, and the groups that an identity is in."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from provisioning.models import AssertedGroup, DirectoryGroup, Identity
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
