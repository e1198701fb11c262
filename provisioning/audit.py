"""The one way into the audit. Knows how a decision is told without a personal value, and stores those apart."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from itertools import chain, repeat
from typing import Any
from uuid import UUID

from identity_hub.core.clock import now
from identity_hub.core.request_id import current_request_id
from provisioning import sql
from provisioning.decision.authority import assertion_of_profile
from provisioning.decision.keys import has_something_to_see
from provisioning.decision.quick import quick
from provisioning.decision.types import (
    AccountFacts,
    Actor,
    AddAlias,
    Change,
    Channel,
    CreateAccount,
    CreateIdentity,
    Decision,
    IdentityFacts,
    Observation,
    SetOverride,
    UpdateAccount,
    UpdateIdentity,
)
from provisioning.digests import Digests
from provisioning.models import (
    AuditRecord,
    AuditValue,
    Connection,
    EntitlementMapping,
    Identity,
    Tenant,
)
from provisioning.models.base import TenantRow

FOUND_AT_MOST = 50
LONGEST_FOUND = 256
"""How much is kept of what an assertion brought instead of what was expected."""


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One audit row to be, by column, with the values that go to the side table."""

    record: Mapping[str, Any]
    values: Mapping[str, Any]


_COLUMNS = tuple(field.column for field in AuditRecord._meta.local_concrete_fields if not field.primary_key)
_WRITE = f"""
WITH told AS MATERIALIZED (
    SELECT coalesce(r.number, nextval('provisioning_auditrecord_id_seq')) AS id, r.*
      FROM {sql.recordset(AuditRecord, _COLUMNS, beside='"values" jsonb, number bigint')}
), recorded AS (
    INSERT INTO provisioning_auditrecord (id, {", ".join(f'"{name}"' for name in _COLUMNS)})
    SELECT id, {", ".join(f'"{name}"' for name in _COLUMNS)} FROM told
), aside AS (
    INSERT INTO provisioning_auditvalue (record_id, tenant_id, identity_id, "values")
    SELECT id, tenant_id, identity_id, "values" FROM told WHERE "values" IS NOT NULL
)
SELECT id FROM told ORDER BY id
"""  # noqa: S608 - the models' own names
_NUMBERS = "SELECT nextval('provisioning_auditrecord_id_seq') FROM generate_series(1, %s)"


def write(entries: Sequence[Entry]) -> list[int]:
    """Writes rows and their values; answers the rows' ids in order."""
    return _write(len(entries), entries)


def take_ids(number: int) -> Callable[[], list[int]]:
    """Ids for so many rows, asked now and read when called: who takes them writes these rows without waiting."""
    answer = sql.ask(_NUMBERS, (number,))
    return lambda: [key for (key,) in answer.rows()]


def write_decisions(
    decided: Sequence[tuple[Observation, Decision, Digests]],
    accounts: Mapping[UUID, AccountFacts],
    identities: Mapping[UUID, IdentityFacts],
    ids: Sequence[int] = (),
) -> list[tuple[int, Sequence[Mapping[str, Any]]]]:
    """`write` of what `of_decision` tells of each, under `ids` that were taken or under new ones.

    Answers each row's id and the changes that it tells of.
    """
    changes: list[Sequence[Mapping[str, Any]]] = []

    def told() -> Iterator[Entry]:
        for one in decided:
            entry = of_decision(*one, accounts, identities)
            changes.append(entry.record["changes"])
            yield entry

    return list(zip(_write(len(decided), told(), ids), changes, strict=True))


def _write(number: int, entries: Iterable[Entry], ids: Sequence[int] = ()) -> list[int]:
    """In one statement, or of many by two copies: the first begins while they are still being told."""
    if number <= sql.FEW:
        told = [
            {**entry.record, "values": entry.values or None, "number": key}
            for entry, key in zip(entries, chain(ids, repeat(None)), strict=False)
        ]
        if not told:
            return []
        answer = sql.ask(_WRITE, (sql.as_json(told),))
        return list(ids[:number]) or [key for (key,) in answer.rows()]
    ids = list(ids[:number]) or take_ids(number)()
    beside: list[Mapping[str, Any]] = []
    sql.copy(AuditRecord, _recorded(ids, entries, beside))
    sql.copy(AuditValue, beside)
    return ids


def _recorded(
    ids: Sequence[int], entries: Iterable[Entry], beside: list[Mapping[str, Any]]
) -> Iterator[Mapping[str, Any]]:
    """The records as they are told; their values gather `beside` them."""
    for key, entry in zip(ids, entries, strict=True):
        record = entry.record
        if entry.values:
            beside.append(
                {
                    "record_id": key,
                    "tenant_id": record["tenant_id"],
                    "identity_id": record["identity_id"],
                    "values": entry.values,
                }
            )
        yield {"id": key, **record}


def record(
    *,
    tenant_id: UUID | None,
    at: datetime,
    actor: Actor,
    channel: str,
    intent: str,
    reason: str,
    verdict: str = "applied",
    request_id: str = "",
    connection_id: UUID | None = None,
    account_id: UUID | None = None,
    identity_id: UUID | None = None,
    object_id: UUID | None = None,
    changes: Iterable[Mapping[str, Any]] = (),
    values: Mapping[str, Any] | None = None,
) -> int:
    """One row for what is no decision about a person and no act: a group, a resource, how a run ended."""
    row = {
        "tenant_id": tenant_id,
        "at": at,
        "request_id": request_id,
        "actor_kind": actor.kind,
        "actor_id": actor.id,
        "channel": channel,
        "intent": intent,
        "situation": "",
        "verdict": verdict,
        "reason": reason,
        "connection_id": connection_id,
        "account_id": account_id,
        "identity_id": identity_id,
        "object_id": object_id,
        "changes": list(changes),
        "digests": [],
    }
    return write([Entry(record=row, values=values or {})])[0]


def record_act(
    code: str,
    row: Tenant | Identity | TenantRow,
    *,
    actor: Actor,
    why: str | None,
    intent: str = "configure",
    channel: Channel = Channel.ADMIN,
    changes: Iterable[Mapping[str, Any]] = (),
    values: Mapping[str, Any] | None = None,
    object_id: UUID | None = None,
    at: datetime | None = None,
) -> int:
    """The one door for acts of administrators: what was done to `row` (before it is deleted), by whom, and why.

    `why` is None where nobody is asked: what the hub saw itself, and what people do to their own. Raises ValueError for
    a person's act with a blank one; the services ask before (`needed_reason`).
    """
    if why is not None and not has_something_to_see(why) and actor.is_person:
        raise ValueError(f"{code} without a reason")
    return record(
        at=at or now(),
        actor=actor,
        channel=channel,
        intent=intent,
        reason=code,
        request_id=current_request_id(),
        changes=changes,
        values={**(values or {}), **({"reason": why} if why else {})},
        **_whereabouts(row) | ({} if object_id is None else {"object_id": object_id}),
    )


def _whereabouts(row: Any) -> dict[str, Any]:
    """By which ids a record speaks of a row."""
    match row:
        case Tenant():
            return {"tenant_id": row.pk, "object_id": row.pk}
        case Connection():
            return {"tenant_id": row.tenant_id, "connection_id": row.pk, "object_id": row.pk}
        case Identity():
            return {"tenant_id": row.tenant_id, "identity_id": row.pk}
        case EntitlementMapping():
            ids = {"connection_id": row.group.connection_id}
        case _:
            ids = {name: getattr(row, name, None) for name in ("connection_id", "account_id", "identity_id")}
    return {"tenant_id": row.tenant_id, "object_id": row.pk, **ids}


def of_decision(
    observation: Observation,
    decision: Decision,
    digests: Digests,
    accounts: Mapping[UUID, AccountFacts],
    identities: Mapping[UUID, IdentityFacts],
) -> Entry:
    """How one decision is told: what changed by name and id, and the values before and after beside it."""
    told: list[dict[str, Any]] = []
    values: dict[str, Any] = {}
    for change in decision.changes:
        line, aside = tell(change, accounts, identities)
        told.append(line)
        if aside:
            values.setdefault(line["change"], {}).update(aside)
    if decision.detail:
        told.append({"change": "detail", **decision.detail})
    if decision.found:
        values["found"] = shortened(decision.found)
    if observation.reason:
        values["reason"] = observation.reason
    elif observation.channel is Channel.ADMIN and observation.actor.is_person:
        raise ValueError(f"{decision.reason} without a reason")
    return Entry(
        record={
            "tenant_id": observation.tenant_id,
            "at": observation.at,
            "request_id": observation.request_id,
            "actor_kind": observation.actor.kind,
            "actor_id": observation.actor.id,
            "channel": observation.channel,
            "intent": observation.intent,
            "situation": decision.situation,
            "verdict": decision.verdict,
            "reason": decision.reason,
            "connection_id": observation.connection_id,
            "account_id": decision.account_id,
            "identity_id": decision.identity_id,
            "object_id": observation.merge.id if observation.merge else observation.finding_id,
            "changes": told,
            "digests": sorted([digest.hex() for name in _FOUND_BY for digest in digests[name]]),
        },
        values=values,
    )


def shortened(found: Sequence[str]) -> list[str]:
    """What is kept of what an assertion brought."""
    return [value[:LONGEST_FOUND] for value in found[:FOUND_AT_MOST]]


_UNTOLD = frozenset({"schemas"})
_FOUND_BY = ("external_id", "user_name")
"""By the digests of these a person's rows are still found when the person's values are gone."""
_FIELDS = ("active", "confirmed", "external_id", "user_name", "subject", "asserted_key")


def tell(
    change: Change, accounts: Mapping[UUID, AccountFacts], identities: Mapping[UUID, IdentityFacts]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(what the audit row says of a change: ids, names, codes; the personal values before and after)."""
    line: dict[str, Any] = {"change": type(change).__name__}
    before: Any
    after: Any
    match change:
        case CreateAccount() | UpdateAccount():
            known = accounts.get(change.account_id)
            before, after = (known.resource if known else {}), change.resource
            said = (known.assertion if known else {}), change.assertion
            names = _differing(before, after)
            line["attributes"] = names + [f"assertion.{name}" for name in _differing(*said)]
            if moved := _moved(known, change):
                line["fields"] = moved
            owner = change.lifecycle_owner if isinstance(change, UpdateAccount) else None
            if known and owner not in (None, known.lifecycle_owner):
                # From before: what would be taken back.
                line["lifecycle_owner"] = known.lifecycle_owner.value
            aside = _sides(names, before, after)
            if known and before.get("schemas") != after.get("schemas"):
                # They follow from what the row names, but to take it back one needs those that there were.
                for side, document in zip(("before", "after"), (before, after), strict=True):
                    aside[side] |= {name: document[name] for name in _UNTOLD if name in document}
            if said[0].get("groups") != said[1].get("groups"):
                # What gives entitlements is worth its values.
                for side, document in zip(("before", "after"), said, strict=True):
                    aside[side]["groups"] = document.get("groups", [])
        case CreateIdentity() | UpdateIdentity():
            shown = identities.get(change.identity_id)
            before = assertion_of_profile(shown.profile) if shown else {}
            after = assertion_of_profile(change.profile)
            line["attributes"] = names = _differing(before, after)
            aside = _sides(names, before, after)
        case SetOverride():
            line |= {"attribute": change.override.attribute, "override_id": change.override.id}
            line["until"] = change.override.until
            aside = {"value": change.override.value}
        case AddAlias():
            line["kind"] = change.kind
            aside = {"alias": {change.kind: change.value}}
        case _:
            for field in fields(change):
                if field.name not in ("evidence", "reason", "said"):
                    line[field.name] = getattr(change, field.name)
            aside = {}
    for name in ("account_id", "identity_id"):
        if (value := getattr(change, name, None)) is not None:
            line[name] = value
    return line, aside


def _moved(known: AccountFacts | None, change: CreateAccount | UpdateAccount) -> list[str]:
    if known is None:
        return list(_FIELDS)
    return [name for name in _FIELDS if getattr(known, name) != getattr(change, name)]


def _differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    if not before:
        return sorted(after.keys() - _UNTOLD)
    named = (before.keys() | after.keys()) - _UNTOLD
    return sorted([name for name in named if before.get(name) != after.get(name)])


def _sides(names: Iterable[str], before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "before": {name: before[name] for name in names if name in before},
        "after": {name: after[name] for name in names if name in after},
    }
