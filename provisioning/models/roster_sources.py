"""Where the hub lists a connection's people itself, and by which credential."""

from django.db import models

from identity_hub.core.clock import now

from .base import TenantForeignKey, TenantRow
from .connections import Connection


class RosterSource(TenantRow):
    """At most one a connection. The credential is sealed for this very row and shown to nobody."""

    class Kind(models.TextChoices):
        """Those of `Roster.Source` that are no file."""

        SCIM = "scim", "SCIM"
        GOOGLE = "google", "Google Directory"
        GRAPH = "graph", "Microsoft Graph"

    connection = TenantForeignKey(Connection, on_delete=models.CASCADE, related_name="roster_sources")
    kind = models.CharField(max_length=8, choices=Kind)
    base_address = models.CharField(max_length=1024)
    """Of the interface, without what is listed there."""
    token_address = models.CharField(max_length=1024, blank=True)
    """Where a token is obtained; empty where the secret is the token."""
    client_id = models.CharField(max_length=256, blank=True)
    """Of whoever obtains it: an application, or a service account."""
    subject = models.CharField(max_length=256, blank=True)
    """For whom a service account speaks."""
    chosen = models.CharField(max_length=1024, blank=True)
    """Which people are listed, in the words of the interface; empty: all."""
    mapping = models.JSONField(default=dict)
    """Hub attribute -> column; those that are not named are not compared."""
    scheduled = models.BooleanField(default=False)
    scheduled_at = models.DateTimeField(default=now, editable=False)
    """Since when `scheduled` says what it says."""
    sealed = models.TextField(editable=False)
    sealed_at = models.DateTimeField(default=now, editable=False)
    problem = models.CharField(max_length=500, blank=True, editable=False)
    """Why the last pull did not come to an end; a sentence. The worth of one that ended stands at its roster."""
    problem_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "id"], name="rostersource_tenant_id"),
            models.UniqueConstraint(fields=["connection"], name="rostersource_of_connection"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of {self.connection}"
