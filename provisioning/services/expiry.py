"""The alarm before a SCIM token ends: a finding that grows more serious, and goes when its cause has gone."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from provisioning import outbox
from provisioning.decision.reasons import FindingKind
from provisioning.decision.types import Severity
from provisioning.models import Finding, ScimToken
from provisioning.selectors.credentials import ending

STEPS = {30: Severity.LOW, 7: Severity.MEDIUM, 1: Severity.HIGH}
"""Days before a token's end: each asks once. Where a successor was made already, only the last day asks."""


def warn_of_expiry(*, at: datetime) -> list[Finding]:
    """Opens what is to be asked about tokens of every tenant, closes what has gone; answers what was opened."""
    opened: list[Finding] = []
    asked: set[UUID] = set()
    tokens = ending(at, at + timedelta(days=max(STEPS)))
    for tenant_id, rows in groupby(tokens, key=attrgetter("tenant_id")):
        findings = [finding for token in rows for finding in _question(token, at)]
        asked.add(tenant_id)
        opened += _settle(tenant_id, findings, at)
    waiting = Finding.objects.filter(kind=FindingKind.TOKEN_EXPIRES, status=Finding.Status.OPEN)
    for tenant_id in set(waiting.values_list("tenant_id", flat=True)) - asked:
        _settle(tenant_id, [], at)
    return opened


def forget_expiry(*, token: ScimToken, at: datetime) -> None:
    """Closes the questions about a token that was rotated or revoked."""
    _open(token.tenant_id).filter(fingerprint__startswith=f"{token.pk.hex}:").update(
        status=Finding.Status.OBSOLETE, decided_at=at
    )


def _question(token: ScimToken, at: datetime) -> Iterator[Finding]:
    assert token.expires_at is not None
    left = token.expires_at - at
    step = min(days for days in STEPS if left <= timedelta(days=days))
    if token.has_successor and step > min(STEPS):  # type: ignore[attr-defined]
        return
    yield Finding(
        tenant_id=token.tenant_id,
        connection_id=token.connection_id,
        kind=FindingKind.TOKEN_EXPIRES,
        severity=STEPS[step].value,
        evidence={
            "token": str(token.pk),
            "prefix": token.prefix,
            "name": token.name,
            "expires_at": token.expires_at.isoformat(),
            "last_used_at": token.last_used_at.isoformat() if token.last_used_at else None,
            "has_successor": token.has_successor,  # type: ignore[attr-defined]
        },
        fingerprint=f"{token.pk.hex}:{step}",
        opened_at=at,
    )


def _open(tenant_id: UUID) -> QuerySet[Finding]:
    return Finding.objects.filter(
        tenant_id=tenant_id, kind=FindingKind.TOKEN_EXPIRES, status=Finding.Status.OPEN
    )


@transaction.atomic
def _settle(tenant_id: UUID, findings: list[Finding], at: datetime) -> list[Finding]:
    """Makes these the tenant's open questions, but for those that a person has answered; answers the new ones."""
    prints = [finding.fingerprint for finding in findings]
    _open(tenant_id).exclude(fingerprint__in=prints).update(status=Finding.Status.OBSOLETE, decided_at=at)
    known = set(
        Finding.objects.filter(tenant_id=tenant_id, kind=FindingKind.TOKEN_EXPIRES, fingerprint__in=prints)
        .exclude(status=Finding.Status.OBSOLETE)
        .values_list("fingerprint", flat=True)
    )
    new = [finding for finding in findings if finding.fingerprint not in known]
    Finding.objects.bulk_create(new, ignore_conflicts=True)
    # Of two workers at once only one has written each.
    written = set(
        Finding.objects.filter(tenant_id=tenant_id, pk__in=[finding.pk for finding in new]).values_list(
            "pk", flat=True
        )
    )
    new = [finding for finding in new if finding.pk in written]
    outbox.enqueue(("finding.opened", {"finding": str(finding.pk)}, tenant_id) for finding in new)
    return new
