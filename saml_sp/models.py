"""What a login needs and leaves behind: keys, the request it waits for, the assertion it used up, how it ended."""

import secrets

from django.db import models

from identity_hub.core.clock import now
from identity_hub.core.ids import new_id
from provisioning.decision.reasons import in_short
from provisioning.models import Connection
from provisioning.models.base import TenantForeignKey, TenantRow

# Crockford's alphabet: nobody reads an O for a 0 over the telephone. Of 32 letters each byte names one as often.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def new_reference() -> str:
    """What a person reads to an administrator: ten letters in two groups."""
    letters = "".join([_ALPHABET[byte % 32] for byte in secrets.token_bytes(10)])
    return f"{letters[:5]}-{letters[5:]}"


class EncryptionKey(TenantRow):
    """A key pair for which the IdP of one connection encrypts. The private key is sealed for this very row."""

    connection = TenantForeignKey(Connection, on_delete=models.CASCADE, related_name="+")
    number = models.PositiveSmallIntegerField()
    """Of the connection's, from 1; the newest is published."""
    certificate = models.TextField()
    sealed = models.TextField()
    created_at = models.DateTimeField(default=now)
    ended_at = models.DateTimeField(null=True)
    """Since when nothing is opened by it; the private key is gone then."""

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "connection", "number"], name="encryption_key_number"),
        ]

    def __str__(self) -> str:
        return f"Encryption key {self.number}"


class PendingRequest(TenantRow):
    """An AuthnRequest that waits for its answer: one-shot, of one connection and one browser."""

    connection = TenantForeignKey(Connection, on_delete=models.CASCADE, related_name="+")
    request_id = models.CharField(max_length=64, unique=True)
    browser_digest = models.BinaryField()
    """SHA-256 of the browser-binding cookie."""
    next_path = models.CharField(max_length=2048)
    created_at = models.DateTimeField(default=now)
    expires_at = models.DateTimeField(db_index=True)
    consumed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.request_id


class ConsumedAssertion(TenantRow):
    """A signed message that was used: it never counts again, except as the echo of the same browser's double click.

    Kept until its own window, and every clock's error, is over.
    """

    connection = TenantForeignKey(Connection, on_delete=models.CASCADE, related_name="+")
    key = models.BinaryField()
    """SHA-256 of issuer and ID: short whatever an IdP sends, so the index stays small over a million rows."""
    message_digest = models.BinaryField()
    browser_digest = models.BinaryField()
    result_path = models.CharField(max_length=2048, blank=True)
    """Where the person was sent; empty when the login was refused."""
    session_key = models.CharField(max_length=40, blank=True)
    attempt_reference = models.CharField(max_length=11, blank=True)
    created_at = models.DateTimeField(default=now)
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "connection", "key"], name="consumed_once"),
        ]

    def __str__(self) -> str:
        return str(self.pk)


class TestLogin(TenantRow):
    """One rehearsal of a login, for whoever sets a connection up. Signs nobody in; gone after an hour.

    `report` holds the attributes of the person who tried it (`rehearsal.Report`), so it is shown to administrators of
    the tenant only, and not for long. What it proved of the connection is a `provisioning.Proof`.
    """

    __test__ = False

    connection = TenantForeignKey(Connection, on_delete=models.CASCADE, related_name="+")
    token_digest = models.BinaryField(unique=True)
    """SHA-256 of what stands in the address that begins it, and in the cookie of the browser that opened it."""
    started_by = models.CharField(max_length=100)
    request_id = models.CharField(max_length=64, blank=True)
    asked_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    passed = models.BooleanField(null=True)
    report = models.JSONField(default=dict)
    sign_out_request_id = models.CharField(max_length=64, blank=True)
    sign_out = models.JSONField(default=dict)
    """How the test of the sign-out ended: `reason` ("" for well) and `detail`."""
    created_at = models.DateTimeField(default=now)
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"Test login of {self.created_at:%Y-%m-%d %H:%M}"


class LoginAttempt(models.Model):
    """How one login ended, for the administrator who is asked about a reference. Trimmed after a while.

    Holds codes, protocol values and ids: never an assertion, never a person's attributes.
    """

    class Outcome(models.TextChoices):
        ADMITTED = "admitted", "Signed in"
        REFUSED = "refused", "Refused"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    reference = models.CharField(max_length=11, unique=True, default=new_reference, editable=False)
    tenant = models.ForeignKey(
        "provisioning.Tenant", on_delete=models.CASCADE, related_name="+", null=True, db_index=False
    )
    connection = TenantForeignKey(Connection, on_delete=models.CASCADE, related_name="+", null=True)
    outcome = models.CharField(max_length=16, choices=Outcome)
    reason = models.CharField(max_length=64)
    detail = models.JSONField(default=dict)
    """What was expected and what was found, by name."""
    verdicts = models.JSONField(default=dict)
    """Hub attribute -> {"verdict", "source"}: what became of it, and the name under which it came. No value.
    What is missing and need not come is "optional"."""
    account_id = models.UUIDField(null=True)
    identity_id = models.UUIDField(null=True)
    audit_id = models.BigIntegerField(null=True)
    """The audit's record of the decision: a person's values are beside that, and go by its rules."""
    message = models.CharField(max_length=64, blank=True, default="", db_default="")
    """SHA-256 of issuer and ID of what the IdP signed; empty where no good signature was found. One message may be
    refused many times."""
    network = models.GenericIPAddressField(null=True)
    """The caller's network: an address without its last part."""
    request_id = models.CharField(max_length=64, blank=True)
    at = models.DateTimeField(default=now)

    class Meta:
        ordering = ["-at"]
        indexes = [
            models.Index(fields=["tenant", "-at"], name="loginattempt_tenant_at"),
            models.Index(fields=["tenant", "connection", "-at"], name="loginattempt_connection_at"),
            models.Index(fields=["at"], name="loginattempt_at"),
        ]

    def __str__(self) -> str:
        return f"{self.reference}: {in_short(self.reason).lower()}"
