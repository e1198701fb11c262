"""The job about the laws of the decision core: whether the stored rows still obey them."""

import structlog
from celery import shared_task

from identity_hub.core.clock import now
from provisioning.services import laws

_log = structlog.get_logger("provisioning.laws")


@shared_task(name="provisioning.tasks.check_invariants")
def check_invariants() -> None:
    broken = laws.check(at=now())
    for one in broken:
        _log.error(
            "law:broken",
            law=one.law.name,
            tenant=str(one.tenant_id) if one.tenant_id else None,
            count=one.count,
            **{one.law.about: [row.id for row in one.rows]},
        )
    _log.info("laws:checked", broken=len(broken))
