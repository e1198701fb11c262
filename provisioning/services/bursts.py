"""The alarm for very many new accounts, refused logins or deactivations at once: one finding a burst. Knows no login
and no limit."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Count, F

from provisioning import outbox, sql
from provisioning.decision.reasons import Act, FindingKind
from provisioning.decision.types import Actor, Origin, Severity
from provisioning.models import Account, Connection, Finding

from . import questions

WINDOW = timedelta(minutes=10)
"""How long the events are counted together."""
PAUSE = timedelta(hours=1)
"""After so long without as many, a burst that a person has dealt with is over, and the next one is asked about."""

SEVERITIES = {
    FindingKind.CREATION_BURST: Severity.HIGH,
    FindingKind.REFUSAL_BURST: Severity.MEDIUM,
    FindingKind.DEACTIVATION_BURST: Severity.HIGH,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """More events of one kind at one connection than it allows for. `reasons`: how many of which code.

    `noise` are events beside them that anybody may cause: they are told, and open no finding.
    """

    kind: FindingKind
    tenant_id: UUID
    connection_id: UUID
    number: int
    threshold: int
    reasons: Mapping[str, int] = field(default_factory=dict)
    noise: int = 0
    window: timedelta = WINDOW


def creations(*, at: datetime) -> list[Burst]:
    """The connections at which logins have just made more accounts than allowed for. One statement."""
    rows = (
        Account.objects.filter(
            origin=Origin.JIT,
            created_at__gt=at - WINDOW,
            created_at__lte=at,
            connection__burst_creations__gt=0,
        )
        .order_by()
        .values("tenant_id", "connection_id", threshold=F("connection__burst_creations"))
        .annotate(number=Count("pk"))
        .filter(number__gt=F("threshold"))
    )
    return [Burst(kind=FindingKind.CREATION_BURST, **row) for row in rows]


_DEACTIVATIONS = """
SELECT c.tenant_id, c.id, c.burst_deactivations, c.burst_deactivation_minutes, count(*)
  FROM provisioning_hold h
  JOIN provisioning_account a ON a.tenant_id = h.tenant_id AND a.id = h.source_account_id
  JOIN provisioning_connection c ON c.tenant_id = a.tenant_id AND c.id = a.connection_id
 WHERE h.kind = 'scim' AND h.placed_at > %(at)s::timestamptz - interval '1 day' AND h.placed_at <= %(at)s::timestamptz
   AND h.placed_at > %(at)s::timestamptz - make_interval(mins => c.burst_deactivation_minutes)
   AND left(h.placed_by, 6) = 'token:' AND c.burst_deactivations > 0
 GROUP BY c.tenant_id, c.id
HAVING count(*) > c.burst_deactivations
"""


def deactivations(*, at: datetime) -> list[Burst]:
    """The connections whose SCIM has just switched off more people than allowed for. One statement.

    Their holds are counted, so that whoever was let back in at once counts no more.
    """
    return [
        Burst(
            kind=FindingKind.DEACTIVATION_BURST,
            tenant_id=tenant_id,
            connection_id=connection_id,
            number=number,
            threshold=threshold,
            window=timedelta(minutes=minutes),
        )
        for tenant_id, connection_id, threshold, minutes, number in sql.rows(_DEACTIVATIONS, {"at": at})
    ]


def ask(burst: Burst, *, actor: Actor, at: datetime) -> Finding | None:
    """Opens the finding of one burst, inside the caller's transaction; None where it is asked about already."""
    finding = _question(burst, at, actor)
    if finding is not None:
        outbox.enqueue([("finding.opened", {"finding": str(finding.pk)}, finding.tenant_id)])
    return finding


def note(bursts: Iterable[Burst], *, at: datetime) -> list[Finding]:
    """Opens a finding for each burst that is new, notes how those go on that are not; answers what was opened.

    Attack: to act on a Friday night, and have the alarm gone by Monday. So calm closes nothing, a person does.
    """
    with transaction.atomic():
        opened = [
            finding for burst in _in_order(bursts) if (finding := _question(burst, at, questions.SCHEDULE))
        ]
        outbox.enqueue(
            ("finding.opened", {"finding": str(finding.pk)}, finding.tenant_id) for finding in opened
        )
    return opened


def _in_order(bursts: Iterable[Burst]) -> list[Burst]:
    return sorted(bursts, key=lambda burst: (burst.connection_id, burst.kind))


def _question(burst: Burst, at: datetime, actor: Actor) -> Finding | None:
    # Two workers at once ask once: the second one waits here, and finds what the first one wrote.
    Connection.objects.select_for_update(no_key=True).filter(
        tenant_id=burst.tenant_id, pk=burst.connection_id
    ).first()
    latest = (
        Finding.objects.filter(tenant_id=burst.tenant_id, connection_id=burst.connection_id, kind=burst.kind)
        .order_by("-opened_at")
        .first()
    )
    if latest is not None and _goes_on(latest, at):
        most = max(burst.number, latest.evidence.get("most", 0))
        latest.evidence |= {
            "most": most,
            "last": at.isoformat(),
            "reasons": dict(burst.reasons),
            "noise": burst.noise,
        }
        latest.save(update_fields=["evidence"])
        return None
    finding = Finding.objects.create(
        tenant_id=burst.tenant_id,
        connection_id=burst.connection_id,
        kind=burst.kind,
        severity=SEVERITIES[burst.kind].value,
        evidence={
            "most": burst.number,
            "threshold": burst.threshold,
            "minutes": burst.window // timedelta(minutes=1),
            "first": at.isoformat(),
            "last": at.isoformat(),
            "reasons": dict(burst.reasons),
            "noise": burst.noise,
        },
        fingerprint=hashlib.sha256(f"{burst.kind}\0{burst.connection_id}\0{at}".encode()).hexdigest(),
        opened_at=at,
    )
    questions.record(
        burst.tenant_id,
        Act.FINDING_OPENED,
        [(finding.kind, finding.pk)],
        at,
        actor=actor,
        connection_id=burst.connection_id,
    )
    return finding


def _goes_on(finding: Finding, at: datetime) -> bool:
    if finding.status == Finding.Status.OPEN:
        return True
    return finding.status != Finding.Status.OBSOLETE and at - _last(finding) <= PAUSE


def _last(finding: Finding) -> datetime:
    said = finding.evidence.get("last")
    return datetime.fromisoformat(said) if said else finding.opened_at
