"""Identities, the accounts that connections keep of them, and what holds them back."""

from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.db.models import Exists, F, Func, OuterRef, Q
from django.utils.crypto import salted_hmac

from identity_hub.core.clock import now
from identity_hub.core.ids import new_id
from provisioning.decision.authority import OVERRIDABLE
from provisioning.decision.types import HoldKind, Origin, Rule

from .base import TenantForeignKey, TenantRow
from .connections import Connection


class IdentityQuerySet(models.QuerySet["Identity"]):
    def with_state(self) -> "IdentityQuerySet":
        """Annotates `held` and `enabled`: enabled = no hold, and a live account (or a local identity)."""
        held = Exists(Hold.objects.filter(tenant=OuterRef("tenant"), identity=OuterRef("pk")))
        accounted = Exists(
            Account.objects.filter(
                tenant=OuterRef("tenant"), identity=OuterRef("pk"), deleted_at__isnull=True
            )
        )
        return self.annotate(held=held).annotate(
            enabled=models.ExpressionWrapper(
                Q(held=False) & (Q(local=True) | accounted), output_field=models.BooleanField()
            )
        )


class IdentityManager(BaseUserManager.from_queryset(IdentityQuerySet)):  # type: ignore[misc]
    """What Django's commands and forms ask of a user manager, over the hub's own queries."""


class Identity(AbstractBaseUser):
    """One person, or one non-human, in the hub. Everything it may do is derived, nothing is copied to it.

    Only an installation superuser has no tenant. `login_name` and a usable password exist for local identities
    alone; everybody else signs in through a connection.
    """

    class Kind(models.TextChoices):
        PERSON = "person", "Person"
        SERVICE = "service", "Service"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey(
        "provisioning.Tenant",
        on_delete=models.PROTECT,
        related_name="+",
        null=True,
        blank=True,
        db_index=False,
    )
    kind = models.CharField(max_length=16, choices=Kind, default=Kind.PERSON)
    local = models.BooleanField(default=False)
    break_glass = models.BooleanField(default=False)
    kept_from_runs = models.BooleanField("protected from runs", default=False, db_default=False)
    kept_from_runs_why = models.CharField(max_length=500, blank=True, default="", db_default="")
    # Null for everybody who is not local, so that being unique concerns the local ones only.
    login_name = models.CharField(max_length=150, null=True, blank=True)  # noqa: DJ001
    is_superuser = models.BooleanField("installation superuser", default=False)
    is_tenant_administrator = models.BooleanField(default=False)
    owner = TenantForeignKey("self", on_delete=models.SET_NULL, related_name="+", null=True, blank=True)
    """Who answers for a service identity, or made a local one."""
    merged_into = TenantForeignKey(
        "self", on_delete=models.PROTECT, related_name="+", null=True, blank=True, editable=False
    )
    """The identity that stands for this one since the two turned out to be one person. The row stays, so that its id
    goes on being an answer; it has no account, hold or session of its own."""
    session_epoch = models.PositiveIntegerField(default=0, editable=False)

    user_name = models.CharField(max_length=512, blank=True)
    user_name_key = models.CharField(max_length=512, blank=True, editable=False)
    email = models.CharField("e-mail", max_length=512, blank=True)
    email_key = models.CharField(max_length=512, blank=True, editable=False)
    email_changed_at = models.DateTimeField(null=True, blank=True, editable=False)
    given_name = models.CharField(max_length=256, blank=True)
    family_name = models.CharField(max_length=256, blank=True)
    display_name = models.CharField(max_length=512, blank=True)
    locale = models.CharField(max_length=64, blank=True)
    time_zone = models.CharField(max_length=64, blank=True)
    hr_number = models.CharField("HR number", max_length=256, blank=True)
    department = models.CharField(max_length=256, blank=True)
    title = models.CharField(max_length=256, blank=True)

    created_at = models.DateTimeField(default=now, editable=False)
    updated_at = models.DateTimeField(default=now, editable=False)

    objects = IdentityManager()

    USERNAME_FIELD = "login_name"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: list[str] = []

    class Meta:
        verbose_name_plural = "identities"
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "id"], name="identity_tenant_id"),
            # Not `unique=True`, which brings a second index, for patterns that nobody asks for.
            models.UniqueConstraint(fields=["login_name"], name="identity_login_name_once"),
            models.CheckConstraint(
                condition=Q(tenant__isnull=False) | Q(is_superuser=True), name="identity_has_tenant"
            ),
            models.CheckConstraint(
                condition=Q(is_superuser=False) | (Q(local=True) & Q(tenant__isnull=True)),
                name="identity_superuser_is_local_and_of_no_tenant",
            ),
            models.CheckConstraint(
                condition=Q(break_glass=False) | Q(local=True), name="identity_break_glass_is_local"
            ),
            models.CheckConstraint(
                condition=Q(login_name__isnull=True) | Q(local=True), name="identity_login_name_is_local"
            ),
            models.CheckConstraint(
                condition=Q(kept_from_runs=False) | ~Q(kept_from_runs_why=""),
                name="identity_kept_from_runs_for_a_reason",
            ),
        ]
        indexes = [
            models.Index(fields=["tenant", "user_name_key"], name="identity_user_name"),
            # The e-mail first: whoever looks for a thousand of them reads no other index of the tenant.
            models.Index(fields=["email_key", "tenant"], name="identity_email"),
            models.Index(
                fields=["tenant", "hr_number"], condition=~Q(hr_number=""), name="identity_hr_number"
            ),
            models.Index(
                fields=["merged_into"], condition=Q(merged_into__isnull=False), name="identity_merged_into"
            ),
            models.Index(fields=["tenant"], condition=Q(local=True), name="identity_local"),
        ]

    def __str__(self) -> str:
        name = self.display_name or f"{self.given_name} {self.family_name}".strip()
        return name or self.user_name or self.login_name or str(self.pk)

    def get_username(self) -> str:
        return self.login_name or self.user_name

    def get_full_name(self) -> str:
        return str(self)

    def get_short_name(self) -> str:
        return self.given_name or str(self)

    @property
    def is_active(self) -> bool:
        """Django's word for enabled; reads the annotation of `with_state` where there is one."""
        if "enabled" not in self.__dict__:
            self.__dict__["enabled"] = Identity.objects.with_state().filter(pk=self.pk, enabled=True).exists()
        return bool(self.__dict__["enabled"])

    @property
    def is_staff(self) -> bool:
        """May enter the admin: by a local flag, or by an entitlement."""
        if self.is_superuser or self.is_tenant_administrator:
            return True
        if "grants_staff" not in self.__dict__:
            entitlements = self._meta.apps.get_model("provisioning", "Entitlement").objects
            self.__dict__["grants_staff"] = entitlements.of_identity(self).filter(grants_staff=True).exists()
        return bool(self.__dict__["grants_staff"])

    @property
    def protected(self) -> bool:
        return self.break_glass or self.kind == self.Kind.SERVICE

    def has_perm(self, perm: str, obj: Any = None) -> bool:
        """Staff of a tenant work in the domain's admin; every queryset there is tenant-scoped."""
        return self.is_active and (self.is_superuser or (self.is_staff and perm.startswith("provisioning.")))

    def has_perms(self, perm_list: Any, obj: Any = None) -> bool:
        return all(self.has_perm(perm, obj) for perm in perm_list)

    def has_module_perms(self, app_label: str) -> bool:
        return self.is_active and (self.is_superuser or self.is_staff)

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        # The epoch is part of every session's hash: raising it ends them all at their next request.
        key_salt = "provisioning.models.Identity.session_epoch"
        return salted_hmac(
            key_salt, f"{self.password}:{self.session_epoch}", secret=secret, algorithm="sha256"
        ).hexdigest()


class Account(TenantRow):
    """What one connection says about one person: the SCIM User and the SAML subject in one row.

    `deleted_at` marks a tombstone inside retention. `identity` is the link: its rule and evidence stand beside it.
    """

    # The connection is of this tenant, so the tenant is there: one check less for each account at a commit.
    tenant = models.ForeignKey(
        "provisioning.Tenant", on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    connection = TenantForeignKey(Connection, on_delete=models.PROTECT, related_name="accounts")
    identity = TenantForeignKey(
        Identity, on_delete=models.PROTECT, related_name="accounts", null=True, blank=True
    )
    link_rule = models.CharField(max_length=32, blank=True, choices=[(r.value, r.value) for r in Rule])
    link_evidence = models.JSONField(default=dict, blank=True)
    linked_at = models.DateTimeField(null=True, blank=True)

    origin = models.CharField(max_length=16, choices=[(o.value, o.value) for o in Origin])
    lifecycle_owner = models.CharField(max_length=16, choices=[(o.value, o.value) for o in Origin])
    confirmed_at = models.DateTimeField(null=True, blank=True)
    active = models.BooleanField(default=True)
    """What this connection last said; whether the person may log in is the identity's matter."""
    version = models.PositiveIntegerField(default=1)

    user_name = models.CharField(max_length=512)
    # Ranges, prefixes and orders go by code points, whatever the database's own collation is.
    user_name_key = models.CharField(max_length=512, db_collation="C")
    user_name_skeleton = models.CharField(
        max_length=512, db_collation="C", blank=True, default="", db_default="", editable=False
    )
    """`decision.keys.other_skeleton` of the name: nearly nobody has one."""
    # Null and not empty: SCIM tells an absent externalId from every value, and so must uniqueness.
    external_id = models.CharField(max_length=512, null=True, blank=True, db_collation="C")  # noqa: DJ001
    asserted_key = models.CharField(max_length=512, null=True, blank=True, db_collation="C")  # noqa: DJ001
    subject_issuer = models.CharField(max_length=1024, blank=True)
    subject_format = models.CharField(max_length=128, blank=True)
    subject_value = models.CharField(max_length=512, blank=True)
    email_keys = ArrayField(models.CharField(max_length=600), default=list, blank=True)
    """E-mail values in lower case."""

    unique_keys = ArrayField(models.CharField(max_length=1200), default=list, blank=True)
    """`path=value` of every custom attribute that is unique in its connection."""

    search = SearchVectorField(null=True, editable=False)
    """`path=value` of everything textual in `resource`, folded: narrows a filter, decides none."""
    fingerprint = models.BinaryField(null=True, editable=False)
    """What rosters compare (`provisioning.fingerprints`). Null differs from everything."""
    resource = models.JSONField(default=dict)
    assertion = models.JSONField(default=dict)

    created_at = models.DateTimeField(default=now, editable=False)
    updated_at = models.DateTimeField(default=now, editable=False)
    as_of = models.DateTimeField(null=True, blank=True, editable=False)
    """Where a roster changed it last, the moment that the roster spoke of; else it speaks of `updated_at`."""
    spoken_at = models.DateTimeField(null=True, blank=True, editable=False)
    """When SCIM last said what the account says already, to some minutes."""
    last_login_at = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "id"], name="account_tenant_id"),
            # The key first: whoever looks for a thousand of them names the connection so that no other index serves it
            # (`provisioning.load`).
            models.UniqueConstraint(
                fields=["user_name_key", "connection"],
                condition=Q(deleted_at__isnull=True),
                name="account_user_name_once",
            ),
            models.UniqueConstraint(
                fields=["external_id", "connection"],
                condition=Q(deleted_at__isnull=True, external_id__isnull=False),
                name="account_external_id_once",
            ),
            models.UniqueConstraint(
                fields=["subject_value", "subject_issuer", "connection"],
                condition=Q(deleted_at__isnull=True) & ~Q(subject_value=""),
                name="account_subject_once",
            ),
            models.CheckConstraint(
                condition=Q(identity__isnull=True, link_rule="")
                | (Q(identity__isnull=False) & ~Q(link_rule="")),
                name="account_link_has_rule",
            ),
        ]
        indexes = [
            # Of live accounts, with the tenant, so that counting them reads the index alone. Pages go by the bytes of
            # the id: in the order of ids the primary key leads past everybody else's, too.
            models.Index(
                F("tenant"),
                F("connection"),
                Func(F("id"), function="uuid_send"),
                condition=Q(deleted_at__isnull=True),
                name="account_page",
            ),
            models.Index(
                fields=["tenant", "connection", "user_name_key", "id"],
                condition=Q(deleted_at__isnull=True),
                name="account_by_name",
            ),
            models.Index(
                fields=["tenant", "connection", "external_id"],
                condition=Q(deleted_at__isnull=True, external_id__isnull=False),
                name="account_by_external_id",
            ),
            models.Index(fields=["tenant", "connection", "updated_at", "id"], name="account_by_change"),
            models.Index(
                fields=["asserted_key", "connection"],
                condition=Q(deleted_at__isnull=True, asserted_key__isnull=False),
                name="account_asserted_key",
            ),
            models.Index(
                fields=["user_name_skeleton"],
                condition=Q(deleted_at__isnull=True) & ~Q(user_name_skeleton=""),
                name="account_looks_like",
            ),
            # With the end, so that counting who has a live account reads the index alone.
            models.Index(fields=["tenant", "identity"], include=["deleted_at"], name="account_identity"),
            models.Index(
                fields=["tenant", "created_at"],
                condition=Q(confirmed_at__isnull=True, deleted_at__isnull=True),
                name="account_unconfirmed",
            ),
            # With all that the burst alarm and the start page ask of it, so that neither reads a row.
            models.Index(
                fields=["created_at"],
                include=["tenant", "connection", "confirmed_at", "deleted_at"],
                condition=Q(origin="jit"),
                name="account_made_by_login",
            ),
            models.Index(fields=["tenant"], condition=Q(deleted_at__isnull=False), name="account_deleted"),
            GinIndex(fields=["email_keys"], name="account_email_keys", fastupdate=False),
            GinIndex(
                fields=["unique_keys"],
                name="account_unique_keys",
                fastupdate=False,
                condition=~Q(unique_keys=[]),
            ),
            # Its pending list is read with every search, so it is kept short (KiB).
            GinIndex(fields=["search"], name="account_search", gin_pending_list_limit=1024),
        ]

    def __str__(self) -> str:
        return self.user_name


class Hold(TenantRow):
    """Why an identity may not log in. `source_account_id` outlives the account, so it is not a foreign key."""

    identity = TenantForeignKey(Identity, on_delete=models.CASCADE, related_name="holds")
    kind = models.CharField(max_length=16, choices=[(k.value, k.value) for k in HoldKind])
    source_account_id = models.UUIDField(null=True, blank=True)
    reason = models.CharField(max_length=500, blank=True)
    placed_by = models.CharField(max_length=100)
    placed_at = models.DateTimeField(default=now)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["identity", "kind", "source_account_id"], name="hold_once", nulls_distinct=False
            ),
        ]
        indexes = [
            models.Index(fields=["source_account_id"], name="hold_source"),
            models.Index(fields=["placed_at"], condition=Q(kind="scim"), name="hold_placed_by_source"),
        ]

    def __str__(self) -> str:
        return self.kind


class Override(TenantRow):
    """What an administrator says that an identity shows as one attribute, until a moment: `decision.authority` says
    which may be overridden. It lives until something ends it, at `until` the schedule."""

    identity = TenantForeignKey(Identity, on_delete=models.CASCADE, related_name="overrides")
    attribute = models.CharField(max_length=32, choices=[(name, name) for name in OVERRIDABLE])
    value = models.CharField(max_length=512, blank=True)
    instead_of = models.CharField(max_length=512, blank=True)
    """What its sources said last: all there is to show afterwards where no account lives to ask."""
    reason = models.CharField(max_length=500)
    until = models.DateTimeField()
    set_by = models.CharField(max_length=100)
    set_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_by = models.CharField(max_length=100, blank=True)

    class Meta:
        ordering = ["-set_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "identity", "attribute"],
                condition=Q(ended_at__isnull=True),
                name="override_once",
            ),
            models.CheckConstraint(condition=Q(until__gt=F("set_at")), name="override_ends"),
            models.CheckConstraint(
                condition=(~Q(value="") & ~Q(reason="")) | Q(ended_at__isnull=False),
                name="override_says_something",
            ),
        ]
        indexes = [
            models.Index(fields=["identity"], name="override_identity"),
            models.Index(fields=["until"], condition=Q(ended_at__isnull=True), name="override_due"),
        ]

    def __str__(self) -> str:
        return self.attribute


class Alias(TenantRow):
    """An old name or key: people can look it up, nobody logs in with it."""

    identity = TenantForeignKey(Identity, on_delete=models.CASCADE, related_name="aliases", null=True)
    account_id = models.UUIDField()
    kind = models.CharField(max_length=16)
    value = models.CharField(max_length=512)
    value_key = models.CharField(max_length=512)
    since = models.DateTimeField(default=now)

    class Meta:
        verbose_name_plural = "aliases"
        constraints = [
            models.UniqueConstraint(fields=["account_id", "kind", "value_key"], name="alias_once"),
        ]
        indexes = [
            models.Index(fields=["tenant", "value_key"], name="alias_value"),
            models.Index(fields=["identity"], name="alias_identity"),
        ]

    def __str__(self) -> str:
        return self.value


class Tombstone(TenantRow):
    """The trace of a deleted account; `id` is the account's. Its digests stay when the data is purged."""

    connection = TenantForeignKey(Connection, on_delete=models.CASCADE, related_name="tombstones")
    identity = TenantForeignKey(Identity, on_delete=models.CASCADE, related_name="tombstones", null=True)
    external_id_digest = models.BinaryField(null=True)
    user_name_digest = models.BinaryField()
    subject_digest = models.BinaryField(null=True)
    deleted_at = models.DateTimeField()
    purge_after = models.DateTimeField()
    purged_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["external_id_digest"], name="tombstone_external_id"),
            models.Index(fields=["user_name_digest"], name="tombstone_user_name"),
            models.Index(fields=["subject_digest"], name="tombstone_subject"),
            models.Index(fields=["identity"], name="tombstone_identity"),
            models.Index(fields=["purge_after"], condition=Q(purged_at__isnull=True), name="tombstone_due"),
        ]

    def __str__(self) -> str:
        return str(self.pk)
