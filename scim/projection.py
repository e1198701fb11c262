"""Which attributes of a document an answer shows (RFC 7644 3.9). Knows no request and no database."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from scim.patch import operations_of, steps_of
from scim.schemas import JSON, Attribute, Name, ResourceKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """`wanted` None means the default set. A name that no schema has asks for nothing.

    `unwanted` is left out of whatever is wanted.
    """

    wanted: frozenset[Name] | None = None
    unwanted: frozenset[Name] = frozenset()

    @property
    def everything(self) -> bool:
        return self.wanted is None and not self.unwanted

    def shows(self, attribute: str) -> bool:
        """Whether any part of a core attribute is in the answer: what is not shown need not be loaded."""
        if (None, attribute, None) in self.unwanted:
            return False
        return self.wanted is None or any(urn is None and name == attribute for urn, name, _ in self.wanted)

    def names(self, attribute: str, sub: str) -> bool:
        """Whether a sub-attribute is asked for by its own name, as RFC 7643 7 has it for "request"."""
        return self.wanted is not None and (None, attribute, sub) in self.wanted - self.unwanted

    def whole(self, attribute: str, parts: Collection[str]) -> bool:
        """Whether a core attribute is shown with all of these parts: then it may be finished JSON."""
        if self.wanted is not None and (None, attribute, None) not in self.wanted:
            return False
        return not any(urn is None and name == attribute and sub in parts for urn, name, sub in self.unwanted)

    def of(self, document: JSON) -> JSON:
        shown = document if self.wanted is None else _only(document, self.wanted)
        return _without(shown, self.unwanted) if self.unwanted else shown


def projection(
    kind: ResourceKind, attributes: str | None, excluded: str | None, written: Collection[Name] = ()
) -> Projection:
    """From the two query parameters; `attributes` wins, as the RFC allows one of them only.

    RFC 7643 7, "returned": what is "always" returned is in every answer, what is "never" in none; what is returned
    on "request" where it was asked for by its name, or where the request wrote it (`written`).
    """
    if attributes and attributes.strip():
        names = _names(kind, attributes)
        asked = names | {(urn, name, None) for urn, name, sub in names if sub}
        # In an element that is shown, the parts that are always returned are shown too.
        parts = {always for always in kind.always if always[2] and (*always[:2], None) in asked}
        return Projection(
            wanted=names | {name for name in kind.always if name[2] is None} | parts,
            unwanted=kind.never | _unasked(kind, asked),
        )
    unwanted = set(_names(kind, excluded or ""))
    for urn in [urn for urn, name, _ in unwanted if not name]:
        if any(always[0] == urn for always in kind.always):
            # An extension leaves, but for what is always returned of it.
            unwanted.discard((urn, "", None))
            unwanted |= {
                (urn, one.name, None) for one in kind.extensions[(urn or "").lower()].attributes.values()
            }
    return Projection(unwanted=kind.never | _unasked(kind, written) | (unwanted - kind.always))


def written_names(kind: ResourceKind, body: object, *, inside: bool = False) -> frozenset[Name]:
    """The attributes that the body of a write names: a resource, or the operations of a PATCH. Checks nothing."""
    if isinstance(body, dict) and any(key.lower() == "operations" for key in body):
        steps = steps_of(kind, operations_of(body))
        touched: set[Name] = set()
        for target, value in ((step.target, step.value) for step in steps):
            if target.attribute is not None:
                touched |= _parts(target.urn, target.attribute, value)
                if target.sub is not None:
                    touched.add((target.urn, target.attribute.name, target.sub.name))
        return frozenset(touched)
    found: set[Name] = set()
    for key, value in body.items() if isinstance(body, dict) else ():
        if key.lower() == kind.urn.lower() and not inside:
            found |= written_names(kind, value, inside=True)
        elif (extension := kind.extension(key)) is not None:
            for name, inner in value.items() if isinstance(value, dict) else ():
                if (attribute := extension.attributes.get(name.lower())) is not None:
                    found |= _parts(extension.urn, attribute, inner)
        elif (name := _name(kind, key)) is not None and (attribute := kind.attribute(*name[:2])) is not None:
            found |= {name, *_parts(name[0], attribute, value)}
    return frozenset(found)


def _parts(urn: str | None, attribute: Attribute, value: Any) -> set[Name]:
    elements = value if isinstance(value, list) else [value]
    subs = {attribute.sub(key) for element in elements if isinstance(element, dict) for key in element}
    return {(urn, attribute.name, None), *((urn, attribute.name, sub.name) for sub in subs if sub)}


def _unasked(kind: ResourceKind, asked: Collection[Name]) -> frozenset[Name]:
    return frozenset(name for name in kind.on_request if name not in asked)


def _names(kind: ResourceKind, text: str) -> frozenset[Name]:
    found = (_name(kind, part.strip()) for part in text.split(","))
    return frozenset(name for name in found if name is not None)


def _name(kind: ResourceKind, text: str) -> Name | None:
    if (extension := kind.extension(text)) is not None:
        return extension.urn, "", None
    urn, _, rest = text.rpartition(":")
    name, _, sub_name = rest.partition(".")
    attribute = kind.attribute(urn or None, name)
    if attribute is None:
        return None
    sub = attribute.sub(sub_name) if sub_name else None
    if sub_name and sub is None:
        return None
    extension = kind.extension(urn) if urn else None
    return extension.urn if extension else None, attribute.name, sub.name if sub else None


def _only(document: JSON, wanted: frozenset[Name]) -> JSON:
    shown: JSON = {}
    for urn, name, sub in wanted:
        source: Mapping[str, Any] = document if urn is None else document.get(urn, {})
        if urn is not None and not name:
            if source:
                shown[urn] = source
            continue
        if name not in source:
            continue
        target = shown if urn is None else dict(shown.get(urn, {}))
        if sub is None:
            target[name] = source[name]
        elif (urn, name, None) not in wanted:
            target[name] = _merged(target.get(name), _picked(source[name], sub))
        if urn is not None:
            shown[urn] = target
    kept = {key: _left(shown[key]) for key in document if key in shown}
    return {key: value for key, value in kept.items() if value not in ({}, [], None)}


def _left(value: Any) -> Any:
    """Of what parts were taken from: no element that says nothing any more (RFC 7643 2.5)."""
    if isinstance(value, list):
        return [item for item in value if item != {}]
    if isinstance(value, dict):
        return {name: left for name, inner in value.items() if (left := _left(inner)) not in ({}, [])}
    return value


def _picked(value: Any, sub: str) -> Any:
    if isinstance(value, list):
        return [{sub: item[sub]} if sub in item else {} for item in value]
    return {sub: value[sub]} if sub in value else {}


def _merged(one: Any, other: Any) -> Any:
    """Two sub-attributes of one attribute, side by side in their elements."""
    if not one:
        return other
    if isinstance(one, list):
        return [{**left, **right} for left, right in zip(one, other, strict=True)]
    return {**one, **other}


def _without(document: JSON, unwanted: frozenset[Name]) -> JSON:
    shown = dict(document)
    for urn, name, sub in unwanted:
        if urn is None:
            _drop(shown, name, sub)
        elif not name:
            shown.pop(urn, None)
        elif urn in shown:
            inner = dict(shown[urn])
            _drop(inner, name, sub)
            shown[urn] = inner
            if not inner:
                del shown[urn]
    return shown


def _drop(holder: JSON, name: str, sub: str | None) -> None:
    if name not in holder:
        return
    if sub is None:
        del holder[name]
        return
    value = holder[name]
    if isinstance(value, orjson.Fragment):
        # Finished JSON holds nothing that is to be left out (`Projection.whole`).
        return
    if isinstance(value, list):
        holder[name] = _left([{key: inner for key, inner in item.items() if key != sub} for item in value])
    else:
        holder[name] = {key: inner for key, inner in value.items() if key != sub}
    if not holder[name]:
        del holder[name]
