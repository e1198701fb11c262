"""Writes of a tenant's own SCIM schemas, and what a change does to the values that exist.

The rule: an attribute may be added, removed (with its values) or relaxed. Its type, its multiplicity and its case
rule stay as they were defined, and it cannot become unique later: the values that exist were written under them.
"""

from collections.abc import Iterable
from typing import Any

from django.db import connection as database
from django.db import transaction
from django.db.models import F

from identity_hub.core.clock import now
from provisioning import audit
from provisioning.decision.reasons import Act
from provisioning.decision.types import Actor
from provisioning.models import SchemaAttribute, SchemaExtension, Tenant

from .configuration import Invalid
from .definitions import AttributeDefinition, Definition, Path, check, key_of, overlap
from .invalid import needed_reason
from .submission import take_locks

MAX_EXTENSIONS = 20

_FIXED = ("type", "multi_valued", "case_exact")
_CHANGEABLE = ("description", "required", "mutability", "returned", "uniqueness", "canonical_values")


def define(*, tenant: Tenant, definition: Definition, actor: Actor, reason: str) -> SchemaExtension:
    """Defines an extension, or changes the one of that URN into what the definition says.

    In force with the next request, in every process. What a removed attribute held is erased in the same
    transaction, from every resource of the tenant.
    """
    reason = needed_reason(reason)
    check(definition)
    with transaction.atomic():
        Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
        known = SchemaExtension.objects.filter(tenant=tenant, urn_key=definition.urn.lower()).first()
        if known is None:
            extension, changed, gone = _created(tenant, definition), ["extension"], []
        else:
            extension, changed, gone = known, _changed(known, definition), _removed(known, definition)
        changed += _attributes(extension, definition)
        if not changed and not gone:
            return extension
        if gone:
            _erase(extension, gone)
        _new_version(tenant)
        audit.record_act(
            Act.SCHEMA_DEFINED if known is None else Act.SCHEMA_CHANGED,
            extension,
            actor=actor,
            why=reason,
            changes=_told(extension, [*changed, *(f"-{'.'.join(path)}" for path in gone)]),
        )
    return extension


def remove(*, extension: SchemaExtension, actor: Actor, reason: str) -> None:
    """Removes an extension, and what every resource of the tenant holds of it."""
    reason = needed_reason(reason)
    with transaction.atomic():
        tenant = Tenant.objects.select_for_update(no_key=True).get(pk=extension.tenant_id)
        told = _told(extension, ["extension"])
        audit.record_act(Act.SCHEMA_REMOVED, extension, actor=actor, why=reason, changes=told)
        _erase(extension, [()])
        SchemaExtension.objects.filter(tenant=tenant, pk=extension.pk).delete()
        _new_version(tenant)


def _new_version(tenant: Tenant) -> None:
    Tenant.objects.filter(pk=tenant.pk).update(schema_version=F("schema_version") + 1)


def _created(tenant: Tenant, definition: Definition) -> SchemaExtension:
    others = list(SchemaExtension.objects.filter(tenant=tenant).values_list("urn_key", flat=True))
    if len(others) >= MAX_EXTENSIONS:
        raise Invalid("urn", f"A tenant has at most {MAX_EXTENSIONS} extensions.")
    for other in others:
        if overlap(definition.urn.lower(), other):
            raise Invalid("urn", f"One of this URN and {other} begins with the other.")
    return SchemaExtension.objects.create(
        tenant=tenant,
        resource=definition.resource,
        urn=definition.urn,
        urn_key=definition.urn.lower(),
        name=definition.name,
        description=definition.description,
        required=definition.required,
    )


def _changed(extension: SchemaExtension, definition: Definition) -> list[str]:
    """Changes the extension's own fields; which ones changed."""
    if definition.resource != extension.resource:
        raise Invalid("resource", "An extension stays with the type of resource that it was defined for.")
    changed = [
        field
        for field in ("name", "description", "required")
        if getattr(extension, field) != getattr(definition, field)
    ]
    for field in changed:
        setattr(extension, field, getattr(definition, field))
    if changed:
        extension.save(update_fields=changed)
    return changed


def _rows(extension: SchemaExtension) -> dict[Path, SchemaAttribute]:
    rows = list(SchemaAttribute.objects.filter(tenant_id=extension.tenant_id, extension=extension))
    names = {row.pk: row.name_key for row in rows}
    return {((names[row.parent_id], row.name_key) if row.parent_id else (row.name_key,)): row for row in rows}


def _attributes(extension: SchemaExtension, definition: Definition) -> list[str]:
    """Adds and changes attributes; the labels of those that are new or different."""
    rows, changed = _rows(extension), []
    # A complex attribute before its parts.
    for one in sorted(definition.attributes, key=lambda one: len(one.path)):
        row = rows.get(key_of(one.path))
        if row is None:
            rows[key_of(one.path)] = SchemaAttribute.objects.create(
                tenant_id=extension.tenant_id,
                extension=extension,
                parent=rows[key_of(one.path[:1])] if len(one.path) > 1 else None,
                name=one.path[-1],
                name_key=one.path[-1].lower(),
                **{field: _stored(one, field) for field in (*_FIXED, *_CHANGEABLE)},
            )
            changed.append(one.label)
            continue
        if row.name != one.path[-1] or any(getattr(row, field) != getattr(one, field) for field in _FIXED):
            raise Invalid(
                "attributes",
                f"{one.label}: name, type, multiplicity and case rule stay as they were defined. "
                "Remove the attribute, which erases its values, or define another one.",
            )
        if one.uniqueness != "none" and row.uniqueness == "none":
            raise Invalid(
                "attributes",
                f"{one.label}: it cannot become unique, as nobody watched the values that it has.",
            )
        different = [field for field in _CHANGEABLE if getattr(row, field) != _stored(one, field)]
        if different:
            for field in different:
                setattr(row, field, _stored(one, field))
            row.save(update_fields=different)
            changed.append(one.label)
    return changed


def _stored(one: AttributeDefinition, field: str) -> Any:
    value = getattr(one, field)
    return list(value) if field == "canonical_values" else value


def _removed(extension: SchemaExtension, definition: Definition) -> list[Path]:
    """Deletes the attributes that the definition no longer has; their paths, spelled as they were defined."""
    kept = {key_of(one.path) for one in definition.attributes}
    rows = _rows(extension)
    gone = {key: row for key, row in rows.items() if key not in kept}
    SchemaAttribute.objects.filter(
        tenant_id=extension.tenant_id, pk__in=[row.pk for row in gone.values()]
    ).delete()
    return [
        (rows[key[:1]].name, row.name) if len(key) > 1 else (row.name,)
        for key, row in sorted(gone.items())
        # With a complex attribute its parts go.
        if len(key) == 1 or key[:1] not in gone
    ]


_CUT = {
    0: "resource - %(urn)s::text",
    1: "resource #- %(attribute)s::text[]",
    2: """CASE jsonb_typeof(resource #> %(attribute)s::text[]) WHEN 'array' THEN
        jsonb_set(resource, %(attribute)s::text[], (
            SELECT coalesce(jsonb_agg(e - %(sub)s::text) FILTER (WHERE e - %(sub)s::text <> '{}'), '[]')
            FROM jsonb_array_elements(resource #> %(attribute)s::text[]) AS e
        )) ELSE resource #- %(part)s::text[] END""",
}
"""By how many names a path has. What then is empty is not there (RFC 7643 2.5)."""

_ERASE = """
WITH cut AS (
    SELECT id, {cut} AS resource FROM {table}
    WHERE tenant_id = %(tenant)s AND resource #> {present} IS NOT NULL ORDER BY id FOR NO KEY UPDATE
), tidy AS (
    SELECT id, CASE WHEN resource #> %(attribute)s::text[] IN ('{{}}', '[]')
        THEN resource #- %(attribute)s::text[] ELSE resource END AS resource
    FROM cut
), whole AS (
    SELECT id, CASE WHEN resource -> %(urn)s::text <> '{{}}' THEN resource ELSE
        jsonb_set(
            resource - %(urn)s::text, '{{schemas}}', coalesce(resource -> 'schemas', '[]') - %(urn)s::text, false
        ) END AS resource
    FROM tidy
)
UPDATE {table} AS row SET resource = whole.resource, version = row.version + 1, updated_at = %(at)s{more}
FROM whole WHERE row.id = whole.id
"""
_FORGET_KEYS = """,
    unique_keys = ARRAY(
        SELECT key FROM unnest(row.unique_keys) AS key
        WHERE NOT EXISTS (SELECT FROM unnest(%(keys)s::text[]) AS gone WHERE starts_with(key, gone))
    )"""

_TABLES = {
    SchemaExtension.Resource.USER: "provisioning_account",
    SchemaExtension.Resource.GROUP: "provisioning_directorygroup",
}


def _erase(extension: SchemaExtension, paths: Iterable[Path]) -> None:
    """Takes the values of attributes (of the whole extension: the empty path) out of every resource."""
    # Nobody writes a person meanwhile: a document computed from the old one would bring the values back.
    take_locks(extension.tenant_id, set(), alone=True)
    users = extension.resource == SchemaExtension.Resource.USER
    for path in paths:
        statement = _ERASE.format(
            table=_TABLES[SchemaExtension.Resource(extension.resource)],
            cut=_CUT[len(path)],
            present="%(attribute)s::text[]" if path else "%(whole)s::text[]",
            more=_FORGET_KEYS if users else "",
        )
        with database.cursor() as cursor:
            cursor.execute(
                statement,
                {
                    "tenant": extension.tenant_id,
                    "at": now(),
                    "urn": extension.urn,
                    "whole": [extension.urn],
                    "attribute": [extension.urn, path[0] if path else ""],
                    "part": [extension.urn, *path],
                    "sub": path[-1] if path else "",
                    "keys": [f"{extension.urn}:{'.'.join(path)}{end}".lower() for end in ("=.") if path]
                    or [f"{extension.urn}:".lower()],
                },
            )


def _told(extension: SchemaExtension, fields: list[str]) -> list[dict[str, Any]]:
    return [{"change": "schema", "urn": extension.urn, "attributes": fields}]
