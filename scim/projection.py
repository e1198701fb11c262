"""Which attributes of a document an answer shows (RFC 7644 3.9). Knows no request and no database."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scim.schemas import JSON, ResourceKind

_ALWAYS = frozenset({"schemas", "id"})

Name = tuple[str | None, str, str | None]
"""(extension URN or None, attribute, sub-attribute or None), spelled as the schema does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """`wanted` None means the default set. A name that no schema has asks for nothing."""

    wanted: frozenset[Name] | None = None
    unwanted: frozenset[Name] = frozenset()

    @property
    def everything(self) -> bool:
        return self.wanted is None and not self.unwanted

    def shows(self, attribute: str) -> bool:
        """Whether any part of a core attribute is in the answer: what is not shown need not be loaded."""
        if self.wanted is not None:
            return any(urn is None and name == attribute for urn, name, _ in self.wanted)
        return (None, attribute, None) not in self.unwanted

    def names(self, attribute: str, sub: str) -> bool:
        """Whether a sub-attribute is asked for by its own name, as RFC 7643 7 has it for "request"."""
        return self.wanted is not None and (None, attribute, sub) in self.wanted

    def of(self, document: JSON) -> JSON:
        if self.everything:
            return document
        return _only(document, self.wanted) if self.wanted is not None else _without(document, self.unwanted)


def projection(kind: ResourceKind, attributes: str | None, excluded: str | None) -> Projection:
    """From the two query parameters; `attributes` wins, as the RFC allows one of them only."""
    if attributes and attributes.strip():
        return Projection(wanted=_names(kind, attributes))
    return Projection(unwanted=_names(kind, excluded or ""))


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
    shown: JSON = {key: document[key] for key in document if key in _ALWAYS}
    for urn, name, sub in wanted:
        source: Mapping[str, Any] = document if urn is None else document.get(urn, {})
        if urn is not None and not name:
            if source:
                shown[urn] = source
            continue
        if name not in source or name in _ALWAYS:
            continue
        target = shown if urn is None else dict(shown.get(urn, {}))
        if sub is None:
            target[name] = source[name]
        elif (urn, name, None) not in wanted:
            target[name] = _merged(target.get(name), _picked(source[name], sub))
        if urn is not None:
            shown[urn] = target
    return {key: value for key, value in shown.items() if value not in ({}, [], None)}


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
        if urn is None and name in _ALWAYS:
            continue
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
    if isinstance(value, list):
        holder[name] = [{key: inner for key, inner in item.items() if key != sub} for item in value]
    else:
        holder[name] = {key: inner for key, inner in value.items() if key != sub}
    if not holder[name]:
        del holder[name]
