"""Organisations and the e-mail domains that are theirs."""

import secrets

from django.db import models

from identity_hub.core.clock import now
from identity_hub.core.ids import new_id

from .base import TenantRow


def new_digest_key() -> bytes:
    return secrets.token_bytes(32)


def new_challenge() -> str:
    """128 random bits, in letters that survive being typed."""
    return secrets.token_hex(16)


class Tenant(models.Model):
    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    slug = models.SlugField(max_length=63, unique=True)
    name = models.CharField(max_length=200)
    digest_key = models.BinaryField(default=new_digest_key, editable=False)
    """Keys the HMAC of what outlives a purge (tombstones, audit digests). 32 bytes, never shown."""
    schema_version = models.PositiveIntegerField(default=1, editable=False)
    """Goes up with every change of the tenant's schema extensions, so that compiled ones know that they are old."""
    run_few = models.PositiveIntegerField(default=5)
    run_share = models.PositiveIntegerField(default=20)
    run_most = models.PositiveIntegerField(default=500)
    """As of a connection, for all runs of 24 hours together and all of the tenant's live accounts."""
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        ordering = ["slug"]
        constraints = [
            models.CheckConstraint(condition=models.Q(run_share__lte=100), name="tenant_run_share_percent"),
            models.CheckConstraint(
                condition=models.Q(run_few__lte=models.F("run_most")), name="tenant_run_few_within_most"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class TenantDomain(TenantRow):
    """An e-mail domain; once verified it belongs to this tenant alone."""

    domain = models.CharField(max_length=253)
    verified_at = models.DateTimeField(null=True, blank=True)
    verified_how = models.CharField(max_length=32, blank=True)
    """By whose word: `dns`, `superuser`, `operator`."""
    challenge = models.CharField(max_length=64, default=new_challenge, editable=False)
    """What the owner of the domain writes into its DNS. Each tenant gets another: one's record proves nothing for the
    next."""
    checked_at = models.DateTimeField(null=True, editable=False)
    record_seen_at = models.DateTimeField(null=True, editable=False)
    """When the DNS was last asked for the record, and when it was last there."""

    class Meta:
        ordering = ["domain"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "id"], name="tenantdomain_tenant_id"),
            models.UniqueConstraint(fields=["tenant", "domain"], name="tenantdomain_once"),
            models.UniqueConstraint(
                fields=["domain"],
                condition=models.Q(verified_at__isnull=False),
                name="tenantdomain_verified_by_one_tenant",
            ),
            models.CheckConstraint(
                condition=models.Q(domain=models.functions.Lower("domain")), name="tenantdomain_lower_case"
            ),
        ]

    def __str__(self) -> str:
        return self.domain

    @property
    def record_name(self) -> str:
        """Where the TXT record stands."""
        return f"_identity-hub.{self.domain}"

    @property
    def record_value(self) -> str:
        return f"identity-hub-verification={self.challenge}"
