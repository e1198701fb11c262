"""The same resources twice: rows for SQL, and scim2-models' models for its in-memory evaluation, the oracle.

Documents of three connections, two of them of one tenant, stand side by side in one table. The oracle's own
choices that the hub does not share are settled here: it compares texts as the hub folds them (without NFC), and
its documents say `primary: false` where RFC 7643 2.4 has it assumed.
"""

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from scim2_models import EnterpriseUser, Extension, Group, Resource, Schema, User

from provisioning.models import Connection
from scim.columns import table_of
from scim.schemas import GROUP, USER, Attribute, ResourceKind, kind_of, with_extensions
from tests.scim import rows
from tests.scim.clients import ENTERPRISE_URN, an_idp

OWN_URN = "urn:example:params:scim:schemas:extension:oracle:2.0:User"
THING_URN = "urn:example:params:scim:schemas:oracle:2.0:Thing"


def _attribute(name: str, type_: str = "string", subs: Any = (), **more: Any) -> dict[str, Any]:
    told = {"name": name, "type": type_, "multiValued": False, "description": name, "required": False}
    told |= {"caseExact": False, "mutability": "readWrite", "returned": "default", "uniqueness": "none"}
    if type_ == "reference":
        told |= {"referenceTypes": ["external"], "caseExact": True}
    return told | ({"subAttributes": list(subs)} if subs else {}) | more


# Every type, alone and in a list, in an object and in a list of objects.
_ATTRIBUTES = [
    _attribute("code", caseExact=True),
    _attribute("note"),
    _attribute("level", "integer"),
    _attribute("score", "decimal"),
    _attribute("vip", "boolean"),
    _attribute("joined", "dateTime"),
    _attribute("badge", "binary", caseExact=True),
    _attribute("page", "reference"),
    _attribute("tags", multiValued=True),
    _attribute("ranks", "integer", multiValued=True),
    _attribute("office", "complex", [_attribute("floor", "integer"), _attribute("label")]),
    _attribute(
        "visits",
        "complex",
        [
            _attribute("value"),
            _attribute("type", caseExact=True),
            _attribute("at", "dateTime"),
            _attribute("number", "decimal"),
            _attribute("paid", "boolean"),
            _attribute("primary", "boolean"),
        ],
        multiValued=True,
    ),
]
_OWN = {"id": OWN_URN, "name": "Oracle", "description": "Of a test.", "attributes": _ATTRIBUTES}
_THING = {"id": THING_URN, "name": "Thing", "description": "Of a test.", "attributes": _ATTRIBUTES}
OWN_USER = with_extensions(USER, [(_OWN, False)])
THING = kind_of("Thing", "/Things", _THING, own=True)
MODELS: dict[str, Any] = {
    "User": User[EnterpriseUser | Extension.from_schema(Schema.model_validate(_OWN))],
    "Group": Group,
    "Thing": Resource.from_schema(Schema.model_validate(_THING)),
}

TEXTS = [
    "ada",
    "ADA",
    "Ada%",
    "a_a",
    "adax",
    "İda",
    "ΟΔΟΣ",
    "οδος",
    "ΟΔΟΣΑ",
    "ß",
    "é",
    "e\u0301",
    "😀",
    "work",
    "Work",
    "%",
]
TEXTS += ["a\\a", "a'a", 'a"a', "b", "ba", "\U0010ffffb", "home", "a:b", " a", "5"]
MAILS = ["ada@x.org", "Ada@x.org", "bob@x.org", "eve@work.example"]
PAGES = ["https://x.org/a", "https://x.org/A", "https://y.org/b"]
NUMBERS = {"integer": [-3, 0, 5, 6, 10**15], "decimal": [-0.5, 0.1, 0.25, 5, 5.0, 6.5, 1e20]}
MOMENTS = [
    "2026-01-01T00:00:00Z",
    "2026-01-01T02:00:00+02:00",
    "2025-12-31T23:59:59.5Z",
    "2026-06-01T12:00:00.123456Z",
]
BINARIES = [b64encode(raw).decode() for raw in (b"a", b"A", b"badge")]


def values_of(path: str, attribute: Attribute) -> list[Any]:
    """What the documents hold of an attribute, and what filters ask for."""
    if attribute.type in NUMBERS:
        return NUMBERS[attribute.type]
    if attribute.type == "boolean":
        return [True, False]
    if attribute.type == "dateTime":
        return MOMENTS
    if attribute.type == "binary":
        return BINARIES
    if attribute.type == "reference":
        return PAGES
    return MAILS if path == "emails.value" else TEXTS


@dataclass(frozen=True)
class Leaf:
    """Something that a filter can name: `path` from the resource, `name` from its element."""

    path: str
    name: str
    attribute: Attribute
    listed: str = ""
    """The multi-valued complex attribute that it is in."""


def every(kind: ResourceKind) -> Iterator[tuple[str | None, Attribute]]:
    """(extension URN or None, attribute)."""
    for attribute in kind.attributes.values():
        yield None, attribute
    for extension in kind.extensions.values():
        for attribute in extension.attributes.values():
            yield extension.urn, attribute


def leaves_of(kind: ResourceKind) -> list[Leaf]:
    found = []
    for urn, attribute in every(kind):
        if attribute.name == "password":
            continue
        path = f"{urn}:{attribute.name}" if urn else attribute.name
        if attribute.type != "complex":
            found.append(Leaf(path, "value", attribute, path if attribute.multi_valued else ""))
        for sub in attribute.subs.values():
            if (attribute.name, sub.name) == ("meta", "location") or (
                sub.name == "$ref" and attribute.name in ("groups", "members")
            ):
                continue
            found.append(Leaf(f"{path}.{sub.name}", sub.name, sub, path if attribute.multi_valued else ""))
    return found


class World:
    """The resources of one kind in three connections: rows for SQL, models for the oracle."""

    def __init__(self, kind: ResourceKind) -> None:
        self.kind = kind
        self.alias = table_of(kind).alias
        self.connections: list[Connection] = [an_idp(slug).connection for slug in ("acme", "acme", "globex")]
        self.models: dict[UUID, dict[UUID, Any]] = {where.pk: {} for where in self.connections}

    def keep(self, where: Connection, row: Any, document: dict[str, Any], schemas: list[str]) -> None:
        whole = {
            **document,
            "id": str(row.pk),
            "schemas": schemas,
            "meta": {
                "resourceType": self.kind.name,
                "created": rows.shown(row.created_at),
                "lastModified": rows.shown(row.updated_at),
                "version": f'W/"{row.version}"',
            },
        }
        self.models[where.pk][row.pk] = MODELS[self.kind.name].model_validate(_assumed(self.kind, whole))


def folded(binding: Any, value: str) -> str:
    return value if binding.case_exact else value.lower()


def _assumed(kind: ResourceKind, document: dict[str, Any]) -> dict[str, Any]:
    """RFC 7643 2.4: "If not specified, the value of "primary" SHALL be assumed to be "false"."."""
    told = {name: dict(value) if isinstance(value, dict) else value for name, value in document.items()}
    for urn, attribute in every(kind):
        holder = told.get(urn, {}) if urn else told
        if attribute.multi_valued and attribute.sub("primary") and attribute.name in holder:
            holder[attribute.name] = [{"primary": False} | element for element in holder[attribute.name]]
    return told


def _document(dice: Random, kind: ResourceKind, chance: float = 0.5) -> dict[str, Any]:
    """A canonical document with a part of what its schemas have."""

    def values(path: str, attribute: Attribute) -> Any:
        if attribute.type != "complex":
            return dice.choice(values_of(path, attribute))
        subs = [sub for sub in attribute.subs.values() if dice.random() < 0.5]
        first = next(iter(attribute.subs.values()))
        return {sub.name: values(f"{path}.{sub.name}", sub) for sub in subs or [first]}

    document: dict[str, Any] = {}
    for urn, attribute in every(kind):
        if (
            attribute.mutability != "readOnly"
            and attribute.name not in ("password", "members")
            and dice.random() < chance
        ):
            holder = document.setdefault(urn, {}) if urn else document
            if attribute.multi_valued:
                many = [values(attribute.name, attribute) for _ in range(dice.randint(1, 3))]
                holder[attribute.name] = many
            else:
                holder[attribute.name] = values(attribute.name, attribute)
    return document


def _moment(dice: Random) -> datetime:
    moment = datetime.fromisoformat(dice.choice(MOMENTS)).astimezone(UTC)
    return moment + timedelta(microseconds=dice.choice([0, 1, 999, 123456]))


def people(dice: Random, number: int = 20) -> World:
    world = World(OWN_USER)
    for where in world.connections:
        made = []
        for index in range(number):
            document = _document(dice, OWN_USER, 0.4)
            document["userName"] = f"{dice.choice(TEXTS).strip()}{index}"
            document["externalId"] = f"{dice.choice(TEXTS)}{index}"
            document["active"] = dice.choice([True, False])
            if index % 4 == 0:
                del document["externalId"]
            moments = {"created_at": _moment(dice), "updated_at": _moment(dice)}
            made.append(rows.account(where, document, version=dice.randint(1, 12), **moments))
        rows.accounts(made)
        memberships: dict[Any, list[dict[str, Any]]] = {}
        for name in ("Staff", "ada", "οδος"):
            members = dice.sample(made, number // 3)
            group = rows.group(where, name, members)
            for member in members:
                told = {"value": str(group.pk), "display": name, "type": "direct"}
                memberships.setdefault(member.pk, []).append(told)
        for row in made:
            groups = {"groups": memberships[row.pk]} if row.pk in memberships else {}
            urns = [USER.urn, *(urn for urn in (ENTERPRISE_URN, OWN_URN) if urn in row.resource)]
            world.keep(where, row, row.resource | groups, urns)
    return world


def groups(dice: Random, number: int = 12) -> World:
    world = World(GROUP)
    for where in world.connections:
        crowd = rows.accounts(
            rows.account(where, {"userName": f"{name}{n}"}) for n, name in enumerate(TEXTS[:8])
        )
        for index in range(number):
            external = f"{dice.choice(TEXTS)}{index}" if index % 3 else None
            members = dice.sample(crowd, dice.randint(0, 4))
            row = rows.group(
                where, dice.choice(TEXTS), members, external_id=external, updated_at=_moment(dice)
            )
            document: dict[str, Any] = {"displayName": row.display_name}
            if external:
                document["externalId"] = external
            if members:
                document["members"] = [
                    {"value": str(member.pk), "display": member.user_name, "type": "User"}
                    for member in members
                ]
            world.keep(where, row, document, [GROUP.urn])
    return world


def things(dice: Random, number: int = 15) -> World:
    world = World(THING)
    for where in world.connections:
        for index in range(number):
            document = _document(dice, THING)
            if index % 3:
                document["externalId"] = f"{dice.choice(TEXTS)}{index}"
            row = rows.data(where, "Thing", document)
            world.keep(where, row, document, [THING_URN])
    return world
