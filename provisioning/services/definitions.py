"""What an administrator may define as a SCIM schema extension, and how it is written. Knows no database."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from identity_hub.core.text import keepable
from provisioning.decision.authority import CORE_USER, ENTERPRISE_USER
from provisioning.models import SchemaAttribute, SchemaExtension

from .configuration import Invalid

MAX_ATTRIBUTES = 100
"""Of one extension, its sub-attributes included."""
MAX_CANONICAL_VALUES = 100

# RFC 8141, without the characters that mean something else in a path, a filter or a key.
_URN = re.compile(r"urn:[a-z0-9][a-z0-9-]{0,31}(:[a-z0-9._-]+)+", re.IGNORECASE)
# RFC 7643 2.1: ATTRNAME = ALPHA *(nameChar); "$ref" is its one exception.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_WORDS_OF_FILTERS = frozenset(
    ("and", "or", "not", "eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le", "pr", "true", "false", "null")
)
_WORDS_OF_RESOURCES = frozenset(("schemas", "id", "meta"))
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
        if not isinstance(choices, list) or not all(map(_is_text, choices)):
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
    if not isinstance(value, str) or not _is_text(value):
        raise Invalid("attributes", f"{label}: {key} is missing, or no text.")
    return value.strip()


def _is_text(value: object) -> bool:
    return isinstance(value, str) and keepable(value)


def _flag(raw: Mapping[str, Any], key: str, label: str) -> bool:
    value = raw.get(key) or False
    if not isinstance(value, bool):
        raise Invalid("attributes", f"{label}: {key} is true or false.")
    return value


def check(definition: Definition) -> None:
    urn = definition.urn.lower()
    if not _URN.fullmatch(urn) or len(urn) > 256:
        raise Invalid(
            "urn", "A URN reads urn:example:badge:2.0:User: letters, digits, dots, hyphens, colons."
        )
    if urn.startswith(_RESERVED) or any(overlap(urn, one.lower()) for one in _PUBLISHED):
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
        if key_of(one.path) in by_key:
            raise Invalid(
                "attributes", f"{one.label}: this name stands there twice; case does not tell them apart."
            )
        by_key[key_of(one.path)] = one
    for one in definition.attributes:
        parent = by_key.get(key_of(one.path[:-1])) if len(one.path) > 1 else None
        children = [key for key in by_key if len(key) > 1 and key[:1] == key_of(one.path)]
        if problem := _problem(one, parent, bool(children), definition.resource):
            raise Invalid("attributes", f"{one.label}: {problem}")


def overlap(one: str, other: str) -> bool:
    """Whether one URN begins with the other: a path could mean an attribute of either."""
    return one == other or one.startswith(f"{other}:") or other.startswith(f"{one}:")


def key_of(path: Path) -> Path:
    return tuple(name.lower() for name in path)


def _problem(
    one: AttributeDefinition, parent: AttributeDefinition | None, has_subs: bool, resource: str
) -> str:
    """What cannot be with this attribute; "" where nothing is wrong."""
    name = one.path[-1]
    if not (_NAME.fullmatch(name) or (name == "$ref" and len(one.path) == 2)) or len(name) > 100:
        return "a name begins with a letter, and has letters, digits, - and _ (RFC 7643 2.1)."
    if name.lower() in _WORDS_OF_FILTERS or name.lower() in _WORDS_OF_RESOURCES:
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
