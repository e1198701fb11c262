"""What becomes of every column that names an identity when two identities become one, and two again.

Knows the tables; decides nothing. Runs inside the transaction and under the locks of `services.submit_many`, after all
other changes of a decision. What it moves it writes down by ids, and by nothing else, so that it can be moved back.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef, Q

from identity_hub.core.ids import new_id
from provisioning import sql
from provisioning.decision.types import HoldKind, MergeIdentities, Observation, UnmergeIdentities
from provisioning.models import Account, Distinction, Finding, Hold, Identity, Merge, Tombstone


class Fate(StrEnum):
    """What becomes of a row whose identity ends in another one."""

    MOVES = "moves"
    ENDS = "ends"
    STAYS = "stays"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A column that names an identity. `shown` is what the preview of a merge calls its rows; "" for those it omits."""

    table: str
    column: str
    fate: Fate
    shown: str
    why: str


M, E, S = Fate

REFERENCES = tuple(
    Reference(table=f"provisioning_{table}", column=f"{column}_id", fate=fate, shown=shown, why=why)
    for table, column, fate, shown, why in (
        (
            "account",
            "identity",
            M,
            "Accounts",
            "Live and deleted, with their links, groups and entitlements.",
        ),
        (
            "tombstone",
            "identity",
            M,
            "",
            "A key that returns after a deletion finds the identity that stays.",
        ),
        (
            "hold",
            "identity",
            M,
            "Holds",
            "The stricter wins: whoever was held is held. The same hold counts once.",
        ),
        (
            "override",
            "identity",
            S,
            "",
            "It was said of what this identity shows, which nobody looks at until it stands for itself again.",
        ),
        ("alias", "identity", M, "Former names and keys", "They belong to the accounts."),
        ("finding", "identity", M, "Findings", "Open and answered; so does its place among the candidates."),
        ("finding", "owner", M, "Findings to see to", "The same person sees to them."),
        ("distinction", "one", M, "", "Who was told apart from the one is told apart from the other."),
        ("distinction", "other", M, "", "Who was told apart from the one is told apart from the other."),
        ("identity", "owner", M, "Identities to answer for", "The same person answers for them."),
        ("scimtoken", "owner", M, "SCIM tokens to answer for", "The same person answers for them."),
        ("scimclient", "owner", M, "OAuth clients to answer for", "The same person answers for them."),
        ("session", "identity", E, "Sessions", "At their next request; the person signs in again."),
        ("identity", "merged_into", S, "", "Whoever had ended in it is found through it."),
        ("merge", "winner", S, "", "What happened."),
        ("merge", "loser", S, "", "What happened."),
        ("reconciliationitem", "identity", S, "", "What a run did, and to whom."),
    )
)
"""Every reference that the database knows. The audit, and the logs of logins and requests, name identities by id alone:
they stay as they are, and are asked about both. A password of the hub's own never moves: an identity that has one does
not end in another (`identity:signs-in-here`)."""

_MOVING = [one for one in REFERENCES if one.fate is Fate.MOVES]
_BY_HAND = frozenset({"provisioning_hold", "provisioning_distinction"})
"""Of these one row may already be where another one comes to."""

Handed = dict[UUID, dict[UUID, bool]]
"""Account that has ended -> its groups, and whether the account that it ended in came into each by it."""


def counted(tenant_id: UUID, identity_id: UUID, at: datetime) -> dict[str, int]:
    """How many rows of each kind that the preview shows name an identity at that moment; one statement."""
    shown = [one for one in REFERENCES if one.shown]
    live = {
        "provisioning_account": " AND deleted_at IS NULL",
        "provisioning_session": " AND expire_date > %(at)s",
    }
    counts = ", ".join(
        f"(SELECT count(*) FROM {one.table} WHERE tenant_id = %(tenant)s AND {one.column} = %(identity)s"  # noqa: S608
        f"{live.get(one.table, '')})"
        for one in shown
    )
    (row,) = sql.rows(f"SELECT {counts}", {"tenant": tenant_id, "identity": identity_id, "at": at})
    return {one.shown: number for one, number in zip(shown, row, strict=True)}


def merge(change: MergeIdentities, observation: Observation, handed: Handed) -> None:
    """Moves what names the former identity, and writes down what was moved."""
    tenant_id, winner, loser = observation.tenant_id, change.identity_id, change.former_identity_id
    moved: dict[str, Any] = {
        _name(one): _move(one, tenant_id, loser, winner) for one in _MOVING if one.table not in _BY_HAND
    }
    moved |= _move_holds(tenant_id, loser, winner)
    moved |= _move_distinctions(tenant_id, loser, winner)
    moved["candidates"] = _rename_candidates(tenant_id, loser, winner)
    moved["folded"] = [
        {
            "login": str(one.login_account_id),
            "into": str(one.account_id),
            "lifted": [kind.value for kind in one.lifted],
            "groups": {str(key): new for key, new in handed.get(one.login_account_id, {}).items()},
        }
        for one in change.folded
    ]
    Identity.objects.filter(tenant_id=tenant_id, pk=loser).update(merged_into_id=winner)
    Merge.objects.create(
        id=change.merge_id,
        tenant_id=tenant_id,
        winner_id=winner,
        loser_id=loser,
        moved=moved,
        merged_at=observation.at,
        merged_by=observation.actor.signature,
        reason=observation.reason[:500],
    )


def unmerge(change: UnmergeIdentities, observation: Observation) -> None:
    """Moves it back, but for what names somebody else by now or is gone; that is written down as kept."""
    tenant_id, winner, loser = observation.tenant_id, change.identity_id, change.former_identity_id
    record = Merge.objects.select_for_update().get(tenant_id=tenant_id, pk=change.merge_id)
    moved = record.moved
    kept: dict[str, Any] = {}
    accounts: set[UUID] = set()
    for one in _MOVING:
        if one.table in _BY_HAND:
            continue
        wanted = set(moved.get(_name(one), ()))
        back = set(_move(one, tenant_id, winner, loser, only=wanted))
        kept[_name(one)] = sorted(wanted - back)
        if one.table == "provisioning_account":
            accounts = {UUID(key) for key in back}
    _follow(tenant_id, winner, loser, accounts)
    _return_holds(record, accounts, observation)
    _return_distinctions(record, observation)
    _return_candidates(tenant_id, moved["candidates"], loser, winner)
    kept["folded"] = [
        one["login"] for one in moved["folded"] if not _unfold(record, one, loser, winner, observation)
    ]
    Identity.objects.filter(tenant_id=tenant_id, pk=loser).update(merged_into_id=None)
    record.kept = {name: ids for name, ids in kept.items() if ids}
    record.unmerged_at = observation.at
    record.unmerged_by = observation.actor.signature
    record.unmerge_reason = observation.reason[:500]
    record.save(update_fields=["kept", "unmerged_at", "unmerged_by", "unmerge_reason"])


def _name(one: Reference) -> str:
    return f"{one.table.removeprefix('provisioning_')}.{one.column.removesuffix('_id')}"


def _move(
    one: Reference, tenant_id: UUID, source: UUID, target: UUID, *, only: Iterable[str] | None = None
) -> list[str]:
    """The ids of the rows that named `source` and name `target` now."""
    some = "" if only is None else " AND id = ANY(%(only)s::uuid[])"
    found = sql.rows(
        f"UPDATE {one.table} SET {one.column} = %(target)s "  # noqa: S608 - constants above
        f"WHERE tenant_id = %(tenant)s AND {one.column} = %(source)s{some} RETURNING id",
        {"tenant": tenant_id, "source": source, "target": target, "only": list(only or ())},
    )
    return [str(key) for (key,) in found]


def _move_holds(tenant_id: UUID, loser: UUID, winner: UUID) -> dict[str, Any]:
    """Of a hold that both have, one is left; the other one is remembered, to be the same again: an earlier merge may
    have it among what it moved."""
    holds = Hold.objects.filter(tenant_id=tenant_id)
    own = {(hold.kind, hold.source_account_id) for hold in holds.filter(identity_id=winner)}
    theirs = list(holds.filter(identity_id=loser))
    shared = [hold for hold in theirs if (hold.kind, hold.source_account_id) in own]
    holds.filter(pk__in=[hold.pk for hold in shared]).delete()
    coming = [hold.pk for hold in theirs if hold not in shared]
    holds.filter(pk__in=coming).update(identity_id=winner)
    return {
        "hold.identity": [str(pk) for pk in coming],
        "shared_holds": [
            [
                hold.kind,
                str(hold.source_account_id) if hold.source_account_id else None,
                str(hold.pk),
                hold.placed_at.isoformat(),
            ]
            for hold in shared
        ],
    }


def _return_holds(record: Merge, accounts: set[UUID], observation: Observation) -> None:
    """What an account holds is whose the account is. Of the others, what was placed before the merge goes back, and
    what was on both or was placed since holds both."""
    tenant_id, winner, loser = record.tenant_id, record.winner_id, record.loser_id
    holds = Hold.objects.filter(tenant_id=tenant_id, identity_id=winner)
    holds.filter(source_account_id__in=accounts).update(identity_id=loser)
    back = record.moved["hold.identity"]
    own = _shared(record)
    others = Merge.objects.filter(tenant_id=tenant_id, winner_id=winner, unmerged_at=None)
    thirds = {key for other in others.exclude(pk=record.pk) for key in _shared(other)}
    # Whose the account is has been said by now, or it waits and holds whom it may be.
    linked = Account.objects.filter(
        tenant_id=tenant_id, pk=OuterRef("source_account_id"), identity__isnull=False
    )
    # Attack: a hold that was placed on the merged person would be shed by taking the merge back.
    for hold in holds.filter(~Exists(linked)):
        key = (hold.kind, hold.source_account_id)
        if str(hold.pk) in back:
            Hold.objects.filter(pk=hold.pk).update(identity_id=loser)
            if key in thirds:
                # A third whom the winner still stands for was held alike, and that hold was dropped as the same.
                _copy(hold, winner)
        elif key in own and hold.placed_at <= record.merged_at:
            _copy(hold, loser, *own[key])
        elif key in own or hold.placed_at > record.merged_at:
            _copy(hold, loser)


def _shared(record: Merge) -> dict[tuple[str, UUID | None], tuple[UUID, datetime]]:
    """Of the holds that both had: (kind, source) -> the id of the loser's, and when it was placed."""
    return {
        (kind, UUID(source) if source else None): (UUID(key), datetime.fromisoformat(placed_at))
        for kind, source, key, placed_at in record.moved["shared_holds"]
    }


def _copy(hold: Hold, identity_id: UUID, key: UUID | None = None, placed_at: datetime | None = None) -> None:
    _place(
        hold.kind,
        identity_id,
        hold.source_account_id,
        hold.reason,
        hold.placed_by,
        placed_at or hold.placed_at,
        hold.tenant_id,
        key,
    )


def _place(
    kind: str,
    identity_id: UUID,
    source: UUID | None,
    reason: str,
    placed_by: str,
    placed_at: datetime,
    tenant_id: UUID,
    key: UUID | None = None,
) -> None:
    Hold.objects.bulk_create(
        [
            Hold(
                id=key or new_id(),
                tenant_id=tenant_id,
                identity_id=identity_id,
                kind=kind,
                source_account_id=source,
                reason=reason,
                placed_by=placed_by,
                placed_at=placed_at,
            )
        ],
        ignore_conflicts=True,
    )


def _move_distinctions(tenant_id: UUID, loser: UUID, winner: UUID) -> dict[str, Any]:
    """A pair is kept in order and once; of the two themselves nothing is left to tell apart."""
    rows = Distinction.objects.filter(tenant_id=tenant_id)
    own = {other for pair in _pairs(rows, winner).values() for other in pair}
    back, dropped = [], []
    for key, pair in _pairs(rows, loser).items():
        (other,) = pair - {loser}
        if other == winner or other in own:
            rows.filter(pk=key).delete()
            dropped.append(str(other))
        else:
            rows.filter(pk=key).update(one_id=min(other, winner), other_id=max(other, winner))
            back.append(str(key))
    return {"distinction": back, "distinct_too": dropped}


def _return_distinctions(record: Merge, observation: Observation) -> None:
    """And the two themselves are told apart now: nobody is asked about them again."""
    winner, loser = record.winner_id, record.loser_id
    rows = Distinction.objects.filter(tenant_id=record.tenant_id)
    for key, pair in _pairs(rows.filter(pk__in=record.moved["distinction"]), winner).items():
        (other,) = pair - {winner}
        rows.filter(pk=key).update(one_id=min(other, loser), other_id=max(other, loser))
    again = {UUID(name) for name in record.moved["distinct_too"]} | {winner}
    there = Identity.objects.filter(tenant_id=record.tenant_id, pk__in=again).values_list("pk", flat=True)
    Distinction.objects.bulk_create(
        [
            Distinction(
                tenant_id=record.tenant_id,
                one_id=min(other, loser),
                other_id=max(other, loser),
                decided_at=observation.at,
                decided_by=observation.actor.signature,
            )
            for other in there
        ],
        ignore_conflicts=True,
    )


def _pairs(rows: Any, identity_id: UUID) -> dict[UUID, set[UUID]]:
    """Distinction -> the two whom it tells apart, of those about one identity."""
    found = rows.filter(one_id=identity_id) | rows.filter(other_id=identity_id)
    return {pk: {one, other} for pk, one, other in found.values_list("pk", "one_id", "other_id")}


def _rename_candidates(tenant_id: UUID, loser: UUID, winner: UUID) -> dict[str, list[str]]:
    """Finding -> its candidates as they were."""
    before = {}
    for finding in Finding.objects.filter(tenant_id=tenant_id, candidates__contains=[str(loser)]):
        before[str(finding.pk)] = finding.candidates
        Finding.objects.filter(pk=finding.pk).update(candidates=_renamed(finding.candidates, loser, winner))
    return before


def _return_candidates(tenant_id: UUID, before: dict[str, list[str]], loser: UUID, winner: UUID) -> None:
    for finding in Finding.objects.filter(tenant_id=tenant_id, pk__in=before):
        named = before[str(finding.pk)]
        if finding.candidates == _renamed(named, loser, winner):
            Finding.objects.filter(pk=finding.pk).update(candidates=named)


def _renamed(candidates: list[str], loser: UUID, winner: UUID) -> list[str]:
    return list(dict.fromkeys(str(winner) if name == str(loser) else name for name in candidates))


def _follow(tenant_id: UUID, winner: UUID, loser: UUID, accounts: set[UUID]) -> None:
    """What has come to the returning accounts since the merge returns with them."""
    rows = {"tenant_id": tenant_id, "identity_id": winner}
    Tombstone.objects.filter(**rows, pk__in=accounts).update(identity_id=loser)
    for statement in (
        "UPDATE provisioning_alias SET identity_id = %s WHERE tenant_id = %s AND identity_id = %s"
        " AND account_id = ANY(%s)",
        "UPDATE provisioning_finding SET identity_id = %s WHERE tenant_id = %s AND identity_id = %s"
        " AND account_id = ANY(%s)",
    ):
        sql.execute(statement, (loser, tenant_id, winner, list(accounts)))


def _unfold(
    record: Merge, folded: dict[str, Any], loser: UUID, winner: UUID, observation: Observation
) -> bool:
    """Wakes a login's account that ended in the pushed one; False where its name, key or data is gone, or where another
    account of its connection is its identity's by now."""
    rows = Account.objects.filter(tenant_id=record.tenant_id)
    login = rows.filter(pk=folded["login"], deleted_at__isnull=False, identity_id__in=(loser, winner)).first()
    pushed = rows.filter(pk=folded["into"], deleted_at__isnull=True).first()
    graves = Tombstone.objects.filter(tenant_id=record.tenant_id, pk=folded["login"], purged_at__isnull=True)
    if login is None or not graves.exists():
        return False
    live = rows.filter(connection_id=login.connection_id, deleted_at__isnull=True)
    if live.filter(Q(user_name_key=login.user_name_key) | Q(identity_id=login.identity_id)).exists():
        return False
    if login.subject_value:
        subject = {"subject_issuer": login.subject_issuer, "subject_value": login.subject_value}
        if live.filter(**subject).exclude(pk=folded["into"]).exists():
            return False
        rows.filter(pk=folded["into"], **subject).update(
            subject_issuer="", subject_format="", subject_value=""
        )
    if pushed is not None and pushed.assertion == login.assertion:
        rows.filter(pk=pushed.pk).update(assertion={})
    graves.delete()
    rows.filter(pk=login.pk).update(
        deleted_at=None, active=True, version=login.version + 1, updated_at=observation.at
    )
    _return_groups(record.tenant_id, folded, observation.at)
    for kind in folded["lifted"]:
        _place(
            HoldKind(kind).value,
            login.identity_id,
            login.pk,
            "held before the merge",
            observation.actor.signature,
            observation.at,
            record.tenant_id,
        )
    return True


# The groups in a statement of their own: one that waits for its locks answers with the members of before.
_LOCK_GROUPS = """
SELECT id FROM provisioning_directorygroup
 WHERE tenant_id = %(tenant)s AND id = ANY(%(groups)s::uuid[]) ORDER BY id FOR NO KEY UPDATE
"""
# Its groups, but for those that the account which goes on is in no more: their IdP has said so since.
_RETURN_GROUPS = """
WITH groups AS (
    SELECT group_id AS id FROM provisioning_membership
     WHERE tenant_id = %(tenant)s AND account_id = %(heir)s AND group_id = ANY(%(groups)s::uuid[])
), gone AS (
    DELETE FROM provisioning_membership
     WHERE tenant_id = %(tenant)s AND account_id = %(heir)s AND group_id = ANY(%(new)s::uuid[])
), come AS (
    INSERT INTO provisioning_membership (tenant_id, group_id, account_id, since)
    SELECT %(tenant)s, id, %(login)s, %(at)s FROM groups
        ON CONFLICT DO NOTHING
)
UPDATE provisioning_directorygroup d SET version = d.version + 1, updated_at = %(at)s
  FROM groups WHERE d.tenant_id = %(tenant)s AND d.id = groups.id
"""


def _return_groups(tenant_id: UUID, folded: dict[str, Any], at: datetime) -> None:
    # What was written down before groups were handed over names none.
    groups: dict[str, bool] = folded.get("groups", {})
    if groups:
        named = {
            "tenant": tenant_id,
            "login": folded["login"],
            "heir": folded["into"],
            "groups": list(groups),
            "new": [key for key, new in groups.items() if new],
            "at": at,
        }
        sql.execute(_LOCK_GROUPS, named)
        sql.execute(_RETURN_GROUPS, named)
