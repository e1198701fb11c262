"""The alarms before an IdP's certificates or its document end, and when its address gives nothing any more."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter
from typing import Any
from uuid import UUID

from identity_hub.core.certificates import Certificate
from provisioning.decision.reasons import FindingKind
from provisioning.decision.types import Severity
from provisioning.idp_metadata import Idp
from provisioning.models import Connection, Finding
from provisioning.selectors.connections import with_metadata

from .metadata import known_idp
from .questions import STEPS, settle, step_of

UNREAD = timedelta(days=3)
"""After so long a refresh that fails is somebody's business."""
KINDS = (
    FindingKind.CERTIFICATE_EXPIRES,
    FindingKind.CERTIFICATE_ENDED,
    FindingKind.METADATA_EXPIRES,
    FindingKind.METADATA_NOT_REFRESHED,
)


def warn_of_certificates(*, at: datetime) -> list[Finding]:
    """Opens what is to be asked about connections of every tenant, closes what has gone; answers what was opened."""
    opened: list[Finding] = []
    asked: set[UUID] = set()
    for tenant_id, rows in groupby(with_metadata(), key=attrgetter("tenant_id")):
        findings = [finding for connection in rows for finding in _questions(connection, at)]
        asked.add(tenant_id)
        opened += settle(tenant_id, KINDS, findings, at)
    waiting = Finding.objects.filter(kind__in=KINDS, status=Finding.Status.OPEN)
    for tenant_id in set(waiting.values_list("tenant_id", flat=True)) - asked:
        settle(tenant_id, KINDS, [], at)
    return opened


def _questions(connection: Connection, at: datetime) -> Iterator[Finding]:
    since = connection.metadata_failing_since
    if since is not None and at - since >= UNREAD:
        evidence = {"problem": connection.metadata_problem, "since": since.isoformat()}
        print_ = f"unread:{since:%Y%m%d}"
        yield _finding(connection, FindingKind.METADATA_NOT_REFRESHED, Severity.MEDIUM, evidence, print_, at)
    idp = known_idp(connection)
    if idp is None:
        return
    yield from _of_document(connection, idp, at)
    good = idp.good_at(at)
    last = max(good, key=attrgetter("ends"), default=None)
    for one in good:
        if last is not None and (step := step_of(one.ends - at)) is not None:
            severity = STEPS[step] if one is last else _beside(one, last, STEPS[step])
            print_ = f"{one.fingerprint[:24]}:{step}"
            yield _finding(connection, FindingKind.CERTIFICATE_EXPIRES, severity, _told(one), print_, at)
    for ended in (certificate for certificate in idp.certificates if certificate.ends <= at):
        severity = Severity.LOW if good else Severity.HIGH
        print_ = f"{ended.fingerprint[:24]}:0{'' if good else '!'}"
        yield _finding(connection, FindingKind.CERTIFICATE_ENDED, severity, _told(ended), print_, at)


def _beside(one: Certificate, last: Certificate, alone: Severity) -> Severity:
    """How serious it is that a certificate ends which is not the last good one: the IdP may still sign by it."""
    if last.ends - one.ends >= timedelta(days=max(STEPS)):
        return Severity.LOW
    return Severity.MEDIUM if alone is Severity.HIGH else alone


def _of_document(connection: Connection, idp: Idp, at: datetime) -> Iterator[Finding]:
    if idp.valid_until is None:
        return
    step = step_of(max(idp.valid_until - at, timedelta()))
    # A document that is read every hour is good for some days at a time: only the last of them is news.
    if step is None or (connection.metadata_url and step > min(STEPS)):
        return
    evidence = {"valid_until": idp.valid_until.isoformat(), "address": connection.metadata_url}
    print_ = f"until:{idp.valid_until:%Y%m%d}:{step}"
    yield _finding(connection, FindingKind.METADATA_EXPIRES, STEPS[step], evidence, print_, at)


def _told(certificate: Certificate) -> dict[str, Any]:
    return {
        "subject": certificate.subject,
        "fingerprint": certificate.fingerprint,
        "ends": certificate.ends.isoformat(),
    }


def _finding(
    connection: Connection,
    kind: FindingKind,
    severity: Severity,
    evidence: dict[str, Any],
    fingerprint: str,
    at: datetime,
) -> Finding:
    return Finding(
        tenant_id=connection.tenant_id,
        connection_id=connection.pk,
        kind=kind,
        severity=severity.value,
        evidence=evidence,
        fingerprint=f"{connection.pk.hex}:{fingerprint}",
        opened_at=at,
    )
