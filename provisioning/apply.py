"""Carries decisions out, in bulk: one statement or two for each kind of change, whatever their number.

Knows the tables; decides nothing. `apply` runs inside the transaction and under the locks of `services.submit_many`.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from operator import attrgetter, gt
from typing import Any
from uuid import UUID

from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX

from identity_hub.core.ids import new_id
from provisioning import merges, sql
from provisioning.decision.authority import profile_of_resource
from provisioning.decision.deadlines import SETTLED
from provisioning.decision.keys import fold, other_skeleton
from provisioning.decision.reasons import FindingKind
from provisioning.decision.types import (
    PROFILE_FIELDS,
    AccountFacts,
    AddAlias,
    CloseFinding,
    CreateAccount,
    CreateIdentity,
    Decision,
    DeleteAccount,
    EndOverride,
    EndSessions,
    HandOverGroups,
    KeepApart,
    LiftCarried,
    LiftHold,
    LinkAccount,
    MergeIdentities,
    MoveHold,
    Observation,
    OpenFinding,
    PlaceHold,
    Profile,
    RecordLogin,
    SetOverride,
    Severity,
    Subject,
    UnlinkAccount,
    UnmergeIdentities,
    UpdateAccount,
    UpdateIdentity,
    WithdrawFinding,
    case_of,
)
from provisioning.digests import case_digest, fingerprint_of, keyed, part_digest, subject_text
from provisioning.fingerprints import fingerprint
from provisioning.load import Loaded, email_keys
from provisioning.models import Account, Alias, Finding, Hold, Identity, Override, Tombstone
from provisioning.search import search_keys

Message = tuple[str, dict[str, Any], UUID | None]
Columns = dict[str, Any]


# Of most logins this is all that changes.
_RECORD = """
WITH logins AS (
    SELECT * FROM {records}
), accounts AS (
    UPDATE provisioning_account a SET last_login_at = l.at FROM logins l WHERE a.tenant_id = %s AND a.id = l.account_id
)
UPDATE provisioning_identity i SET last_login = l.at FROM logins l WHERE i.tenant_id = %s AND i.id = l.identity_id
"""

# A lift that names no source lifts every hold of its kind.
_LIFT = """
DELETE FROM provisioning_hold h
 USING {records}
 WHERE h.tenant_id = %s AND h.identity_id = r.identity_id AND h.kind = r.kind
   AND (r.source_account_id IS NULL OR h.source_account_id = r.source_account_id)
"""


# Who is held already, by the same source for the same, is held once.
_HAS_IT = """
DELETE FROM provisioning_hold h USING {records}
 WHERE h.tenant_id = %s AND h.identity_id = r.former_identity_id AND h.kind = r.kind
   AND h.source_account_id IS NOT DISTINCT FROM r.source_account_id
   AND EXISTS (SELECT FROM provisioning_hold own
                WHERE own.tenant_id = h.tenant_id AND own.identity_id = r.identity_id AND own.kind = h.kind
                  AND own.source_account_id IS NOT DISTINCT FROM h.source_account_id)
"""
_MOVE = """
UPDATE provisioning_hold h SET identity_id = r.identity_id FROM {records}
 WHERE h.tenant_id = %s AND h.identity_id = r.former_identity_id AND h.kind = r.kind
   AND h.source_account_id IS NOT DISTINCT FROM r.source_account_id
"""

# Old names and keys are an account's, and go with it.
_FOLLOW = """
UPDATE provisioning_alias a SET identity_id = r.identity_id FROM {records}
 WHERE a.tenant_id = %s AND a.account_id = r.account_id AND a.identity_id IS DISTINCT FROM r.identity_id
"""
# Whoever links an account after all takes back what was said before; what it carried rests on its identity now.
_ANSWERED = """
UPDATE provisioning_finding f
   SET evidence = '{{}}', status = CASE WHEN f.identity_id = r.identity_id THEN 'obsolete' ELSE f.status END
  FROM {records}
 WHERE f.tenant_id = %s AND f.account_id = r.account_id AND r.identity_id IS NOT NULL
   AND f.kind = 'account:kept-apart' AND f.status = 'rejected'
"""


# Its IdP, or a roster, has said since that the person is active.
_LIFT_CARRIED = """
UPDATE provisioning_finding f
   SET evidence = jsonb_set(f.evidence, '{{carried}}', (f.evidence->'carried') - r.kind)
  FROM {records}
 WHERE f.tenant_id = %s AND f.account_id = r.account_id AND f.evidence->'carried' IS NOT NULL
   AND f.kind = 'account:kept-apart' AND f.status = 'rejected'
"""


PARTS_AT_MOST = 100
"""Of what came under one open finding: an IdP that makes up a new key for each login must not make it grow for good."""

# A case that is open already follows what came last; one that a person has rejected stays so, and one that was dealt
# with does for a while. With many in one batch they are locked in one order.
_ASK = """
INSERT INTO provisioning_finding AS f ({columns})
SELECT {values} FROM {records}
 WHERE (r.parts = '{{}}'
        OR NOT EXISTS (SELECT FROM provisioning_finding a
                        WHERE a.tenant_id = r.tenant_id AND a.fingerprint = r.fingerprint AND a.status = 'rejected'
                          AND a.parts::text[] @> r.parts))
   AND NOT EXISTS (SELECT FROM provisioning_finding a
                    WHERE a.tenant_id = r.tenant_id AND a.fingerprint = r.fingerprint AND a.status = 'approved'
                      AND a.settled AND a.decided_at > r.opened_at - interval '{settled}'
                      AND a.parts::text[] @> r.parts)
 ORDER BY r.fingerprint
ON CONFLICT (tenant_id, fingerprint) WHERE status = 'open' OR (parts = '{{}}' AND status = 'rejected') DO UPDATE
   SET evidence = EXCLUDED.evidence, seen_at = EXCLUDED.opened_at,
       parts = CASE WHEN cardinality(f.parts) < {at_most}
                    THEN ARRAY(SELECT DISTINCT unnest(f.parts || EXCLUDED.parts)) ELSE f.parts END
 WHERE f.status = 'open'
"""


@cache
def _asking(names: tuple[str, ...], *, few: bool) -> str:
    return _ASK.format(
        columns=", ".join(f'"{name}"' for name in names),
        values=sql.selected(Finding, names),
        records=sql.recordset(Finding, names, few=few),
        at_most=PARTS_AT_MOST,
        settled=f"{SETTLED.days} days",
    )


def ask(findings: Sequence[Columns]) -> None:
    """Opens findings, in one statement; one that is open already follows, one that a person has answered stays so."""
    once = list({row["fingerprint"]: row for row in findings}.values())
    if once:
        sql.execute(_asking(tuple(once[0]), few=len(once) <= sql.FEW), (sql.as_json(once),))


@cache
def _recording(*, few: bool) -> str:
    return _RECORD.format(records=sql.records("account_id uuid, identity_id uuid, at timestamptz", few=few))


@cache
def _lifting(*, few: bool) -> str:
    return _LIFT.format(records=sql.records("identity_id uuid, kind text, source_account_id uuid", few=few))


@cache
def _moving(statement: str, *, few: bool) -> str:
    names = "identity_id uuid, former_identity_id uuid, kind text, source_account_id uuid"
    return statement.format(records=sql.records(names, few=few))


@cache
def _lifting_carried(*, few: bool) -> str:
    return _LIFT_CARRIED.format(records=sql.records("account_id uuid, kind text", few=few))


@cache
def _linking(statement: str, *, few: bool) -> str:
    return statement.format(records=sql.records("account_id uuid, identity_id uuid", few=few))


@dataclass(slots=True)
class _Work:
    """The changes of a batch, sorted by what they touch."""

    identities: list[Columns] = field(default_factory=list)
    account_fields: dict[UUID, dict[str, Any]] = field(default_factory=lambda: defaultdict(dict))
    identity_fields: dict[UUID, dict[str, Any]] = field(default_factory=lambda: defaultdict(dict))
    deleted: list[Columns] = field(default_factory=list)
    heirs: dict[UUID, UUID] = field(default_factory=dict)
    """Account that ends -> the one that is in its groups from now on."""
    holds: list[Columns] = field(default_factory=list)
    lifts: list[Columns] = field(default_factory=list)
    carried: list[Columns] = field(default_factory=list)
    moves: list[Columns] = field(default_factory=list)
    links: list[Columns] = field(default_factory=list)
    merges: list[tuple[Any, Observation]] = field(default_factory=list)
    ended: set[UUID] = field(default_factory=set)
    aliases: list[Columns] = field(default_factory=list)
    findings: list[Columns] = field(default_factory=list)
    closed: list[tuple[UUID, dict[str, Any]]] = field(default_factory=list)
    logins: list[Columns] = field(default_factory=list)
    overrides: list[Columns] = field(default_factory=list)
    overrides_ended: list[Columns] = field(default_factory=list)
    instead_of: list[tuple[UUID, str, str]] = field(default_factory=list)
    """(identity, attribute, what its sources say by now of what is overridden)."""


def apply(batch: Sequence[tuple[Observation, Decision]], loaded: Loaded) -> tuple[set[int], list[Message]]:
    """Writes a batch's changes. Answers (positions that lost a race for a key, messages for the outbox).

    A loser's changes are not written; it is to be decided again.
    """
    tenant_id = batch[0][0].tenant_id
    lost = _insert_accounts(batch)
    work = _Work()
    for position, (observation, decision) in enumerate(batch):
        if position not in lost:
            for change in decision.changes:
                _sort(work, change, observation, loaded)
    sql.add(Identity, work.identities)
    if work.deleted:
        sql.execute(_SEIZE, (tenant_id, sql.ids(row["id"] for row in work.deleted)))
    sql.update(Account, tenant_id, [{"id": key, **columns} for key, columns in work.account_fields.items()])
    sql.update(Identity, tenant_id, [{"id": key, **columns} for key, columns in work.identity_fields.items()])
    if work.logins:
        sql.execute(
            _recording(few=len(work.logins) <= sql.FEW), (sql.as_json(work.logins), tenant_id, tenant_id)
        )
    handed = _hand_over(tenant_id, work)
    _bury(tenant_id, work)
    for statement in (_FOLLOW, _ANSWERED) if work.links else ():
        few = len(work.links) <= sql.FEW
        sql.execute(_linking(statement, few=few), (sql.as_json(work.links), tenant_id))
    if work.lifts:
        sql.execute(_lifting(few=len(work.lifts) <= sql.FEW), (sql.as_json(work.lifts), tenant_id))
    if work.carried:
        sql.execute(
            _lifting_carried(few=len(work.carried) <= sql.FEW), (sql.as_json(work.carried), tenant_id)
        )
    for statement in (_HAS_IT, _MOVE) if work.moves else ():
        few = len(work.moves) <= sql.FEW
        sql.execute(_moving(statement, few=few), (sql.as_json(work.moves), tenant_id))
    sql.add(Hold, work.holds)
    sql.update(Override, tenant_id, work.overrides_ended)
    sql.add(Override, work.overrides, new=True)
    for identity_id, attribute, said in work.instead_of:
        Override.objects.filter(
            tenant_id=tenant_id, identity_id=identity_id, attribute=attribute, ended_at__isnull=True
        ).update(instead_of=said)
    for change, observation in work.merges:
        if isinstance(change, MergeIdentities):
            merges.merge(change, observation, handed)
        else:
            merges.unmerge(change, observation)
    if work.ended:
        sql.execute(
            "UPDATE provisioning_identity SET session_epoch = session_epoch + 1 "
            "WHERE tenant_id = %s AND id = ANY(%s)",
            (tenant_id, list(work.ended)),
        )
    sql.add(Alias, work.aliases)
    ask(work.findings)
    for finding_id, values in work.closed:
        Finding.objects.filter(tenant_id=tenant_id, pk=finding_id, status=Finding.Status.OPEN).update(
            **values
        )
    messages: list[Message] = [
        ("sessions.purge", {"identity": str(identity_id)}, tenant_id) for identity_id in sorted(work.ended)
    ]
    messages += [
        ("finding.opened", {"finding": str(row["id"])}, tenant_id)
        for row in work.findings
        if row["severity"] == Severity.HIGH and row["status"] == Finding.Status.OPEN
    ]
    return lost, messages


def _insert_accounts(batch: Sequence[tuple[Observation, Decision]]) -> set[int]:
    created = [
        (position, change, observation)
        for position, (observation, decision) in enumerate(batch)
        for change in decision.changes
        if isinstance(change, CreateAccount)
    ]
    lost = sql.insert(Account, (_account(change, observation) for _, change, observation in created))
    return {position for position, change, _ in created if change.account_id in lost} if lost else set()


# The same one in every row: what a column has in common is spelled once.
_EMPTY: dict[str, Any] = {}


def _account(change: CreateAccount, observation: Observation) -> Columns:
    at = observation.at
    return {
        "id": change.account_id,
        "tenant_id": observation.tenant_id,
        "connection_id": change.connection_id,
        "identity_id": change.identity_id,
        "link_rule": change.rule.value if change.rule is not None and change.identity_id else "",
        "link_evidence": dict(change.evidence) if change.identity_id and change.evidence else _EMPTY,
        "linked_at": at if change.identity_id else None,
        "origin": change.origin.value,
        "lifecycle_owner": change.origin.value,
        "confirmed_at": at if change.confirmed else None,
        "active": change.active,
        "version": 1,
        "user_name": change.user_name,
        "user_name_key": fold(change.user_name),
        "user_name_skeleton": other_skeleton(change.user_name),
        "external_id": change.external_id,
        "asserted_key": change.asserted_key,
        "fingerprint": _fingerprint(change),
        **_document_columns(change, observation),
        "assertion": dict(change.assertion) if change.assertion else _EMPTY,
        "created_at": at,
        "updated_at": at,
        "as_of": observation.as_of,
        **_subject_columns(change.subject),
    }


def _fingerprint(change: CreateAccount | UpdateAccount) -> bytes:
    return fingerprint(
        external_id=change.external_id,
        user_name=change.user_name,
        active=change.active,
        profile=profile_of_resource(change.resource),
    )


def _document_columns(change: CreateAccount | UpdateAccount, observation: Observation) -> Columns:
    """The resource, and what it is found by."""
    columns: Columns = {
        "resource": dict(change.resource),
        "email_keys": email_keys(change.resource, change.emails),
        "search": search_keys(change.resource),
    }
    if observation.resource is not None or isinstance(change, CreateAccount):
        columns["unique_keys"] = list(observation.unique_keys)
    return columns


def _subject_columns(subject: Subject | None) -> dict[str, str]:
    return {
        "subject_issuer": subject.issuer if subject else "",
        "subject_format": subject.format if subject else "",
        "subject_value": subject.value if subject else "",
    }


def _profile_columns(profile: Profile, said_email: str | None = None) -> dict[str, Any]:
    """`said_email`: by which an identity is recognised that shows another one."""
    shown = _shown(profile)
    if any(map(gt, map(len, shown), _LIMITS)):
        shown = tuple(value[:limit] for value, limit in zip(shown, _LIMITS, strict=True))
    columns = dict(zip(PROFILE_FIELDS, shown, strict=True))
    return columns | {
        "user_name_key": fold(columns["user_name"]),
        "email_key": fold(columns["email"] if said_email is None else said_email[:LONGEST_EMAIL]),
    }


_shown = attrgetter(*PROFILE_FIELDS)
_LIMITS = tuple(Identity._meta.get_field(name).max_length for name in PROFILE_FIELDS)
_LONGEST = dict(zip(PROFILE_FIELDS, _LIMITS, strict=True))
LONGEST_EMAIL = Identity._meta.get_field("email").max_length
NEW_IDENTITY: Columns = {
    "password": UNUSABLE_PASSWORD_PREFIX,
    "kind": Identity.Kind.PERSON,
    "local": False,
    "break_glass": False,
    "is_superuser": False,
    "is_tenant_administrator": False,
    "session_epoch": 0,
}


def _sort(work: _Work, change: Any, observation: Observation, loaded: Loaded) -> None:
    tenant_id, at = observation.tenant_id, observation.at
    match change:
        case CreateAccount():
            pass
        case CreateIdentity():
            work.identities.append(
                {
                    **NEW_IDENTITY,
                    "id": change.identity_id,
                    "tenant_id": tenant_id,
                    "created_at": at,
                    "updated_at": at,
                    **_profile_columns(change.profile),
                }
            )
        case UpdateIdentity():
            columns = _profile_columns(change.profile, change.said_email)
            known = loaded.identities.get(change.identity_id)
            if known is not None and fold(known.known_email) != columns["email_key"]:
                columns["email_changed_at"] = at
            work.identity_fields[change.identity_id] |= columns | {"updated_at": at}
            work.instead_of += [
                (change.identity_id, name, value[: _LONGEST[name]])
                for name, value in change.instead_of.items()
            ]
        case UpdateAccount():
            facts = loaded.accounts[change.account_id]
            work.account_fields[change.account_id] |= _account_columns(change, facts, observation)
        case LinkAccount():
            work.account_fields[change.account_id] |= {
                "identity_id": change.identity_id,
                "link_rule": change.rule.value,
                "link_evidence": dict(change.evidence),
                "linked_at": at,
            }
            work.links.append({"account_id": change.account_id, "identity_id": change.identity_id})
        case UnlinkAccount():
            work.account_fields[change.account_id] |= {
                "identity_id": None,
                "link_rule": "",
                "link_evidence": _EMPTY,
                "linked_at": None,
            }
            work.links.append({"account_id": change.account_id, "identity_id": None})
        case KeepApart():
            work.findings.append(_kept_apart(change, observation, loaded))
        case LiftCarried():
            work.carried.append({"account_id": change.account_id, "kind": change.kind.value})
        case MoveHold():
            work.moves.append(
                {
                    "identity_id": change.identity_id,
                    "former_identity_id": change.former_identity_id,
                    "kind": change.kind.value,
                    "source_account_id": change.source_account_id,
                }
            )
        case MergeIdentities() | UnmergeIdentities():
            work.merges.append((change, observation))
        case DeleteAccount():
            work.account_fields[change.account_id] |= {"deleted_at": at, "active": False, "updated_at": at}
            work.deleted.append(_tombstone(change, observation, loaded))
        case HandOverGroups():
            work.heirs[change.account_id] = change.heir_id
        case PlaceHold():
            work.holds.append(
                {
                    "id": new_id(),
                    "tenant_id": tenant_id,
                    "identity_id": change.identity_id,
                    "kind": change.kind.value,
                    "source_account_id": change.source_account_id,
                    "reason": change.reason[:500],
                    "placed_by": observation.actor.signature,
                    "placed_at": at,
                }
            )
        case LiftHold():
            work.lifts.append(
                {
                    "identity_id": change.identity_id,
                    "kind": change.kind.value,
                    "source_account_id": change.source_account_id,
                }
            )
        case EndSessions():
            work.ended.add(change.identity_id)
        case AddAlias():
            work.aliases.append(
                {
                    "id": new_id(),
                    "tenant_id": tenant_id,
                    "identity_id": change.identity_id,
                    "account_id": change.account_id,
                    "kind": change.kind,
                    "value": change.value,
                    "value_key": fold(change.value),
                    "since": at,
                }
            )
        case RecordLogin():
            account, identity = change.account_id, change.identity_id
            if account in work.account_fields or identity in work.identity_fields:
                work.account_fields[account]["last_login_at"] = at
                work.identity_fields[identity]["last_login"] = at
            else:
                work.logins.append({"account_id": account, "identity_id": identity, "at": at})
        case OpenFinding():
            work.findings.append(_finding(change, observation, loaded))
        case CloseFinding():
            status = Finding.Status.APPROVED if change.approved else Finding.Status.REJECTED
            work.closed.append(
                (
                    change.finding_id,
                    {
                        "status": status,
                        "decided_at": at,
                        "decided_by": observation.actor.signature,
                        "decision_reason": observation.reason[:500],
                    },
                )
            )
        case SetOverride():
            work.overrides.append(
                {
                    "id": change.override.id,
                    "tenant_id": tenant_id,
                    "identity_id": change.identity_id,
                    "attribute": change.override.attribute,
                    "value": change.override.value,
                    "instead_of": change.instead_of[: _LONGEST[change.override.attribute]],
                    "reason": change.reason[:500],
                    "until": change.override.until,
                    "set_by": observation.actor.signature,
                    "set_at": at,
                    "ended_at": None,
                    "ended_by": "",
                }
            )
        case EndOverride():
            work.overrides_ended.append(
                {"id": change.override_id, "ended_at": at, "ended_by": observation.actor.signature}
            )
        case WithdrawFinding():
            work.closed.append((change.finding_id, {"status": Finding.Status.OBSOLETE, "decided_at": at}))
        case _:
            raise TypeError(f"no way to apply {type(change).__name__}")


def _account_columns(change: UpdateAccount, facts: AccountFacts, observation: Observation) -> Columns:
    at = observation.at
    columns: Columns = {
        "active": change.active,
        "user_name": change.user_name,
        "user_name_key": fold(change.user_name),
        "user_name_skeleton": other_skeleton(change.user_name),
        "external_id": change.external_id,
        "asserted_key": change.asserted_key,
        "fingerprint": _fingerprint(change),
        "assertion": dict(change.assertion),
        **_subject_columns(change.subject),
    }
    if change.confirmed and not facts.confirmed:
        columns["confirmed_at"] = at
    elif facts.confirmed and not change.confirmed:
        columns["confirmed_at"] = None
    if change.lifecycle_owner is not None and change.lifecycle_owner is not facts.lifecycle_owner:
        columns["lifecycle_owner"] = change.lifecycle_owner.value
    if says_more(change, facts):
        columns |= _document_columns(change, observation)
        columns |= {"version": facts.version + 1, "updated_at": at, "as_of": observation.as_of}
    else:
        columns["email_keys"] = email_keys(change.resource, change.emails)
    return columns


def says_more(change: UpdateAccount, facts: AccountFacts) -> bool:
    """Whether a reader sees a difference, which is what a version counts."""
    return change.resource != facts.resource or change.external_id != facts.external_id


def _tombstone(change: DeleteAccount, observation: Observation, loaded: Loaded) -> Columns:
    facts = loaded.accounts[change.account_id]
    key, where = loaded.rules.digest_key, facts.connection_id
    subject = facts.subject if facts.subject is not None and facts.subject.is_key else None
    # A login's account may end before SCIM named its key; the key that was asserted still tells whose it was.
    external_id = facts.external_id or facts.asserted_key
    return {
        "id": facts.id,
        "tenant_id": observation.tenant_id,
        "connection_id": where,
        "identity_id": change.identity_id,
        "external_id_digest": keyed(key, "external_id", where, external_id) if external_id else None,
        "user_name_digest": keyed(key, "user_name", where, fold(facts.user_name)),
        "subject_digest": keyed(key, "subject", where, subject_text(subject)) if subject else None,
        "deleted_at": observation.at,
        "purge_after": observation.at + loaded.rules.policies[where].retention
        if where in loaded.rules.policies
        else observation.at,
    }


def _kept_apart(change: KeepApart, observation: Observation, loaded: Loaded) -> Columns:
    """An answer that nobody had asked for: remembered like one to a finding."""
    asked = OpenFinding(
        kind=FindingKind.KEPT_APART.value,
        severity=Severity.LOW,
        account_id=change.account_id,
        identity_id=change.identity_id,
        candidates=(change.identity_id,),
        evidence={"carried": [kind.value for kind in change.carried]} if change.carried else {},
    )
    return _finding(asked, observation, loaded) | {
        "status": Finding.Status.REJECTED,
        "decided_at": observation.at,
        "decided_by": observation.actor.signature,
        "decision_reason": observation.reason[:500],
    }


def _finding(change: OpenFinding, observation: Observation, loaded: Loaded) -> Columns:
    parts: Iterable[str] = (
        str(change.account_id),
        str(change.identity_id),
        *sorted(str(candidate) for candidate in change.candidates),
        *([case] if (case := case_of(change.evidence)) else []),
        # An answer to one that names nothing that came, as a roster's, is none to another key.
        *(["said"] if change.said else []),
    )
    said = change.parts or ((change.said,) if change.said else ())
    return {
        "id": new_id(),
        "tenant_id": observation.tenant_id,
        "connection_id": observation.connection_id,
        "account_id": change.account_id,
        "identity_id": change.identity_id,
        "kind": change.kind,
        "severity": change.severity.value,
        "candidates": [str(candidate) for candidate in change.candidates],
        "evidence": dict(change.evidence),
        "fingerprint": fingerprint_of(change.kind, change.mark, in_parts=bool(change.parts))
        if change.mark
        else case_digest(change.kind, *parts),
        "parts": sorted(part_digest(loaded.rules.digest_key, change.kind, part) for part in said),
        "status": Finding.Status.OPEN,
        "opened_at": observation.at,
        # The night asks about the case, too, and closes it when it is one no more.
        "seen_at": observation.at if change.mark else None,
        "decided_at": None,
        "decided_by": "",
        "decision_reason": "",
    }


# A group push keeps whom it takes in (FOR KEY SHARE) until it ends. It waits for us, and finds them gone, or we for it,
# and find them in the group.
_SEIZE = """
SELECT id FROM provisioning_account WHERE tenant_id = %s AND id = ANY(%s::uuid[]) ORDER BY id FOR UPDATE
"""

# The groups before their members, and in a statement of their own: one that waits for its locks answers with the
# members of before, and a push that takes the account out at that moment would be undone.
_GROUPS_OF = """
SELECT id FROM provisioning_directorygroup
 WHERE tenant_id = %(tenant)s AND id = ANY(ARRAY(
           SELECT group_id FROM provisioning_membership
            WHERE tenant_id = %(tenant)s AND account_id = ANY(%(accounts)s::uuid[])))
 ORDER BY id FOR NO KEY UPDATE
"""

# Before `_LEAVE`, which tells of both: the group has one for the other.
_HAND_OVER = """
WITH handed AS (
    SELECT h.account_id, h.heir_id, m.group_id, m.since
      FROM provisioning_membership m
      JOIN unnest(%(accounts)s::uuid[], %(heirs)s::uuid[]) AS h (account_id, heir_id) USING (account_id)
     WHERE m.tenant_id = %(tenant)s
), come AS (
    INSERT INTO provisioning_membership (tenant_id, group_id, account_id, since)
    SELECT %(tenant)s, group_id, heir_id, since FROM handed
        ON CONFLICT DO NOTHING
    RETURNING group_id, account_id
)
SELECT h.account_id, h.group_id, c.group_id IS NOT NULL
  FROM handed h LEFT JOIN come c ON c.group_id = h.group_id AND c.account_id = h.heir_id
"""


def _hand_over(tenant_id: UUID, work: _Work) -> merges.Handed:
    if not work.heirs:
        return {}
    handed: merges.Handed = {}
    named = {"tenant": tenant_id, "accounts": sql.ids(work.heirs), "heirs": sql.ids(work.heirs.values())}
    sql.execute(_GROUPS_OF, named)
    for account_id, group_id, new in sql.rows(_HAND_OVER, named):
        handed.setdefault(account_id, {})[group_id] = new
    return handed


# A group that loses a member is another one to whoever reads it; in a batch as if they had left one by one. The group
# before its members, as whoever takes a member out locks them.
_LEAVE = """
WITH left_behind AS MATERIALIZED (
    SELECT id FROM provisioning_directorygroup
     WHERE tenant_id = %(tenant)s AND id = ANY(ARRAY(
               SELECT group_id FROM provisioning_membership
                WHERE tenant_id = %(tenant)s AND account_id = ANY(%(accounts)s::uuid[])))
     ORDER BY id FOR NO KEY UPDATE
), gone AS (
    DELETE FROM provisioning_membership m USING left_behind g
     WHERE m.tenant_id = %(tenant)s AND m.group_id = g.id AND m.account_id = ANY(%(accounts)s::uuid[])
    RETURNING m.group_id
)
UPDATE provisioning_directorygroup g SET version = g.version + left_by.members, updated_at = %(at)s
  FROM (SELECT group_id, count(*) AS members FROM gone GROUP BY group_id) AS left_by
 WHERE g.tenant_id = %(tenant)s AND g.id = left_by.group_id
"""


def _bury(tenant_id: UUID, work: _Work) -> None:
    if work.deleted:
        sql.add(Tombstone, work.deleted)
        accounts = sql.ids(row["id"] for row in work.deleted)
        at = max(row["deleted_at"] for row in work.deleted)
        sql.execute(_LEAVE, {"tenant": tenant_id, "accounts": accounts, "at": at})
