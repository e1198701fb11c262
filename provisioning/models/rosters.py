"""Complete listings of who exists at an IdP, and what each of their lines says."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from identity_hub.core.clock import now

from .base import TenantForeignKey, TenantRow
from .connections import Connection


class Roster(TenantRow):
    """One listing of a connection. Nothing is concluded from it unless it is `complete`: proof came before that."""

    class Source(models.TextChoices):
        CSV = "csv", "CSV"
        JSONL = "jsonl", "JSON Lines"
        SCIM = "scim", "SCIM"
        GOOGLE = "google", "Google Directory"
        GRAPH = "graph", "Microsoft Graph"

    class Status(models.TextChoices):
        DRAFT = "draft", "Waits for its mapping"
        LOADING = "loading", "Loading"
        COMPLETE = "complete", "Complete"
        REFUSED = "refused", "Refused"
        SUPERSEDED = "superseded", "Superseded"
        """Was complete; two newer ones are, or it is too old, and its rows are gone."""

    connection = TenantForeignKey(Connection, on_delete=models.CASCADE, related_name="rosters")
    name = models.CharField(max_length=200, blank=True)
    """Of its file."""
    source = models.CharField(max_length=8, choices=Source)
    status = models.CharField(max_length=16, choices=Status, default=Status.LOADING)
    as_of = models.DateTimeField()
    """The moment it speaks of: what changed later is newer than it."""
    started_at = models.DateTimeField(default=now)
    completed_at = models.DateTimeField(null=True, blank=True)
    """When it was judged, whatever the verdict."""
    expected = models.PositiveIntegerField(null=True, blank=True)
    """Rows that its proof promises, where it has one."""
    row_count = models.PositiveIntegerField(default=0)
    fault_count = models.PositiveIntegerField(default=0)
    faults = models.JSONField(default=list)
    """The first of them: `line`, `code`, `column`. Never a value of a person."""
    cursor = models.JSONField(null=True, blank=True)
    """Where its source goes on, stored with each page; null before the first page and after the last."""
    fields = models.JSONField(default=list)
    """Which of `provisioning.fingerprints.FIELDS` it says at all."""
    mapping = models.JSONField(default=dict)
    """Attribute -> column."""
    layout = models.JSONField(default=dict)
    """How its file is written."""
    shrinking_accepted = models.CharField(max_length=500, blank=True)
    """Why it may be much shorter than the last one, in somebody's words."""
    digest = models.CharField(max_length=64, blank=True)
    code = models.CharField(max_length=64, blank=True)
    note = models.CharField(max_length=500, blank=True)
    requested_by = models.CharField(max_length=100)

    class Meta:
        ordering = ["-started_at"]
        constraints = [models.UniqueConstraint(fields=["tenant", "id"], name="roster_tenant_id")]
        indexes = [models.Index(fields=["connection", "status", "-as_of"], name="roster_of_connection")]

    def __str__(self) -> str:
        return f"{self.connection} {self.as_of:%Y-%m-%d %H:%M}"


class RosterPart(models.Model):
    """A piece of an uploaded file, kept until it is loaded: the worker that loads it may run on another machine."""

    id = models.BigAutoField(primary_key=True)
    tenant = models.ForeignKey(
        "provisioning.Tenant", on_delete=models.PROTECT, related_name="+", db_index=False
    )
    roster = TenantForeignKey(Roster, on_delete=models.CASCADE, related_name="parts")
    number = models.PositiveIntegerField()
    content = models.BinaryField()

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["roster", "number"], name="roster_part_once")]

    def __str__(self) -> str:
        return f"part {self.number}"


class RosterRow(models.Model):
    """One person of a roster, with the keys and the fingerprint that joins compare.

    No foreign key: its writer takes tenant and roster from one row, and a check for each of a million lines costs as
    much as keeping them.
    """

    id = models.BigAutoField(primary_key=True)
    tenant_id = models.UUIDField()
    roster_id = models.UUIDField()
    line = models.PositiveIntegerField()
    """Of a file, from 1; else the place in the listing."""
    # Collations as in Account, which these columns are joined with.
    user_name = models.CharField(max_length=512)
    user_name_key = models.CharField(max_length=512, db_collation="C")
    external_id = models.CharField(max_length=512, null=True, db_collation="C")  # noqa: DJ001
    hr_number = models.CharField(max_length=256, blank=True)
    active = models.BooleanField(default=True)
    email_keys = ArrayField(models.CharField(max_length=600), default=list)
    fingerprint = models.BinaryField()
    document = models.JSONField(default=dict)
    """The canonical SCIM User that its mapped values make."""

    class Meta:
        indexes = [
            models.Index(fields=["tenant_id", "roster_id", "external_id"], name="rosterrow_external_id"),
            models.Index(fields=["tenant_id", "roster_id", "user_name_key"], name="rosterrow_user_name"),
        ]

    def __str__(self) -> str:
        return f"line {self.line}"
