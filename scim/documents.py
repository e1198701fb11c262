"""From what a client sent to the canonical document, by the schema alone. Knows no request and no database.

Canonical means: names as the schema spells them, values of the schema's types, nothing unassigned, nothing
read-only, each (type, value) once, one primary at most.
"""

import base64
import binascii
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from scim2_models.exceptions import InvalidSyntaxException, InvalidValueException

from scim.schemas import JSON, Attribute, ResourceKind

# What a column or an index of the hub can hold. Everything else is bounded by the size of a request.
_LONGEST: Mapping[str, int] = {
    "username": 512,
    "externalid": 512,
    "displayname": 512,
    "emails.value": 512,
    "emails.type": 64,
    "name.formatted": 512,
    "name.givenname": 256,
    "name.familyname": 256,
    "title": 256,
    "locale": 64,
    "preferredlanguage": 64,
    "timezone": 64,
    "employeenumber": 256,
    "department": 256,
}
_INDEX = re.compile(r"\[\d+\]")

# Attack: each e-mail is a key to lock, and ten thousand operations that add one each compare it with all before.
MOST_VALUES = 200
"""How many values one attribute of a person may have. Members of a group are not read here."""


def canonical(kind: ResourceKind, body: object) -> JSON:
    """The document of a POST or PUT body, checked and complete.

    Raises InvalidSyntax (not an object, an attribute that no schema has) or InvalidValue, with the path.
    """
    document = normalised(kind, body)
    require(kind, document)
    return document


def normalised(kind: ResourceKind, body: object) -> JSON:
    """As `canonical`, without asking for the required attributes."""
    if not isinstance(body, dict):
        raise InvalidSyntaxException(detail="The body is not a JSON object.")
    document: JSON = {}
    for key, value in body.items():
        if ":" in key:
            # RFC 7643 3.3: an extension's attributes live under its URN. Entra and others also send URNs of
            # their own that mean nothing here; those are tolerated, as they are in "schemas".
            if key.lower() == kind.urn.lower():
                document |= normalised(kind, value)
            elif (extension := kind.extension(key)) is not None:
                document |= extended(extension.urn, extension.attributes, value, document)
            continue
        attribute = kind.attribute(None, key)
        if attribute is None:
            raise InvalidSyntaxException(detail=f"{key[:100]}: the {kind.name} schema has no such attribute.")
        put(document, attribute, accepted(attribute, value, attribute.name))
    return document


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


def require(kind: ResourceKind, document: JSON) -> None:
    """RFC 7643 7: an attribute that is "required" is in every resource. InvalidValue where it is not."""
    for attribute in kind.attributes.values():
        if attribute.required and attribute.writable and attribute.name not in document:
            raise InvalidValueException(detail=f"{attribute.name}: this attribute is required.")
    for extension in kind.extensions.values():
        held = document.get(extension.urn, {})
        if not held and not extension.required:
            continue
        for attribute in extension.attributes.values():
            if attribute.required and attribute.writable and attribute.name not in held:
                raise InvalidValueException(
                    detail=f"{extension.urn}:{attribute.name}: this attribute is required."
                )


def put(holder: JSON, attribute: Attribute, value: Any) -> None:
    """RFC 7643 2.5: an unassigned attribute, null and an empty list are the same: it is not there."""
    if value is None:
        holder.pop(attribute.name, None)
    else:
        holder[attribute.name] = value


def accepted(attribute: Attribute, value: object, path: str) -> Any:
    """The canonical value of one attribute; None where nothing is to be kept.

    Read-only attributes are ignored (RFC 7644 3.5.1); a write-only one, the password, is accepted and
    dropped.
    """
    if value is None or attribute.mutability in ("readOnly", "writeOnly"):
        return None
    if not attribute.multi_valued:
        return single(attribute, value, path)
    if not isinstance(value, list):
        raise InvalidValueException(detail=f"{path}: this is not a list.")
    return elements(attribute, value, path) or None


def elements(attribute: Attribute, values: Sequence[object], path: str) -> list[Any]:
    """The canonical elements of a multi-valued attribute."""
    found = [single(attribute, value, f"{path}[{index}]") for index, value in enumerate(values)]
    return settled(attribute, [value for value in found if value is not None])


def single(attribute: Attribute, value: object, path: str) -> Any:
    """One canonical value; None for null, an empty string and an object without content."""
    if value is None:
        return None
    if attribute.type == "complex":
        return _complex(attribute, value, path)
    return _CHECKS.get(attribute.type, _string)(attribute, value, path)


def _complex(attribute: Attribute, value: object, path: str) -> JSON | None:
    if not attribute.multi_valued:
        # Entra has sent the manager as a list of one, and as the bare id.
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        if isinstance(value, str) and attribute.sub("value"):
            value = {"value": value} if value else None
        if value is None:
            return None
    if not isinstance(value, dict):
        raise InvalidValueException(detail=f"{path}: this is not an object.")
    held: JSON = {}
    for key, inner in value.items():
        sub = attribute.sub(key)
        # Clients decorate values with sub-attributes of their own; a person is not refused for them.
        if sub is not None:
            put(held, sub, accepted(sub, inner, f"{path}.{sub.name}"))
    return held or None


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
    longest = _LONGEST.get(_INDEX.sub("", path.rpartition(":")[2]).lower())
    # Some letters grow when they are folded to lower case, which is what the index holds.
    if longest is not None and max(len(value), len(value.lower())) > longest:
        raise InvalidValueException(detail=f"{path}: this is longer than {longest} characters.")
    return value if value.strip() else None


def storable(text: str) -> bool:
    """PostgreSQL's text holds neither NUL nor half of a surrogate pair."""
    return "\x00" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _binary(attribute: Attribute, value: object, path: str) -> str | None:
    text = _string(attribute, value, path)
    try:
        base64.b64decode(text or "", validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidValueException(detail=f"{path}: this is not base64.") from error
    return text


def _date_time(attribute: Attribute, value: object, path: str) -> str | None:
    text = _string(attribute, value, path)
    try:
        if text:
            datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidValueException(detail=f"{path}: this is not a dateTime.") from error
    return text


_CHECKS: Mapping[str, Callable[[Attribute, object, str], Any]] = {
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
    if attribute.type != "complex":
        return list(dict.fromkeys(values))
    fresh = {id(value) for value in newest}
    kept: dict[object, JSON] = {}
    for position, value in enumerate(values):
        key = _same(attribute, value, position)
        if key in kept:
            merged = kept[key] | value
            if id(value) in fresh or id(kept[key]) in fresh:
                fresh.add(id(merged))
            kept[key] = merged
        else:
            kept[key] = value
    if len(kept) > MOST_VALUES:
        raise InvalidValueException(detail=f"{attribute.name}: these are more than {MOST_VALUES} values.")
    primaries = [value for value in kept.values() if value.get("primary") is True]
    if len(primaries) > 1:
        winner = ([value for value in primaries if id(value) in fresh] or primaries)[-1]
        return [
            value if value is winner or value.get("primary") is not True else value | {"primary": False}
            for value in kept.values()
        ]
    return list(kept.values())


def _same(attribute: Attribute, value: JSON, position: int) -> object:
    if "value" not in value:
        return position
    spec = attribute.sub("value")
    text = value["value"]
    if isinstance(text, str) and not (spec and spec.case_exact):
        text = text.lower()
    return str(value.get("type", "")).lower(), text


def schemas_of(kind: ResourceKind, document: Mapping[str, Any]) -> list[str]:
    """RFC 7643 3.3: the core URN, then those of the extensions that the document really carries."""
    return [kind.urn, *(extension.urn for extension in kind.extensions.values() if extension.urn in document)]
