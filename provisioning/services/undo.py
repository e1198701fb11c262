"""Takes back what a run did, item by item, for 30 days. Knows what is newer; what is taken back `decision` says.

An order marks its items, and a worker takes them in batches, the last first: a batch and its outcomes are one
transaction, so a killed worker leaves both or neither, and the next one goes on.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Max, Min, QuerySet

from identity_hub.core.clock import now
from provisioning import audit, outbox, sql
from provisioning.decision.keys import lock_keys
from provisioning.decision.reasons import Act, Reason
from provisioning.decision.types import (
    Actor,
    Channel,
    GroupObservation,
    Intent,
    Observation,
    Origin,
    Outcome,
    TakenBack,
    Verdict,
)
from provisioning.models import (
    Account,
    AuditRecord,
    AuditValue,
    Finding,
    ReconciliationItem,
    ReconciliationRun,
)

from . import run_brakes
from .alone import wait_for_turn
from .groups import submit_group
from .invalid import Invalid, needed_reason
from .submission import lock_all, retrying, simulate_many, submit_many_within

BATCH = 200
KEPT = timedelta(days=30)
"""How long a run's items can be taken back."""

Status = ReconciliationRun.Status
ItemStatus = ReconciliationItem.Status
Progress = Callable[[int, int], None]
"""Told (items settled, items asked for) after each batch."""

AT_WORK = (Status.SIMULATING, Status.EXECUTING)

# What tells of somebody without changing whom or what the hub knows.
_QUIET = (
    "RecordLogin",
    "EndSessions",
    "OpenFinding",
    "CloseFinding",
    "WithdrawFinding",
    "AddAlias",
    "detail",
)

# Of a login that binds a subject or brings other assertion attributes: an undo leaves both as they are then.
_OF_A_LOGIN = """r.channel = 'saml' AND NOT asked.of_login AND (c->>'change' = 'UpdateIdentity'
    OR c->>'change' = 'UpdateAccount' AND coalesce(c->'fields', '[]') <@ '["subject"]'
   AND NOT jsonb_path_exists(c, '$.attributes[*] ? (!(@ starts with "assertion."))'))"""

# The taking back itself; and what somebody shows by an administrator's word or their own: no run says that, and no
# undo changes it.
_BESIDE = (
    Reason.ITEM_UNDONE.value,
    Reason.IDENTITY_OVERRIDDEN.value,
    Reason.IDENTITY_OVERRIDE_ENDED.value,
    Act.PREFERENCES_SET.value,
)

# Whom somebody is changes with these, though the row of whoever ended in another may tell of no other change.
_MERGED = (
    Reason.IDENTITY_MERGED.value,
    Reason.IDENTITY_UNMERGED.value,
    Act.MERGED_INTO.value,
    Act.STANDS_AGAIN.value,
)


# An act about somebody, without a change that a decision would make: who protects a person counts on what there is.
_WORDS = (Act.SPARED.value,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prospect:
    """What an undo of an item would do now, or why it would not: `reason` is then no `item:undone`.

    `newer` is the audit record of what has touched its account or identity since.
    """

    item: ReconciliationItem
    reason: str
    changes: Sequence[Mapping[str, Any]] = ()
    newer: AuditRecord | None = None

    @property
    def possible(self) -> bool:
        return self.reason == Reason.ITEM_UNDONE


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """An item with everything that a decision about it needs, or the `refusal` that needs none.

    `of_login`: what logins bind and bring is among what the run changed, so that a login is newer.
    """

    item: ReconciliationItem
    refusal: Reason | None = None
    newer: int | None = None
    of_login: bool = False
    person: Observation | None = None
    groups: tuple[GroupObservation, ...] = field(default=())


def items_of(run: ReconciliationRun, chosen: Collection[int] | None = None) -> QuerySet[Any]:
    """What a run did and is not taken back, the last first; of the chosen ones."""
    rows = ReconciliationItem.objects.filter(tenant_id=run.tenant_id, run=run, status=ItemStatus.APPLIED)
    return (rows if chosen is None else rows.filter(pk__in=chosen)).order_by("-id")


def kept_until(run: ReconciliationRun) -> tuple[datetime, datetime] | None:
    """Until when the first and the last of them can be taken back; None where nothing is left."""
    at = items_of(run).order_by().aggregate(first=Min("decided_at"), last=Max("decided_at"))
    return (at["first"] + KEPT, at["last"] + KEPT) if at["first"] else None


def preview(run: ReconciliationRun, items: Sequence[ReconciliationItem]) -> list[Prospect]:
    """What an undo of each item by itself would do now. Writes nothing."""
    at = now()
    wanted = _prepared(run, items, Actor(kind="schedule"), "", at)
    decided = iter(simulate_many([one.person for one in wanted if one.refusal is None and one.person]))
    newer = AuditRecord.objects.filter(tenant_id=run.tenant_id).in_bulk(
        [one.newer for one in wanted if one.newer is not None]
    )
    prospects = []
    for one in wanted:
        reason: str = one.refusal or Reason.ITEM_UNDONE
        changes: list[Mapping[str, Any]] = []
        if one.refusal is None and one.person:
            decision, loaded = next(decided)
            changes = [
                audit.tell(change, loaded.accounts, loaded.identities)[0] for change in decision.changes
            ]
            reason = (
                decision.reason
                if changes or decision.verdict is Verdict.REFUSED
                else Reason.ITEM_NOTHING_LEFT
            )
        changes += [
            {"change": "AddMember", "group_id": group.group_id} for group in one.groups if not one.refusal
        ]
        prospects.append(
            Prospect(
                item=one.item,
                reason=reason,
                changes=changes,
                newer=newer.get(one.newer) if one.newer is not None else None,
            )
        )
    return prospects


def refusals(run: ReconciliationRun, items: Sequence[ReconciliationItem]) -> list[Prospect]:
    """Why items were not taken back when somebody asked for it last."""
    newer = AuditRecord.objects.filter(tenant_id=run.tenant_id).in_bulk(
        [item.undo_newer for item in items if item.undo_newer is not None]
    )
    return [
        Prospect(
            item=item,
            reason=item.undo_refusal,
            newer=newer.get(item.undo_newer) if item.undo_newer is not None else None,
        )
        for item in items
    ]


def is_ordered(run: ReconciliationRun) -> bool:
    """Whether an order is at work, or waits for a worker."""
    return bool(_pending(run).exists())


def order(run: ReconciliationRun, *, actor: Actor, reason: str, items: Collection[int] | None = None) -> int:
    """Has a worker take back what a run did (all of it, or these items). Answers how many items that is.

    Raises Invalid without a reason, for a run that is at work, while another order is, where nothing is left, and where
    more people would lose access than one person may take it from.
    """
    reason = needed_reason(reason, "Say in writing why it is taken back.")
    with transaction.atomic():
        row = ReconciliationRun.objects.select_for_update(no_key=True).get(tenant_id=run.tenant_id, pk=run.pk)
        if row.status in AT_WORK:
            raise Invalid("", "The run is still at work; please wait until it has ended.")
        if is_ordered(row):
            raise Invalid("", "Another undo of this run is still at work; please wait until it has ended.")
        if doubt := run_brakes.doubt_of_undo(row, items_of(row, items)):
            raise Invalid("", doubt)
        wanted = items_of(row, items).update(undo_wanted=True, undo_refusal="", undo_newer=None)
        if not wanted:
            raise Invalid("", "Nothing of it is left to be taken back.")
        row.undo_ordered_by, row.undo_ordered_at, row.undo_why = (
            actor.signature,
            now(),
            reason[:500],
        )
        row.save(update_fields=["undo_ordered_by", "undo_ordered_at", "undo_why"])
        audit.record_act(
            Act.RUN_UNDO_ORDERED,
            row,
            actor=actor,
            why=reason,
            intent="undo",
            changes=_told({"wanted": wanted}),
        )
        outbox.enqueue([("run.undo", {"run": str(row.pk)}, row.tenant_id)])
    run.refresh_from_db()
    return wanted


def carry_out(run: ReconciliationRun, on_progress: Progress | None = None) -> Counter[str]:
    """Takes back what was ordered, or what is left of it. Answers how many items ended how, by reason code.

    Two workers at once share the work: each batch is one of them's.
    """
    total, ended = _pending(run).count(), Counter[str]()
    while True:
        batch = retrying(partial(_carry_out, run.tenant_id, run.pk))
        if not batch:
            return ended
        ended += batch
        if on_progress is not None:
            on_progress(min(ended.total(), total), total)


def _pending(run: ReconciliationRun) -> QuerySet[Any]:
    rows = ReconciliationItem.objects.filter(tenant_id=run.tenant_id, run=run, undo_wanted=True)
    return rows.order_by("-id")


def _carry_out(tenant_id: UUID, run_id: UUID) -> Counter[str]:
    """One batch: at most one item of each person, so that the last is taken back before the one before it is judged."""
    wait_for_turn(tenant_id, "undo", str(run_id))
    run = ReconciliationRun.objects.get(tenant_id=tenant_id, pk=run_id)
    items = _one_of_each(_pending(run)[:BATCH])
    if not items:
        return Counter()
    at, actor = now(), Actor.who_signed(run.undo_ordered_by)
    wanted = _prepared(run, items, actor, run.undo_why, at, lock=True)
    free = [one for one in wanted if one.refusal is None]
    people = iter(submit_many_within([one.person for one in free if one.person]))
    for one in wanted:
        outcomes = [next(people)] if one.person and one.refusal is None else []
        if one.refusal is None:
            outcomes += [submit_group(group) for group in one.groups]
        _settle(one, outcomes, at)
    ReconciliationItem.objects.filter(tenant_id=tenant_id).bulk_update(
        items, ["status", "undo_wanted", "undone_at", "undo_audit_id", "undo_refusal", "undo_newer"]
    )
    if not _pending(run).exists():
        told = _told(_counts(run))
        audit.record_act(Act.RUN_UNDONE, run, actor=actor, why=run.undo_why, intent="undo", changes=told)
    return Counter(item.undo_refusal or Reason.ITEM_UNDONE.value for item in items)


def _one_of_each(items: QuerySet[Any]) -> list[ReconciliationItem]:
    met: set[UUID] = set()
    chosen: list[ReconciliationItem] = []
    for item in items:
        whom = {key for key in (item.account_id, item.identity_id) if key is not None}
        if met.isdisjoint(whom):
            chosen.append(item)
        met |= whom
    return chosen


def _settle(one: _Wanted, outcomes: Sequence[Outcome], at: datetime) -> None:
    item = one.item
    item.undo_wanted = False
    done = [outcome for outcome in outcomes if outcome.verdict is Verdict.APPLIED]
    refused = next((outcome for outcome in outcomes if not outcome.accepted), None)
    if one.refusal is not None:
        item.undo_refusal, item.undo_newer = one.refusal.value, one.newer
    elif refused is not None and not done:
        item.undo_refusal = refused.reason
    elif not done:
        item.undo_refusal = Reason.ITEM_NOTHING_LEFT.value
    else:
        item.status, item.undone_at, item.undo_audit_id = ItemStatus.UNDONE, at, done[0].audit_id


def _prepared(
    run: ReconciliationRun,
    items: Sequence[ReconciliationItem],
    actor: Actor,
    reason: str,
    at: datetime,
    *,
    lock: bool = False,
) -> list[_Wanted]:
    """What each item needs to be decided; with `lock`, under the locks of everybody whom they speak of."""
    records = AuditRecord.objects.filter(tenant_id=run.tenant_id).in_bulk(
        {item.audit_id for item in items if item.audit_id is not None}
    )
    values = dict(
        AuditValue.objects.filter(tenant_id=run.tenant_id, pk__in=records).values_list("record_id", "values")
    )
    wanted = []
    for item in items:
        record = records.get(item.audit_id) if item.audit_id is not None else None
        refusal = _refusal(item, record, at)
        lines = [line for line in item.inverse if line["change"] != "AddMember"]
        read = [] if refusal else [_read(line, item, record, values) for line in lines]
        if any(line is None for line in read):
            refusal = Reason.ITEM_VALUES_GONE
        if refusal is not None:
            wanted.append(_Wanted(item=item, refusal=refusal))
            continue
        said: dict[str, Any] = {"at": at, "actor": actor, "request_id": str(run.pk)}
        where: dict[str, Any] = {"tenant_id": run.tenant_id, "connection_id": run.connection_id}
        taken_back = tuple(line for line in read if line is not None)
        person = _observation(item, taken_back, reason, **said, **where) if taken_back else None
        groups = tuple(
            GroupObservation(
                channel=Channel.ADMIN,
                intent=Intent.UPDATE,
                group_id=UUID(line["group_id"]),
                add=(UUID(line["account_id"]),),
                **said,
                **where,
            )
            for line in item.inverse
            if line["change"] == "AddMember"
        )
        wanted.append(_Wanted(item=item, of_login=_of_login(item, record), person=person, groups=groups))
    if lock:
        _lock(run.tenant_id, wanted)
    return list(_judged(run.tenant_id, wanted))


def _refusal(item: ReconciliationItem, record: AuditRecord | None, at: datetime) -> Reason | None:
    if item.status != ItemStatus.APPLIED:
        return Reason.ITEM_NOT_DONE
    if item.decided_at is None or at - item.decided_at > KEPT:
        return Reason.ITEM_TOO_OLD
    if not any(line["change"] != "RemoveIdentity" for line in item.inverse):
        return Reason.ITEM_NOTHING_LEFT
    return Reason.ITEM_VALUES_GONE if record is None else None


def _observation(
    item: ReconciliationItem, taken_back: tuple[TakenBack, ...], reason: str, **said: Any
) -> Observation:
    restored = next((line for line in taken_back if line.change == "RestoreAccount"), None)
    # Of a hold only its source is an account, and that may be gone.
    of_account = [line.account_id for line in taken_back if line.account_id is not None]
    return Observation(
        channel=Channel.ADMIN,
        intent=Intent.UNDO,
        account_id=of_account[0] if of_account else None,
        target_identity_id=None if of_account else item.identity_id,
        user_name=restored.user_name if restored else "",
        external_id=restored.external_id if restored else None,
        taken_back=taken_back,
        reason=reason,
        **said,
    )


def _read(
    line: Mapping[str, Any],
    item: ReconciliationItem,
    record: AuditRecord | None,
    values: Mapping[int, Mapping[str, Any]],
) -> TakenBack | None:
    """A line of an inverse with the values that it needs; None where they are gone."""
    change = line["change"]
    ids: dict[str, Any] = {
        name: UUID(line[name])
        for name in ("account_id", "identity_id", "source_account_id")
        if line.get(name) is not None
    }
    if change == "WithdrawFinding":
        # What the finding is about is no account to change.
        return TakenBack(change=change, finding_id=_finding(line, item, record))
    if change != "RestoreAccount" or record is None:
        return TakenBack(change=change, kind=line.get("kind") or "", **ids)
    told: Mapping[str, Any] = next((one for one in record.changes if one["change"] == "UpdateAccount"), {})
    attributes = [name for name in told.get("attributes", ()) if not name.startswith("assertion.")]
    sides = values.get(record.pk, {}).get("UpdateAccount", {})
    before, after = sides.get("before", {}), sides.get("after", {})
    if not {*attributes} <= {*before, *after}:
        return None
    fields = frozenset(told.get("fields", ()))
    owner = line.get("lifecycle_owner")
    return TakenBack(
        change=change,
        before={name: before[name] for name in (*attributes, "schemas") if name in before},
        after={name: after[name] for name in (*attributes, "schemas") if name in after},
        fields=fields,
        user_name=before.get("userName", "") if "user_name" in fields else "",
        external_id=before.get("externalId") if "external_id" in fields else None,
        lifecycle_owner=Origin(owner) if owner else None,
        **ids,
    )


def _finding(line: Mapping[str, Any], item: ReconciliationItem, record: AuditRecord | None) -> UUID | None:
    """The question that the run opened, while nobody has answered it."""
    found: UUID | None = (
        Finding.objects.filter(
            tenant_id=item.tenant_id,
            kind=line["kind"],
            account_id=line.get("account_id"),
            identity_id=line.get("identity_id"),
            status=Finding.Status.OPEN,
            opened_at=record.at if record else None,
        )
        .values_list("pk", flat=True)
        .first()
    )
    return found


_LOCK = "SELECT id FROM {} WHERE tenant_id = %s AND id = ANY(%s::uuid[]) ORDER BY id FOR {}"


def _lock(tenant_id: UUID, wanted: Sequence[_Wanted]) -> None:
    """In the order of every other writer: keys, identities, accounts. From here on nothing newer comes in between."""
    lock_all(tenant_id, {key for one in wanted if one.person for key in lock_keys(one.person)})
    whom = [one.item for one in wanted if one.refusal is None]
    identities = sorted({key for item in whom for key in _identities(item)})
    accounts = [item.account_id for item in whom if item.account_id]
    # Against a group push, which keeps whom it takes in (FOR KEY SHARE): the membership counts, or the undo does.
    taken_away = any(map(_made_an_account, whom))
    for table, ids, strength in (
        ("provisioning_identity", identities, "NO KEY UPDATE"),
        ("provisioning_account", accounts, "UPDATE" if taken_away else "NO KEY UPDATE"),
    ):
        sql.rows(_LOCK.format(table, strength), (tenant_id, ids), prepared=False)


def _identities(item: ReconciliationItem) -> set[UUID]:
    """Whom it is about, and whose holds it lifted or placed beside: of a waiting account they are only suspects."""
    named = {UUID(line["identity_id"]) for line in item.inverse if line.get("identity_id")}
    return named | ({item.identity_id} if item.identity_id else set())


# Neither what was taken back is newer, nor the taking back itself.
_NEWER = f"""
SELECT asked.item, found.id
  FROM unnest(%(items)s::bigint[], %(audited)s::bigint[], %(accounts)s::uuid[], %(identities)s::uuid[],
              %(of_login)s::boolean[]) AS asked (item, audited, account, identity, of_login)
 CROSS JOIN LATERAL (
       SELECT min(r.id) AS id
         FROM (SELECT id, tenant_id, channel, verdict, reason, changes FROM provisioning_auditrecord
                WHERE account_id = asked.account AND id > asked.audited
               UNION ALL
               SELECT id, tenant_id, channel, verdict, reason, changes FROM provisioning_auditrecord
                WHERE identity_id = asked.identity AND id > asked.audited
               UNION ALL
               SELECT a.id, a.tenant_id, a.channel, a.verdict, a.reason, a.changes
                 FROM provisioning_reconciliationitem i
                CROSS JOIN jsonb_array_elements(i.inverse) AS line
                 JOIN provisioning_auditrecord a
                   ON a.identity_id = (line->>'identity_id')::uuid AND a.id > asked.audited
                WHERE i.tenant_id = %(tenant)s AND i.id = asked.item AND a.reason = ANY(%(merged)s::text[])) r
        WHERE r.tenant_id = %(tenant)s AND r.verdict IN ('applied', 'pending') AND r.reason <> ALL(%(beside)s::text[])
          AND (r.reason = ANY(%(merged)s::text[]) OR r.reason = ANY(%(words)s::text[])
            OR EXISTS (SELECT FROM jsonb_array_elements(r.changes) c
                        WHERE c->>'change' <> ALL(%(quiet)s::text[]) AND NOT ({_OF_A_LOGIN})))
          AND NOT EXISTS (SELECT FROM provisioning_reconciliationitem i
                           WHERE i.tenant_id = r.tenant_id AND i.audit_id = r.id AND i.status = 'undone')) found
 WHERE found.id IS NOT NULL
"""  # noqa: S608 - what is put in is written above


# An undo would take the account and the membership with it; who placed that counted on the account. The audit is about
# the group then, and names the first hundred members of a request: beyond them nothing can be named.
_JOINED = """
SELECT asked.item, (
       SELECT min(r.id) FROM provisioning_auditrecord r
        WHERE r.tenant_id = %(tenant)s AND r.id > asked.audited AND r.reason LIKE 'group:%%'
          AND r.verdict = 'applied' AND r.changes @> jsonb_build_array(jsonb_build_object(
                'change', 'group', 'members', jsonb_build_array(asked.account))))
  FROM unnest(%(items)s::bigint[], %(audited)s::bigint[], %(accounts)s::uuid[]) AS asked (item, audited, account)
 WHERE EXISTS (SELECT FROM provisioning_membership m
                WHERE m.tenant_id = %(tenant)s AND m.account_id = asked.account)
"""


def _made_an_account(item: ReconciliationItem) -> bool:
    return any(line["change"] == "RemoveAccount" for line in item.inverse)


def _wrote_an_account(item: ReconciliationItem) -> bool:
    return any(line["change"] == "RestoreAccount" for line in item.inverse)


def _said_again(tenant_id: UUID, items: Sequence[ReconciliationItem]) -> Iterator[int]:
    """Those of whose account SCIM has said since what it says: that changes nothing, and no audit row tells of it."""
    accounts = Account.objects.filter(
        tenant_id=tenant_id, pk__in={item.account_id for item in items}, spoken_at__isnull=False
    )
    spoken_at = dict(accounts.values_list("pk", "spoken_at"))
    for item in items:
        spoken = spoken_at.get(item.account_id)
        if spoken is not None and item.decided_at is not None and spoken > item.decided_at:
            yield item.pk


def _of_login(item: ReconciliationItem, record: AuditRecord | None) -> bool:
    updated = [one for one in (record.changes if record else ()) if one["change"] == "UpdateAccount"]
    return _made_an_account(item) or any(
        "subject" in one.get("fields", ())
        or any(name.startswith("assertion.") for name in one.get("attributes", ()))
        for one in updated
    )


def _judged(tenant_id: UUID, wanted: Sequence[_Wanted]) -> Iterator[_Wanted]:
    """Whatever is newer stays: who asked for the old state did not know of it."""
    free = [one for one in wanted if one.refusal is None]
    asked = [one.item for one in free]
    newer: dict[int, int | None] = {}
    if asked:
        parameters = {
            "tenant": tenant_id,
            "items": [item.pk for item in asked],
            "audited": [item.audit_id for item in asked],
            "accounts": [item.account_id for item in asked],
            "identities": [item.identity_id for item in asked],
            "of_login": [one.of_login for one in free],
            "quiet": list(_QUIET),
            "beside": list(_BESIDE),
            "merged": list(_MERGED),
            "words": list(_WORDS),
        }
        newer = dict(sql.rows(_NEWER, parameters, prepared=False))
    if made := [item for item in asked if _made_an_account(item) and item.pk not in newer]:
        parameters = {
            "tenant": tenant_id,
            "items": [item.pk for item in made],
            "audited": [item.audit_id for item in made],
            "accounts": [item.account_id for item in made],
        }
        newer |= dict(sql.rows(_JOINED, parameters, prepared=False))
    if written := [item for item in asked if _wrote_an_account(item) and item.pk not in newer]:
        newer |= dict.fromkeys(_said_again(tenant_id, written))
    for one in wanted:
        if one.item.pk in newer and one.refusal is None:
            yield _Wanted(item=one.item, refusal=Reason.ITEM_TOUCHED_SINCE, newer=newer[one.item.pk])
        else:
            yield one


def _counts(run: ReconciliationRun) -> dict[str, int]:
    """Of a whole run: how many items are taken back, and how many were refused for which reason."""
    rows = ReconciliationItem.objects.filter(tenant_id=run.tenant_id, run=run)
    counts = Counter({Reason.ITEM_UNDONE.value: rows.filter(status=ItemStatus.UNDONE).count()})
    refused = rows.filter(status=ItemStatus.APPLIED).exclude(undo_refusal="")
    counts.update(refused.order_by().values_list("undo_refusal", flat=True))
    return {code: number for code, number in counts.items() if number}


def _told(counts: Mapping[str, int]) -> list[dict[str, Any]]:
    return [{"change": "run", "counts": dict(counts)}]
