"""What may arrive at the SCIM face: requests of every kind, made of the schemas and spoiled by chance.

Knows the grammar of everything that can be sent, and no answer. What only a running server knows stands as a name in
tildes, to be filled in: `~user3~` is the id of some user of the sender's, `~stranger3~` of somebody else's.
"""

import json
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, TypeVar

from scim import conformance
from scim.roles import ENTITLEMENT, ROLE
from scim.schemas import GROUP, Attribute, ResourceKind, with_extensions
from tests.scim.clients import PATCH_URN
from tests.scim.test_custom_schemas import BADGE, ROOMS
from tests.scim.worlds import BINARIES, MAILS, MOMENTS, NUMBERS, OWN_USER, PAGES, TEXTS

KINDS: dict[str, ResourceKind] = {
    "user": with_extensions(OWN_USER, [(BADGE, False)]),
    "group": with_extensions(GROUP, [(ROOMS, False)]),
    "thing": conformance.kind(),
    "role": ROLE,
    "entitlement": ENTITLEMENT,
}
WRITTEN = ("user", "user", "user", "group", "group", "thing")
READ = (*WRITTEN, "role", "entitlement")

PASSWORD = "pa55word-that-nobody-is-shown"
MESSAGES = "urn:ietf:params:scim:api:messages:2.0"

_deep: Any = 1
for _ in range(200):
    _deep = {"value": [_deep]}
JUNK: list[Any] = [
    *(None, True, False, 0, -1, 1.5, 2**31, 2**63, 2**70, 1e308, -0.0, float("nan")),
    *("", " ", "a", "true", "False", "\x00", "a\x00b", "\ud800", "\uffff", "\ufeff", "é" * 600, "a" * 5000),
    *("2026-13-45T99:99:99Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-01-01", "===="),
    *(
        "bulkId:a",
        "bulkId:nobody",
        "~user1~",
        "~stranger1~",
        "~group1~",
        "%s",
        "%(x)s",
        "$1",
        "\\",
        '"',
        "'; --",
    ),
    *(
        [],
        {},
        [[]],
        [None],
        [{}],
        {"": ""},
        {"value": None},
        {"value": "~user1~"},
        [{"value": "~stranger2~"}],
    ),
    *([{"value": "x"}] * 3, ["a", "a", "A"], {"$ref": "/Groups/~group1~", "value": "~group1~"}, _deep),
]
_OPERATORS = ("eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le", "pr")
_LITERALS = (
    "null",
    "true",
    "-1.5e3",
    "1e999",
    "0x1",
    "ada",
    '"',
    '"\\u0000"',
    '"\\ud800"',
    '"%"',
    "[]",
    "pr",
)
_CRUMBS = (
    "(",
    ")",
    "[",
    "]",
    '"',
    "\\",
    ".",
    ":",
    " ",
    " and ",
    " or ",
    " not ",
    "%",
    "\x00",
    "$",
    ",",
    "é",
    "1",
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Request:
    """`path` is quoted, `query` is not; `body` is to be JSON, or bytes that are sent as they are."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    content_type: str = "application/scim+json"


@dataclass(frozen=True, slots=True)
class Named:
    """A path and what it means: `sub` is the part of the attribute that it names."""

    path: str
    attribute: Attribute
    sub: Attribute | None = None

    @property
    def last(self) -> Attribute:
        return self.sub or self.attribute


def _named(kind: ResourceKind) -> Iterator[Named]:
    holders = [("", kind.attributes)]
    holders += [(f"{extension.urn}:", extension.attributes) for extension in kind.extensions.values()]
    for prefix, attributes in holders:
        for attribute in attributes.values():
            yield Named(prefix + attribute.name, attribute)
            for sub in attribute.subs.values():
                yield Named(f"{prefix}{attribute.name}.{sub.name}", attribute, sub)


NAMED = {name: tuple(_named(kind)) for name, kind in KINDS.items()}
WRITABLE = {
    name: tuple(one for one in named if one.attribute.writable and one.last.writable) or named
    for name, named in NAMED.items()
}


class Dice:
    """A conversation is one seed: of a hundred draws for each request, Hypothesis repeats what it has drawn."""

    def __init__(self, seed: bytes) -> None:
        self._random = Random(seed).random

    def below(self, number: int) -> int:
        return int(self._random() * number)

    def chance(self, percent: int) -> bool:
        return self._random() * 100 < percent

    def one(self, of: Sequence[T]) -> T:
        return of[self.below(len(of))]

    def some(self, of: Sequence[T], most: int) -> list[T]:
        return [self.one(of) for _ in range(self.below(most + 1))]


def value(dice: Dice, attribute: Attribute) -> Any:
    """Something that the schema allows."""
    if attribute.multi_valued:
        return [_single(dice, attribute) for _ in range(1 + dice.below(3))]
    return _single(dice, attribute)


def _single(dice: Dice, attribute: Attribute) -> Any:
    if attribute.type == "complex":
        subs = [one for one in attribute.subs.values() if one.writable] or [*attribute.subs.values()]
        chosen = [one for one in subs if one.required or one.name == "value"] + dice.some(subs, 2)
        return {one.name: value(dice, one) for one in chosen}
    if attribute.canonical_values and not dice.chance(10):
        return dice.one(attribute.canonical_values)
    match attribute.type:
        case "boolean":
            return dice.one((True, False, "True"))
        case "integer" | "decimal":
            return dice.one(NUMBERS[attribute.type])
        case "dateTime":
            return dice.one(MOMENTS)
        case "binary":
            return dice.one(BINARIES)
        case "reference":
            return dice.one((*PAGES, "/Users/~user1~"))
    if attribute.name == "password":
        return PASSWORD
    return dice.one((*TEXTS, *MAILS, "~name1~", "~user2~"))


def document(dice: Dice, name: str) -> dict[str, Any]:
    """A resource that may be created, unless its names are taken."""
    kind = KINDS[name]
    found: dict[str, Any] = {"schemas": [kind.urn]}
    for attribute in kind.attributes.values():
        if attribute.required and attribute.writable:
            found[attribute.name] = value(dice, attribute)
    if name == "user":
        found["userName"] = dice.one(("~name1~", "~name2~", *(f"new{n}" for n in range(12))))
    if dice.chance(50):
        found["externalId"] = dice.one(("~key1~", "~key2~", *(f"k{n}" for n in range(12))))
    for one in dice.some([one for one in kind.attributes.values() if one.writable], 4):
        found[one.name] = value(dice, one)
    for extension in kind.extensions.values():
        if extension.required or dice.chance(30):
            attributes = list(extension.attributes.values())
            chosen = [one for one in attributes if one.required] + dice.some(attributes, 3)
            found[extension.urn] = {one.name: value(dice, one) for one in chosen if one.writable}
    if name == "group":
        found["members"] = [{"value": f"~user{dice.below(9)}~"} for _ in range(dice.below(4))]
    return found


def spoiled(dice: Dice, whole: Any, percent: int = 40) -> Any:
    """The JSON with a mistake or two somewhere in it, or none."""
    for _ in range(1 + dice.below(2) if dice.chance(percent) else 0):
        whole = _spoil(dice, deepcopy(whole))
    return whole


def _spoil(dice: Dice, node: Any) -> Any:
    if not isinstance(node, dict | list) or not node or dice.chance(15):
        return dice.one(JUNK)
    if isinstance(node, list):
        place = dice.below(len(node))
        match dice.below(6):
            case 0:
                del node[place]
            case 1:
                node.append(deepcopy(node[place]))
            case _:
                node[place] = _spoil(dice, node[place])
        return node
    key = dice.one(list(node))
    match dice.below(12):
        case 0:
            del node[key]
        case 1:
            node[dice.one((key.upper(), key.lower(), f"{key}x", "", "id", "meta", "groups", "$ref"))] = node[
                key
            ]
        case 2:
            node[key] = [node[key]]
        case 3:
            node[dice.one(("schemas", "active", "members", "Operations", "password", "a" * 300))] = dice.one(
                JUNK
            )
        case _:
            node[key] = _spoil(dice, node[key])
    return node


def garbled(dice: Dice, text: str, percent: int = 12) -> str:
    """The text with something too much in it, or too little; or none of it."""
    if not dice.chance(percent):
        return text
    place = dice.below(len(text) + 1)
    match dice.below(4):
        case 0:
            return text[:place]
        case 1:
            return text[:place] + text[place + 1 + dice.below(5) :]
        case 2:
            return dice.one(("(" * 40, "~user1~", " ", "é", "\x00", "a" * 9000)) + text
        case _:
            return text[:place] + dice.one(_CRUMBS) + text[place:]


def _cased(dice: Dice, text: str) -> str:
    return dice.one((text, text, text, text.upper(), text.lower()))


def literal(dice: Dice, attribute: Attribute) -> str:
    if dice.chance(15):
        return dice.one(_LITERALS)
    if attribute.name in ("id", "value", "$ref") and dice.chance(50):
        return dice.one(('"~user1~"', '"~stranger1~"', '"~group1~"', '"~thing1~"'))
    if attribute.name in ("userName", "externalId", "displayName", "display"):
        return dice.one(('"~name1~"', '"~name2~"', '"~key1~"', '"new3"', '"k3"', '"a"'))
    found = _single(dice, attribute) if attribute.type != "complex" else dice.one(TEXTS)
    return json.dumps(found, ensure_ascii=dice.chance(50))


def condition(dice: Dice, name: str, parent: Attribute | None = None, depth: int = 3) -> str:
    """A filter; within `parent`, one of its elements."""
    if depth and dice.chance(30):
        left = condition(dice, name, parent, depth - 1)
        match dice.below(4):
            case 0:
                return f"{dice.one(('not', 'NOT'))} ({left})"
            case 1:
                return f"({left})"
        return f"{left} {dice.one(('and', 'or', 'AND'))} {condition(dice, name, parent, depth - 1)}"
    if parent is not None:
        last = dice.one([*parent.subs.values()] or [parent])
        path = last.name if parent.subs else "value"
    else:
        named = dice.one(NAMED[name if not dice.chance(3) else "user"])
        last, path = named.last, named.path
        if named.attribute.multi_valued and not named.sub and dice.chance(50):
            return f"{_cased(dice, path)}[{condition(dice, name, named.attribute, depth - 1)}]"
        if ":" not in path and dice.chance(8):
            path = f"{KINDS[name].urn}:{path}"
    op = dice.one(_OPERATORS)
    return f"{_cased(dice, path)} {_cased(dice, op)}" + ("" if op == "pr" else f" {literal(dice, last)}")


def filter_text(dice: Dice, name: str) -> str:
    return garbled(dice, condition(dice, name))


def _names(dice: Dice, name: str) -> str:
    """The value of `attributes`."""
    paths = [_cased(dice, dice.one(NAMED[name]).path) for _ in range(1 + dice.below(3))]
    urns = (KINDS[name].urn, *(one.urn for one in KINDS[name].extensions.values()), "nothing", "", "a.b.c")
    return garbled(dice, ",".join([*paths, *([dice.one(urns)] if dice.chance(20) else [])]))


def _sort_by(dice: Dice, name: str) -> str:
    return garbled(dice, _cased(dice, dice.one(NAMED[name]).path))


def _number(dice: Dice) -> str:
    if dice.chance(80):
        return dice.one(("1", "2", "3", "500"))
    return dice.one(("0", "-1", "501", "99999999999999999999", "+1", "-+1", "1.5", "x", "\uff11", " 1 ", "-"))


def _cursor(dice: Dice) -> str:
    if dice.chance(70):
        return ""
    return garbled(dice, dice.one(("~cursor~", "~cursor~", "User.", "User.~cursor~", "AAAA", ".")))


def _sort_order(dice: Dice) -> str:
    return dice.one(("ascending", "descending", "descending", "DESCENDING", "up"))


def question(dice: Dice, name: str, *, one: bool = False) -> dict[str, str]:
    """The parameters of a list, or of `one` resource."""
    asked: dict[str, str] = {}
    if not one:
        if dice.chance(70):
            asked["filter"] = filter_text(dice, name)
        if dice.chance(30):
            asked["sortBy"] = _sort_by(dice, name)
        if dice.chance(20):
            asked["sortOrder"] = _sort_order(dice)
        if dice.chance(25):
            asked["count"] = _number(dice)
        if dice.chance(15):
            asked["startIndex"] = _number(dice)
        if dice.chance(30):
            asked["cursor"] = _cursor(dice)
    if dice.chance(20):
        asked["attributes"] = _names(dice, name)
    if dice.chance(20):
        asked["excludedAttributes"] = _names(dice, name)
    return asked


def path(dice: Dice, name: str) -> tuple[str, Attribute | None]:
    """The path of a PATCH operation, and what it leads to."""
    named = dice.one((NAMED if dice.chance(5) else WRITABLE)[name])
    text, attribute = named.path, named.attribute
    if dice.chance(5):
        return dice.one((KINDS[name].urn, *(one.urn for one in KINDS[name].extensions.values()))), None
    if attribute.multi_valued and dice.chance(40):
        text = text.removesuffix(f".{named.sub.name}") if named.sub else text
        selection = condition(dice, name, attribute, 1)
        if name == "group" and attribute.name == "members" and dice.chance(70):
            selection = f'value eq "~user{dice.below(9)}~"'
        text = f"{text}[{selection}]" + (f".{named.sub.name}" if named.sub else "")
    return garbled(dice, _cased(dice, text), 8), named.last


def operation(dice: Dice, name: str) -> dict[str, Any]:
    """One operation of a PATCH."""
    op = dice.one(("add", "add", "replace", "replace", "remove", "Replace", "Add"))
    found: dict[str, Any] = {"op": "move" if dice.chance(1) else op}
    if dice.chance(5 if op == "remove" else 25):
        found["value"] = spoiled(dice, document(dice, name), 20)
        if dice.chance(30):
            dotted, last = path(dice, name)
            found["value"] = {dotted: value(dice, last) if last else {}}
        return found
    found["path"], last = path(dice, name)
    if last is not None and last.name == "members":
        found["value"] = [{"value": f"~user{dice.below(9)}~"} for _ in range(dice.below(3))]
    elif last is not None and (found["op"].lower() != "remove" or dice.chance(20)):
        found["value"] = spoiled(dice, value(dice, last), 15)
    return found


def patch(dice: Dice, name: str) -> dict[str, Any]:
    operations = [operation(dice, name) for _ in range(1 + dice.below(3))]
    return {"schemas": [PATCH_URN], "Operations": operations}


def written(dice: Dice, name: str, method: str) -> Any:
    """The body of a write, rightly or wrongly."""
    if method == "DELETE":
        return None
    return (
        spoiled(dice, patch(dice, name), 25) if method == "PATCH" else spoiled(dice, document(dice, name), 35)
    )


def bulk(dice: Dice) -> dict[str, Any]:
    operations = []
    for number in range(1 + dice.below(6)):
        name = dice.one(WRITTEN)
        method = dice.one(("POST", "POST", "PUT", "PATCH", "DELETE"))
        one: dict[str, Any] = {"method": method, "path": f"/{ENDPOINTS[name]}"}
        if method == "POST":
            one["bulkId"] = f"b{number}"
        else:
            one["path"] += "/" + dice.one(
                (f"~{name}{dice.below(9)}~", f"bulkId:b{dice.below(6)}", "~stranger1~")
            )
            if dice.chance(15):
                one["version"] = dice.one(_TAGS)
        if (data := written(dice, name, method)) is not None:
            one["data"] = data
        if name == "group" and isinstance(one.get("data"), dict) and dice.chance(60):
            member = {"value": f"bulkId:b{dice.below(6)}"}
            if method == "PATCH":
                one["data"] = {"Operations": [{"op": "add", "path": "members", "value": [member]}]}
            else:
                one["data"]["members"] = [member]
        operations.append(one)
    found: dict[str, Any] = {"schemas": [f"{MESSAGES}:BulkRequest"], "Operations": operations}
    if dice.chance(25):
        found["failOnErrors"] = dice.one((1, 2, 0, -1, "1", True))
    return found


def search(dice: Dice, name: str) -> dict[str, Any]:
    found: dict[str, Any] = {"schemas": [f"{MESSAGES}:SearchRequest"], **question(dice, name)}
    for key in ("attributes", "excludedAttributes"):
        if key in found and dice.chance(80):
            found[key] = found[key].split(",")
    for key in ("count", "startIndex"):
        if found.get(key, "").isdecimal():
            found[key] = int(found[key])
    return found


ENDPOINTS = {
    "user": "Users",
    "group": "Groups",
    "thing": "TestResources",
    "role": "Roles",
    "entitlement": "Entitlements",
}
_TAGS = ('W/"1"', 'W/"2"', '"1"', "*", 'W/"99"', "", "x", 'W/"1", W/"2"', "é")
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "LINK")
_IDS = (
    "~stranger1~",
    "0",
    "nobody",
    "%00",
    "..%2F",
    "a" * 300,
    "~user1~x",
    "%C3%A9",
    "%FF",
    ".search",
    "bulkId:a",
    "%7E",
)
_ELSEWHERE = (
    *("/", "/Me", "/Nothing", "/Users/1/2", "//Users", "/Users/.search/1", "/v1/Users", "/%00", "/%FF"),
    *("/ServiceProviderConfig", "/ResourceTypes", "/ResourceTypes/User", "/ResourceTypes/x", "/Schemas"),
    *(
        "/Schemas/urn:ietf:params:scim:schemas:core:2.0:User",
        "/Schemas/~user1~",
        "/schemas/%00",
        "/Bulk",
        "/.search",
    ),
)
_TOKENS = ("", "Bearer", "Bearer ", "Basic eDp5", "Bearer nobody", "Bearer \xff", f"bearer {'x' * 9000}")
_RAW = (
    b"",
    b"{",
    b"null",
    b"[]",
    b'"x"',
    b"1" * 5000,
    b"\xff\xfe",
    b'{"userName": NaN}',
    b"[" * 3000,
    b"\x00",
)
_TYPES = (
    "application/json",
    "application/json; charset=utf-16",
    "text/plain",
    "",
    "multipart/form-data",
    "x",
)


def _headers(dice: Dice) -> dict[str, str]:
    found = {}
    if dice.chance(15):
        found[dice.one(("If-Match", "If-None-Match"))] = dice.one(_TAGS)
    if dice.chance(3):
        found["Authorization"] = dice.one(_TOKENS)
    if dice.chance(5):
        found[
            dice.one(("Accept", "X-Request-ID", "Content-Encoding", "X-HTTP-Method-Override", "Prefer"))
        ] = dice.one(("text/html", "x" * 300, "gzip", "DELETE", "return=minimal", "é"))
    return found


def request(dice: Dice) -> Request:
    """One of everything that may be sent."""
    match dice.below(20):
        case 0 | 1 | 2 | 3 | 4:
            return _read(dice, dice.one(READ), one=False)
        case 5 | 6:
            return _read(dice, dice.one(READ), one=True)
        case 7 | 8 | 9:
            return _change(dice, "POST")
        case 10 | 11 | 12 | 13:
            return _change(dice, "PATCH")
        case 14:
            return _change(dice, "PUT")
        case 15:
            return _change(dice, "DELETE")
        case 16:
            name = dice.one(READ)
            where = dice.one((f"{_root(dice, name)}/.search", "/.search"))
            return _sent(dice, Request("POST", where, body=search(dice, name)))
        case 17 | 18:
            return _sent(dice, Request("POST", "/Bulk", body=bulk(dice)))
    name = dice.one(READ)
    where = dice.one((*_ELSEWHERE, _root(dice, name), f"{_root(dice, name)}/{_id(dice, name)}"))
    body = dice.one((None, document(dice, name)))
    return _sent(dice, Request(dice.one(_METHODS), where, _query(dice, question(dice, name)), body=body))


def _read(dice: Dice, name: str, *, one: bool) -> Request:
    where = f"{_root(dice, name)}/{_id(dice, name)}" if one else _root(dice, name)
    return Request("GET", where, _query(dice, question(dice, name, one=one)), _headers(dice))


def _change(dice: Dice, method: str) -> Request:
    name = dice.one(READ if dice.chance(5) else WRITTEN)
    where = _root(dice, name) + ("" if method == "POST" else f"/{_id(dice, name)}")
    asked = _query(dice, question(dice, name, one=True))
    return _sent(dice, Request(method, where, asked, body=written(dice, name, method)))


def _sent(dice: Dice, plain: Request) -> Request:
    """With its headers, and now and then a body that is none."""
    body = dice.one(_RAW) if dice.chance(3) else plain.body
    content_type = dice.one(_TYPES) if dice.chance(4) else plain.content_type
    return replace(plain, headers=_headers(dice), body=body, content_type=content_type)


def _root(dice: Dice, name: str) -> str:
    root = f"/{ENDPOINTS[name]}"
    return dice.one((root.lower(), root.upper(), f"{root}/")) if dice.chance(8) else root


def _id(dice: Dice, name: str) -> str:
    return dice.one(_IDS) if dice.chance(15) else f"~{name}{dice.below(9)}~"


def _query(dice: Dice, asked: dict[str, str]) -> tuple[tuple[str, str], ...]:
    found = [(_cased(dice, key) if dice.chance(10) else key, text) for key, text in asked.items()]
    if dice.chance(3):
        found.append(dice.one((("filter", ""), ("x", "y"), ("count", "2"), ("attributes", "userName"))))
    return tuple(found)
