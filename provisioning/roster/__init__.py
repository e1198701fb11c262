"""What a roster is to the hub, and what a source of one has to be. Knows no file, no server and no table.

**A source lists everybody whom an IdP knows, page by page.** Files are sources (`roster.files`), and so is every remote
listing: a SCIM pull, Google Directory, Microsoft Graph. `services.rosters.receive` takes pages from it and keeps each
page, and where the next one begins, in one transaction; a killed worker goes on there.

A source has

- `kind`, a value of `Roster.Source`;
- `fields`, the names among `provisioning.fingerprints.FIELDS` that it says at all. What it does not say never changes
  anybody; what it says with an empty value means that the IdP has none;
- `pages(cursor)`, an iterator of `Page`. `cursor` is None for the beginning, else what an earlier page of the same
  roster named: any JSON. The database may be asked while a page is made.

A source raises `Unreadable` when it cannot go on for good: the roster is refused with that sentence. Any other
exception (a network that is away) leaves the roster `loading`, to be taken up again. It never raises for one bad line:
that is a `Fault` of its page, and the roster is refused when everything has been looked at.

A source that gets JSON documents (SCIM Users, or flat objects) lets `mapping.Mapping` read them:

    class Pull:
        kind = "scim"
        fields = SCIM.fields                       # a Mapping, e.g. mapping.checked({"user_name": "userName", ...})

        def pages(self, cursor):
            start = (cursor or {}).get("start", 1)
            while True:
                answer = self.get(start)
                documents = answer["Resources"]
                following = start + len(documents)
                more = following <= answer["totalResults"]
                yield page_of_documents(
                    documents, SCIM, first_line=start, cursor={"start": following} if more else None,
                    total=answer["totalResults"],
                )
                if not more:
                    return
                start = following

The last page has no cursor. A listing without anybody is one page without rows. `total` is proof: with fewer rows the
roster counts as truncated.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from provisioning.decision.reasons import Flaw

Values = tuple[Any, ...]
"""What one line says of a person, in the order of `fingerprints.FIELDS`: texts, but `active`, which is a bool. An empty
text: the IdP has nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is wrong with a line, without what it says. `code` is a `decision.reasons.RowFault`."""

    line: int
    code: str
    column: str = ""

    @property
    def told(self) -> dict[str, Any]:
        return {"line": self.line, "code": str(self.code), "column": self.column}


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    rows: Sequence[tuple[int, Values]]
    """(line, what it says): of a file its lines from 1, else the place in the listing."""
    faults: Sequence[Fault] = ()
    cursor: Any = None
    """Where the next page begins; None after the last one."""
    total: int | None = None
    """How many rows the source promises in all, where it says so."""


class Source(Protocol):
    @property
    def kind(self) -> str: ...

    @property
    def fields(self) -> Sequence[str]: ...

    def pages(self, cursor: Any) -> Iterator[Page]: ...


class Unreadable(Exception):
    """A source that is of no use at all. The sentence is for an administrator and holds no value of a person."""

    def __init__(self, sentence: str, flaw: Flaw = Flaw.UNREADABLE) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.flaw = flaw
