"""The alarm before a SCIM token ends: a finding that grows more serious, and goes when its cause has gone."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter
from uuid import UUID

from provisioning.decision.reasons import FindingKind
from provisioning.models import Finding, ScimToken
from provisioning.selectors.credentials import ending

from .questions import STEPS, close, settle, step_of


def warn_of_expiry(*, at: datetime) -> list[Finding]:
    """Opens what is to be asked about tokens of every tenant, closes what has gone; answers what was opened."""
    opened: list[Finding] = []
    asked: set[UUID] = set()
    tokens = ending(at, at + timedelta(days=max(STEPS)))
    for tenant_id, rows in groupby(tokens, key=attrgetter("tenant_id")):
        findings = [finding for token in rows for finding in _question(token, at)]
        asked.add(tenant_id)
        opened += settle(tenant_id, [FindingKind.TOKEN_EXPIRES], findings, at)
    waiting = Finding.objects.filter(kind=FindingKind.TOKEN_EXPIRES, status=Finding.Status.OPEN)
    for tenant_id in set(waiting.values_list("tenant_id", flat=True)) - asked:
        settle(tenant_id, [FindingKind.TOKEN_EXPIRES], [], at)
    return opened


def forget_expiry(*, token: ScimToken, at: datetime) -> None:
    """Closes the questions about a token that was rotated or revoked."""
    asked = Finding.objects.filter(
        tenant_id=token.tenant_id,
        kind=FindingKind.TOKEN_EXPIRES,
        status=Finding.Status.OPEN,
        fingerprint__startswith=f"{token.pk.hex}:",
    )
    close(token.tenant_id, asked, at, because="The token was rotated or revoked.")


def _question(token: ScimToken, at: datetime) -> Iterator[Finding]:
    assert token.expires_at is not None
    step = step_of(token.expires_at - at)
    # Where a successor was made already, only the last day asks.
    if step is None or (token.has_successor and step > min(STEPS)):  # type: ignore[attr-defined]
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
