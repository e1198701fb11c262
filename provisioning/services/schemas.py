"""Writes of a tenant's own SCIM schemas: what may be defined, and what a change does to the values that exist.

The rule: an attribute may be added, removed (with its values) or relaxed. Its type, its multiplicity and its case
rule stay as they were defined, and it cannot become unique later: the values that exist were written under them.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import connection as database
from django.db import transaction
from django.db.models import F

from identity_hub.core.clock import now
from identity_hub.core.request_id import current_request_id
from provisioning import audit
from provisioning.decision.authority import CORE_USER, ENTERPRISE_USER
from provisioning.decision.reasons import Act
from provisioning.decision.types import Actor, Channel
from provisioning.models import SchemaAttribute, SchemaExtension, Tenant

from .configuration import Invalid
from .submission import take_locks

MAX_EXTENSIONS = 20
MAX_ATTRIBUTES = 100
"""Of one extension, its sub-attributes included."""
MAX_CANONICAL_VALUES = 100

# RFC 8141, without the characters that mean something else in a path, a filter or a key.
_URN = re.compile(r"urn:[a-z0-9][a-z0-9-]{0,31}(:[a-z0-9._-]+)+", re.IGNORECASE)
# RFC 7643 2.1: ATTRNAME = ALPHA *(nameChar); "$ref" is its one exception.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_WORDS_OF_FILTERS = frozenset("and or not eq ne co sw ew gt ge lt le pr true false null".split())
_PUBLISHED = (CORE_USER, ENTERPRISE_USER)
_RESERVED = (
    "urn:ietf:params:scim:schemas:core:",
    "urn:ietf:params:scim:api:",
    "urn:ietf:params:scim:schemas:extension:enterprise:",
    "urn:identity-hub:",
)

Path = tuple[str, ...]
"""An attribute's name, or a complex one's and its sub-attribute's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeDefinition:
    """One attribute as an administrator wants it. `path` has two names for a sub-attribute."""

    path: Path
    type: str = "string"
    multi_valued: bool = False
    required: bool = False
    case_exact: bool = False
    mutability: str = "readWrite"
    returned: str = "default"
    uniqueness: str = "none"
    canonical_values: tuple[str, ...] = ()
    description: str = ""

    @property
    def label(self) -> str:
        return ".".join(self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """One extension as an administrator wants it, whole."""

    urn: str
    name: str
    resource: str = "User"
    description: str = ""
    required: bool = False
    attributes: tuple[AttributeDefinition, ...] = ()


_FIXED = ("type", "multi_valued", "case_exact")
_CHANGEABLE = ("description", "required", "mutability", "returned", "uniqueness", "canonical_values")


def definition_of(document: object, *, resource: str = "User", required: bool = False) -> Definition:
    """A Schema document (RFC 7643 7) as a definition. Invalid where it is none."""
    if not isinstance(document, dict):
        raise Invalid("document", "A Schema document is a JSON object.")
    return Definition(
        urn=_text(document, "id", "document"),
        name=_text(document, "name", "document", document.get("id")),
        description=_text(document, "description", "document", ""),
        resource=resource,
        required=required,
        attributes=tuple(_read(document.get("attributes"), ())),
    )


def _read(raw: object, parent: Path) -> Iterable[AttributeDefinition]:
    where = ".".join(parent) or "attributes"
    if not isinstance(raw, list):
        raise Invalid("attributes", f"{where}: this is not a list of attributes.")
    for one in raw:
        if not isinstance(one, dict):
            raise Invalid("attributes", f"{where}: an attribute is a JSON object.")
        path = (*parent, _text(one, "name", where))
        label = ".".join(path)
        choices = one.get("canonicalValues") or []
        if not isinstance(choices, list) or not all(isinstance(choice, str) for choice in choices):
            raise Invalid("attributes", f"{label}: canonicalValues is a list of strings.")
        yield AttributeDefinition(
            path=path,
            type=_text(one, "type", label, "string"),
            multi_valued=_flag(one, "multiValued", label),
            required=_flag(one, "required", label),
            case_exact=_flag(one, "caseExact", label),
            mutability=_text(one, "mutability", label, "readWrite"),
            returned=_text(one, "returned", label, "default"),
            uniqueness=_text(one, "uniqueness", label, "none"),
            canonical_values=tuple(choices),
            description=_text(one, "description", label, ""),
        )
        if one.get("subAttributes"):
            if parent:
                raise Invalid(
                    "attributes", f"{label}: a sub-attribute has no sub-attributes (RFC 7643 2.3.8)."
                )
            yield from _read(one["subAttributes"], path)


def _text(raw: Mapping[str, Any], key: str, label: str, default: Any = None) -> str:
    value = raw.get(key)
    if value is None:
        value = default
    if not isinstance(value, str):
        raise Invalid("attributes", f"{label}: {key} is missing, or no string.")
    return value.strip()


def _flag(raw: Mapping[str, Any], key: str, label: str) -> bool:
    value = raw.get(key) or False
    if not isinstance(value, bool):
        raise Invalid("attributes", f"{label}: {key} is true or false.")
    return value


def define(*, tenant: Tenant, definition: Definition, actor: Actor, reason: str = "") -> SchemaExtension:
    """Defines an extension, or changes the one of that URN into what the definition says.

    In force with the next request, in every process. What a removed attribute held is erased in the same
    transaction, from every resource of the tenant.
    """
    _check(definition)
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
        _record(
            extension,
            Act.SCHEMA_DEFINED if known is None else Act.SCHEMA_CHANGED,
            actor,
            reason,
            [*changed, *(f"-{'.'.join(path)}" for path in gone)],
        )
    return extension


def remove(*, extension: SchemaExtension, actor: Actor, reason: str = "") -> None:
    """Removes an extension, and what every resource of the tenant holds of it."""
    with transaction.atomic():
        tenant = Tenant.objects.select_for_update(no_key=True).get(pk=extension.tenant_id)
        _record(extension, Act.SCHEMA_REMOVED, actor, reason, ["extension"])
        _erase(extension, [()])
        SchemaExtension.objects.filter(tenant=tenant, pk=extension.pk).delete()
        _new_version(tenant)


def _new_version(tenant: Tenant) -> None:
    Tenant.objects.filter(pk=tenant.pk).update(schema_version=F("schema_version") + 1)


# What may be defined.


def _check(definition: Definition) -> None:
    urn = definition.urn.lower()
    if not _URN.fullmatch(urn) or len(urn) > 256:
        raise Invalid(
            "urn", "A URN reads urn:example:badge:2.0:User: letters, digits, dots, hyphens, colons."
        )
    if urn.startswith(_RESERVED) or any(_within(urn, one.lower()) for one in _PUBLISHED):
        raise Invalid("urn", "This URN belongs to a schema of the hub's own.")
    if not definition.name.strip() or len(definition.name) > 100:
        raise Invalid("name", "An extension has a name of at most 100 characters.")
    if len(definition.description) > 500:
        raise Invalid("description", "A description has at most 500 characters.")
    if definition.resource not in SchemaExtension.Resource.values:
        raise Invalid("resource", f"Extensions belong to {' or '.join(SchemaExtension.Resource.values)}.")
    if not definition.attributes:
        raise Invalid("attributes", "An extension has at least one attribute.")
    if len(definition.attributes) > MAX_ATTRIBUTES:
        raise Invalid("attributes", f"An extension has at most {MAX_ATTRIBUTES} attributes.")
    by_key: dict[Path, AttributeDefinition] = {}
    for one in definition.attributes:
        if _key(one.path) in by_key:
            raise Invalid(
                "attributes", f"{one.label}: this name stands there twice; case does not tell them apart."
            )
        by_key[_key(one.path)] = one
    for one in definition.attributes:
        parent = by_key.get(_key(one.path[:-1])) if len(one.path) > 1 else None
        children = [key for key in by_key if len(key) > 1 and key[:1] == _key(one.path)]
        if problem := _problem(one, parent, bool(children), definition.resource):
            raise Invalid("attributes", f"{one.label}: {problem}")


def _within(one: str, other: str) -> bool:
    """Whether one URN begins with the other: a path could mean an attribute of either."""
    return one == other or one.startswith(f"{other}:") or other.startswith(f"{one}:")


def _key(path: Path) -> Path:
    return tuple(name.lower() for name in path)


def _problem(  # noqa: PLR0911 - one line a rule
    one: AttributeDefinition, parent: AttributeDefinition | None, has_subs: bool, resource: str
) -> str:
    """What cannot be with this attribute; "" where nothing is wrong."""
    name = one.path[-1]
    if not (_NAME.fullmatch(name) or (name == "$ref" and len(one.path) == 2)) or len(name) > 100:
        return "a name begins with a letter, and has letters, digits, - and _ (RFC 7643 2.1)."
    if name.lower() in _WORDS_OF_FILTERS or name.lower() in ("schemas", "id", "meta"):
        return "this word has a meaning of its own in SCIM."
    for value, choices, what in (
        (one.type, SchemaAttribute.Type.values, "type"),
        (one.mutability, SchemaAttribute.Mutability.values, "mutability"),
        (one.returned, SchemaAttribute.Returned.values, "returned"),
        (one.uniqueness, SchemaAttribute.Uniqueness.values, "uniqueness"),
    ):
        if value not in choices:
            return f"{what} is one of {', '.join(choices)}."
    if len(one.path) > 2:
        return "a sub-attribute has no sub-attributes (RFC 7643 2.3.8)."
    if len(one.path) == 2:
        if parent is None or parent.type != "complex":
            return "only a complex attribute has sub-attributes; define that one, too."
        if one.type == "complex":
            return "a sub-attribute is not complex (RFC 7643 2.3.8)."
        if one.multi_valued:
            return "a sub-attribute has one value."
    elif (one.type == "complex") is not has_subs:
        return (
            "a complex attribute needs sub-attributes." if one.type == "complex" else "only complex ones do."
        )
    if name.lower() == "primary" and len(one.path) == 2 and one.type != "boolean":
        return "primary is a boolean (RFC 7643 2.4)."
    if one.required and one.mutability in ("readOnly", "writeOnly"):
        return "nobody can be asked for what is read-only, and what is write-only is not kept."
    if one.uniqueness != "none":
        if resource != SchemaExtension.Resource.USER:
            return "uniqueness is watched for users only."
        if one.type in ("complex", "boolean") or one.mutability in ("readOnly", "writeOnly"):
            return "only values that are kept, and more than two, can be unique."
    if len(one.canonical_values) > MAX_CANONICAL_VALUES:
        return f"there are at most {MAX_CANONICAL_VALUES} canonical values."
    if one.canonical_values and one.type not in ("string", "integer", "decimal", "reference"):
        return "canonical values are for strings, numbers and references."
    if any(not choice.strip() or len(choice) > 256 for choice in one.canonical_values):
        return "a canonical value has 1 to 256 characters."
    return "a description has at most 500 characters." if len(one.description) > 500 else ""


# How a definition becomes rows.


def _created(tenant: Tenant, definition: Definition) -> SchemaExtension:
    others = list(SchemaExtension.objects.filter(tenant=tenant).values_list("urn_key", flat=True))
    if len(others) >= MAX_EXTENSIONS:
        raise Invalid("urn", f"A tenant has at most {MAX_EXTENSIONS} extensions.")
    for other in others:
        if _within(definition.urn.lower(), other):
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
        row = rows.get(_key(one.path))
        if row is None:
            rows[_key(one.path)] = SchemaAttribute.objects.create(
                tenant_id=extension.tenant_id,
                extension=extension,
                parent=rows[_key(one.path[:1])] if len(one.path) > 1 else None,
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
    kept = {_key(one.path) for one in definition.attributes}
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


# What a removal does to the values that exist.

_CUT = {
    0: "resource - %(urn)s::text",
    1: "resource #- %(attribute)s::text[]",
    2: """CASE jsonb_typeof(resource #> %(attribute)s::text[]) WHEN 'array' THEN jsonb_set(resource, %(attribute)s::text[], (
            SELECT coalesce(jsonb_agg(e - %(sub)s::text) FILTER (WHERE e - %(sub)s::text <> '{}'), '[]')
            FROM jsonb_array_elements(resource #> %(attribute)s::text[]) AS e
        )) ELSE resource #- %(part)s::text[] END""",
}

_ERASE = """
WITH cut AS (
    SELECT id, {cut} AS resource FROM {table}
    WHERE tenant_id = %(tenant)s AND resource #> {present} IS NOT NULL ORDER BY id FOR NO KEY UPDATE
), tidy AS (
    SELECT id, CASE WHEN resource #> %(attribute)s::text[] IN ('{{}}', '[]') THEN resource #- %(attribute)s::text[] ELSE resource END
    AS resource FROM cut
), whole AS (
    SELECT id, CASE WHEN resource -> %(urn)s::text <> '{{}}' THEN resource ELSE
        jsonb_set(resource - %(urn)s::text, '{{schemas}}', coalesce(resource -> 'schemas', '[]') - %(urn)s::text, false)
    END AS resource FROM tidy
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


def _record(extension: SchemaExtension, code: Act, actor: Actor, reason: str, fields: Iterable[str]) -> None:
    audit.record(
        tenant_id=extension.tenant_id,
        at=now(),
        actor=actor,
        channel=Channel.ADMIN,
        intent="configure",
        reason=code,
        request_id=current_request_id(),
        object_id=extension.pk,
        changes=[{"change": "schema", "urn": extension.urn, "attributes": list(fields)}],
        values={"reason": reason} if reason else None,
    )
