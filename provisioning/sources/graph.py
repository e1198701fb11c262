"""Who exists in a Microsoft Entra tenant: /users of Microsoft Graph. Knows its paging and what its words mean.

https://learn.microsoft.com/en-us/graph/api/user-list and https://learn.microsoft.com/en-us/graph/paging
"""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from provisioning.roster import Unreadable

from . import Document, Expired, Listed
from .wire import Wire, code_of, document_of, first_time, host_of, number_in, people_in, place_in, same_origin

BASE = "https://graph.microsoft.com/v1.0"
TOKEN_ADDRESS = "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token"  # noqa: S105 - an address
SCOPE = "https://graph.microsoft.com/.default"
MOST = 999
READ = (
    "id",
    "userPrincipalName",
    "mail",
    "accountEnabled",
    "givenName",
    "surname",
    "displayName",
    "employeeId",
    "department",
    "jobTitle",
    "preferredLanguage",
    "userType",
    "mailNickname",
    "onPremisesImmutableId",
    "onPremisesSamAccountName",
)
"""What is asked for, and with it everything that the hub gets to know."""
PLACE_GONE = frozenset({"Directory_ExpiredPageToken", "Request_ExpiredPageToken", "syncStateNotFound"})

MAPPING = {
    "external_id": "id",
    "user_name": "userPrincipalName",
    "active": "accountEnabled",
    "email": "mail",
    "given_name": "givenName",
    "family_name": "surname",
    "display_name": "displayName",
    "hr_number": "employeeId",
    "department": "department",
    "title": "jobTitle",
    "locale": "preferredLanguage",
}
"""Hub field -> property of a user, where an administrator says nothing else."""


class GraphListing:
    """All users of the tenant, or those of one group (`chosen`, its object id) and of the groups in it.

    The place of the listing is {"link": the next page's address, "first": ..., "total": ...}.
    """

    def __init__(self, wire: Wire, base: str = BASE, *, chosen: str = "", count: int = MOST) -> None:
        self._wire = wire
        base = base.rstrip("/")
        group = f"/groups/{quote(chosen, safe='')}/transitiveMembers/microsoft.graph.user"
        self._url = base + (group if chosen else "/users")
        self._asked = {"$select": ",".join(READ), "$top": str(count), "$count": "true"}

    def pages(self, cursor: Any) -> Iterator[Listed]:
        at = cursor or {"first": 1}
        first, total, link = at["first"], at.get("total"), at.get("link")
        given = {link} if link else set()
        while True:
            page = self._page(link)
            people = people_in(page.get("value"), self._url)
            if total is None:  # it stands on the first page only
                total = number_in(page.get("@odata.count"), self._url)
            following, seen = place_in(page.get("@odata.nextLink"), self._url), first - 1 + len(people)
            if following is None:
                yield Listed(documents=people, first=first, total=total)
                return
            # The token goes wherever the link leads, so it leads nowhere but back to where it came from.
            if not same_origin(following, self._url):
                raise Unreadable(f"{host_of(self._url)} leads the listing to another server.")
            link = first_time(following, given, self._url)
            cursor = {"link": link, "first": seen + 1, "total": total}
            yield Listed(documents=people, first=first, cursor=cursor, total=total)
            first = seen + 1

    def _page(self, link: str | None) -> Document:
        # $count is an advanced query: https://learn.microsoft.com/en-us/graph/aad-advanced-queries
        headers = {"ConsistencyLevel": "eventual", "Accept": "application/json"}
        reply = (
            self._wire.get(link, None, **headers)
            if link
            else self._wire.get(self._url, self._asked, **headers)
        )
        if link and (code_of(reply) in PLACE_GONE or reply.status == 410):
            raise Expired(f"{host_of(self._url)} no longer knows where the listing stopped.")
        return document_of(reply, self._url)
