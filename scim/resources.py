"""What every resource type answers in the same way: reads, lists, entity-tags. Knows no transport and no rule."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Generic, TypeVar
from uuid import UUID

from scim2_models.exceptions import SCIMException

from provisioning.selectors import pages
from provisioning.selectors.pages import Page, Table
from provisioning.selectors.tokens import Caller
from scim import queries, responses, scopes
from scim.calls import Answer, Call, Versions
from scim.errors import MethodNotAllowedException, refusal
from scim.identifiers import identifier
from scim.kinds import kinds_of
from scim.projection import Projection, projection, written_names
from scim.schemas import JSON, ResourceKind

Document = TypeVar("Document")
Found = TypeVar("Found")


class Resources(ABC, Generic[Document]):
    """One resource type. `subject` is the first word of its reason codes; `verbs` are what it answers to.

    A handler answers a Call or raises a SCIMException; it may be asked by HTTP, by Bulk or by a search.
    """

    name: ClassVar[str]
    endpoint: ClassVar[str]
    subject: ClassVar[str]
    table: Table[Document]
    verbs: ClassVar[dict[str, str]] = {
        "GET": "read",
        "HEAD": "read",
        "PUT": "replace",
        "PATCH": "patch",
        "DELETE": "delete",
    }
    list_verbs: ClassVar[dict[str, str]] = {"GET": "find", "HEAD": "find", "POST": "create"}

    def kind(self, caller: Caller) -> ResourceKind:
        return kinds_of(caller)[self.name]

    def answer(self, call: Call) -> Answer:
        """What is said to any call; 405 for a method that does not answer there."""
        return answered_by(self, self.verbs if call.resource_id else self.list_verbs, call)

    @abstractmethod
    def version_of(self, found: Document) -> int: ...

    @abstractmethod
    def resource_of(self, found: Document, kind: ResourceKind, wanted: Projection) -> JSON:
        """The whole resource as a client reads it, before the projection."""

    def related(self, wanted: Projection) -> str:
        """Which derived column of the table the projection needs; "" for none."""
        return ""

    def read(self, call: Call) -> Answer:
        document, kind = self.current(call)
        return self.shown(call, document, kind)

    def find(self, call: Call) -> Answer:
        page, query, wanted, kind = self.page(call)
        resources = [wanted.of(self.resource_of(found, kind, wanted)) for found in page.found]
        body: JSON = {"schemas": [responses.LIST_URN]}
        if (total := query.total(page)) is not None:
            body["totalResults"] = total
        if query.seal is None:
            body["startIndex"] = query.start
        body["itemsPerPage"] = len(resources)
        if following := query.following(page, call):
            body["nextCursor"] = following
        body["Resources"] = resources
        return Answer(status=200, body=body, results=len(resources))

    def page(self, call: Call) -> tuple[Page[Document], "queries.Query", Projection, ResourceKind]:
        def ask(expected: Caller) -> Any:
            kind = self.kind(expected)
            wanted = self.projection(call, kind)
            query = queries.query(kind, call, expected)
            asked = query.wanted(related=self.related(wanted), pace=call.patience.pace)

            def read() -> tuple[Caller | None, Page[Document]]:
                return pages.page(self.table, call.credential.digest, call.at, asked)

            caller, found = read() if query.plain else call.patience.limited(read)
            return caller, (found, query, wanted, kind)

        found: tuple[Page[Document], queries.Query, Projection, ResourceKind] = self.agreed(call, ask)
        return found

    def current(self, call: Call, related: str | None = None) -> tuple[Document, ResourceKind]:
        """The addressed resource as it is now, with its kind; 404 where there is none."""
        resource_id = self.addressed(call)

        def ask(expected: Caller) -> tuple[Caller | None, tuple[Document | None, ResourceKind]]:
            kind = self.kind(expected)
            asked = self.related(self.projection(call, kind)) if related is None else related
            read = pages.read(self.table, call.credential.digest, call.at, resource_id, related=asked)
            return read[0], (read[1], kind)

        found, kind = self.agreed(call, ask)
        if found is None:
            raise refusal(f"{self.subject}:unknown")
        return found, kind

    def agreed(self, call: Call, ask: Callable[[Caller], tuple[Caller | None, Found]]) -> Found:
        """Asks with what the caller was the last time, and again where the tenant's schemas have changed since."""
        while True:
            expected = call.credential.expected(call.at)
            try:
                # As it was the last time: who may not ask shall not make the database work.
                scopes.demand(expected, call.endpoint, writes=call.writes)
                caller, found = ask(expected)
            except SCIMException:
                # What is wrong with a request is said only to who may ask.
                call.caller  # noqa: B018 - refuses
                raise
            if call.recognised(caller).schema_version == expected.schema_version:
                return found

    def addressed(self, call: Call) -> UUID:
        found = identifier(call.resource_id)
        if found is None:
            call.caller  # noqa: B018 - who may not ask does not learn what is there
            raise refusal(f"{self.subject}:unknown")
        return found

    def projection(self, call: Call, kind: ResourceKind) -> Projection:
        # RFC 7643 7, "request": what a write names is in its answer.
        written = written_names(kind, call.sent) if kind.on_request and call.writes else ()
        asked = call.parameters
        return projection(kind, asked.get("attributes"), asked.get("excludedattributes"), written)

    def shown(self, call: Call, found: Document, kind: ResourceKind, status: int = 200) -> Answer:
        """The resource as the projection asks for it; 304 where the reader has this version (RFC 7644 3.14)."""
        version = self.version_of(found)
        wanted = self.projection(call, kind)
        document = self.resource_of(found, kind, wanted)
        held = call.if_none_match or frozenset()
        if not call.writes and not held.isdisjoint({"*", str(version)}):
            return Answer(status=304, version=version, target_id=UUID(document["id"]))
        return Answer(
            status=status,
            body=wanted.of(document),
            version=version,
            location=document["meta"]["location"],
            target_id=UUID(document["id"]),
        )

    def told(self, target_id: UUID | None, version: int | None, status: int, reason: str = "") -> Answer:
        """Of a write no more than how it ended: for a call that wants no body."""
        return Answer(
            status=status,
            version=version,
            location=f"{responses.base()}/{self.endpoint}/{target_id}",
            target_id=target_id,
            reason=reason,
        )

    def demand_version(self, wanted: Versions | None, version: int) -> None:
        """412 where If-Match asks for another version."""
        if wanted is not None and "*" not in wanted and str(version) not in wanted:
            raise refusal(f"{self.subject}:stale")


def answered_by(handler: Any, verbs: Mapping[str, str], call: Call) -> Answer:
    """What the handler's method for this verb says. 405 without one: to those who may ask at all."""
    name = verbs.get(call.method)
    if name is None:
        call.credential.identified(call.at)
        raise MethodNotAllowedException(verbs)
    answer: Answer = getattr(handler, name)(call)
    return answer
