"""An identity provider that a tenant registered: its SAML side, its SCIM side, its policy."""

import uuid

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from identity_hub.core.clock import now
from identity_hub.core.outbound import MAX_VERSION
from provisioning.decision.policy import Jit

from .base import TenantForeignKey, TenantRow


def default_required_attributes() -> list[str]:
    return ["email"]


class Connection(TenantRow):
    class Status(models.TextChoices):
        DRAFT = "draft", "Draft"
        ACTIVE = "active", "Active"
        FROZEN = "frozen", "Frozen"
        DISABLED = "disabled", "Disabled"

    class JitMode(models.TextChoices):
        OFF = Jit.OFF.value, "Off"
        EXISTING = Jit.EXISTING.value, "Existing people only"
        CREATE = Jit.CREATE.value, "Create"

    class UnknownMember(models.TextChoices):
        REFUSE = "refuse", "Refuse the whole request"
        SKIP = "skip", "Skip it, with a finding"

    # An address in URLs that tells nothing, so random and not time-ordered.
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=200)
    status = models.CharField(max_length=16, choices=Status, default=Status.DRAFT)
    preset = models.CharField(max_length=32, blank=True)
    config_version = models.PositiveIntegerField(default=1, editable=False)
    """Goes up with every change, so that cached SAML clients know that they are old."""

    idp_metadata = models.TextField("IdP metadata", blank=True)
    idp_entity_id = models.CharField("IdP entity ID", max_length=1024, blank=True)
    metadata_valid_until = models.DateTimeField(null=True, blank=True, editable=False)
    """After it the document counts for nothing (metadata 2.3.1); null where it names no end."""
    metadata_url = models.CharField("metadata address", max_length=2048, blank=True)
    """Where the IdP publishes its document; it is read from there by schedule."""
    metadata_signing_certificates = models.TextField(blank=True)
    """PEM. Where there are any, one of them must have signed the document."""
    metadata_etag = models.CharField(max_length=MAX_VERSION, blank=True, editable=False)
    metadata_last_modified = models.CharField(max_length=MAX_VERSION, blank=True, editable=False)
    metadata_checked_at = models.DateTimeField(null=True, blank=True, editable=False)
    metadata_problem = models.CharField(max_length=500, blank=True, editable=False)
    """Why the last look at the address changed nothing although it should have; a sentence."""
    metadata_failing_since = models.DateTimeField(null=True, blank=True, editable=False)
    proposed_metadata = models.TextField(blank=True, editable=False)
    """The document that froze the connection, until a person confirms or rejects it."""
    attribute_map = models.JSONField(default=dict, blank=True)
    """Hub attribute -> list of assertion attribute names, tried in order."""
    attribute_rules = models.JSONField(default=dict, blank=True)
    """Hub attribute -> {"format": name of a format, "allowed": [values]}; what is not said is the hub's own."""
    user_name_attribute = models.CharField(max_length=256, blank=True)
    external_id_attribute = models.CharField(max_length=256, blank=True)
    force_authn = models.BooleanField("signs in anew each time", default=False)
    """Whether the IdP is asked to authenticate the person again although she has a session there (ForceAuthn)."""
    authn_contexts = ArrayField(models.CharField(max_length=256), default=list, blank=True)
    """The AuthnContextClassRefs that are asked for, and of which the answer must name one; none means any."""
    name_id_format = models.CharField(max_length=256, blank=True)
    """The NameIDPolicy that is asked for; empty leaves it to the IdP."""
    idp_initiated = models.BooleanField("logins that begin at the IdP", default=False)
    """Whether an answer is taken that the hub did not ask for."""
    required_attributes = ArrayField(
        models.CharField(max_length=64), default=default_required_attributes, blank=True
    )

    group_attribute = models.CharField(max_length=256, blank=True)
    """The assertion attribute that carries groups; empty means none. Only values on the allow-list are kept."""
    groups_unconfirmed = models.BooleanField(default=False)
    """Whether the groups of an account count that only logins have spoken of."""

    jit = models.CharField("JIT", max_length=16, choices=JitMode, default=JitMode.OFF)
    jit_groups = ArrayField(models.CharField(max_length=512), default=list, blank=True)
    """A first login must bring one of these values of the group attribute; none means that none is asked for."""
    jit_attributes = models.JSONField(default=dict, blank=True)
    """What else a first login must say: hub attribute or assertion attribute -> list of values that will do."""
    jit_approval = models.BooleanField(default=False)
    """Whether an administrator has to approve of an account that a login made."""
    burst_creations = models.PositiveIntegerField(default=50)
    burst_refusals = models.PositiveIntegerField(default=200)
    """How many accounts made by logins, and how many refused logins, ten minutes may see without an alarm; 0: any."""
    precedence = models.PositiveIntegerField(default=100)
    """Where a person has accounts on several connections, the lower number is shown."""
    unknown_member = models.CharField(max_length=8, choices=UnknownMember, default=UnknownMember.REFUSE)
    trusted_email = models.BooleanField(default=False)
    trusted_hr_number = models.BooleanField(default=False)
    scim_enabled = models.BooleanField("SCIM", default=True)
    requests_per_minute = models.PositiveIntegerField(
        "SCIM requests a minute", default=6000, help_text="For each token; 0 means no limit."
    )
    session_hours = models.PositiveIntegerField(
        default=12, validators=[MinValueValidator(1), MaxValueValidator(24 * 31)]
    )
    session_idle_minutes = models.PositiveIntegerField(
        default=0, validators=[MaxValueValidator(60 * 24 * 31)]
    )
    """After so many without a request a session ends; 0 means that only its age does."""
    retention_days = models.PositiveIntegerField(default=90)
    jit_grace_days = models.PositiveIntegerField(default=14)
    jit_idle_grace_days = models.PositiveIntegerField(default=90)
    dormant_days = models.PositiveIntegerField(default=180)
    """After so long without a login an account that had one is asked about; 0: never."""
    stale_push_days = models.PositiveIntegerField(default=30)
    """After so long without a push a connection that had one is asked about; 0: never."""

    run_few = models.PositiveIntegerField(default=5)
    run_share = models.PositiveIntegerField(default=20)
    run_most = models.PositiveIntegerField(default=500)
    """How many people a run may take access from without a person: these few, or this share of the live accounts in
    percent, and never more than `most`."""
    second_approver_over = models.PositiveIntegerField(null=True, blank=True)
    """From how many on a run in quarantine needs two administrators; null: one is enough."""
    burst_deactivations = models.PositiveIntegerField(default=50)
    burst_deactivation_minutes = models.PositiveIntegerField(default=10)
    """How many people SCIM may switch off within how many minutes without an alarm; 0: any."""
    strict_deactivations = models.BooleanField(default=False)
    """Whether more than that are not obeyed until an administrator says so."""
    deactivations_counted_from = models.DateTimeField(null=True, blank=True, editable=False)
    """When an administrator last let deactivations go on: what was before does not count again."""
    runs_expected_since = models.DateTimeField(null=True, blank=True, editable=False)
    """When it was activated last, or its runs were let go on; null: when it was made."""
    stopped = models.JSONField(default=dict, blank=True, editable=False)
    """Kill switch (`decision.policy.Switch`) -> {"since": time, "by": actor, "why": text}, of those that are on."""

    first_push_at = models.DateTimeField(null=True, blank=True, editable=False)
    """From when on SCIM could have confirmed whoever a login made."""
    last_push_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "id"], name="connection_tenant_id"),
            models.UniqueConstraint(fields=["tenant", "name"], name="connection_name_once"),
            models.CheckConstraint(
                condition=models.Q(run_share__lte=100), name="connection_run_share_percent"
            ),
            models.CheckConstraint(
                condition=models.Q(run_few__lte=models.F("run_most")), name="connection_run_few_within_most"
            ),
            models.CheckConstraint(
                condition=models.Q(burst_deactivation_minutes__range=(1, 1440)),
                name="connection_burst_within_a_day",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class ConnectionDomain(TenantRow):
    """A verified domain that this connection may speak for."""

    connection = TenantForeignKey(Connection, on_delete=models.CASCADE, related_name="granted_domains")
    domain = TenantForeignKey("provisioning.TenantDomain", on_delete=models.CASCADE, related_name="grants")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["connection", "domain"], name="connectiondomain_once"),
        ]

    def __str__(self) -> str:
        return str(self.domain)


class Scope(models.TextChoices):
    """What a token may do. Each writing scope reads its own resources, too."""

    READ = "read", "Read everything"
    USERS = "users", "Read and write users"
    GROUPS = "groups", "Read and write groups"


def every_scope() -> list[str]:
    return list(Scope.values)


class ScimClient(TenantRow):
    """An OAuth 2.0 client of a connection, which exchanges its secret for short-lived tokens (RFC 6749 4.4)."""

    connection = TenantForeignKey(Connection, on_delete=models.CASCADE, related_name="clients")
    name = models.CharField(max_length=100, blank=True)
    client_id = models.CharField("client ID", max_length=64, unique=True, editable=False)
    digest = models.BinaryField(editable=False)
    """SHA-256 of the secret; 256 random bits need no salt."""
    scopes = ArrayField(models.CharField(max_length=16, choices=Scope), default=every_scope)
    owner = TenantForeignKey(
        "provisioning.Identity", on_delete=models.SET_NULL, related_name="+", null=True, blank=True
    )
    """Who answers for it; null where an operator made it by command."""
    created_at = models.DateTimeField(default=now, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["-created_at"]
        verbose_name = "SCIM OAuth client"
        constraints = [
            models.UniqueConstraint(fields=["tenant", "id"], name="scimclient_tenant_id"),
        ]
        indexes = [models.Index(fields=["connection"], name="scimclient_connection")]

    def __str__(self) -> str:
        return self.name or self.client_id


class ScimToken(TenantRow):
    """A bearer token of a connection. Only its SHA-256 digest is kept; 256 random bits need no salt.

    `replaces` names the token that this one succeeds: both live until the old one expires. `client` is set where
    it was obtained by OAuth client credentials.
    """

    connection = TenantForeignKey(Connection, on_delete=models.CASCADE, related_name="tokens")
    client = TenantForeignKey(
        ScimClient, on_delete=models.CASCADE, related_name="tokens", null=True, blank=True
    )
    replaces = TenantForeignKey(
        "self", on_delete=models.SET_NULL, related_name="successors", null=True, blank=True
    )
    name = models.CharField(max_length=100, blank=True)
    scopes = ArrayField(models.CharField(max_length=16, choices=Scope), default=every_scope)
    owner = TenantForeignKey(
        "provisioning.Identity", on_delete=models.SET_NULL, related_name="+", null=True, blank=True
    )
    """Who answers for it; null where an operator or an OAuth client made it."""
    prefix = models.CharField(max_length=16, editable=False)
    digest = models.BinaryField(unique=True, editable=False)
    created_at = models.DateTimeField(default=now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["-created_at"]
        verbose_name = "SCIM token"
        constraints = [models.UniqueConstraint(fields=["tenant", "id"], name="scimtoken_tenant_id")]
        indexes = [models.Index(fields=["connection"], name="scimtoken_connection")]

    def __str__(self) -> str:
        return f"{self.prefix}…"
