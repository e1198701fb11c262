"""From a canonical document to what the hub is told, and back to one for a client. Knows no request."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from operator import attrgetter
from typing import Any
from uuid import UUID

import orjson

from identity_hub.core.ids import new_id as fresh_id
from provisioning.decision.authority import profile_of_resource
from provisioning.decision.types import Actor, Channel, GroupObservation, Intent, Observation, Profile
from provisioning.selectors.accounts import AccountDocument
from provisioning.selectors.data_resources import DataDocument
from provisioning.selectors.groups import GroupDocument
from provisioning.selectors.tokens import Caller
from scim.documents import schemas_of, unique_keys
from scim.membership import GroupChange
from scim.schemas import JSON, ResourceKind

NOBODY = Profile()
# Ids in the order of their numbers: comparing them as they are takes a call each.
_NUMBER = attrgetter("int")
_BESIDE = frozenset({"id", "meta", "schemas"})
MEMBER = ("type", "value", "$ref")
"""What a member consists of, whose name nobody asked for."""


def actor(caller: Caller) -> Actor:
    return _token(caller.token_id)


@lru_cache(maxsize=1024)
def _token(token_id: UUID) -> Actor:
    return Actor(kind="token", id=str(token_id))


def observation(
    caller: Caller,
    intent: Intent,
    *,
    kind: ResourceKind,
    at: datetime,
    request_id: str,
    document: JSON | None = None,
    account_id: UUID | None = None,
    expected_version: int | None = None,
    new_id: UUID | None = None,
    new_identity_id: UUID | None = None,
) -> Observation:
    """What a request says of one person; `document` is her whole canonical resource, None for a DELETE.

    `new_id` is the id of a new account, where it must be known before there is one.
    """
    said = document or {}
    return Observation(
        channel=Channel.SCIM,
        intent=intent,
        tenant_id=caller.tenant_id,
        connection_id=caller.connection_id,
        at=at,
        actor=actor(caller),
        request_id=request_id,
        account_id=account_id,
        new_account_id=new_id or fresh_id(),
        new_identity_id=new_identity_id or fresh_id(),
        expected_version=expected_version,
        user_name=said.get("userName", ""),
        external_id=said.get("externalId"),
        active=said.get("active"),
        emails=emails_of(said),
        profile=profile_of_resource(said) if said else NOBODY,
        resource=said | {"schemas": schemas_of(kind, said)} if said else None,
        unique_keys=unique_keys(kind, said),
    )


def emails_of(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Every e-mail value, lower case, once."""
    values = (email["value"].lower() for email in document.get("emails", ()) if "value" in email)
    return tuple(dict.fromkeys(values))


def group_observation(
    caller: Caller,
    intent: Intent,
    change: GroupChange,
    *,
    at: datetime,
    request_id: str,
    group_id: UUID | None = None,
    expected_version: int | None = None,
) -> GroupObservation:
    """What a request wants of one group."""
    return GroupObservation(
        intent=intent,
        tenant_id=caller.tenant_id,
        connection_id=caller.connection_id,
        at=at,
        actor=actor(caller),
        request_id=request_id,
        group_id=group_id,
        display_name=change.display_name,
        external_id=change.external_id,
        resource=change.resource,
        set_external_id=change.set_external_id,
        add=tuple(sorted(change.add, key=_NUMBER)),
        remove=tuple(sorted(change.remove, key=_NUMBER)),
        replace_members=change.whole,
        strangers=len(change.unknown),
        expected_version=expected_version,
    )


def said_of(account: AccountDocument) -> JSON:
    """The stored document without what is put beside it in an answer: what a PUT or PATCH starts from."""
    kept = {key: value for key, value in account.resource.items() if key not in _BESIDE}
    if "active" in kept:
        kept["active"] = account.active
    return kept


def user_resource(account: AccountDocument, kind: ResourceKind, base: str) -> JSON:
    """The User that a client reads; `base` is the SCIM root's URL without a slash at its end.

    RFC 7643 2.5: what is unassigned is not there, so a person without groups has no "groups".
    """
    key = str(account.id)
    document: JSON = {"schemas": None, "id": key, **account.resource}
    document["schemas"] = schemas_of(kind, account.resource)
    if "active" in document:
        # Absent where a PATCH removed it: the account stays what it was.
        document["active"] = account.active
    if account.groups:
        document["groups"] = [
            {"value": group, "display": name, "type": "direct", "$ref": f"{base}/Groups/{group}"}
            for group, name in account.groups
        ]
    document["meta"] = meta("User", f"{base}/Users/{key}", account)
    return document


def group_resource(group: GroupDocument, kind: ResourceKind, base: str, *, whole: bool = False) -> JSON:
    """The Group that a client reads. With `whole` the members may be a piece of finished JSON.

    RFC 7643 2.5: a group without members has no "members".
    """
    document: JSON = {"schemas": schemas_of(kind, group.resource), "id": str(group.id)}
    document |= {key: value for key, value in group.resource.items() if key not in _BESIDE}
    document["displayName"] = group.display_name
    if group.external_id is not None:
        document["externalId"] = group.external_id
    if group.members and whole and not group.names:
        one = f'{{"type":"User","value":"%s","$ref":"{base}/Users/%s"}}'
        document["members"] = orjson.Fragment(f"[{','.join([one % (key, key) for key in group.members])}]")
    elif group.members:
        document["members"] = [
            {"value": key, "type": "User", "$ref": f"{base}/Users/{key}"} for key in group.members
        ]
        for member, name in zip(document["members"], group.names, strict=False):
            member["display"] = name
    document["meta"] = meta("Group", f"{base}/Groups/{group.id}", group)
    return document


def meta(resource_type: str, location: str, row: AccountDocument | DataDocument | GroupDocument) -> JSON:
    return {
        "resourceType": resource_type,
        "created": row.created_at,
        "lastModified": row.updated_at,
        "version": etag(row.version),
        "location": location,
    }


def etag(version: int) -> str:
    """A weak entity-tag (RFC 7644 3.14): two answers of one version may differ in their projection."""
    return f'W/"{version}"'


def instant(moment: datetime) -> str:
    """As `selectors.pages.instant` writes it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
