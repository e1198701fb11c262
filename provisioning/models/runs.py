"""Reconciliation runs and what each of them found and did."""

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models

from identity_hub.core.clock import now
from provisioning.decision.reasons import in_short

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
        OVERTAKEN = "overtaken", "Overtaken"

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
    released_by = models.CharField(max_length=100, blank=True)
    released_at = models.DateTimeField(null=True, blank=True)
    needs_two = models.BooleanField(default=False)
    """Whether a second person has to release it, too."""
    second_released_by = models.CharField(max_length=100, blank=True)
    second_released_at = models.DateTimeField(null=True, blank=True)
    undo_ordered_by = models.CharField(max_length=100, blank=True)
    undo_ordered_at = models.DateTimeField(null=True, blank=True)
    undo_why = models.CharField(max_length=500, blank=True)

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
            models.CheckConstraint(
                condition=models.Q(second_released_by="")
                | ~models.Q(second_released_by=models.F("released_by")),
                name="run_released_by_two_different",
            ),
            models.CheckConstraint(
                condition=models.Q(needs_two=False)
                | ~models.Q(status__in=["executing", "done"])
                | (~models.Q(released_by="") & ~models.Q(second_released_by="")),
                name="run_that_needs_two_has_two",
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
        LEFT_OUT = "left-out", "Left out"
        UNDONE = "undone", "Taken back"

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
    audit_id = models.BigIntegerField(null=True)
    """The audit record of what was done."""
    undo_wanted = models.BooleanField(default=False, db_default=False)
    """Somebody has ordered that it be taken back, and no worker has come to it yet."""
    undone_at = models.DateTimeField(null=True)
    undo_audit_id = models.BigIntegerField(null=True)
    undo_refusal = models.CharField(max_length=64, blank=True, default="", db_default="")
    """Why it was not taken back when somebody asked for it: a reason code."""
    undo_newer = models.BigIntegerField(null=True)
    """The audit record of what had touched it since."""

    class Meta:
        ordering = ["id"]
        verbose_name = "item"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(status="undone", undone_at__isnull=False)
                | (~models.Q(status="undone") & models.Q(undone_at__isnull=True)),
                name="item_undone_once",
            ),
        ]
        indexes = [
            models.Index(fields=["run", "status", "id"], name="item_run_status"),
            models.Index(fields=["run", "-id"], condition=models.Q(undo_wanted=True), name="item_to_undo"),
            models.Index(fields=["audit_id"], condition=models.Q(status="undone"), name="item_undone"),
            models.Index(
                fields=["tenant", "decided_at"],
                condition=models.Q(destructive=True, status="applied"),
                name="item_destroyed",
            ),
        ]

    def __str__(self) -> str:
        return in_short(self.reason)
