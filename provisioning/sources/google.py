"""Who exists in a Google Workspace: users.list of the Directory API. Knows its paging and what its words mean.

https://developers.google.com/admin-sdk/directory/reference/rest/v1/users/list
"""

from collections.abc import Iterator
from typing import Any

from identity_hub.core.outbound import Reply

from . import Document, Expired, Listed
from .wire import Wire, code_of, document_of, first_time, host_of, people_in, place_in

BASE = "https://admin.googleapis.com"
TOKEN_ADDRESS = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
SCOPE = "https://www.googleapis.com/auth/admin.directory.user.readonly"
MOST = 500
READ = "nextPageToken,users(id,primaryEmail,name,suspended,archived,externalIds,organizations,languages,orgUnitPath)"
"""What is asked for, and with it everything that the hub gets to know."""
BUSY = frozenset({"rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded"})

MAPPING = {
    "external_id": "id",
    "user_name": "primaryEmail",
    "active": "active",
    "email": "primaryEmail",
    "given_name": "givenName",
    "family_name": "familyName",
    "display_name": "fullName",
    "hr_number": "employeeId",
    "department": "department",
    "title": "title",
    "locale": "language",
}
"""Hub field -> column of `flat`, where an administrator says nothing else."""


def is_busy(reply: Reply) -> bool:
    """Google says "too many" by a 403 with a reason, too.

    https://developers.google.com/admin-sdk/directory/v1/limits
    """
    return reply.status == 403 and code_of(reply) in BUSY


class GoogleListing:
    """The place of the listing is {"token": the next page's, "first": ...}."""

    def __init__(self, wire: Wire, base: str = BASE, *, chosen: str = "", count: int = MOST) -> None:
        self._wire = wire
        self._url = f"{base.rstrip('/')}/admin/directory/v1/users"
        self._asked = {
            "customer": "my_customer",
            "maxResults": str(count),
            "projection": "full",
            # Without an order, who comes when is Google's secret; this one an insertion cannot shuffle.
            "orderBy": "email",
            "fields": READ,
            **({"query": chosen} if chosen else {}),
        }

    def pages(self, cursor: Any) -> Iterator[Listed]:
        at = cursor or {"first": 1}
        first, token = at["first"], at.get("token")
        given = {token} if token else set()
        while True:
            page = self._page(token)
            people = [flat(person) for person in people_in(page.get("users"), self._url)]
            following = place_in(page.get("nextPageToken"), self._url)
            if following is None:
                yield Listed(documents=people, first=first)
                return
            token = first_time(following, given, self._url)
            cursor = {"token": token, "first": first + len(people)}
            yield Listed(documents=people, first=first, cursor=cursor)
            first += len(people)

    def _page(self, token: str | None) -> Document:
        reply = self._wire.get(self._url, {**self._asked, **({"pageToken": token} if token else {})})
        if token and reply.status == 400:
            # Everything but the token was good a page ago; a token is good for three days.
            raise Expired(f"{host_of(self._url)} no longer knows where the listing stopped.")
        return document_of(reply, self._url)


def flat(person: Document) -> Document:
    """A user as one level of columns. Whoever is suspended or archived cannot sign in."""
    name = _object(person.get("name"))
    place = _first(person.get("organizations"), "primary", True)
    number = _first(person.get("externalIds"), "type", "organization", only=True)
    language = _first(person.get("languages"), "preference", "preferred")
    return {
        "id": person.get("id"),
        "primaryEmail": person.get("primaryEmail"),
        "active": not (person.get("suspended") is True or person.get("archived") is True),
        "givenName": name.get("givenName"),
        "familyName": name.get("familyName"),
        "fullName": name.get("fullName"),
        "employeeId": number.get("value"),
        "department": place.get("department"),
        "title": place.get("title"),
        "language": language.get("languageCode"),
        "orgUnitPath": person.get("orgUnitPath"),
    }


def _object(found: Any) -> Document:
    return found if isinstance(found, dict) else {}


def _first(found: Any, member: str, wanted: Any, *, only: bool = False) -> Document:
    """The entry whose member is as wanted; else, unless `only` that one will do, the first of all."""
    entries = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    fitting = [one for one in entries if one.get(member) == wanted]
    return (fitting or ([] if only else entries) or [{}])[0]
