"""From what a client sent to the canonical document, by the schema alone. Knows no request and no database.

Canonical means: names as the schema spells them, values of the schema's types, nothing unassigned, nothing
read-only, each (type, value) once, one primary at most.
"""

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from scim2_models.exceptions import (
    InvalidSyntaxException,
    InvalidValueException,
    MutabilityException,
)

from provisioning.decision.keys import fold
from scim.schemas import JSON, Attribute, ResourceKind

# Attack: each e-mail is a key to lock, and ten thousand operations that add one each compare it with all before.
MOST_VALUES = 200
"""How many values one attribute of a person may have. Members of a group are not read here."""

LONGEST_UNIQUE = 512
"""How many characters a value that no two resources may share has at most: it is a key of an index."""

# RFC 7643 2.3.5: a date and a time. The zone may be missing, as in xsd:dateTime.
_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?")
# RFC 3986: what stands in no URI; and a relative one has no colon in its first segment (4.2).
_NO_URI = re.compile(r"[\s\x00-\x1f\x7f<>\"{}|\\^`]|^(?![A-Za-z][A-Za-z0-9+.-]*:)[^/?#:]*:")


def canonical(kind: ResourceKind, body: object) -> JSON:
    """The document of a POST or PUT body, checked and complete.

    Raises InvalidSyntax (not an object, an attribute that no schema has) or InvalidValue, with the path.
    """
    document = normalised(kind, body)
    require(kind, document)
    return document


def replacing(kind: ResourceKind, held: JSON, sent: JSON) -> JSON:
    """What a PUT makes of the document `held`; `sent` is canonical.

    RFC 7644 3.5.1: of an immutable attribute that has a value "the input value(s) MUST match"; one that was left
    out is kept.
    """
    document = dict(sent)
    for urn, name, sub in kind.immutable:
        value = _at(held, urn, name, sub)
        if value is None or _at(document, urn, name, sub) is not None:
            continue
        holder = document
        for step in (urn, name if sub else None):
            if step is not None:
                holder[step] = dict(holder.get(step, {}))
                holder = holder[step]
        holder[sub or name] = value
    unchanging(kind, held, document)
    return steady(held, document)


def normalised(kind: ResourceKind, body: object, *, inside: bool = False) -> JSON:
    """As `canonical`, without asking for the required attributes. `inside`: of what stands under the core URN."""
    if not isinstance(body, dict):
        raise InvalidSyntaxException(detail="The body is not a JSON object.")
    document: JSON = {}
    for key, value in body.items():
        if ":" in key:
            # RFC 7643 3.3: an extension's attributes live under its URN. Entra and others also send URNs of
            # their own that mean nothing here; those are tolerated, as they are in "schemas".
            if key.lower() == kind.urn.lower() and not inside:
                document |= normalised(kind, value, inside=True)
            elif (extension := kind.extension(key)) is not None:
                document |= extended(extension.urn, extension.attributes, value, document)
            else:
                _put_by_path(kind, document, key, value)
            continue
        attribute = kind.attribute(None, key)
        if attribute is None:
            raise InvalidSyntaxException(detail=f"{key[:100]}: the {kind.name} schema has no such attribute.")
        put(document, attribute, accepted(attribute, value, attribute.name))
    return document


def _put_by_path(kind: ResourceKind, document: JSON, key: str, value: object) -> None:
    """RFC 7644 3.10: a key may be the whole path of an attribute ("urn:...:User:name.givenName"), as in a PATCH."""
    urn, _, path = key.rpartition(":")
    extension = kind.extension(urn)
    if extension is None and urn.lower() != kind.urn.lower():
        return
    name, _, part = path.partition(".")
    attribute = kind.attribute(urn, name)
    sub = attribute.sub(part) if attribute is not None and part and not attribute.multi_valued else None
    if attribute is None or (part and sub is None):
        if extension is not None and name.lower() == "schemas":
            return
        raise InvalidSyntaxException(detail=f"{key[:200]}: the {kind.name} schema has no such attribute.")
    label = f"{extension.urn}:{attribute.name}" if extension else attribute.name
    held: JSON = document if extension is None else dict(document.get(extension.urn, {}))
    if sub is None:
        put(held, attribute, accepted(attribute, value, label))
    elif attribute.writable:
        inner = dict(held.get(attribute.name, {}))
        put(inner, sub, accepted(sub, value, f"{label}.{sub.name}"))
        put(held, attribute, inner or None)
    if extension is not None:
        document.pop(extension.urn, None)
        document |= {extension.urn: held} if held else {}


def extended(urn: str, attributes: Mapping[str, Attribute], value: object, document: JSON) -> JSON:
    """{urn: attributes} of an extension object, laid over what `document` holds already; {} for nothing."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidValueException(detail=f"{urn}: this is not an object.")
    held = dict(document.get(urn, {}))
    for key, inner in value.items():
        attribute = attributes.get(key.lower())
        if key.lower() == "schemas":
            continue
        if attribute is None:
            raise InvalidSyntaxException(detail=f"{urn}:{key[:100]}: the schema has no such attribute.")
        put(held, attribute, accepted(attribute, inner, f"{urn}:{attribute.name}"))
    return {urn: held} if held else {}


def require(kind: ResourceKind, document: JSON, before: JSON | None = None) -> None:
    """RFC 7643 7: an attribute that is "required" is in every resource, a sub-attribute in every value.

    `before` is what a PATCH began with: it may not take away what is required (RFC 7644 3.5.2.2, `mutability`),
    and what it writes is complete. What was missing before may stay so: an attribute that an administrator made
    required later stops nobody's deactivation.
    """
    _require(kind.attributes.values(), "", document, before)
    for extension in kind.extensions.values():
        held: JSON = document.get(extension.urn) or {}
        known: JSON | None = None if before is None else before.get(extension.urn) or {}
        if not held and not extension.required:
            continue
        if not held and known is None:
            raise InvalidValueException(detail=f"{extension.urn}: this extension is required.")
        if not held and known:
            raise MutabilityException(detail=f"{extension.urn}: this extension is required.")
        # An extension that a PATCH begins is asked for all that a new one has.
        _require(extension.attributes.values(), f"{extension.urn}:", held, known or (None if held else {}))


def _require(attributes: Iterable[Attribute], prefix: str, document: JSON, before: JSON | None) -> None:
    for attribute in attributes:
        value = document.get(attribute.name)
        if value is not None:
            if attribute.demanding:
                known = None if before is None else before.get(attribute.name)
                _require_subs(attribute, value, known, prefix + attribute.name)
        elif attribute.required and attribute.mutability in ("readWrite", "immutable"):
            detail = f"{prefix}{attribute.name}: this attribute is required."
            if before is None:
                raise InvalidValueException(detail=detail)
            if attribute.name in before:
                raise MutabilityException(detail=detail)


def _require_subs(attribute: Attribute, value: Any, known: Any, path: str) -> None:
    """Every element is complete, but for those that were there before."""
    before = known if isinstance(known, list) else [known]
    for index, element in enumerate(value if attribute.multi_valued else [value]):
        if element in before:
            continue
        for sub in attribute.subs.values():
            if sub.required and sub.name not in element and sub.mutability in ("readWrite", "immutable"):
                place = f"{path}[{index}]" if attribute.multi_valued else path
                raise InvalidValueException(detail=f"{place}.{sub.name}: this attribute is required.")


def unchanging(kind: ResourceKind, before: JSON, after: JSON) -> None:
    """RFC 7643 7, "immutable": it may be given a value once, and keeps it. `mutability` where it would not."""
    for urn, name, sub in kind.immutable:
        value = _at(before, urn, name, sub)
        if value is not None and not same_values(value, _at(after, urn, name, sub)):
            path = _path(urn, name, sub)
            raise MutabilityException(detail=f"{path}: this attribute is immutable, and it has a value.")


def same_values(one: Any, other: Any) -> bool:
    """RFC 7643 2.4: the order of an attribute's values says nothing."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and sorted(map(_order, one)) == sorted(map(_order, other))
    return bool(one == other)


def steady(before: JSON, after: JSON) -> JSON:
    """`after` with the values in the order of `before` where nothing else differs: another order is no change."""
    return {name: _steady(before.get(name), value) for name, value in after.items()}


def _steady(before: Any, after: Any) -> Any:
    if isinstance(before, dict) and isinstance(after, dict):
        return steady(before, after)
    return before if isinstance(before, list) and same_values(before, after) else after


def _order(value: Any) -> str:
    return repr(sorted(value.items()) if isinstance(value, dict) else value)


def _at(document: Mapping[str, Any], urn: str | None, name: str, sub: str | None) -> Any:
    holder: Mapping[str, Any] = document if urn is None else document.get(urn) or {}
    value = holder.get(name)
    return value if sub is None or value is None else value.get(sub)


def spelled(kind: ResourceKind, path: str) -> str:
    """The path of a unique key as the schema writes it."""
    return next((found for name in kind.unique if (found := _path(*name)).lower() == path), path)


def _path(urn: str | None, name: str, sub: str | None) -> str:
    return ":".join(part for part in (urn, name) if part) + (f".{sub}" if sub else "")


def unique_keys(kind: ResourceKind, document: Mapping[str, Any]) -> tuple[str, ...]:
    """`path=value` for every value that no other resource of the connection may have (RFC 7643 7, "uniqueness").

    The path is in lower case, and the value too unless the schema says that it is case exact.
    """
    keys: dict[str, None] = {}
    for urn, name, sub in kind.unique:
        attribute = kind.attribute(urn, name)
        found = _at(document, urn, name, None)
        if attribute is None or found is None:
            continue
        exact = attribute.sub(sub) if sub else attribute
        path = _path(urn, name, sub)
        for element in found if attribute.multi_valued else [found]:
            value = element.get(sub) if sub else element
            if value is not None:
                text = value if isinstance(value, str) else str(value)
                keys[f"{path.lower()}={text if exact and exact.case_exact else fold(text)}"] = None
    return tuple(keys)


def put(holder: JSON, attribute: Attribute, value: Any) -> None:
    """RFC 7643 2.5: an unassigned attribute, null and an empty list are the same: it is not there."""
    if value is None:
        holder.pop(attribute.name, None)
    else:
        holder[attribute.name] = value


def accepted(attribute: Attribute, value: object, path: str) -> Any:
    """The canonical value of one attribute; None where nothing is to be kept.

    Read-only attributes are ignored (RFC 7644 3.5.1). A write-only one, the password, is accepted and dropped: what
    nobody may read is not worth keeping. One of an administrator's is checked first.
    """
    if value is None or attribute.mutability == "readOnly":
        return None
    if attribute.mutability == "writeOnly" and not attribute.own:
        return None
    if not attribute.multi_valued:
        found = single(attribute, value, path)
    elif isinstance(value, list):
        found = elements(attribute, value, path) or None
    else:
        raise InvalidValueException(detail=f"{path}: this is not a list.")
    return None if attribute.mutability == "writeOnly" else found


def elements(attribute: Attribute, values: Sequence[object], path: str) -> list[Any]:
    """The canonical elements of a multi-valued attribute."""
    if len(values) > MOST_VALUES:
        raise InvalidValueException(detail=f"{path}: these are more than {MOST_VALUES} values.")
    found = [single(attribute, value, f"{path}[{index}]") for index, value in enumerate(values)]
    return settled(attribute, [value for value in found if value is not None])


def single(attribute: Attribute, value: object, path: str) -> Any:
    """One canonical value; None for null, an empty string and an object without content."""
    if value is None:
        return None
    found = _CHECKS.get(attribute.type, _string)(attribute, value, path)
    return _bound(attribute, found, path) if attribute.own and attribute.type != "complex" else found


def _complex(attribute: Attribute, value: object, path: str) -> JSON | None:
    if not attribute.multi_valued:
        # Entra has sent the manager as a list of one, and as the bare id.
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        if isinstance(value, str) and attribute.sub("value"):
            value = {"value": value} if value else None
        if value is None or value == []:
            return None
    if not isinstance(value, dict):
        raise InvalidValueException(detail=f"{path}: this is not an object.")
    held: JSON = {}
    for key, inner in value.items():
        sub = attribute.sub(key)
        # Clients decorate values with sub-attributes of their own; a person is not refused for them.
        if sub is not None:
            put(held, sub, accepted(sub, inner, f"{path}.{sub.name}"))
        elif attribute.own:
            raise InvalidSyntaxException(detail=f"{path}.{key[:100]}: the schema has no such sub-attribute.")
    return held or None


def _bound(attribute: Attribute, value: Any, path: str) -> Any:
    """What an administrator's schema asks for beyond the type."""
    if value is None:
        return None
    if attribute.canonical_values:
        said = str(value)
        allowed = attribute.canonical_values
        if said not in allowed and (attribute.case_exact or said.lower() not in map(str.lower, allowed)):
            raise InvalidValueException(detail=f"{path}: this is none of {', '.join(allowed)[:300]}.")
    if attribute.type == "reference" and _NO_URI.search(value):
        raise InvalidValueException(detail=f"{path}: this is not a URI.")
    if attribute.unique and len(fold(str(value))) > LONGEST_UNIQUE:
        raise InvalidValueException(detail=f"{path}: this is longer than {LONGEST_UNIQUE} characters.")
    return value


def _boolean(attribute: Attribute, value: object, path: str) -> bool:
    # Entra sends "True" and "False" unless a feature flag is set; booleans only, a name may be "True".
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if not isinstance(value, bool):
        raise InvalidValueException(detail=f"{path}: this is neither true nor false.")
    return value


def _integer(attribute: Attribute, value: object, path: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidValueException(detail=f"{path}: this is not an integer.")
    return value


def _decimal(attribute: Attribute, value: object, path: str) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidValueException(detail=f"{path}: this is not a number.")
    return value


def _string(attribute: Attribute, value: object, path: str) -> str | None:
    if not isinstance(value, str):
        raise InvalidValueException(detail=f"{path}: this is not a string.")
    if not storable(value):
        raise InvalidValueException(detail=f"{path}: this holds a character that is no text.")
    longest = attribute.longest
    # Some letters grow when they are folded to lower case, which is what the index holds.
    if (
        longest is not None
        and (len(value) if value.isascii() else max(len(value), len(value.lower()))) > longest
    ):
        raise InvalidValueException(detail=f"{path}: this is longer than {longest} characters.")
    return None if not value or value.isspace() else value


def storable(text: str) -> bool:
    """PostgreSQL's text holds neither NUL nor half of a surrogate pair."""
    if "\x00" in text:
        return False
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _binary(attribute: Attribute, value: object, path: str) -> str | None:
    text = _string(attribute, value, path)
    try:
        base64.b64decode(text or "", validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidValueException(detail=f"{path}: this is not base64.") from error
    return text


def _date_time(attribute: Attribute, value: object, path: str) -> str | None:
    text = _string(attribute, value, path)
    if text is not None and moment(text) is None:
        raise InvalidValueException(detail=f"{path}: this is not a dateTime, such as 2026-01-31T08:00:00Z.")
    return text


def moment(text: str) -> datetime | None:
    """The instant that an xsd:dateTime means, in UTC where it names no zone; None for any other text."""
    if not _DATE_TIME.fullmatch(text):
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


_CHECKS: Mapping[str, Callable[[Attribute, object, str], Any]] = {
    "complex": _complex,
    "boolean": _boolean,
    "integer": _integer,
    "decimal": _decimal,
    "string": _string,
    "reference": _string,
    "binary": _binary,
    "dateTime": _date_time,
}


def settled(attribute: Attribute, values: Sequence[Any], newest: Sequence[Any] = ()) -> list[Any]:
    """The elements with each (type, value) once and one primary at most.

    RFC 7643 2.4: "The primary attribute value "true" MUST appear no more than once." The newest wins: the last of
    `newest` (elements just written, by object identity), else the last in the list.
    """
    if len(values) < 2:
        return list(values)
    if attribute.type != "complex":
        once: dict[object, Any] = {}
        for value in values:
            once.setdefault(comparable(attribute, value), value)
        return _few(attribute, list(once.values()))
    fresh = {id(value) for value in newest}
    kept: dict[object, JSON] = {}
    for value in values:
        key = identity(attribute, value)
        if key in kept:
            merged = kept[key] | value
            if id(value) in fresh or id(kept[key]) in fresh:
                fresh.add(id(merged))
            kept[key] = merged
        else:
            kept[key] = value
    found = _few(attribute, list(kept.values()))
    primaries = [value for value in found if value.get("primary") is True]
    if len(primaries) > 1:
        winner = ([value for value in primaries if id(value) in fresh] or primaries)[-1]
        # Two that say nothing else are now one.
        return settled(
            attribute,
            [
                value if value is winner or value.get("primary") is not True else value | {"primary": False}
                for value in found
            ],
        )
    return found


def _few(attribute: Attribute, values: list[Any]) -> list[Any]:
    if len(values) > MOST_VALUES:
        raise InvalidValueException(detail=f"{attribute.name}: these are more than {MOST_VALUES} values.")
    return values


def identity(attribute: Attribute, element: JSON) -> object:
    """By which an element is the same one: its type and value, or all it has where it has no value."""
    if "value" in element:
        return str(element.get("type", "")).lower(), comparable(attribute.sub("value"), element["value"])
    return tuple([(name, comparable(attribute.sub(name), element[name])) for name in sorted(element)])


def comparable(attribute: Attribute | None, value: Any) -> object:
    """What two values are compared by: without case where the schema says so; true is not 1."""
    if isinstance(value, str):
        return value if attribute and attribute.case_exact else value.lower()
    return type(value) is bool, value


def schemas_of(kind: ResourceKind, document: Mapping[str, Any]) -> list[str]:
    """RFC 7643 3.3: the core URN, then those of the extensions that the document really carries."""
    return [kind.urn, *(extension.urn for extension in kind.extensions.values() if extension.urn in document)]
