"""One SCIM request without its transport, and its answer: HTTP brings one, a Bulk body many. Knows no resource."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from scim2_models.exceptions import InvalidValueException, UnauthorizedException

from provisioning.selectors import tokens
from provisioning.selectors.tokens import Caller
from scim import rates, scopes, stops
from scim.patience import Patience

Versions = frozenset[str]
"""Entity-tags without their mark of weakness; `*` is itself."""


@dataclass(slots=True)
class Credential:
    """The bearer token of a request. A read asks about it in its own statement; anything else asks first."""

    digest: bytes
    address: Callable[[], str]
    """Where it was sent from."""
    caller: Caller | None = None
    admitted: bool = False
    """Its permit of this minute has been taken, or refused."""

    def identified(self, at: datetime) -> Caller:
        if self.caller is None:
            self.guard()
            self.recognised(tokens.caller_of(self.digest, at))
        assert self.caller is not None
        return self.caller

    def recognised(self, caller: Caller | None) -> Caller:
        """What the database says of the token. 401 where it says nothing, 429 where it is asked too often."""
        if caller is None:
            rates.failed(self.address())
            # The same for a token that is unknown, expired, revoked, or of a connection without SCIM.
            raise UnauthorizedException(detail="The bearer token is not valid.")
        _SEEN[self.digest] = caller
        self.caller = caller
        self._admit(caller)
        return caller

    def _admit(self, caller: Caller) -> None:
        if not self.admitted:
            self.admitted = True
            rates.admit(caller)

    def guard(self) -> None:
        """429 where an address keeps guessing. A token that was valid a moment ago is no guess."""
        if self.digest not in _SEEN:
            rates.guard(self.address())

    def expected(self, at: datetime) -> Caller:
        """Who it was the last time: enough to compile a query by, never to answer one."""
        seen = _SEEN.get(self.digest)
        if seen is None:
            return self.identified(at)
        self._admit(seen)
        return seen


class _Seen(dict[bytes, Caller]):
    """Forgets everything once it is full: nothing is lost but one statement."""

    def __setitem__(self, key: bytes, value: Caller) -> None:
        if len(self) >= 1000 and key not in self:
            self.clear()
        super().__setitem__(key, value)


_SEEN = _Seen()


def _no_body() -> Any:
    return None


@dataclass(slots=True, kw_only=True)
class Call:
    """What is asked of a resource type. `parameters` are by lower-case name, none of them empty."""

    method: str
    endpoint: str
    credential: Credential
    at: datetime
    request_id: str
    resource_id: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    if_match: Versions | None = None
    if_none_match: Versions | None = None
    read_body: Callable[[], Any] = _no_body
    sent: Any = None
    """The body, once it was read."""
    brief: bool = False
    """That the answer needs no body: status, version and location say it all."""
    patience: Patience = field(default_factory=Patience)
    """Of the whole request, whatever calls are made of it."""
    new_id: UUID | None = None
    """The id that what is created here shall have, where others refer to it already."""

    @property
    def writes(self) -> bool:
        return self.method not in ("GET", "HEAD")

    @property
    def caller(self) -> Caller:
        """Who asks; 401, 403 or 429 for who may not, 503 while writes are stopped."""
        return self._admitted(self.credential.identified(self.at))

    def recognised(self, caller: Caller | None) -> Caller:
        """As `caller`, from what a read found of it."""
        return self._admitted(self.credential.recognised(caller))

    def _admitted(self, caller: Caller) -> Caller:
        scopes.demand(caller, self.endpoint, writes=self.writes)
        stops.demand(caller, self.endpoint, writes=self.writes)
        return caller

    def body(self) -> Any:
        """The JSON that was sent: read only for who may ask, so that nobody else learns what is wrong with it."""
        if self.sent is None:
            self.caller  # noqa: B018 - refuses
            self.sent = self.read_body()
        return self.sent

    def number(self, name: str) -> int | None:
        """A parameter that is an integer; 400 invalidValue where it is another text."""
        text = self.parameters.get(name.lower())
        if text is None:
            return None
        digits = text.strip()
        digits = digits[1:] if digits.startswith(("+", "-")) else digits
        # Longer numbers are refused by int() itself, in time that grows with their square.
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 1000):
            raise InvalidValueException(detail=f"{name}: this is not an integer.")
        return int(text)


@dataclass(slots=True, kw_only=True)
class Answer:
    """What a resource type says. `body` None means that there is none; `version` goes into the ETag."""

    status: int
    body: Any = None
    version: int | None = None
    location: str = ""
    target_id: UUID | None = None
    reason: str = ""
    results: int | None = None
    positions: Sequence[int] = ()
    """Of a Bulk: which of its operations the results are of, from 0."""
