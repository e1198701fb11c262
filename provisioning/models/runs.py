"""Reconciliation runs and what each of them found and did."""

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models

from identity_hub.core.clock import now

from .base import TenantForeignKey, TenantRow
from .connections import Connection
from .people import Account, Identity
from .rosters import Roster


class ReconciliationRun(TenantRow):
    class Status(models.TextChoices):
        SIMULATING = "simulating", "Simulating"
        SIMULATED = "simulated", "Simulated"
        QUARANTINED = "quarantined", "In quarantine"
        EXECUTING = "executing", "Executing"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"
        REJECTED = "rejected", "Rejected"
        CANCELLED = "cancelled", "Cancelled"

    connection = TenantForeignKey(Connection, on_delete=models.CASCADE, related_name="runs")
    status = models.CharField(max_length=16, choices=Status, default=Status.SIMULATING)
    requested_by = models.CharField(max_length=100)
    started_at = models.DateTimeField(default=now)
    simulated_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    population = models.PositiveIntegerField(default=0)
    destructive = models.PositiveIntegerField(default=0)
    counts = models.JSONField(default=dict)
    """Items by reason code."""
    roster = TenantForeignKey(Roster, on_delete=models.SET_NULL, related_name="runs", null=True, blank=True)
    """The listing that its differences are to."""
    items_total = models.PositiveIntegerField(default=0)
    """Items to decide about; of them `items_done` are decided, each for good."""
    items_done = models.PositiveIntegerField(default=0)
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    verified_at = models.DateTimeField(null=True, blank=True)
    """When everything was looked at again after the execution."""
    remaining = models.PositiveIntegerField(null=True, blank=True)
    """What was then still to be done; 0 is what it should be."""
    note = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["-started_at"]
        verbose_name = "run"
        constraints = [
            models.UniqueConstraint(fields=["tenant", "id"], name="run_tenant_id"),
            models.UniqueConstraint(
                fields=["connection"],
                condition=models.Q(status__in=["simulating", "executing"]),
                name="run_one_at_a_time",
            ),
        ]
        indexes = [models.Index(fields=["connection", "-started_at"], name="run_of_connection")]

    def __str__(self) -> str:
        return f"{self.connection} {self.started_at:%Y-%m-%d %H:%M}"


class ReconciliationItem(models.Model):
    class Status(models.TextChoices):
        REPORTED = "reported", "Reported"
        PLANNED = "planned", "Planned"
        APPLIED = "applied", "Applied"
        UNCHANGED = "unchanged", "No longer needed"
        REFUSED = "refused", "Refused"

    id = models.BigAutoField(primary_key=True)
    tenant = models.ForeignKey(
        "provisioning.Tenant", on_delete=models.PROTECT, related_name="+", db_index=False
    )
    run = TenantForeignKey(ReconciliationRun, on_delete=models.CASCADE, related_name="items")
    check_name = models.CharField(max_length=64)
    account = TenantForeignKey(Account, on_delete=models.CASCADE, related_name="+", null=True)
    identity = TenantForeignKey(Identity, on_delete=models.CASCADE, related_name="+", null=True)
    situation = models.CharField(max_length=16, blank=True)
    reason = models.CharField(max_length=64)
    destructive = models.BooleanField(default=False)
    status = models.CharField(max_length=16, choices=Status)
    plan = models.JSONField(default=list, encoder=DjangoJSONEncoder)
    """The changes that simulation foresaw, by name and id."""
    inverse = models.JSONField(default=list, encoder=DjangoJSONEncoder)
    """What would take them back."""
    evidence = models.JSONField(default=dict)
    row_id = models.BigIntegerField(null=True)
    """Of the run's roster, which may be gone before the item."""
    decided_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["id"]
        verbose_name = "item"
        indexes = [models.Index(fields=["run", "status", "id"], name="item_run_status")]

    def __str__(self) -> str:
        return self.reason
