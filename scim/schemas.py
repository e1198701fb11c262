"""The resource types as data: what each attribute is called, holds, allows. Knows no request and no database.

The attributes come from Schema documents (RFC 7643 7). Those of today are scim2-models'; one that an
administrator wrote has the same form: validation, PATCH, filters, projection and discovery read only this.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from scim2_models import EnterpriseUser, Group, User

JSON = dict[str, Any]
"""A JSON object. `Any` ends where `documents` has checked it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """One attribute's characteristics (RFC 7643 2.2). `subs` are keyed by lower-case name."""

    name: str
    type: str = "string"
    multi_valued: bool = False
    required: bool = False
    case_exact: bool = False
    mutability: str = "readWrite"
    returned: str = "default"
    subs: "Mapping[str, Attribute]" = field(default_factory=lambda: MappingProxyType({}))

    @property
    def writable(self) -> bool:
        return self.mutability != "readOnly"

    def sub(self, name: str) -> "Attribute | None":
        return self.subs.get(name.lower())


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    urn: str
    required: bool
    attributes: Mapping[str, Attribute]


@dataclass(frozen=True, slots=True, kw_only=True)
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
    Attribute(name="externalId", case_exact=True),
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


def attributes_of(document: Mapping[str, Any]) -> dict[str, Attribute]:
    """The attributes that a Schema document declares, keyed by lower-case name."""
    return {raw["name"].lower(): _attribute(raw) for raw in document.get("attributes", ())}


def _attribute(raw: Mapping[str, Any]) -> Attribute:
    return Attribute(
        name=raw["name"],
        type=raw.get("type", "string"),
        multi_valued=raw.get("multiValued", False),
        required=raw.get("required", False),
        case_exact=raw.get("caseExact", False),
        mutability=raw.get("mutability", "readWrite"),
        returned=raw.get("returned", "default"),
        subs={sub["name"].lower(): _attribute(sub) for sub in raw.get("subAttributes", ())},
    )


def kind_of(
    name: str,
    endpoint: str,
    core: JSON,
    extensions: Iterable[tuple[JSON, bool]] = (),
    ignored: Iterable[Attribute] = (),
) -> ResourceKind:
    """A resource type from its core Schema document and (extension document, required) pairs.

    `ignored` are attributes that clients send, that are dropped, and that discovery does not promise.
    """
    pairs = tuple(extensions)
    known = (*_COMMON, *ignored)
    return ResourceKind(
        name=name,
        endpoint=endpoint,
        urn=core["id"],
        description=core.get("description", name),
        attributes={**{attribute.name.lower(): attribute for attribute in known}, **attributes_of(core)},
        extensions={
            document["id"].lower(): Extension(
                urn=document["id"], required=required, attributes=attributes_of(document)
            )
            for document, required in pairs
        },
        documents=(core, *(document for document, _ in pairs)),
    )


def _published(model: Any, name: str, description: str, without: tuple[str, ...] = (), **told: JSON) -> JSON:
    """scim2-models' Schema document, in one line per description, with what this server does differently."""
    document: JSON = model.to_schema().model_dump()
    document |= {"name": name, "description": description}
    document["attributes"] = [
        _told(raw, told.get(raw["name"], {})) for raw in document["attributes"] if raw["name"] not in without
    ]
    return document


def _told(raw: JSON, told: JSON) -> JSON:
    raw = {**raw, "description": " ".join(str(raw.get("description") or raw["name"]).split())}
    raw |= {key: value for key, value in told.items() if key != "subAttributes"}
    if "subAttributes" in raw:
        subs = told.get("subAttributes", {})
        raw["subAttributes"] = [_told(sub, subs.get(sub["name"], {})) for sub in raw["subAttributes"]]
    return raw


USER = kind_of(
    "User",
    "/Users",
    _published(User, "User", "A person, as this connection described her.", without=("groups",)),
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
    # Okta and others send it with every PUT.
    ignored=[Attribute(name="groups", type="complex", multi_valued=True, mutability="readOnly")],
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
                # A member's name belongs to the member: shown to those who ask for it by name.
                "display": {"mutability": "readOnly", "returned": "request"},
                "type": {"canonicalValues": ["User"]},
            }
        },
    ),
)
KINDS = (USER, GROUP)
