"""What was shown of a connection before people depend on it, and what a person accepted in writing instead."""

from django.db import models

from identity_hub.core.clock import now
from provisioning.decision.readiness import Item

from .base import TenantForeignKey, TenantRow
from .connections import Connection


class Proof(TenantRow):
    """What stands for one item of a connection's readiness list: the newest evidence, or the newest acceptance.

    Holds no personal value: attribute names, verdicts and codes only. What stood before is in the audit.
    """

    connection = TenantForeignKey(Connection, on_delete=models.CASCADE, related_name="proofs")
    item = models.CharField(max_length=16, choices=[(item.value, item.value) for item in Item])
    accepted = models.BooleanField(default=False)
    """A person said that the item need not be met; `reason` says why."""
    reason = models.CharField(max_length=500, blank=True)
    facts = models.JSONField(default=dict)
    by = models.CharField(max_length=100)
    at = models.DateTimeField(default=now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["connection", "item", "accepted"], name="proof_once"),
        ]

    def __str__(self) -> str:
        return self.item
