"""The laws of the decision core, looked at in every tenant: a broken one is a question for a person. Mends nothing."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.db.models import Count
from prometheus_client import Gauge

from identity_hub.core.clock import now
from provisioning.decision.reasons import FindingKind
from provisioning.decision.types import Severity
from provisioning.models import Finding, Tenant
from provisioning.selectors.invariants import CATALOGUE, INSTALLATION, LAWS, Law, Violation, violations

from .questions import settle

SHOWN = 20
"""How many rows a finding and a log line name; all are counted."""

BROKEN_LAWS = Gauge(
    "hub_laws_broken",
    "Laws that stored rows contradict: in how many tenants, and of the database itself.",
    ["law"],
    multiprocess_mode="mostrecent",
)


@dataclass(slots=True, kw_only=True)
class Broken:
    """One law that rows of one tenant (None: of the installation) contradict. `rows` are the first of `count`."""

    law: Law
    tenant_id: UUID | None
    count: int = 0
    rows: list[Violation] = field(default_factory=list)
    mark: int = 0
    """Tells these rows from others, in whatever order they came."""

    def add(self, violation: Violation) -> None:
        self.count += 1
        self.mark ^= int.from_bytes(
            hashlib.blake2b(f"{violation.id}\0{violation.beside}".encode(), digest_size=8).digest()
        )
        if len(self.rows) < SHOWN:
            self.rows.append(violation)


def broken(found: Iterable[Violation]) -> list[Broken]:
    """Violations by law, in the order of the laws."""
    laws: dict[str, Broken] = {}
    for violation in found:
        one = laws.setdefault(violation.law.name, Broken(law=violation.law, tenant_id=violation.tenant_id))
        one.add(violation)
    return list(laws.values())


def check(*, at: datetime) -> list[Broken]:
    """Looks at the installation and at every tenant, and keeps a finding open for each law that a tenant breaks.

    The installation's have nobody to ask: they are answered only.
    """
    answer = broken(violations(tenant_id=None, at=at))
    for tenant_id in Tenant.objects.order_by("id").values_list("pk", flat=True):
        here = broken(violations(tenant_id=tenant_id, at=at))
        settle(tenant_id, [FindingKind.LAW_BROKEN], [_question(tenant_id, one, at) for one in here], at)
        answer += here
    return answer


def measure() -> None:
    """Tells the numbers at /metrics: what the last look at the rows has found, and the database as it is now."""
    asked = Finding.objects.filter(kind=FindingKind.LAW_BROKEN, status=Finding.Status.OPEN)
    counts = dict(
        asked.order_by().values_list("evidence__law").annotate(tenants=Count("tenant_id", distinct=True))
    )
    for one in broken(violations(tenant_id=None, at=now(), laws=CATALOGUE)):
        counts[one.law.name] = one.count
    for law in (*LAWS, *INSTALLATION):
        BROKEN_LAWS.labels(law.name).set(counts.get(law.name, 0))


def _question(tenant_id: UUID, one: Broken, at: datetime) -> Finding:
    return Finding(
        tenant_id=tenant_id,
        kind=FindingKind.LAW_BROKEN,
        severity=Severity.HIGH.value,
        evidence={
            "law": one.law.name,
            "says": one.law.sentence,
            "count": one.count,
            one.law.about: sorted({row.id for row in one.rows}),
        },
        # Other rows are another question, also where a person has closed the one about these.
        fingerprint=f"{one.law.name}:{one.mark:016x}",
        opened_at=at,
    )
