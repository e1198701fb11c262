"""Findings that a schedule asks: opened while their cause is there, gone when it has gone. Knows no cause."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction

from provisioning import outbox
from provisioning.decision.reasons import FindingKind
from provisioning.decision.types import Severity
from provisioning.models import Finding

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
    of_kinds.filter(status=Finding.Status.OPEN).exclude(fingerprint__in=prints).update(
        status=Finding.Status.OBSOLETE, decided_at=at
    )
    known = set(
        of_kinds.filter(fingerprint__in=prints)
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
