"""What happened to one identity and why, newest first, in words. Knows no page."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from provisioning.decision.reasons import Act, FindingKind, Flaw, Reason, Report, RowFault
from provisioning.decision.types import Actor, Verdict
from provisioning.models import Account, AuditRecord, AuditValue, Connection, Hold, Identity, Tombstone
from provisioning.selectors.merges import all_ids

_MEANINGS: dict[str, str] = {
    code.value: code.meaning for code in (*FindingKind, *Reason, *Act, *Report, *Flaw, *RowFault)
}

HOLD_KINDS = {
    "scim": "The directory switched the account off or deleted it.",
    "expiry": "The account came from a login and was never confirmed by the directory.",
    "admin": "An administrator placed a hold.",
    "security": "Security placed a hold.",
    "approval": "Access waits for an approval.",
    "migration": "A migration holds this person until it is complete.",
    "owner": "Nobody owns this identity any more.",
}

HOLD_NAMES = {
    "scim": "by the directory",
    "expiry": "never confirmed",
    "admin": "by an administrator",
    "security": "by security",
    "approval": "waits for approval",
    "migration": "by a migration",
    "owner": "no owner",
}
"""What stands behind *Held:*."""

_DONE = {
    "PlaceHold": "Hold placed",
    "LiftHold": "Hold lifted",
    "EndSessions": "Sessions ended",
    "LinkAccount": "Account linked",
    "UnlinkAccount": "Account taken off",
    "KeepApart": "Not tied together again by a rule",
    "LiftCarried": "Hold that waited with the account lifted",
    "MoveHold": "Hold moved",
    "MergeIdentities": "Identities merged",
    "UnmergeIdentities": "Merge taken back",
    "DeleteAccount": "Account deleted",
    "HandOverGroups": "Groups handed over",
    "OpenFinding": "Finding opened",
    "WithdrawFinding": "Finding withdrawn",
    "AddAlias": "Former name kept",
    "RecordLogin": "Login recorded",
    "SetOverride": "Overridden until its end",
    "EndOverride": "Override ended",
}


def in_words(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict) and "value" in value:
        # RFC 7643 2.4: an e-mail, a telephone number; its label and its mark are few words.
        marks = [str(value["type"])] if value.get("type") else []
        marks += ["primary"] if value.get("primary") is True else []
        shown = in_words(value.get("display") or value["value"])
        return f"{shown} ({', '.join(marks)})" if marks else shown
    if isinstance(value, dict):
        return ", ".join(f"{key} {in_words(item)}" for key, item in value.items())
    return "; ".join(map(in_words, value)) if isinstance(value, list) else str(value)


def meaning(code: str) -> str:
    """A reason code or a finding's kind in one sentence; a code this version does not know reads as itself."""
    return _MEANINGS.get(code) or code.replace(":", " ", 1).replace("-", " ").capitalize()


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One audit record, readable. `values` are personal values that have not been purged: name -> value."""

    id: int
    at: datetime
    reason: str
    sentence: str
    verdict: str
    channel: str
    intent: str
    actor: str
    connection: str
    request_id: str
    changes: list[Any]
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def refused(self) -> bool:
        return self.verdict in (Verdict.REFUSED, Verdict.PENDING)

    @property
    def lines(self) -> list[tuple[str, str, str]]:
        """(what, before, after), one for each attribute that changed and each other thing that was done."""
        told = []
        for change in self.changes:
            name = change.get("change", "")
            sides = self.values.get(name) or {}
            before, after = sides.get("before", {}), sides.get("after", {})
            whose = "identity" if name.endswith("Identity") else "account"
            if before or after:
                told += [
                    (f"{whose} {key}", in_words(before.get(key)), in_words(after.get(key)))
                    for key in sorted({*before, *after} - {"schemas"})
                ]
            elif name in _DONE:
                which = change.get("kind") or change.get("rule") or change.get("attribute")
                told.append((_DONE[name], "", str(which or "")))
        return told


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One thing that keeps somebody out."""

    kind: str
    name: str
    sentence: str
    source: str
    reason: str
    placed_by: str
    placed_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Why one identity can or cannot sign in."""

    enabled: bool
    causes: list[Cause]
    last_refusal: Event | None


def actor_names(actors: set[Actor], tenant_id: UUID | None) -> dict[Actor, str]:
    """Who they are, as the tenant's people may read it."""
    ids = {actor.id for actor in actors if actor.kind == "identity" and actor.id}
    # A superuser is of no tenant: a tenant's people read what he is, not who.
    people = {
        str(row.pk): str(row) if row.tenant_id else "Installation administrator"
        for row in Identity.objects.filter(Q(tenant_id=tenant_id) | Q(is_superuser=True), pk__in=ids)
    }
    plain = {
        "token": "SCIM",
        "connection": "Sign-in",
        "schedule": "Schedule",
        "guard": "The guard",
        "command": "Command line",
    }
    return {
        actor: people.get(actor.id, "An administrator")
        if actor.kind == "identity"
        else f"Command line ({actor.id})"
        if actor.kind == "command" and actor.id
        else plain.get(actor.kind, actor.kind)
        for actor in actors
    }


def told(records: list[AuditRecord], tenant_id: UUID | None) -> list[Event]:
    connection_ids = {record.connection_id for record in records if record.connection_id}
    names = dict(
        Connection.objects.filter(tenant_id=tenant_id, pk__in=connection_ids).values_list("pk", "name")
    )
    values = dict(
        AuditValue.objects.filter(tenant_id=tenant_id, pk__in=[record.pk for record in records]).values_list(
            "record_id", "values"
        )
    )
    actors = {record.pk: Actor(kind=record.actor_kind, id=record.actor_id) for record in records}
    called = actor_names(set(actors.values()), tenant_id)
    return [
        Event(
            id=record.pk,
            at=record.at,
            reason=record.reason,
            sentence=meaning(record.reason),
            verdict=record.verdict,
            channel=record.channel,
            intent=record.intent,
            actor=called[actors[record.pk]],
            connection=names.get(record.connection_id, ""),
            request_id=record.request_id,
            changes=record.changes,
            values=values.get(record.pk) or {},
        )
        for record in records
    ]


def records_of(identity: Identity) -> QuerySet[AuditRecord]:
    """The audit of an identity, of those that ended in it, and of its accounts, live and deleted."""
    # An account's first records may be older than its link, so they name no identity.
    accounts = Account.objects.filter(tenant_id=identity.tenant_id, identity=identity).values("pk")
    return AuditRecord.objects.filter(
        Q(identity_id__in=all_ids(identity)) | Q(account_id__in=list(accounts.values_list("pk", flat=True))),
        tenant_id=identity.tenant_id,
    )


def of_identity(identity: Identity, *, limit: int = 100) -> list[Event]:
    """The newest events of an identity and of its accounts. Five statements at most."""
    return told(list(records_of(identity).order_by("-id")[:limit]), identity.tenant_id)


def answer(identity: Identity, events: list[Event]) -> Answer:
    """Why this identity can or cannot sign in; `events` are its newest (`of_identity`)."""
    holds = list(Hold.objects.filter(tenant_id=identity.tenant_id, identity=identity).order_by("placed_at"))
    sources = _sources(
        identity.tenant_id, {hold.source_account_id for hold in holds if hold.source_account_id}
    )
    actors = actor_names({Actor.who_signed(hold.placed_by) for hold in holds}, identity.tenant_id)
    causes = [
        Cause(
            kind=hold.kind,
            name=HOLD_NAMES.get(hold.kind, hold.kind).capitalize(),
            sentence=HOLD_KINDS.get(hold.kind, hold.kind),
            source=sources.get(hold.source_account_id, ""),
            reason=meaning(hold.reason) if ":" in hold.reason and " " not in hold.reason else hold.reason,
            placed_by=actors[Actor.who_signed(hold.placed_by)],
            placed_at=hold.placed_at,
        )
        for hold in holds
    ]
    enabled = identity.is_active
    if identity.merged_into_id is not None:
        causes.append(
            Cause(
                kind="merged",
                name="Merged",
                sentence="Merged into another identity, which stands for this person.",
                source="",
                reason="",
                placed_by="",
                placed_at=None,
            )
        )
    if not enabled and not causes:
        causes.append(
            Cause(
                kind="no account",
                name="No account",
                sentence="No live account: no directory speaks for this person any more.",
                source="",
                reason="",
                placed_by="",
                placed_at=None,
            )
        )
    refusals = (event for event in events if event.refused and event.reason.startswith("login:"))
    return Answer(enabled=enabled, causes=causes, last_refusal=next(refusals, None))


def _sources(tenant_id: UUID | None, account_ids: set[UUID]) -> dict[UUID, str]:
    """The connection behind each account, live or deleted."""
    if not account_ids:
        return {}
    live = Account.objects.filter(tenant_id=tenant_id, pk__in=account_ids)
    gone = Tombstone.objects.filter(tenant_id=tenant_id, pk__in=account_ids)
    return {
        **dict(gone.values_list("pk", "connection__name")),
        **dict(live.values_list("pk", "connection__name")),
    }
