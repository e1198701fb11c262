"""The schema extensions of a tenant, as the Schema documents of RFC 7643 7. Knows no resource."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from provisioning.models import SchemaAttribute, SchemaExtension, Tenant

# RFC 7643 2.3.6 and 2.3.7: the values of these types are case exact.
CASE_EXACT_TYPES = frozenset({SchemaAttribute.Type.BINARY, SchemaAttribute.Type.REFERENCE})


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtensionDocument:
    """One extension: which resource type it belongs to, whether it is required, its Schema document."""

    id: UUID
    resource: str
    required: bool
    document: dict[str, Any]


def version_of(tenant_id: UUID) -> int:
    """Goes up with every change of the tenant's extensions; 1 means that there never was one."""
    version: int = Tenant.objects.values_list("schema_version", flat=True).get(pk=tenant_id)
    return version


def extensions_of(tenant_id: UUID) -> list[ExtensionDocument]:
    """All of a tenant's extensions, in the order they were defined. Two statements."""
    extensions = list(SchemaExtension.objects.filter(tenant_id=tenant_id).order_by("id"))
    if not extensions:
        return []
    rows = SchemaAttribute.objects.filter(tenant_id=tenant_id).order_by("id")
    children: dict[tuple[UUID, UUID | None], list[SchemaAttribute]] = defaultdict(list)
    for row in rows:
        children[row.extension_id, row.parent_id].append(row)
    return [
        ExtensionDocument(
            id=extension.pk,
            resource=extension.resource,
            required=extension.required,
            document={
                "id": extension.urn,
                "name": extension.name,
                **_described(extension),
                "attributes": [
                    _attribute(row, children[extension.pk, row.pk]) for row in children[extension.pk, None]
                ],
            },
        )
        for extension in extensions
    ]


def _described(row: SchemaExtension | SchemaAttribute) -> dict[str, str]:
    return {"description": row.description} if row.description else {}


def _attribute(row: SchemaAttribute, subs: list[SchemaAttribute]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "name": row.name,
        "type": row.type,
        "multiValued": row.multi_valued,
        **_described(row),
        "required": row.required,
        "caseExact": row.case_exact or row.type in CASE_EXACT_TYPES,
        "mutability": row.mutability,
        "returned": row.returned,
        "uniqueness": row.uniqueness,
    }
    if row.canonical_values:
        told["canonicalValues"] = list(row.canonical_values)
    if row.type == SchemaAttribute.Type.REFERENCE:
        # Any URI is taken; which resource it leads to is not looked into.
        told["referenceTypes"] = ["external", "uri"]
    if row.type == SchemaAttribute.Type.COMPLEX:
        told["subAttributes"] = [_attribute(sub, []) for sub in subs]
    return told
