"""Writes of directory groups. Each costs what it changes, never what the group holds."""

from typing import Any, NamedTuple
from uuid import UUID

import orjson

from identity_hub.core.ids import new_id
from provisioning import audit, sql
from provisioning.apply import ask
from provisioning.decision.keys import fold
from provisioning.decision.reasons import FindingKind, Reason
from provisioning.decision.types import (
    GroupObservation,
    Intent,
    Outcome,
    Severity,
    Situation,
    Verdict,
)
from provisioning.models import DirectoryGroup, Finding

from .submission import retrying

COUNTED = 200
"""How far the members of a changed group are counted, so that the cost does not grow with the group."""

SHOWN_UNKNOWN = 5
"""How many unknown members a refusal names."""


def submit_group(observation: GroupObservation, *, skip_unknown: bool = False) -> Outcome:
    """Creates, changes or deletes one group, whole or not at all.

    An unknown member refuses the request (`group:member-unknown`, row 32), or with `skip_unknown` is left out
    with a finding.
    """
    work = {Intent.CREATE: _create, Intent.UPDATE: _update, Intent.DELETE: _delete}[observation.intent]
    return retrying(lambda: work(observation, skip_unknown))


def _create(observation: GroupObservation, skip_unknown: bool) -> Outcome:
    wanted, unknown = _members(observation, observation.add)
    if (unknown or observation.strangers) and not skip_unknown:
        return _refused(observation, Reason.GROUP_MEMBER_UNKNOWN, None, unknown)
    group_id = observation.group_id or new_id()
    row = {
        "id": group_id,
        "tenant_id": observation.tenant_id,
        "connection_id": observation.connection_id,
        "display_name": observation.display_name or "",
        "display_name_key": fold(observation.display_name or ""),
        "external_id": observation.external_id,
        "resource": dict(observation.resource or {}),
        "version": 1,
        "created_at": observation.at,
        "updated_at": observation.at,
    }
    if sql.insert(DirectoryGroup, [row]):
        return _refused(observation, Reason.GROUP_EXTERNAL_ID_TAKEN, None)
    added = _join(observation, group_id, wanted)
    _report_unknown(observation, group_id, unknown)
    return _applied(observation, Reason.GROUP_CREATED, group_id, 1, added, 0, ["displayName"], created=True)


def _update(observation: GroupObservation, skip_unknown: bool) -> Outcome:
    # People before groups, as whoever deletes somebody locks them: nobody waits for us who holds what we wait for.
    wanted, unknown = _members(observation, observation.add)
    group = _locked(observation)
    if group is None:
        return _refused(observation, Reason.GROUP_UNKNOWN, None)
    if observation.expected_version is not None and observation.expected_version != group.version:
        return Outcome(verdict=Verdict.STALE, situation=Situation.STALE, reason=Reason.GROUP_STALE)
    if (unknown or observation.strangers) and not skip_unknown:
        return _refused(observation, Reason.GROUP_MEMBER_UNKNOWN, group.id, unknown)
    fields = _changed_fields(observation, group)
    if "external_id" in fields and fields["external_id"] is not None:
        others = DirectoryGroup.objects.filter(
            tenant_id=observation.tenant_id,
            connection_id=observation.connection_id,
            external_id=fields["external_id"],
        )
        if others.exclude(pk=group.id).exists():
            return _refused(observation, Reason.GROUP_EXTERNAL_ID_TAKEN, group.id)
    removed = _leave(observation, group.id, wanted)
    added = _join(observation, group.id, wanted)
    _report_unknown(observation, group.id, unknown)
    if not (fields or added or removed):
        return Outcome(
            verdict=Verdict.UNCHANGED,
            situation=Situation.LINKED,
            reason=Reason.GROUP_UNCHANGED,
            account_id=group.id,
            version=group.version,
            size=_size(observation.tenant_id, group.id),
        )
    version = group.version + 1
    sql.update(
        DirectoryGroup,
        observation.tenant_id,
        [{"id": group.id, "version": version, "updated_at": observation.at, **fields}],
    )
    return _applied(observation, Reason.GROUP_UPDATED, group.id, version, added, removed, sorted(fields))


def _delete(observation: GroupObservation, skip_unknown: bool) -> Outcome:
    group = _locked(observation)
    if group is None:
        return _refused(observation, Reason.GROUP_UNKNOWN, None)
    if observation.expected_version is not None and observation.expected_version != group.version:
        return Outcome(verdict=Verdict.STALE, situation=Situation.STALE, reason=Reason.GROUP_STALE)
    removed = sql.execute(
        "DELETE FROM provisioning_membership WHERE tenant_id = %s AND group_id = %s",
        (observation.tenant_id, group.id),
    ).touched()
    # Its mappings go with it, by the ORM's cascade.
    DirectoryGroup.objects.get(tenant_id=observation.tenant_id, pk=group.id).delete()
    return _applied(observation, Reason.GROUP_DELETED, group.id, group.version, 0, removed, [])


class _Group(NamedTuple):
    id: UUID
    version: int
    display_name: str
    external_id: str | None
    resource: dict[str, Any]


def _locked(observation: GroupObservation) -> _Group | None:
    # Two PATCHes of one group at once must both count: the second waits here and sees the first.
    found = sql.rows(
        "SELECT id, version, display_name, external_id, resource FROM provisioning_directorygroup "
        "WHERE tenant_id = %s AND connection_id = %s AND id = %s FOR NO KEY UPDATE",
        (observation.tenant_id, observation.connection_id, observation.group_id),
    )
    if not found:
        return None
    group_id, version, display_name, external_id, resource = found[0]
    return _Group(group_id, version, display_name, external_id, orjson.loads(resource))


def _changed_fields(observation: GroupObservation, group: _Group) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if observation.display_name is not None and observation.display_name != group.display_name:
        fields |= {
            "display_name": observation.display_name,
            "display_name_key": fold(observation.display_name),
        }
    if observation.set_external_id and observation.external_id != group.external_id:
        fields["external_id"] = observation.external_id
    if observation.resource is not None and dict(observation.resource) != group.resource:
        fields["resource"] = dict(observation.resource)
    return fields


def _members(observation: GroupObservation, ids: tuple[UUID, ...]) -> tuple[list[UUID], list[UUID]]:
    """(those that are live accounts of this connection, those that are not).

    Who joins is kept from then on, as the membership's reference would at the end: whoever deletes accounts (FOR
    UPDATE) waits for us and finds them in the group, or we wait for it and find that they are gone.
    """
    if not ids:
        return [], []
    live = {
        key
        for (key,) in sql.rows(
            "SELECT a.id FROM unnest(%s::uuid[]) AS k (id) JOIN provisioning_account a ON a.id = k.id "
            "WHERE a.tenant_id = %s AND a.connection_id = %s AND a.deleted_at IS NULL "
            "ORDER BY a.id FOR KEY SHARE OF a",
            (sql.ids(ids), observation.tenant_id, observation.connection_id),
        )
    }
    wanted = list(dict.fromkeys(ids))
    return [key for key in wanted if key in live], [key for key in wanted if key not in live]


def _join(observation: GroupObservation, group_id: UUID, wanted: list[UUID]) -> int:
    if not wanted:
        return 0
    return sql.execute(
        "INSERT INTO provisioning_membership (tenant_id, group_id, account_id, since) "
        "SELECT %s, %s, k.id, %s FROM unnest(%s::uuid[]) AS k (id) ON CONFLICT DO NOTHING",
        (observation.tenant_id, group_id, observation.at, sql.ids(wanted)),
    ).touched()


def _leave(observation: GroupObservation, group_id: UUID, wanted: list[UUID]) -> int:
    scope = "DELETE FROM provisioning_membership WHERE tenant_id = %s AND group_id = %s "
    if observation.replace_members:
        statement, ids = scope + "AND account_id <> ALL(%s::uuid[])", wanted
    elif observation.remove:
        statement, ids = scope + "AND account_id = ANY(%s::uuid[])", list(observation.remove)
    else:
        return 0
    return sql.execute(statement, (observation.tenant_id, group_id, sql.ids(ids))).touched()


def _report_unknown(observation: GroupObservation, group_id: UUID, unknown: list[UUID]) -> None:
    missing = {account_id.hex: {"account": str(account_id)} for account_id in unknown}
    if observation.strangers:
        # Their values may be names of people, so they are counted and not kept.
        missing["strangers"] = {"members": str(observation.strangers)}
    if missing:
        ask(
            [
                sql.row(
                    Finding(
                        tenant_id=observation.tenant_id,
                        connection_id=observation.connection_id,
                        kind=FindingKind.MEMBER_UNKNOWN.value,
                        severity=Severity.LOW.value,
                        evidence={"group": str(group_id), **who},
                        fingerprint=f"{group_id.hex}{key}",
                        opened_at=observation.at,
                    )
                )
                for key, who in missing.items()
            ]
        )


def _applied(
    observation: GroupObservation,
    reason: Reason,
    group_id: UUID,
    version: int,
    added: int,
    removed: int,
    fields: list[str],
    created: bool = False,
) -> Outcome:
    change: dict[str, Any] = {"change": "group", "fields": fields, "added": added, "removed": removed}
    if observation.intent is not Intent.DELETE and (observation.add or observation.remove):
        change["members"] = [str(key) for key in (*observation.add, *observation.remove)][:100]
    audit_id = _record(observation, reason, Verdict.APPLIED, group_id, [change])
    return Outcome(
        verdict=Verdict.APPLIED,
        situation=Situation.UNMATCHED if created else Situation.LINKED,
        reason=reason,
        account_id=group_id,
        created=created,
        version=version,
        audit_id=audit_id,
        size=_size(observation.tenant_id, group_id),
    )


def _size(tenant_id: UUID, group_id: UUID) -> int:
    return int(
        sql.rows(
            "SELECT count(*) FROM (SELECT FROM provisioning_membership "
            "WHERE tenant_id = %s AND group_id = %s LIMIT %s) AS counted",
            (tenant_id, group_id, COUNTED + 1),
        )[0][0]
    )


def _refused(
    observation: GroupObservation, reason: Reason, group_id: UUID | None, unknown: list[UUID] | None = None
) -> Outcome:
    detail = {"members": ", ".join(str(key) for key in unknown[:SHOWN_UNKNOWN])} if unknown else {}
    if observation.strangers:
        detail["strangers"] = str(observation.strangers)
    audit_id = _record(observation, reason, Verdict.REFUSED, group_id, [{"change": "detail", **detail}])
    return Outcome(
        verdict=Verdict.REFUSED,
        situation=Situation.UNMATCHED if group_id is None else Situation.COLLISION,
        reason=reason,
        account_id=group_id,
        audit_id=audit_id,
        detail=detail,
    )


def _record(
    observation: GroupObservation,
    reason: Reason,
    verdict: Verdict,
    group_id: UUID | None,
    changes: list[dict[str, Any]],
) -> int:
    return audit.record(
        tenant_id=observation.tenant_id,
        at=observation.at,
        actor=observation.actor,
        channel=observation.channel,
        intent=observation.intent,
        verdict=verdict,
        reason=reason,
        request_id=observation.request_id,
        connection_id=observation.connection_id,
        object_id=group_id or observation.group_id,
        changes=changes,
    )
