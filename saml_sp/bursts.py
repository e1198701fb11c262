"""Whether a connection refuses very many logins at once. Knows the login log; what follows is the domain's matter."""

from collections import Counter, defaultdict
from datetime import datetime
from uuid import UUID

from django.db.models import Count, F

from provisioning.decision.reasons import FindingKind
from provisioning.services.bursts import WINDOW, Burst

from .models import LoginAttempt


def refusals(*, at: datetime) -> list[Burst]:
    """The connections at which more logins were just refused than allowed for, with their reasons. One statement."""
    rows = (
        LoginAttempt.objects.filter(
            at__gt=at - WINDOW,
            at__lte=at,
            outcome=LoginAttempt.Outcome.REFUSED,
            connection__burst_refusals__gt=0,
        )
        .order_by()
        .values("tenant_id", "connection_id", "reason", threshold=F("connection__burst_refusals"))
        .annotate(number=Count("pk"))
    )
    reasons: dict[tuple[UUID, UUID, int], Counter[str]] = defaultdict(Counter)
    for row in rows:
        reasons[row["tenant_id"], row["connection_id"], row["threshold"]][row["reason"]] += row["number"]
    return [
        Burst(
            kind=FindingKind.REFUSAL_BURST,
            tenant_id=tenant_id,
            connection_id=connection_id,
            number=counts.total(),
            threshold=threshold,
            reasons=dict(counts.most_common()),
        )
        for (tenant_id, connection_id, threshold), counts in reasons.items()
        if counts.total() > threshold
    ]
