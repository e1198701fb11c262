"""What an account can be found by: the values of its document as keys. Knows no filter and no table.

A key narrows a search to few rows; whoever asks compares the values themselves afterwards.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from provisioning.decision.keys import fold

# A lexeme of PostgreSQL holds 2,046 bytes; a character takes four at most.
_LONGEST = 500
_ELSEWHERE = frozenset({"schemas", "userName", "externalId"})
"""What no filter asks a key of: names and external ids have ordered indexes of their own."""


def search_keys(resource: Mapping[str, Any]) -> list[str]:
    """`path=value` of every string and number in a canonical document, folded and cut.

    The path is in lower case: `title`, `emails.value`, `urn:...:user:manager.value`.
    """
    keys: list[str] = []
    for name, value in resource.items():
        if name not in _ELSEWHERE:
            _collect(keys, name.lower(), ":" if ":" in name else ".", value)
    return keys


def search_key(path: str, value: str | int | float) -> str:
    """The key that holds this value at this (lower-case) path, or begins every key whose value begins so."""
    return f"{path}={fold(value) if isinstance(value, str) else _digits(value)}"[:_LONGEST]


def _collect(keys: list[str], path: str, separator: str, value: Any) -> None:
    kind = type(value)
    if kind is str:
        keys.append(f"{path}={fold(value)}"[:_LONGEST])
    elif kind is dict:
        for name, inner in value.items():
            _collect(keys, _joined(path, separator, name), ".", inner)
    elif kind is list:
        for inner in value:
            _collect(keys, path, separator, inner)
    elif kind is int or kind is float:
        keys.append(search_key(path, value))


# A document's paths are those of its schema: few, and the same for everybody.
@lru_cache(maxsize=4096)
def _joined(path: str, separator: str, name: str) -> str:
    return f"{path}{separator}{name.lower()}"


def _digits(number: int | float) -> str:
    """One spelling for equal numbers: 5 and 5.0 are the same value."""
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    return repr(number)
