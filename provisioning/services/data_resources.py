"""Writes of resources of a type that is nothing but its schema. Knows no schema: the face has read it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from provisioning import audit
from provisioning.decision.reasons import Act
from provisioning.decision.types import Actor, Channel, Intent, Verdict
from provisioning.models import DataResource

from .submission import retrying, take_locks


@dataclass(frozen=True, slots=True, kw_only=True)
class DataWrite:
    """What a request wants of one resource.

    `unique_keys` are `path=value`, of values that no other resource of the type has in this connection.
    `expected_version` is the one that the writer read; None means any.
    """

    tenant_id: UUID
    connection_id: UUID
    kind: str
    at: datetime
    actor: Actor
    request_id: str = ""
    resource_id: UUID | None = None
    resource: Mapping[str, Any] | None = None
    external_id: str | None = None
    unique_keys: tuple[str, ...] = ()
    expected_version: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DataOutcome:
    """`taken` is the path of the value that another resource has; REFUSED without it: there is no such resource."""

    verdict: Verdict
    resource_id: UUID | None = None
    version: int | None = None
    taken: str = ""


def create(wanted: DataWrite) -> DataOutcome:
    return retrying(lambda: _create(wanted))


def replace(wanted: DataWrite) -> DataOutcome:
    """The whole new resource; UNCHANGED where it already is so, STALE where its version is another."""
    return retrying(lambda: _replace(wanted))


def delete(wanted: DataWrite) -> DataOutcome:
    return retrying(lambda: _changed(wanted, lambda row: _delete(wanted, row)))


def _create(wanted: DataWrite) -> DataOutcome:
    if taken := _taken(wanted):
        return DataOutcome(verdict=Verdict.REFUSED, taken=taken)
    row = DataResource.objects.create(
        tenant_id=wanted.tenant_id,
        connection_id=wanted.connection_id,
        kind=wanted.kind,
        external_id=wanted.external_id,
        unique_keys=list(wanted.unique_keys),
        resource=dict(wanted.resource or {}),
        created_at=wanted.at,
        updated_at=wanted.at,
    )
    _record(wanted, Act.RESOURCE_CREATED, Intent.CREATE, row.pk, sorted(row.resource))
    return DataOutcome(verdict=Verdict.APPLIED, resource_id=row.pk, version=row.version)


def _replace(wanted: DataWrite) -> DataOutcome:
    # The keys' locks come before the row's, as in `create`: two writers then wait and never deadlock.
    taken = _taken(wanted)

    def change(row: DataResource) -> DataOutcome:
        if taken:
            return DataOutcome(verdict=Verdict.REFUSED, resource_id=row.pk, taken=taken)
        before, after = row.resource, dict(wanted.resource or {})
        if before == after:
            return DataOutcome(verdict=Verdict.UNCHANGED, resource_id=row.pk, version=row.version)
        row.resource, row.external_id = after, wanted.external_id
        row.unique_keys, row.version, row.updated_at = list(wanted.unique_keys), row.version + 1, wanted.at
        row.save()
        changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
        _record(wanted, Act.RESOURCE_CHANGED, Intent.UPDATE, row.pk, changed)
        return DataOutcome(verdict=Verdict.APPLIED, resource_id=row.pk, version=row.version)

    return _changed(wanted, change)


def _delete(wanted: DataWrite, row: DataResource) -> DataOutcome:
    DataResource.objects.filter(tenant_id=wanted.tenant_id, pk=row.pk).delete()
    _record(wanted, Act.RESOURCE_DELETED, Intent.DELETE, wanted.resource_id, [])
    return DataOutcome(verdict=Verdict.APPLIED, resource_id=wanted.resource_id)


def _changed(wanted: DataWrite, change: Callable[[DataResource], DataOutcome]) -> DataOutcome:
    row = _all(wanted).select_for_update(no_key=True).filter(pk=wanted.resource_id).first()
    if row is None:
        return DataOutcome(verdict=Verdict.REFUSED)
    if wanted.expected_version not in (None, row.version):
        return DataOutcome(verdict=Verdict.STALE, resource_id=row.pk, version=row.version)
    return change(row)


def _all(wanted: DataWrite) -> Any:
    return DataResource.objects.filter(
        tenant_id=wanted.tenant_id, connection_id=wanted.connection_id, kind=wanted.kind
    )


def _taken(wanted: DataWrite) -> str:
    """The path of a value that another resource has. Nobody writes one of them meanwhile."""
    keys = set(wanted.unique_keys)
    external = {f"externalId={wanted.external_id}"} if wanted.external_id is not None else set()
    take_locks(
        wanted.tenant_id,
        {("data", str(wanted.connection_id), wanted.kind, key) for key in keys | external},
        alone=False,
    )
    others = _all(wanted).exclude(pk=wanted.resource_id)
    if external and others.filter(external_id=wanted.external_id).exists():
        return "externalId"
    if keys and (other := others.filter(unique_keys__overlap=sorted(keys)).first()):
        return min(keys.intersection(other.unique_keys)).partition("=")[0]
    return ""


def _record(
    wanted: DataWrite, code: Act, intent: Intent, resource_id: UUID | None, changed: list[str]
) -> None:
    audit.record(
        tenant_id=wanted.tenant_id,
        at=wanted.at,
        actor=wanted.actor,
        channel=Channel.SCIM,
        intent=intent,
        reason=code,
        request_id=wanted.request_id,
        connection_id=wanted.connection_id,
        object_id=resource_id,
        changes=[{"change": "resource", "kind": wanted.kind, "attributes": changed}],
    )
