"""The job that ends overrides when their time has come."""

import structlog
from celery import shared_task

from identity_hub.core.clock import now
from provisioning.services import overrides

_log = structlog.get_logger("provisioning.overrides")


@shared_task(name="provisioning.tasks.end_overrides")
def end_overrides() -> None:
    if ended := overrides.end_due(at=now()):
        _log.info("overrides:ended", count=ended)
