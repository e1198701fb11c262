"""Directory groups and groups that logins bring, and the entitlements that a mapping derives from them."""

from typing import Any

from django.db import models
from django.db.models import Exists, Func, OuterRef, Q
from django.db.models.fields.json import KeyTransform

from identity_hub.core.clock import now

from .base import TenantForeignKey, TenantRow
from .connections import Connection
from .people import Account


class DirectoryGroup(TenantRow):
    """The SCIM Group of a connection; its members are accounts of the same connection."""

    connection = TenantForeignKey(Connection, on_delete=models.PROTECT, related_name="groups")
    display_name = models.CharField(max_length=512)
    display_name_key = models.CharField(max_length=512, editable=False)
    # Null and not empty: SCIM tells an absent externalId from every value, and so must uniqueness.
    external_id = models.CharField(max_length=512, null=True, blank=True)  # noqa: DJ001
    resource = models.JSONField(default=dict)
    """Further attributes of the canonical document; never members."""
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(default=now, editable=False)
    updated_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        ordering = ["display_name", "id"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "id"], name="group_tenant_id"),
            models.UniqueConstraint(
                fields=["connection", "external_id"],
                condition=Q(external_id__isnull=False),
                name="group_external_id_once",
            ),
        ]
        indexes = [
            models.Index(fields=["connection", "id"], name="group_page"),
            models.Index(fields=["connection", "display_name_key"], name="group_display_name"),
        ]

    def __str__(self) -> str:
        return self.display_name


class Membership(models.Model):
    id = models.BigAutoField(primary_key=True)
    # Group and account are of this tenant, so the tenant is there: a check less for each of a thousand members.
    tenant = models.ForeignKey(
        "provisioning.Tenant", on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    group = TenantForeignKey(DirectoryGroup, on_delete=models.CASCADE, related_name="memberships")
    account = TenantForeignKey(Account, on_delete=models.CASCADE, related_name="memberships")
    since = models.DateTimeField(default=now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["group", "account"], name="membership_once")]
        indexes = [models.Index(fields=["account"], name="membership_account")]

    def __str__(self) -> str:
        return f"{self.account_id} in {self.group_id}"


class EntitlementQuerySet(models.QuerySet["Entitlement"]):
    def of_identity(self, identity: Any) -> "EntitlementQuerySet":
        """What an identity holds now.

        Derived through mappings from what its live, active accounts are in: directory groups, and the groups that
        their last login brought.
        """
        by_directory = EntitlementMapping.objects.filter(
            tenant=identity.tenant_id,
            group__memberships__account__identity=identity.pk,
            group__memberships__account__deleted_at__isnull=True,
            group__memberships__account__active=True,
        )
        by_login = AssertedGroup.objects.in_force(identity)
        return self.filter(
            Q(pk__in=by_directory.values("entitlement")) | Q(pk__in=by_login.values("entitlement")),
            tenant=identity.tenant_id,
        )


class Entitlement(TenantRow):
    """A role or group of the tenant in the hub, given only through a mapping. No mapping, no privilege."""

    class Kind(models.TextChoices):
        ROLE = "role", "Role"
        GROUP = "group", "Group"

    kind = models.CharField(max_length=16, choices=Kind, default=Kind.ROLE)
    name = models.CharField(max_length=200)
    description = models.CharField(max_length=500, blank=True)
    grants_staff = models.BooleanField("administers the tenant", default=False)

    objects = EntitlementQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "id"], name="entitlement_tenant_id"),
            models.UniqueConstraint(fields=["tenant", "kind", "name"], name="entitlement_once"),
        ]

    def __str__(self) -> str:
        return self.name


class EntitlementMapping(TenantRow):
    entitlement = TenantForeignKey(Entitlement, on_delete=models.CASCADE, related_name="mappings")
    group = TenantForeignKey(DirectoryGroup, on_delete=models.CASCADE, related_name="mappings")
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["entitlement", "group"], name="mapping_once")]
        indexes = [models.Index(fields=["group"], name="mapping_group")]

    def __str__(self) -> str:
        return f"{self.group} → {self.entitlement}"


class AssertedGroupQuerySet(models.QuerySet["AssertedGroup"]):
    def in_force(self, identity: Any, tenant_id: Any = None) -> "AssertedGroupQuerySet":
        """What of the allow-list gives an identity something now.

        `identity` may be a reference to one of an outer query, which then names the tenant beside it.

        A live, active account of it brought the value with its last login; of an account that SCIM has not confirmed
        that counts only where its connection says so. Row 31: where SCIM manages groups, those of logins do not count.
        """
        brings = Func(
            KeyTransform("groups", "assertion"),
            OuterRef("value"),
            function="jsonb_exists",
            output_field=models.BooleanField(),
        )
        bringing = Account.objects.filter(
            Q(confirmed_at__isnull=False) | Q(connection__groups_unconfirmed=True),
            brings,
            tenant=OuterRef("tenant"),
            connection=OuterRef("connection"),
            identity=identity.pk if tenant_id is None else OuterRef(identity),
            deleted_at__isnull=True,
            active=True,
        )
        managed = DirectoryGroup.objects.filter(tenant=OuterRef("tenant"), connection=OuterRef("connection"))
        return self.filter(
            Exists(bringing), ~Exists(managed), tenant=tenant_id or identity.tenant_id
        ).exclude(connection__group_attribute="")


class AssertedGroup(TenantRow):
    """One row of a connection's allow-list: who brings this value (exact) by a login holds the entitlement."""

    connection = TenantForeignKey(Connection, on_delete=models.CASCADE, related_name="asserted_groups")
    value = models.CharField(max_length=512)
    entitlement = TenantForeignKey(Entitlement, on_delete=models.CASCADE, related_name="asserted_by")
    created_at = models.DateTimeField(default=now, editable=False)

    objects = AssertedGroupQuerySet.as_manager()

    class Meta:
        ordering = ["value"]
        constraints = [
            models.UniqueConstraint(fields=["connection", "value", "entitlement"], name="assertedgroup_once")
        ]
        indexes = [models.Index(fields=["entitlement"], name="assertedgroup_entitlement")]

    def __str__(self) -> str:
        return f"{self.value} → {self.entitlement}"
