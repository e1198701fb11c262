"""An interface that answers JSON: asked with a credential, and again when it is busy. Knows no listing."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from time import sleep
from typing import Any, Protocol
from urllib.parse import urlencode, urlsplit

import orjson

from identity_hub.core import outbound
from identity_hub.core.clock import now
from identity_hub.core.outbound import Call, Reply
from provisioning.decision.reasons import Flaw
from provisioning.roster import Unreadable

from . import Away

TRIES = 6
FIRST_WAIT = 1.0
LONGEST_WAIT = 300.0
"""Seconds. Who is told to wait longer leaves, and goes on another time."""
MAX_BYTES = 32 * 1024 * 1024
"""Of one page."""
MOST_PEOPLE = 2**31 - 1
LONGEST_PLACE = 8192
BUSY = frozenset({408, 429, 500, 502, 503, 504})

_CODE = re.compile("[A-Za-z][A-Za-z0-9_.-]{1,59}")


class Credential(Protocol):
    def headers(self, wire: "Wire") -> Mapping[str, str]:
        """What a call carries; may ask for a token first, by `Wire.post`."""

    def forget(self) -> bool:
        """Whether there is hope for another answer after a 401: a token that was obtained is thrown away."""


class Wire:
    def __init__(
        self,
        credential: Credential,
        *,
        ask: Callable[..., Reply] = outbound.ask,
        wait: Callable[[float], None] = sleep,
        clock: Callable[[], datetime] = now,
        busy: Callable[[Reply], bool] = lambda reply: False,
        tries: int = TRIES,
    ) -> None:
        self.credential = credential
        self.clock = clock
        self._ask = ask
        self._wait = wait
        self._tries = tries
        self._busy = busy
        """Whether a refusal that is no 429 means the same; interfaces have words of their own for it."""

    def get(self, url: str, parameters: Mapping[str, Any] | None = None, **headers: str) -> Reply:
        """What the server says at last, whatever its status. Raises Away, and Unreadable for a forbidden address."""
        query = urlencode(parameters or {})
        address = f"{url}{'&' if urlsplit(url).query else '?'}{query}" if query else url

        def call() -> Call:
            return Call(url=address, headers={**headers, **self.credential.headers(self)})

        reply = self._patiently(call)
        if reply.status == 401 and self.credential.forget():
            # A token may end, or be revoked, in the middle of a listing.
            reply = self._patiently(call)
        return reply

    def post(self, url: str, form: Mapping[str, str]) -> Reply:
        """For tokens: carries nothing but the form."""
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        body = urlencode(form).encode()
        return self._patiently(lambda: Call(url=url, method="POST", headers=headers, body=body))

    def _patiently(self, call: Callable[[], Call]) -> Reply:
        pause = FIRST_WAIT
        for left in reversed(range(self._tries)):
            asked = call()
            try:
                outbound.check(asked.url)
            except outbound.Refused as refusal:
                raise Unreadable(str(refusal)) from None
            try:
                reply = self._ask(asked, max_bytes=MAX_BYTES)
            except outbound.Refused as refusal:
                problem, told = str(refusal), None
            else:
                if reply.status not in BUSY and not self._busy(reply):
                    return reply
                problem = f"{host_of(asked.url)} is busy (status {reply.status})."
                told = _told_to_wait(reply, self.clock())
            if not left or (told or 0) > LONGEST_WAIT:
                raise Away(problem)
            self._wait(pause if told is None else told)
            pause *= 2
        raise AssertionError("the last try raises")


def document_of(reply: Reply, url: str) -> dict[str, Any]:
    """The JSON object of a good reply; raises `Unreadable` for any other."""
    host = host_of(url)
    if reply.status in (401, 403):
        raise Unreadable(
            f"{host} refuses the credential{_named(reply)}. Please look at its permissions.", Flaw.DENIED
        )
    if reply.status != 200:
        raise Unreadable(f"{host} answered with status {reply.status}{_named(reply)}.")
    found = json_of(reply)
    if found is None:
        raise Unreadable(f"{host} answered with something that is no JSON object.")
    return found


def json_of(reply: Reply) -> dict[str, Any] | None:
    try:
        found = orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


def code_of(reply: Reply) -> str:
    """The server's own word for what went wrong, if it is a word: its sentences may name a person.

    RFC 6749 5.2: {"error": "..."}; Graph: {"error": {"code": "..."}}; Google: {"error": {"errors": [{"reason":
    "..."}]}}; RFC 7644 3.12: {"scimType": "..."}.
    """
    said = json_of(reply) or {}
    error = said.get("error")
    inner = error if isinstance(error, dict) else {}
    errors = inner.get("errors")
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
    for word in (error, inner.get("code"), first.get("reason"), said.get("scimType")):
        if isinstance(word, str) and _CODE.fullmatch(word):
            return word
    return ""


def people_in(found: Any, url: str) -> list[dict[str, Any]]:
    """The people of a page, from the member that lists them; none where there is no such member."""
    people = [] if found is None else found
    if not isinstance(people, list) or not all(isinstance(one, dict) for one in people):
        raise Unreadable(f"{host_of(url)} lists something that is no person.")
    return people


def number_in(found: Any, url: str) -> int | None:
    """How many there are, as a server says it; None where it does not."""
    if not isinstance(found, int) or isinstance(found, bool):
        return None
    if not 0 <= found <= MOST_PEOPLE:
        raise Unreadable(f"{host_of(url)} promises a number of people that cannot be.")
    return found


def place_in(found: Any, url: str) -> str | None:
    """Where the next page begins, in the server's own words; None after the last one."""
    if found is None or found == "":
        return None
    if (
        not isinstance(found, str)
        or len(found) > LONGEST_PLACE
        or not found.isascii()
        or not found.isprintable()
    ):
        raise Unreadable(f"{host_of(url)} names a place that cannot be kept.")
    return found


def first_time(place: str, given: set[str], url: str) -> str:
    """The place, which is given for the first time: a listing that is led in a circle has no end."""
    if place in given:
        raise Unreadable(f"{host_of(url)} leads the listing round in a circle.", Flaw.UNSTABLE)
    given.add(place)
    return place


def host_of(url: str) -> str:
    return urlsplit(url).hostname or "The address"


def same_origin(one: str, other: str) -> bool:
    return urlsplit(one)[:2] == urlsplit(other)[:2]


def _named(reply: Reply) -> str:
    code = code_of(reply)
    return f" ({code})" if code else ""


def _told_to_wait(reply: Reply, at: datetime) -> float | None:
    """RFC 9110 10.2.3: seconds, or a date."""
    said = reply.headers.get("retry-after", "").strip()
    if said.isascii() and said.isdigit():
        return float(said[:9])
    try:
        return max((parsedate_to_datetime(said) - at).total_seconds(), 0.0)
    except (TypeError, ValueError):  # TypeError: a date without a zone
        return None
