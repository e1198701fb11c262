"""What a SCIM request means to a person, and whom it names. Reads what was sent as it is; judges nothing.

It must read bad requests too: those are what an administrator looks for in the provisioning log.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from scim2_models.exceptions import InvalidFilterException, TooManyException
from scim2_models.path import CompareOperator, Comparison, FilterNode, LogicalExpr, Not, ValuePath

from provisioning.request_log import EMAIL, EXTERNAL_ID, USER_NAME
from scim.filters import parsed

_NOUNS = {"users": "user", "groups": "group", "roles": "role", "entitlements": "entitlement"}
_DISCOVERY = frozenset({"serviceproviderconfig", "resourcetypes", "schemas"})
UNKNOWN = "unknown"
"""An address where nothing is."""
_WHOLE = {"bulk": "bulk", "me": "me", UNKNOWN: UNKNOWN}

_OF_ALL = {"GET": "list", "HEAD": "list", "POST": "create"}
_OF_ONE = {"GET": "read", "HEAD": "read", "PUT": "replace", "PATCH": "update", "DELETE": "delete"}

# What a PATCH of a group does, by all (operation, attribute) pairs that it names.
_GROUP_PATCHES = {
    frozenset({("add", "members")}): "add-members",
    frozenset({("remove", "members")}): "remove-members",
    frozenset({("replace", "members")}): "replace-members",
    frozenset({("add", "members"), ("remove", "members")}): "change-members",
    frozenset({("replace", "displayname")}): "rename",
    frozenset({("add", "displayname")}): "rename",
}

_FAMILIES = {"username": USER_NAME, "externalid": EXTERNAL_ID, "emails": EMAIL}
_LONGEST = 512
_LONGEST_FILTER = 2000
_MOST_OPERATIONS = 200
_MOST_KEYS = 60

_BRACKETS = re.compile(r"\[.*?\]")
# userName eq "x", emails.value eq "x", emails[type eq "work"].value eq "x", emails[value eq "x"]
_EQUALS = re.compile(
    r"\b(userName|externalId|emails)(?:\[[^\]]*\])?(?:\.value|\[value)?\s+eq\s+\"((?:[^\"\\]|\\.)*)\"",
    re.IGNORECASE,
)


def action_of(
    endpoint: str,
    method: str,
    resource_id: str = "",
    body: Any = None,
    parameters: Mapping[str, Any] | None = None,
) -> str:
    """`user.create`, `user.look-up`, `group.add-members`, `bulk`, `discovery`: one word for one kind of request.

    `endpoint` is the first part of the path ("/Users", "Users"; "/Users/.search" for a search there); `parameters`
    are by lower-case name.
    """
    first, _, rest = endpoint.strip("/").lower().partition("/")
    if first in _DISCOVERY:
        return "discovery"
    if first in _WHOLE:
        return _WHOLE[first]
    if ".search" in (first, rest):
        noun = "resource" if first == ".search" else _NOUNS.get(first, "resource")
        asked = _lowered(body)
        return f"{noun}.look-up" if asked.get("filter") else f"{noun}.list"
    noun = _NOUNS.get(first, "resource")
    verb = (_OF_ONE if resource_id else _OF_ALL).get(method, "")
    if not verb:
        return f"{noun}.other"
    if verb == "list" and (parameters or {}).get("filter"):
        verb = "look-up"
    elif verb in ("replace", "update"):
        verb = _change(noun, verb, body)
    return f"{noun}.{verb}"


def _change(noun: str, verb: str, body: Any) -> str:
    named = (
        list(_named(body)) if verb == "update" else [("replace", *item) for item in _lowered(body).items()]
    )
    if noun == "user":
        active = [_truth(value) for _, name, value in named if name == "active"]
        # Who switches somebody off means that, whatever else she sends; a PUT says "true" every time.
        if active and active[-1] is False:
            return "disable"
        if active and active[-1] is True and verb == "update" and len({name for _, name, _ in named}) == 1:
            return "enable"
        if verb == "update" and any(name == "username" for _, name, _ in named):
            return "rename"
    elif noun == "group" and verb == "update":
        return _GROUP_PATCHES.get(frozenset((op, name) for op, name, _ in named), verb)
    return verb


def keys_of(body: Any = None, parameters: Mapping[str, Any] | None = None) -> tuple[tuple[str, str], ...]:
    """(family, value) of each userName, externalId and e-mail that a request names, each once; not of very many."""
    found: dict[tuple[str, str], None] = {}
    condition = (parameters or {}).get("filter")
    if isinstance(condition, str):
        found |= dict.fromkeys(_in_filter(condition))
    if isinstance(body, dict):
        found |= dict.fromkeys(islice(_in_body(body), _MOST_KEYS))
    return tuple(found)[:_MOST_KEYS]


def _in_filter(text: str) -> Iterator[tuple[str, str]]:
    """By its syntax tree, which also knows a value without quotes; of what is none, by its looks."""
    try:
        if len(text) <= _LONGEST_FILTER:
            yield from _compared(parsed(text))
            return
    except (InvalidFilterException, TooManyException):
        pass
    yield from _in_path(text)


def _in_path(text: str) -> Iterator[tuple[str, str]]:
    for name, value in _EQUALS.findall(text[:_LONGEST_FILTER]):
        yield from _key(name.lower(), re.sub(r"\\(.)", r"\1", value))


def _compared(node: FilterNode, within: str = "") -> Iterator[tuple[str, str]]:
    match node:
        case LogicalExpr():
            for term in node.terms:
                yield from _compared(term, within)
        case Not():
            yield from _compared(node.expr, within)
        case ValuePath():
            yield from _compared(node.val_filter, node.attr_path.attr)
        case Comparison(op=CompareOperator.eq, value=str() as value):
            path = node.attr_path
            name, sub = (within, path.attr) if within else (path.attr, path.sub_attr or "value")
            if sub.lower() == "value":
                yield from _key(name.lower(), value)


def _in_body(body: Mapping[Any, Any]) -> Iterator[tuple[str, str]]:
    known = _lowered(body)
    if isinstance(known.get("filter"), str):
        yield from _in_filter(known["filter"])
    for name in _FAMILIES:
        if name in known:
            yield from _key(name, known[name])
    for _, name, value in _named(body):
        yield from _key(name, value)
    for operation in map(_lowered, _operations(known)):
        if isinstance(path := operation.get("path"), str):
            yield from _in_path(path)
        # A Bulk operation carries a body of its own.
        if isinstance(data := operation.get("data"), dict):
            yield from _in_body(data)


def _key(name: str, value: Any) -> Iterator[tuple[str, str]]:
    match value:
        case str() if name in _FAMILIES and 0 < len(value) <= _LONGEST:
            yield _FAMILIES[name], value
        case list():
            for inner in value[:_MOST_OPERATIONS]:
                if not isinstance(inner, list):
                    yield from _key(name, inner)
        case dict():
            if isinstance(inner := _lowered(value).get("value"), str):
                yield from _key(name, inner)


def _named(body: Any) -> Iterator[tuple[str, str, Any]]:
    """(operation, attribute in lower case, value) of what a PATCH names; the attribute without path and URN."""
    for operation in map(_lowered, _operations(_lowered(body))):
        op = str(operation.get("op", "")).lower()
        path, value = operation.get("path"), operation.get("value")
        if isinstance(path, str) and path.strip():
            yield op, _attribute(path), value
        elif isinstance(value, dict):
            for key, inner in value.items():
                yield op, _attribute(key), inner


def _operations(known: Mapping[str, Any]) -> list[Any]:
    raw = known.get("operations")
    return (
        [item for item in raw[:_MOST_OPERATIONS] if isinstance(item, dict)] if isinstance(raw, list) else []
    )


def _attribute(path: str) -> str:
    plain = _BRACKETS.sub("", path.strip().lower())
    # A URN's version has a dot of its own.
    return plain.rpartition(":")[2].partition(".")[0] if plain.startswith("urn:") else plain.partition(".")[0]


def _truth(value: Any) -> bool | None:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, dict):
        value = _lowered(value).get("value")
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.lower())
    return value if isinstance(value, bool) else None


def _lowered(value: Any) -> dict[str, Any]:
    return {key.lower(): inner for key, inner in value.items()} if isinstance(value, dict) else {}
