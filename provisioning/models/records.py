"""What happened and why: the audit, findings that wait for a person, and the outbox of follow-up work."""

from datetime import datetime

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import Case, DateTimeField, ExpressionWrapper, F, Q, Value, When
from django.db.models.functions import Coalesce

from identity_hub.core.clock import now
from provisioning.decision.deadlines import DUE_AFTER
from provisioning.decision.reasons import DEACTIVATIONS, in_short
from provisioning.decision.types import Channel, Severity

from .base import TenantForeignKey, TenantRow
from .connections import Connection
from .people import Account, Identity


class AuditRecord(models.Model):
    """One decision, applied or refused. The database refuses UPDATE, DELETE and TRUNCATE.

    It points at nothing by foreign key, because it outlives everything that it speaks of, and it holds no
    personal value: ids, reason codes, attribute names and keyed digests only.
    """

    id = models.BigAutoField(primary_key=True)
    tenant_id = models.UUIDField(null=True)
    at = models.DateTimeField()
    request_id = models.CharField(max_length=64, blank=True)
    actor_kind = models.CharField(max_length=16)
    actor_id = models.CharField(max_length=64, blank=True)
    channel = models.CharField(max_length=16)
    intent = models.CharField(max_length=32)
    situation = models.CharField(max_length=16, blank=True)
    verdict = models.CharField(max_length=16)
    reason = models.CharField(max_length=64)
    connection_id = models.UUIDField(null=True)
    account_id = models.UUIDField(null=True)
    identity_id = models.UUIDField(null=True)
    object_id = models.UUIDField(null=True)
    """What else it is about: a group, a token, a finding, a run."""
    changes = models.JSONField(default=list)
    digests = ArrayField(models.CharField(max_length=64), default=list)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["tenant_id", "-id"], name="audit_tenant"),
            models.Index(fields=["identity_id", "-id"], name="audit_identity"),
            models.Index(fields=["account_id", "-id"], name="audit_account"),
            models.Index(fields=["request_id"], condition=~Q(request_id=""), name="audit_request_id"),
            # Whose memberships a request changed: such a record is about the group, and names its members inside.
            GinIndex(
                fields=["changes"],
                name="audit_members",
                opclasses=["jsonb_path_ops"],
                condition=Q(reason__startswith="group:"),
            ),
            # What is counted by day: few of all records, so that everything else is written without them.
            models.Index(
                fields=["tenant_id", "at"],
                condition=Q(reason__startswith="login:"),
                include=["verdict", "reason"],
                name="audit_logins",
            ),
            models.Index(
                fields=["tenant_id", "at"], condition=Q(channel=Channel.ADMIN.value), name="audit_by_hand"
            ),
            models.Index(
                fields=["tenant_id", "-at"],
                condition=Q(reason__in=[reason.value for reason in DEACTIVATIONS]),
                name="audit_deactivations",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S}, {in_short(self.reason)}"


class AuditValue(models.Model):
    """The personal values of one audit record, beside it so that they can be purged."""

    record_id = models.BigIntegerField(primary_key=True)
    tenant_id = models.UUIDField(null=True)
    identity_id = models.UUIDField(null=True, db_index=True)
    values = models.JSONField()

    class Meta:
        indexes = [
            models.Index(
                fields=["record_id"], condition=Q(values__has_key="found"), name="audit_value_found"
            ),
        ]

    def __str__(self) -> str:
        return f"values of record {self.record_id}"


class FindingQuerySet(models.QuerySet["Finding"]):
    def with_due(self) -> "FindingQuerySet":
        """Annotates `due`: the date that a person set, else the one that the severity gives."""
        by_severity = Case(
            *(
                When(severity=severity.value, then=F("opened_at") + Value(after))
                for severity, after in DUE_AFTER.items()
            ),
            output_field=DateTimeField(),
        )
        return self.annotate(
            due=ExpressionWrapper(Coalesce("due_at", by_severity), output_field=DateTimeField())
        )

    def overdue(self, at: datetime) -> "FindingQuerySet":
        return self.with_due().filter(status=Finding.Status.OPEN, due__lt=at)


class Finding(TenantRow):
    """A doubtful case waiting for a person. What is decided is remembered, so that it is not asked twice."""

    class Status(models.TextChoices):
        OPEN = "open", "Open"
        APPROVED = "approved", "Approved"
        REJECTED = "rejected", "Rejected"
        OBSOLETE = "obsolete", "Obsolete"

    connection = TenantForeignKey(
        Connection, on_delete=models.CASCADE, related_name="findings", null=True, blank=True
    )
    account = TenantForeignKey(
        Account, on_delete=models.CASCADE, related_name="findings", null=True, blank=True
    )
    identity = TenantForeignKey(
        Identity, on_delete=models.CASCADE, related_name="findings", null=True, blank=True
    )
    kind = models.CharField(max_length=64)
    severity = models.CharField(max_length=8, choices=[(s.value, s.value.title()) for s in Severity])
    candidates = models.JSONField(default=list)
    """Identity ids as text, the likeliest first."""
    evidence = models.JSONField(default=dict)
    fingerprint = models.CharField(max_length=64)
    parts = ArrayField(models.CharField(max_length=32), default=list, db_default=[], editable=False)
    """Keyed digests of what the case consists of, where an answer holds for these parts and for no others."""
    status = models.CharField(max_length=16, choices=Status, default=Status.OPEN)
    opened_at = models.DateTimeField(default=now)
    seen_at = models.DateTimeField(null=True, blank=True, editable=False)
    """When the case was last found, by a check or by what asked first. A check closes by it what it finds no more; null
    where no check asks, and nothing has come upon the case a second time."""
    owner = TenantForeignKey(
        Identity, on_delete=models.SET_NULL, related_name="findings_owned", null=True, blank=True
    )
    """The administrator who sees to it."""
    due_at = models.DateTimeField(null=True, blank=True)
    """Where a person set another date than the severity gives (`FindingQuerySet.with_due`)."""
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.CharField(max_length=100, blank=True)
    decision_reason = models.CharField(max_length=500, blank=True)
    settled = models.BooleanField(default=False, db_default=False, editable=False)
    """Dealt with elsewhere: whatever is still so is not asked for a while (`decision.deadlines.SETTLED`). What a remedy
    has changed is another case when it comes again."""

    objects = FindingQuerySet.as_manager()

    class Meta:
        ordering = ["-opened_at"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "id"], name="finding_tenant_id"),
            models.UniqueConstraint(
                fields=["tenant", "fingerprint"],
                # What was rejected in parts leaves the others to be asked about.
                condition=Q(status="open") | Q(status="rejected", parts=[]),
                name="finding_asked_once",
            ),
        ]
        indexes = [
            models.Index(fields=["tenant", "status", "opened_at"], name="finding_open"),
            models.Index(
                fields=["tenant", "fingerprint"], condition=~Q(status="obsolete"), name="finding_answers"
            ),
            models.Index(fields=["account"], name="finding_account"),
            models.Index(fields=["identity"], condition=Q(status="open"), name="finding_identity"),
            models.Index(fields=["identity"], condition=~Q(status="obsolete"), name="finding_about"),
        ]

    def __str__(self) -> str:
        return in_short(self.kind)


class Distinction(TenantRow):
    """Two identities that a person has told apart: no push, login or run asks about the pair again.

    `one` is the smaller id, so that a pair is one row whichever of the two was asked about first.
    """

    one = TenantForeignKey(Identity, on_delete=models.CASCADE, related_name="+")
    other = TenantForeignKey(Identity, on_delete=models.CASCADE, related_name="+")
    decided_at = models.DateTimeField(default=now)
    decided_by = models.CharField(max_length=100)
    finding_id = models.UUIDField(null=True)
    """The finding that was answered so; it may be gone."""

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["one", "other"], name="distinction_once"),
            models.CheckConstraint(condition=Q(one__lt=F("other")), name="distinction_in_order"),
        ]
        indexes = [models.Index(fields=["other"], name="distinction_other")]

    def __str__(self) -> str:
        return f"{self.one_id} is not {self.other_id}"


class OutboxMessage(models.Model):
    """Follow-up work, written with its cause in one transaction; Celery only speeds it up."""

    id = models.BigAutoField(primary_key=True)
    tenant_id = models.UUIDField(null=True)
    topic = models.CharField(max_length=64)
    payload = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=now)
    available_at = models.DateTimeField(default=now)
    attempts = models.PositiveIntegerField(default=0)
    done_at = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=200, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["available_at"], condition=Q(done_at__isnull=True), name="outbox_due")
        ]

    def __str__(self) -> str:
        return self.topic
