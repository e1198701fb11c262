"""What a SCIM message looks like without its values. Knows the names that RFC 7643 and 7644 publish, and no tenant.

An administrator who reads the provisioning log sees what was asked for, and nobody's data: the names of attributes,
operations, schemas and the hub's own ids stay, every other text is a mark. What is not known to be harmless goes.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from identity_hub.core.ids import as_uuid

MARK = "…"
MOST_BYTES = 4096
"""How large the JSON of a redacted message gets at most."""

_SHOWN_OF_A_LIST = 10
_DEEPEST = 12
_LONGEST_PATH = 200
# Kept back for the last name, and for the notes that say what was left out.
_RESERVE = 1024


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ATTRIBUTES = _words(
    """
    schemas id externalid meta resourcetype created lastmodified location version
    username name formatted familyname givenname middlename honorificprefix honorificsuffix displayname nickname
    profileurl title usertype preferredlanguage locale timezone active password emails phonenumbers ims photos
    addresses streetaddress locality region postalcode country groups entitlements roles x509certificates
    value type primary display $ref members
    employeenumber costcenter organization division department manager
    """
)
"""RFC 7643 3, 4 and 8.7, in lower case, as every name here is."""

_MESSAGES = _words(
    """
    operations op path method data bulkid failonerrors status response scimtype detail
    filter attributes excludedattributes sortby sortorder startindex count cursor resources totalresults itemsperpage
    """
)
_ENDPOINTS = _words("users groups roles entitlements bulk me .search")
_OPERATORS = _words("eq ne co sw ew gt ge lt le pr and or not true false null")
_KNOWN = ATTRIBUTES | _MESSAGES | _ENDPOINTS | _OPERATORS

_SECRET = frozenset({"password"})
_OWN_IDS = frozenset({"id", "members", "groups", "manager", "path"})
"""Where the hub's own ids stand. An id anywhere else may be somebody's externalId."""
_PATHS = frozenset({"path", "filter", "sortby", "attributes", "excludedattributes"})
_WORDS: dict[str, frozenset[str]] = {
    "op": frozenset({"add", "remove", "replace"}),
    "method": frozenset({"get", "post", "put", "patch", "delete"}),
    "sortorder": frozenset({"ascending", "descending"}),
    "active": frozenset({"true", "false"}),
    "primary": frozenset({"true", "false"}),
    "type": frozenset(
        {"work", "home", "other", "mobile", "fax", "pager", "photo", "thumbnail", "user", "group"}
    ),
}
"""What may be said as text, by the attribute that says it. Entra sends "False" for a boolean."""
_NUMBERS = frozenset({"startindex", "count", "failonerrors", "itemsperpage", "totalresults"})

_URN = re.compile(r"urn:[A-Za-z0-9-]{2,32}(?::[A-Za-z0-9_-][A-Za-z0-9._-]*)+", re.IGNORECASE)
_TOKEN = re.compile(rf'"(?:[^"\\]|\\.)*"?|{_URN.pattern}|\.search|[^\s()\[\]",./]+', re.IGNORECASE)
_SPACE = re.compile(r"\s+")
_BRACKETS = re.compile(r"\[[^\]]*\]?")
_SEPARATORS = re.compile(r"[.:\s]")
_NAME = re.compile(r"[A-Za-z$][\w-]{0,63}", re.ASCII)
_COMPARED = re.compile(
    r"(?<![\w.@-])([A-Za-z$][\w-]{0,63})\s+(?:eq|ne|co|sw|ew|gt|ge|lt|le|pr)\b", re.IGNORECASE
)
_QUOTED = re.compile(r'"[^"]*"?|\S*@\S*')


def redacted(body: Any, names: frozenset[str] = frozenset()) -> Any:
    """The message without values, at most `MOST_BYTES` long; `names` are attributes of the tenant's own schemas.

    The shape stays, also of what is missing: null, "" and [] unassign an attribute. Booleans stay, for `active`.
    """
    return None if body is None else _Redaction(names).shown(body, "", 0)


def without_values(detail: str, body: Any, names: frozenset[str] = frozenset()) -> str:
    """An error's sentence, in which the parsers may have quoted what `body` holds.

    The name of an attribute that no schema has stays: it is what the sentence is about.
    """
    if not detail:
        return ""
    redaction = _Redaction(names)
    for text, instead in redaction.hidden(body):
        head = text[:40]
        if head not in detail:
            continue
        if text in detail:
            instead = instead.replace("\\", r"\\")
            detail = re.sub(rf"(?<!\w){re.escape(text)}(?!\w)", instead, detail)
        elif len(text) > len(head):
            # Quoted, and cut somewhere.
            detail = detail.partition(head)[0] + MARK
    return _QUOTED.sub(MARK, detail)


class _Redaction:
    def __init__(self, names: frozenset[str]) -> None:
        self.known = _KNOWN | names if names else _KNOWN
        self.room = MOST_BYTES - _RESERVE

    def shown(self, value: Any, spot: str, depth: int) -> Any:
        """`spot` is the attribute, in lower case, of which this is the value or a part."""
        if spot not in _SECRET and depth <= _DEEPEST:
            if isinstance(value, dict):
                return self._object(value, spot, depth)
            if isinstance(value, list):
                return self._list(value, spot, depth)
            told = self._scalar(value, spot)
            self.room -= _bytes(told) if isinstance(told, str) else 20
            return told
        self.room -= 6
        return MARK

    def _object(self, value: dict[str, Any], spot: str, depth: int) -> dict[str, Any]:
        told: dict[str, Any] = {}
        self.room -= 4
        # The value of a PATCH operation is that of the attribute in its path.
        path = value.get("path") or value.get("Path")
        target = _attribute(path) if isinstance(path, str) else spot
        for done, (key, inner) in enumerate(value.items()):
            if self.room <= 0:
                told[f"{MARK} {len(value) - done} more"] = MARK
                break
            lower = key.lower()
            if lower in self.known:
                name, within = key, target if lower == "value" else lower
            else:
                name, within = self.path(key), _attribute(key)
                if MARK in name and "[" not in name:
                    # What an unknown attribute holds is unknown too.
                    name, inner = MARK, MARK
            self.room -= _bytes(name) + 1
            told[name] = self.shown(inner, within, depth + 1)
        return told

    def _list(self, value: list[Any], spot: str, depth: int) -> list[Any]:
        told: list[Any] = []
        self.room -= 4
        for done, inner in enumerate(value):
            if done == _SHOWN_OF_A_LIST or self.room <= 0:
                told.append(f"{MARK} {len(value) - done} more")
                break
            told.append(self.shown(inner, spot, depth + 1))
        return told

    def _scalar(self, value: Any, spot: str) -> Any:
        if value is None or isinstance(value, bool) or value == "":
            return value
        if not isinstance(value, str):
            return value if spot in _NUMBERS and abs(value) < 2**53 else MARK
        if spot in _PATHS:
            return self.path(value)
        harmless = (
            (spot in _WORDS and value.lower() in _WORDS[spot])
            or (spot == "schemas" and _is_urn(value))
            or (spot in _OWN_IDS and _is_id(value))
        )
        return value if harmless else MARK

    def path(self, text: str) -> str:
        """An attribute path, a filter, an address in the server: words that are known, marks for the others."""
        if text.lower() in self.known or _is_urn(text):
            return text
        spot, known = "path", False

        def told(found: re.Match[str]) -> str:
            nonlocal spot, known
            word = found[0]
            if word.startswith('"'):
                inner = word.strip('"')
                kept = inner.lower() in _WORDS.get(spot, ()) or (spot in _OWN_IDS and _is_id(inner))
                return f'"{inner}"' if kept else f'"{MARK}"'
            lower = word.lower()
            if lower in self.known:
                known = True
                if lower not in _OPERATORS and lower not in ("value", "$ref"):
                    spot = lower
                return word
            if _is_urn(word) or _is_id(word):
                known = True
                return word
            return MARK

        cut = _SPACE.sub(" ", text[:_LONGEST_PATH])
        shown = _TOKEN.sub(told, cut) + (MARK if len(text) > _LONGEST_PATH else "")
        return shown if known else MARK

    def hidden(self, body: Any) -> Iterator[tuple[str, str]]:
        """(a text of the body, what may be said of it), the longest first; only what may not be said as it is."""
        paths: set[str] = set()
        values: set[str] = set()
        _gather(body, paths, values)
        told = {text: self.path(text) for text in paths}
        told |= dict.fromkeys(values - _KNOWN, MARK)
        named: set[str] = set()
        for text in paths:
            # A parser quotes a word of a path or filter by itself, too.
            told |= dict.fromkeys((word.strip('"') for word in _TOKEN.findall(text[:2000])), MARK)
            named |= {text} if _NAME.fullmatch(text) else set(_COMPARED.findall(text[:2000]))
        for text in sorted(told.keys() - (named - values), key=len, reverse=True):
            if len(text) > 2 and self.path(text) != text:
                yield text, told[text]


def _attribute(path: str) -> str:
    """The attribute that a path ends in, in lower case; its brackets and a last "value" say which, not what."""
    words = [word for word in _SEPARATORS.split(_BRACKETS.sub("", path.lower())) if word]
    if len(words) > 1 and words[-1] in ("value", "$ref"):
        words.pop()
    return words[-1] if words else ""


def _is_urn(text: str) -> bool:
    return text[:4].lower() == "urn:" and len(text) <= _LONGEST_PATH and _matches_urn(text)


@lru_cache(maxsize=512)
def _matches_urn(text: str) -> bool:
    return _URN.fullmatch(text) is not None


def _is_id(text: str) -> bool:
    return len(text) == 36 and as_uuid(text) is not None


def _bytes(text: str) -> int:
    """What a text takes in JSON, with its quotes and comma."""
    return len(text.encode()) + text.count('"') + 3


def _gather(body: Any, paths: set[str], values: set[str]) -> None:
    """Every text of a message: those that are read as paths (keys, filters), and the others."""
    waiting = [(body, values)]
    while waiting:
        value, kind = waiting.pop()
        if isinstance(value, str):
            kind.add(value)
        elif isinstance(value, list):
            waiting += [(inner, kind) for inner in value]
        elif isinstance(value, dict):
            for key, inner in value.items():
                paths.add(key)
                waiting.append((inner, paths if key.lower() in _PATHS else values))
