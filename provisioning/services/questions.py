"""Findings that a schedule asks: opened while their cause is there, gone when it has gone. Knows no cause."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Greatest

from provisioning import audit, outbox
from provisioning.decision.deadlines import SETTLED
from provisioning.decision.reasons import Act, FindingKind
from provisioning.decision.types import Actor, Channel, Document, HoldKind, Severity
from provisioning.digests import fingerprint_of, part_digest
from provisioning.models import Finding, Hold, Tenant

GONE = "The case has gone."
SCHEDULE = Actor(kind="schedule")

STEPS = {30: Severity.LOW, 7: Severity.MEDIUM, 1: Severity.HIGH}
"""Days before something ends: each asks once."""


def step_of(left: timedelta) -> int | None:
    """The step that so much time belongs to; None while it is more than any."""
    return min((days for days in STEPS if left <= timedelta(days=days)), default=None)


@transaction.atomic
def settle(
    tenant_id: UUID, kinds: Iterable[FindingKind], findings: list[Finding], at: datetime
) -> list[Finding]:
    """Makes these the tenant's open questions of these kinds, but for those that a person has answered.

    Answers the new ones.
    """
    of_kinds = Finding.objects.filter(tenant_id=tenant_id, kind__in=list(kinds))
    prints = [finding.fingerprint for finding in findings]
    close(tenant_id, of_kinds.filter(status=Finding.Status.OPEN).exclude(fingerprint__in=prints), at)
    known = set(
        of_kinds.filter(fingerprint__in=prints)
        .exclude(status=Finding.Status.OBSOLETE)
        .values_list("fingerprint", flat=True)
    )
    new = _open(tenant_id, [finding for finding in findings if finding.fingerprint not in known], at)
    outbox.enqueue(("finding.opened", {"finding": str(finding.pk)}, tenant_id) for finding in new)
    return new


def _open(tenant_id: UUID, new: Sequence[Finding], at: datetime) -> list[Finding]:
    """Writes findings; answers those that are there now: of two workers at once only one has written each."""
    Finding.objects.bulk_create(new, ignore_conflicts=True)
    there = Finding.objects.filter(tenant_id=tenant_id, pk__in=[finding.pk for finding in new])
    written = set(there.values_list("pk", flat=True))
    opened = [finding for finding in new if finding.pk in written]
    record(tenant_id, Act.FINDING_OPENED, [(finding.kind, finding.pk) for finding in opened], at)
    return opened


TOLD_AT_ONCE = 1000
"""How many findings one row of the audit names at most."""


def record(
    tenant_id: UUID,
    act: Act,
    findings: Iterable[tuple[str, UUID]],
    at: datetime,
    *,
    actor: Actor = SCHEDULE,
    connection_id: UUID | None = None,
) -> None:
    """Keeps in the audit which findings, by (kind, id), were opened or closed by nobody: a row for each kind."""
    by_kind: dict[str, list[UUID]] = defaultdict(list)
    for kind, pk in findings:
        by_kind[str(kind)].append(pk)
    for kind, ids in sorted(by_kind.items()):
        for start in range(0, len(ids), TOLD_AT_ONCE):
            named = ids[start : start + TOLD_AT_ONCE]
            audit.record(
                tenant_id=tenant_id,
                at=at,
                actor=actor,
                channel=Channel.ROSTER,
                intent="open" if act is Act.FINDING_OPENED else "close",
                reason=act,
                connection_id=connection_id,
                object_id=named[0] if len(named) == 1 else None,
                changes=[{"change": "findings", "kind": kind, "findings": [str(pk) for pk in named]}],
            )


CHUNK = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One case as a check finds it. `mark` tells it from every other one of its kind in the tenant.

    An answer to a case of several parts holds for these parts: it is asked about anew as soon as there is another one,
    and `only` says what the case is without those that were answered. They may hold values of a person, and are kept as
    digests with the tenant's key.
    """

    kind: FindingKind
    severity: Severity
    mark: str
    parts: frozenset[str] = frozenset()
    only: "Callable[[Collection[str]], Question] | None" = None
    """None where the parts change nothing of what is told."""
    connection_id: UUID | None = None
    account_id: UUID | None = None
    identity_id: UUID | None = None
    candidates: tuple[UUID, ...] = ()
    evidence: Document = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        return fingerprint_of(self.kind, self.mark, in_parts=bool(self.parts))

    def left(self, parts: frozenset[str]) -> "Question":
        return self.only(parts) if self.only else replace(self, parts=parts)


Asking = tuple[Question, list[str]]
"""What is still to be asked, and the digests of its parts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """How many findings a look opened, how many it found again, and how many it closed."""

    opened: int
    known: int
    closed: int


def ask(
    tenant_id: UUID,
    kinds: Iterable[FindingKind],
    questions: Iterable[Question],
    at: datetime,
    *,
    connection_id: UUID | None = None,
) -> Asked:
    """Makes these the open findings of these kinds, of a connection where one is named, in short transactions.

    Whoever dies in between has asked what it has asked; the next look goes on. What a person has answered stays so.
    """
    opened = known = 0
    digest_key = bytes(Tenant.objects.values_list("digest_key", flat=True).get(pk=tenant_id))
    stream = iter(questions)
    while chunk := list(islice(stream, CHUNK)):
        with transaction.atomic():
            new = _ask(tenant_id, digest_key, chunk, at)
        opened += new
        known += len(chunk) - new
    # Only those that a check asks: what nobody but a push or a login asks has no date of having been seen.
    gone = Finding.objects.filter(
        tenant_id=tenant_id, kind__in=list(kinds), status=Finding.Status.OPEN, seen_at__lt=at
    )
    if connection_id is not None:
        gone = gone.filter(connection_id=connection_id)
    return Asked(opened=opened, known=known, closed=close(tenant_id, gone, at))


def _ask(tenant_id: UUID, digest_key: bytes, chunk: Sequence[Question], at: datetime) -> int:
    by_print = {question.fingerprint: question for question in chunk}
    there = Finding.objects.filter(tenant_id=tenant_id, fingerprint__in=list(by_print))
    answers = Q(status=Finding.Status.REJECTED) | Q(
        status=Finding.Status.APPROVED, decided_at__gt=at - SETTLED
    )
    answered: dict[str, set[str]] = defaultdict(set)
    for print_, parts in there.filter(answers).values_list("fingerprint", "parts"):
        answered[print_].update(parts)
    asking = {
        print_: left
        for print_, question in by_print.items()
        if (left := _unanswered(question, answered.get(print_), digest_key))
    }
    still_open = there.filter(fingerprint__in=list(asking), status=Finding.Status.OPEN)
    waiting = {row.fingerprint: row for row in still_open}
    before = {row.pk: row.severity for row in waiting.values()}
    changed = [row for print_, row in waiting.items() if _follows(row, *asking[print_])]
    Finding.objects.bulk_update(changed, ["severity", "evidence", "parts"])
    new = _open(
        tenant_id,
        [_finding(tenant_id, *left, at) for print_, left in asking.items() if print_ not in waiting],
        at,
    )
    # What another worker has just written was seen by this one, too, and must not be closed by either.
    still_open.update(seen_at=Greatest("seen_at", Value(at)))
    outbox.enqueue(
        ("finding.opened", {"finding": str(row.pk)}, tenant_id)
        for row in (*new, *changed)
        if row.severity == Severity.HIGH.value and before.get(row.pk) != row.severity
    )
    return len(new)


def _unanswered(question: Question, answered: set[str] | None, digest_key: bytes) -> Asking | None:
    if not question.parts:
        return (question, []) if answered is None else None
    by_digest = {part_digest(digest_key, question.kind, part): part for part in question.parts}
    left = by_digest.keys() - (answered or set())
    if not left:
        return None
    if len(left) < len(by_digest):
        question = question.left(frozenset(by_digest[digest] for digest in left))
    return question, sorted(left)


def _follows(row: Finding, question: Question, parts: list[str]) -> bool:
    """Takes over what the case looks like today; whether that is anything new."""
    before = row.severity, row.evidence, row.parts
    row.severity, row.evidence, row.parts = question.severity.value, dict(question.evidence), parts
    return before != (row.severity, row.evidence, row.parts)


def _finding(tenant_id: UUID, question: Question, parts: list[str], at: datetime) -> Finding:
    return Finding(
        tenant_id=tenant_id,
        connection_id=question.connection_id,
        account_id=question.account_id,
        identity_id=question.identity_id,
        kind=question.kind.value,
        severity=question.severity.value,
        candidates=[str(candidate) for candidate in question.candidates],
        evidence=dict(question.evidence),
        fingerprint=question.fingerprint,
        parts=parts,
        opened_at=at,
        seen_at=at,
    )


@transaction.atomic(savepoint=False)
def close(tenant_id: UUID, gone: QuerySet[Finding], at: datetime, *, because: str = GONE) -> int:
    """Closes findings of a tenant that nobody has decided, and says so in the audit; answers how many.

    The one way by which the hub itself closes any. `because` is a sentence without a person's data.
    """
    locked = gone.select_for_update(of=("self",), no_key=True).order_by().values_list("kind", "pk")
    closed = 0
    stream = locked.iterator(chunk_size=TOLD_AT_ONCE)
    while some := list(islice(stream, TOLD_AT_ONCE)):
        closed += Finding.objects.filter(tenant_id=tenant_id, pk__in=[pk for _, pk in some]).update(
            status=Finding.Status.OBSOLETE,
            decided_at=at,
            decided_by=SCHEDULE.signature,
            decision_reason=because,
        )
        record(tenant_id, Act.FINDING_GONE, some, at)
    return closed


F = FindingKind

_ABOUT_AN_ACCOUNT = frozenset(
    {
        F.WEAK_MATCH,
        F.DISPUTED,
        F.LOOK_ALIKE,
        F.NAME_HELD_BY_INACTIVE,
        F.KEY_CONTRADICTS,
        F.DUPLICATE,
        F.EMAIL_DOMAIN_CHANGED,
        F.EXTERNAL_ID_CHANGED,
        F.UNCONFIRMED,
        F.APPROVAL_REQUESTED,
        F.LOGIN_DISPUTED,
        F.NAME_ID_CHANGED,
        F.NAME_ID_RECYCLED,
    }
)
_WHOSE = frozenset({F.WEAK_MATCH, F.DISPUTED, F.LOOK_ALIKE, F.DISABLED_UNLINKED})


def _over(tenant_id: UUID) -> Iterator[Q]:
    """When a case that a push, a login or a run has found is one no more."""
    yield Q(kind__in=_ABOUT_AN_ACCOUNT, account__deleted_at__isnull=False)
    yield Q(kind__in=_WHOSE, account__identity__isnull=False)
    yield Q(kind=F.UNCONFIRMED, account__confirmed_at__isnull=False)
    held = Hold.objects.filter(
        tenant_id=tenant_id, kind=HoldKind.SCIM.value, source_account_id=OuterRef("account")
    )
    let_in = Q(~Exists(held), account__identity__isnull=False) | Q(account__deleted_at__isnull=False)
    contradicted = Q(kind=F.STATE_CONFLICT, evidence__here="inactive")
    active = Q(account__active=True)
    yield (Q(kind=F.NAME_HELD_BY_INACTIVE) & active) | (contradicted & (active | let_in))
    approval = Hold.objects.filter(
        tenant_id=tenant_id, identity=OuterRef("identity"), kind=HoldKind.APPROVAL.value
    )
    yield Q(~Exists(approval), kind=F.APPROVAL_REQUESTED)


def close_those_over(tenant_id: UUID, at: datetime) -> int:
    """Closes what nobody need decide any more: the account was deleted, linked, confirmed, switched on again or let
    in."""
    waiting = Finding.objects.filter(tenant_id=tenant_id, status=Finding.Status.OPEN)
    return sum(close(tenant_id, waiting.filter(over), at) for over in _over(tenant_id))
