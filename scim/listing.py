"""Who exists at an IdP that is a SCIM service provider itself. Knows RFC 7644 and RFC 9865 from the client's side.

scim2-client says what is asked and what a good answer is; its requests go out by the house's own way. People come as
they were sent: one malformed attribute of one person must not hide the other hundred of the page.
"""

from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any
from urllib.parse import urlencode

import orjson
from scim2_client import SCIMClientException, SCIMResponseException
from scim2_client.client import BaseSyncSCIMClient
from scim2_models import EnterpriseUser, Resource, ResourceType, ScimProvider, ServiceProviderConfig, User

from identity_hub.core.outbound import Reply
from provisioning.decision.reasons import Flaw
from provisioning.roster import Unreadable
from provisioning.sources import Document, Expired, Listed
from provisioning.sources.wire import (
    Wire,
    code_of,
    document_of,
    first_time,
    host_of,
    number_in,
    people_in,
    place_in,
)

COUNT = 200
_SERVER = ScimProvider(
    models=[User, EnterpriseUser], resource_types=[ResourceType.from_resource(User[EnterpriseUser])]
)

CURSOR_GONE = frozenset({"expiredCursor", "invalidCursor"})
"""RFC 9865 2.1, 2.3. A cursor of ours that is invalid was valid once."""


class _Reply:
    """A reply as scim2-client reads one."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.status_code = reply.status
        self.headers = reply.headers

    @property
    def text(self) -> str:
        return self.reply.body.decode("utf-8", "replace")


class _Client(BaseSyncSCIMClient):
    """scim2-client over a wire."""

    def __init__(self, wire: Wire, base: str) -> None:
        super().__init__(provider=_SERVER, check_request_payload=False, check_response_payload=False)
        self.wire = wire
        self.base = base

    def _parse_json(self, response: Any) -> Any:
        # Stricter than Python's own: half of a surrogate pair is in no table.
        return orjson.loads(response.reply.body)

    def request(self, method: str, url: str, **kwargs: Any) -> _Reply:
        query = urlencode(kwargs.get("params") or {})
        address = f"{self.base}{url}" + (f"?{query}" if query else "")
        return _Reply(self.wire.get(address, Accept="application/scim+json, application/json"))

    def asked(self, what: type[Resource[Any]], url: str, parameters: Mapping[str, Any]) -> Document:
        """The message; raises `Unreadable`, and `Expired` where the server says that of a cursor."""
        address = self.base + url
        try:
            found = self.query(what, query_parameters=dict(parameters), url=url, expected_status_codes=[200])
        except SCIMResponseException as error:
            reply = error.source.reply
            if code_of(reply) in CURSOR_GONE:
                raise Expired(f"{host_of(address)} no longer knows where the listing stopped.") from None
            document_of(reply, address)  # says what is wrong with the reply, if it is not its type
            raise Unreadable(f"{host_of(address)} answered with something that is no SCIM message.") from None
        except SCIMClientException:
            raise Unreadable(f"{host_of(address)} answered with something that is no SCIM message.") from None
        if not isinstance(found, dict):
            raise Unreadable(f"{host_of(address)} answered with something that is no SCIM message.")
        return found


class ScimListing:
    """`/Users` of a SCIM service provider, by cursors where it offers them, else by index.

    The place of the listing is {"way": "cursor", "cursor": ..., "first": ..., "total": ...} or
    {"way": "index", "first": ..., "total": ..., "last": the mark of the person before}.
    """

    def __init__(self, wire: Wire, base: str, *, chosen: str = "", count: int = COUNT) -> None:
        self._base = base.rstrip("/")
        self._client = _Client(wire, self._base)
        self._chosen = {"filter": chosen} if chosen else {}
        self._count = count

    def pages(self, cursor: Any) -> Iterator[Listed]:
        if cursor is None:
            cursor = {"way": "cursor" if self._has_cursors() else "index", "first": 1}
        return self._by_cursor(cursor) if cursor["way"] == "cursor" else self._by_index(cursor)

    def _has_cursors(self) -> bool:
        try:
            config = self._client.asked(ServiceProviderConfig, "/ServiceProviderConfig", {})
        except Unreadable:
            return False  # many have none, or show it to others only; index paging is everybody's
        offered = config.get("pagination")
        return isinstance(offered, dict) and offered.get("cursor") is True

    def _by_cursor(self, at: Mapping[str, Any]) -> Iterator[Listed]:
        first, total, place = at["first"], at.get("total"), at.get("cursor", "")
        given = {place}
        while True:
            # RFC 9865 2: an empty cursor asks for the first page.
            page = self._page({"cursor": place, "count": self._count})
            people = people_in(page.get("Resources"), self._base)
            # RFC 9865 2: totalResults is optional here.
            total = self._total_of(page, total)
            following, seen = place_in(page.get("nextCursor"), self._base), first - 1 + len(people)
            if following is None or (total is not None and seen > total):
                self._ended(seen, total)
                yield Listed(documents=people, first=first, total=total)
                return
            place = first_time(following, given, self._base)
            cursor = {"way": "cursor", "cursor": place, "first": seen + 1, "total": total}
            yield Listed(documents=people, first=first, cursor=cursor, total=total)
            first = seen + 1

    def _by_index(self, at: Mapping[str, Any]) -> Iterator[Listed]:
        first, total, largest = at["first"], at.get("total"), 0
        before = {at.get("last")}
        while True:
            page = self._page({"startIndex": first, "count": self._count})
            people = people_in(page.get("Resources"), self._base)
            total = self._total_of(page, total)
            if total is None:
                # RFC 7644 3.4.2: totalResults is REQUIRED; without it nothing says where the end is.
                raise Unreadable(f"{self._host} does not say how many people there are.")
            marks = [_mark(person) for person in people]
            if not before.isdisjoint(marks):
                # Somebody came in before this page, so that its beginning is the end of the one before; or the server
                # does not look at startIndex at all.
                raise Unreadable(
                    f"{self._host} lists somebody twice: its people changed meanwhile.", Flaw.UNSTABLE
                )
            seen = first - 1 + len(people)
            if seen >= total or not people:
                self._ended(seen, total)
                if people and len(people) >= max(largest, 2):
                    self._nobody_after(seen)
                yield Listed(documents=people, first=first, total=total)
                return
            # A server may send fewer than it was asked for (RFC 7644 3.4.2.4): the next page begins behind what came.
            largest = max(largest, len(people))
            following = {"way": "index", "first": seen + 1, "total": total, "last": marks[-1]}
            yield Listed(documents=people, first=first, cursor=following, total=total)
            first, before = seen + 1, set(marks)

    def _page(self, place: Mapping[str, Any]) -> Document:
        return self._client.asked(User, "/Users", {**self._chosen, **place})

    def _total_of(self, page: Document, known: int | None) -> int | None:
        total = number_in(page.get("totalResults"), self._base)
        if total is None:
            return known
        if known is not None and total != known:
            raise Unreadable(
                f"{self._host} had {known} people when the listing began, and {total} a page later: "
                "whoever was passed over meanwhile is not known.",
                Flaw.UNSTABLE,
            )
        return total

    def _ended(self, seen: int, total: int | None) -> None:
        if total is not None and seen != total:
            raise Unreadable(f"{self._host} promises {total} people and lists {seen}.", Flaw.TRUNCATED)

    def _nobody_after(self, seen: int) -> None:
        """Some servers say how many are on the page instead of how many there are."""
        try:
            more = self._page({"startIndex": seen + 1, "count": self._count})
        except Unreadable:
            return  # a place behind the end is an error to some
        if people_in(more.get("Resources"), self._base):
            raise Unreadable(f"{self._host} promises {seen} people and lists more.", Flaw.TRUNCATED)

    @property
    def _host(self) -> str:
        return host_of(self._base)


def _mark(person: Document) -> str:
    """By which a person is recognised on the next page, without saying who she is."""
    return blake2b(str(person.get("id")).encode(), digest_size=8).hexdigest()
