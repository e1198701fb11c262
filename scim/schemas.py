"""The resource types as data: what each attribute is called, holds, allows. Knows no request and no database.

The attributes come from Schema documents (RFC 7643 7). Those of the core are scim2-models'; one that an
administrator wrote has the same form: validation, PATCH, filters, projection and discovery read only this.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from scim2_models import EnterpriseUser, Group, User

JSON = dict[str, Any]
"""A JSON object. `Any` ends where `documents` has checked it."""

Name = tuple[str | None, str, str | None]
"""(extension URN or None, attribute, sub-attribute or None), spelled as the schema does."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Attribute:
    """One attribute's characteristics (RFC 7643 2.2). `subs` are keyed by lower-case name.

    `own` marks one that an administrator wrote: its canonical values, uniqueness, required sub-attributes and
    forms bind. The core's are suggestions, and real clients send others.
    """

    name: str
    type: str = "string"
    multi_valued: bool = False
    required: bool = False
    case_exact: bool = False
    mutability: str = "readWrite"
    returned: str = "default"
    uniqueness: str = "none"
    canonical_values: tuple[str, ...] = ()
    subs: "Mapping[str, Attribute]" = field(default_factory=lambda: MappingProxyType({}))
    own: bool = False
    longest: int | None = None
    """How many characters a column or an index of the hub holds. Everything else is bounded by the request."""

    demanding: bool = False
    """Whether one of its sub-attributes is required."""

    @property
    def writable(self) -> bool:
        return self.mutability != "readOnly"

    @property
    def unique(self) -> bool:
        return self.own and self.uniqueness != "none"

    def sub(self, name: str) -> "Attribute | None":
        return self.subs.get(name.lower())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Extension:
    urn: str
    required: bool
    attributes: Mapping[str, Attribute]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ResourceKind:
    """A resource type: its core attributes and its extensions, both keyed by lower-case name or URN."""

    name: str
    endpoint: str
    urn: str
    description: str
    attributes: Mapping[str, Attribute]
    extensions: Mapping[str, Extension]
    documents: tuple[JSON, ...]
    """The Schema documents that discovery publishes, the core one first."""
    always: frozenset[Name]
    """What every answer shows, whatever it was asked for (RFC 7643 7, "returned")."""
    never: frozenset[Name]
    on_request: frozenset[Name]
    immutable: tuple[Name, ...]
    """Own attributes that keep what they were given; sub-attributes of lists are checked where they are written."""
    unique: tuple[Name, ...]
    """Own attributes whose values no two resources of a connection share."""

    def extension(self, urn: str) -> Extension | None:
        return self.extensions.get(urn.lower())

    def attribute(self, urn: str | None, name: str) -> Attribute | None:
        """The attribute of that name; `urn` None or the core URN means the core schema."""
        if urn is None or urn.lower() == self.urn.lower():
            return self.attributes.get(name.lower())
        extension = self.extension(urn)
        return extension.attributes.get(name.lower()) if extension else None


# RFC 7643 3.1: these belong to every resource, and to no schema.
_COMMON = (
    Attribute(name="id", case_exact=True, mutability="readOnly", returned="always"),
    Attribute(name="externalId", case_exact=True, longest=512),
    Attribute(
        name="meta",
        type="complex",
        mutability="readOnly",
        subs={
            name.lower(): Attribute(name=name, type=type_, mutability="readOnly", case_exact=True)
            for name, type_ in (
                ("resourceType", "string"),
                ("created", "dateTime"),
                ("lastModified", "dateTime"),
                ("location", "reference"),
                ("version", "string"),
            )
        },
    ),
    Attribute(name="schemas", type="reference", multi_valued=True, mutability="readOnly", returned="always"),
)


def attributes_of(
    document: Mapping[str, Any], *, own: bool = False, longest: Mapping[str, int] = MappingProxyType({})
) -> dict[str, Attribute]:
    """The attributes that a Schema document declares, keyed by lower-case name; `longest` is keyed by path."""
    return {
        raw["name"].lower(): _attribute(raw, own, longest, raw["name"])
        for raw in document.get("attributes", ())
    }


def _attribute(raw: Mapping[str, Any], own: bool, longest: Mapping[str, int], path: str) -> Attribute:
    subs = {
        sub["name"].lower(): _attribute(sub, own, longest, f"{path}.{sub['name']}")
        for sub in raw.get("subAttributes") or ()
    }
    return Attribute(
        name=raw["name"],
        type=raw.get("type", "string"),
        multi_valued=raw.get("multiValued", False),
        required=raw.get("required", False),
        case_exact=raw.get("caseExact", False),
        mutability=raw.get("mutability", "readWrite"),
        returned=raw.get("returned", "default"),
        uniqueness=raw.get("uniqueness", "none"),
        canonical_values=tuple(raw.get("canonicalValues") or ()),
        subs=subs,
        own=own,
        longest=longest.get(path),
        demanding=any(sub.required for sub in subs.values()),
    )


def kind_of(
    name: str,
    endpoint: str,
    core: JSON,
    extensions: Iterable[tuple[JSON, bool]] = (),
    *,
    own: bool = False,
    longest: Mapping[str, int] = MappingProxyType({}),
) -> ResourceKind:
    """A resource type from its core Schema document and (extension document, required) pairs.

    With `own` the type is nothing but data: all its schemas bind.
    """
    pairs = tuple(extensions)
    common = {attribute.name.lower(): attribute for attribute in _COMMON}
    return _kind(
        name=name,
        endpoint=endpoint,
        urn=core["id"],
        description=core.get("description", name),
        attributes=common | attributes_of(core, own=own, longest=longest),
        extensions=_extensions(pairs, own, longest),
        documents=(core, *(document for document, _ in pairs)),
    )


def with_extensions(kind: ResourceKind, extensions: Iterable[tuple[JSON, bool]]) -> ResourceKind:
    """The type with the extensions that an administrator wrote: (Schema document, required) pairs."""
    pairs = tuple(extensions)
    if not pairs:
        return kind
    return _kind(
        name=kind.name,
        endpoint=kind.endpoint,
        urn=kind.urn,
        description=kind.description,
        attributes=kind.attributes,
        extensions={**kind.extensions, **_extensions(pairs, own=True)},
        documents=(*kind.documents, *(document for document, _ in pairs)),
    )


def without_showing(kind: ResourceKind, name: str, part: str = "") -> ResourceKind:
    """The type with a core attribute, or a part of one, that is never shown, filtered or sorted by."""
    attribute = kind.attributes[name.lower()]
    if part:
        hidden = replace(attribute.subs[part.lower()], returned="never")
        attribute = replace(attribute, subs={**attribute.subs, part.lower(): hidden})
    else:
        attribute = replace(attribute, returned="never")
    return replace(
        kind,
        attributes={**kind.attributes, name.lower(): attribute},
        never=kind.never | {(None, name, part or None)},
    )


def _extensions(
    pairs: Iterable[tuple[JSON, bool]], own: bool, longest: Mapping[str, int] = MappingProxyType({})
) -> dict[str, Extension]:
    return {
        document["id"].lower(): Extension(
            urn=document["id"],
            required=required,
            attributes=attributes_of(document, own=own, longest=longest),
        )
        for document, required in pairs
    }


def _kind(
    *, attributes: Mapping[str, Attribute], extensions: Mapping[str, Extension], **facts: Any
) -> ResourceKind:
    pairs: list[tuple[str | None, Attribute]] = [(None, attribute) for attribute in attributes.values()]
    pairs += [(one.urn, attribute) for one in extensions.values() for attribute in one.attributes.values()]
    # The core's own exceptions need no look at each answer: what is stored and shown never holds them.
    told: list[tuple[Name, Attribute]] = []
    for urn, attribute in pairs:
        if attribute.own or attribute.returned == "always":
            told.append(((urn, attribute.name, None), attribute))
            told += [((urn, attribute.name, sub.name), sub) for sub in attribute.subs.values() if sub.own]
    never = frozenset(name for name, one in told if one.returned == "never" or one.mutability == "writeOnly")
    return ResourceKind(
        **facts,
        attributes=attributes,
        extensions=extensions,
        always=frozenset(name for name, one in told if one.returned == "always") - never,
        never=never,
        on_request=frozenset(name for name, one in told if one.returned == "request") - never,
        immutable=tuple(
            name for urn, attribute in pairs if attribute.own for name in _immutable(urn, attribute)
        ),
        unique=tuple(name for name, one in told if one.unique),
    )


def _immutable(urn: str | None, attribute: Attribute) -> Iterator[Name]:
    if attribute.mutability == "immutable":
        yield urn, attribute.name, None
    elif not attribute.multi_valued:
        for sub in attribute.subs.values():
            if sub.mutability == "immutable":
                yield urn, attribute.name, sub.name


def _published(model: Any, name: str, description: str, **told: JSON) -> JSON:
    """scim2-models' Schema document, in one line per description, with what this server does differently."""
    document: JSON = model.to_schema().model_dump()
    document |= {"name": name, "description": description}
    document["attributes"] = [_told(raw, told.get(raw["name"], {})) for raw in document["attributes"]]
    return document


def _told(raw: JSON, told: JSON) -> JSON:
    raw = {**raw, "description": " ".join(str(raw.get("description") or raw["name"]).split())}
    raw |= {key: value for key, value in told.items() if key != "subAttributes"}
    if "subAttributes" in raw:
        subs = told.get("subAttributes", {})
        raw["subAttributes"] = [_told(sub, subs.get(sub["name"], {})) for sub in raw["subAttributes"]]
    return raw


_LONGEST: Mapping[str, int] = {
    "userName": 512,
    "displayName": 512,
    "emails.value": 512,
    "emails.type": 64,
    "name.formatted": 512,
    "name.givenName": 256,
    "name.familyName": 256,
    "title": 256,
    "locale": 64,
    "preferredLanguage": 64,
    "timezone": 64,
    "employeeNumber": 256,
    "department": 256,
}

USER = kind_of(
    "User",
    "/Users",
    _published(
        User,
        "User",
        "A person, as this connection described her.",
        # Groups hold people, and no groups.
        groups={
            "subAttributes": {
                "$ref": {"referenceTypes": ["Group"]},
                "type": {"canonicalValues": ["direct"]},
            }
        },
    ),
    [
        (
            _published(
                EnterpriseUser,
                "EnterpriseUser",
                "What an employer says about a person.",
                # Entra sends a manager's id alone, or as a bare string; both are kept.
                manager={"subAttributes": {"$ref": {"required": False}, "value": {"required": False}}},
            ),
            False,
        )
    ],
    longest=_LONGEST,
)
GROUP = kind_of(
    "Group",
    "/Groups",
    _published(
        Group,
        "Group",
        "A directory group; its members are users of the same connection.",
        displayName={"required": True},
        members={
            "subAttributes": {
                "$ref": {"referenceTypes": ["User"]},
                # RFC 7643 4.2 does not require it, and means nobody without it.
                "value": {"required": True},
                # A member's name belongs to the member: shown to those who ask for it by name.
                "display": {"mutability": "readOnly", "returned": "request"},
                "type": {"canonicalValues": ["User"]},
            }
        },
    ),
    longest=_LONGEST,
)
KINDS = (USER, GROUP)
