"""Attributes that a tenant adds to its resources, as rows, and the resources of types that are nothing but data."""

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from identity_hub.core.clock import now

from .base import TenantForeignKey, TenantRow
from .connections import Connection


class SchemaExtension(TenantRow):
    """One SCIM schema extension (RFC 7643 3.3) of a tenant. Its attributes are rows of their own."""

    class Resource(models.TextChoices):
        USER = "User", "Users"
        GROUP = "Group", "Groups"

    resource = models.CharField(max_length=64, choices=Resource, default=Resource.USER)
    urn = models.CharField("URN", max_length=256)
    urn_key = models.CharField(max_length=256, editable=False)
    """Lower case: RFC 7643 10.1 compares URNs without it."""
    name = models.CharField(max_length=100)
    description = models.CharField(max_length=500, blank=True)
    required = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        ordering = ["urn"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "id"], name="schemaextension_tenant_id"),
            models.UniqueConstraint(fields=["tenant", "urn_key"], name="schemaextension_once"),
        ]

    def __str__(self) -> str:
        return self.urn


class SchemaAttribute(TenantRow):
    """One attribute of an extension with its characteristics (RFC 7643 2.2); `parent` makes it a sub-attribute."""

    class Type(models.TextChoices):
        STRING = "string", "String"
        BOOLEAN = "boolean", "Boolean"
        DECIMAL = "decimal", "Decimal"
        INTEGER = "integer", "Integer"
        DATE_TIME = "dateTime", "Date and time"
        REFERENCE = "reference", "Reference"
        BINARY = "binary", "Binary"
        COMPLEX = "complex", "Complex"

    class Mutability(models.TextChoices):
        READ_WRITE = "readWrite", "Read and write"
        READ_ONLY = "readOnly", "Read only"
        IMMUTABLE = "immutable", "Immutable"
        WRITE_ONLY = "writeOnly", "Write only"

    class Returned(models.TextChoices):
        DEFAULT = "default", "By default"
        ALWAYS = "always", "Always"
        REQUEST = "request", "On request"
        NEVER = "never", "Never"

    class Uniqueness(models.TextChoices):
        NONE = "none", "None"
        SERVER = "server", "Within the connection"

    extension = TenantForeignKey(SchemaExtension, on_delete=models.CASCADE, related_name="attributes")
    parent = TenantForeignKey(
        "self", on_delete=models.CASCADE, related_name="sub_attributes", null=True, blank=True
    )
    name = models.CharField(max_length=100)
    name_key = models.CharField(max_length=100, editable=False)
    description = models.CharField(max_length=500, blank=True)
    type = models.CharField(max_length=16, choices=Type, default=Type.STRING)
    multi_valued = models.BooleanField(default=False)
    required = models.BooleanField(default=False)
    case_exact = models.BooleanField(default=False)
    mutability = models.CharField(max_length=16, choices=Mutability, default=Mutability.READ_WRITE)
    returned = models.CharField(max_length=16, choices=Returned, default=Returned.DEFAULT)
    uniqueness = models.CharField(max_length=16, choices=Uniqueness, default=Uniqueness.NONE)
    canonical_values = ArrayField(models.CharField(max_length=256), default=list, blank=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "id"], name="schemaattribute_tenant_id"),
            models.UniqueConstraint(
                fields=["extension", "parent", "name_key"],
                name="schemaattribute_once",
                nulls_distinct=False,
            ),
        ]

    def __str__(self) -> str:
        return self.name


class DataResource(TenantRow):
    """A resource of a type that is defined by its schema alone. The conformance profile's are kept here."""

    connection = TenantForeignKey(Connection, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=64)
    external_id = models.CharField(max_length=512, null=True, blank=True)  # noqa: DJ001 - absent is no value
    unique_keys = ArrayField(models.CharField(max_length=1200), default=list, blank=True)
    resource: Any = models.JSONField(default=dict)
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(default=now, editable=False)
    updated_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["connection", "kind", "external_id"],
                condition=Q(external_id__isnull=False),
                name="dataresource_external_id_once",
            ),
        ]
        indexes = [models.Index(fields=["connection", "kind", "id"], name="dataresource_page")]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"
