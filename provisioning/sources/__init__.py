"""Who exists at an IdP, asked of its own interface and listed page by page. Knows no table, and keeps nothing.

Each kind of directory is a module with a `Listing`. It asks by a `wire.Wire`, which carries the credential, and raises

- `roster.Unreadable` where the listing can never be complete, with a sentence for an administrator;
- `Away` where it can be another time: what has been kept stays, and the next attempt goes on there;
- `Expired` where the server has forgotten the place: the listing has to be begun anew.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One page: whoever is on it, and where the next one begins."""

    documents: Sequence[Document]
    first: int
    """The place of its first person in the whole listing, from 1."""
    cursor: Any = None
    """None after the last page."""
    total: int | None = None
    """How many there are in all, where the server says so."""


class Listing(Protocol):
    def pages(self, cursor: Any) -> Iterator[Listed]: ...


class Away(Exception):
    """Nobody answers for now. `str()` is a sentence without a value of a person or of a credential."""


class Expired(Exception):
    """The server no longer knows where the listing stopped."""
