"""How often one may ask: so many requests a minute for each token, so many failures for each address.

Minutes are those of the clock. All web processes count together in the cache, and each leases its permits in chunks
of a hundredth, so that an ordinary request asks nobody: it costs 3 µs, and each chunk 0.25 ms in Redis. Never more is
granted than the limit; at a minute's end each process may hold a chunk that it did not use. Without Redis each process
counts for itself. Knows no resource and no rule about people.
"""

from collections.abc import Hashable
from ipaddress import ip_address, ip_network
from threading import Lock

from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest
from scim2_models.exceptions import SCIMException

from identity_hub.core.clock import now
from provisioning.selectors.tokens import Caller

MINUTE = 60
CHUNKS = 100
SPENT = -1
FAILURES_A_MINUTE = 60
"""From one address. Many tenants' clients may share one (a cloud's gateway), so it is not low."""


class TooManyRequestsException(SCIMException):
    """RFC 6585 4; RFC 9110 10.2.3: `Retry-After` in seconds."""

    status = 429
    _default_detail = "Too many requests with this token in one minute; please come back later."

    def __init__(self, seconds: int, detail: str | None = None) -> None:
        super().__init__(detail=detail)
        self.headers = {"Retry-After": str(seconds)}


class Allowance:
    """So many a minute for each key, over all processes that share the cache."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = Lock()
        self.forget()

    def forget(self) -> None:
        self._minute = -1
        self._left: dict[Hashable, int] = {}
        """Permits leased and not used yet; SPENT where the minute has no more of them."""
        self._alone: dict[Hashable, int] = {}

    def take(self, key: Hashable, limit: int) -> int:
        """Takes one. 0 where it was there, else the seconds until the next minute."""
        minute, second = divmod(int(now().timestamp()), MINUTE)
        with self._lock:
            if minute != self._minute:
                self._minute, self._left, self._alone = minute, {}, {}
            left = self._left.get(key, 0)
            if left > 0:
                self._left[key] = left - 1
                return 0
        if left == SPENT:
            return MINUTE - second
        leased = self._lease(key, minute, limit)
        with self._lock:
            if minute == self._minute:
                # Another thread may have leased meanwhile; what it has left is used up first.
                left = max(self._left.get(key, 0), 0)
                self._left[key] = left + leased - 1 if leased else left or SPENT
        return 0 if leased else MINUTE - second

    def spent(self, key: Hashable) -> int:
        """The seconds for which this process knows that nothing is left to take; 0 where it knows no such thing."""
        if not self._left:
            return 0
        minute, second = divmod(int(now().timestamp()), MINUTE)
        with self._lock:
            known = minute == self._minute and self._left.get(key) == SPENT
        return MINUTE - second if known else 0

    def _lease(self, key: Hashable, minute: int, limit: int) -> int:
        chunk = max(1, limit // CHUNKS)
        before = self._counted(key, minute, chunk) - chunk
        return max(0, min(chunk, limit - before))

    def _counted(self, key: Hashable, minute: int, amount: int) -> int:
        name = f"{self._name}:{key}:{minute}"
        for _ in range(2):
            try:
                return int(cache.incr(name, amount))
            except ValueError:
                # Nobody has counted this minute; or the cache is away, and then this adds nothing either.
                cache.add(name, 0, timeout=2 * MINUTE)
        with self._lock:
            self._alone[key] = self._alone.get(key, 0) + amount
            return self._alone[key]


_requests = Allowance("scim-requests")
_failures = Allowance("scim-failures")


def admit(caller: Caller) -> None:
    """429 where the token has used up its minute."""
    if (limit := caller.requests_per_minute) and (seconds := _requests.take(caller.token_id, limit)):
        raise TooManyRequestsException(seconds)


def guard(address: str) -> None:
    """429 where too much from this address failed to authenticate.

    Ask it about tokens and clients that this process has not met lately: those that it knows go on working, also
    where somebody behind the same address guesses.
    """
    if seconds := failing(address):
        raise TooManyRequestsException(seconds, "Too many failed attempts from your address.")


def failing(address: str) -> int:
    """The seconds for which strangers from this address are not heard; 0 where they are."""
    return _failures.spent(address)


def failed(address: str) -> None:
    """A token or a secret from this address was wrong."""
    _failures.take(address, FAILURES_A_MINUTE)


def address_of(request: HttpRequest) -> str:
    """Where a request comes from. An IPv6 customer has a whole /64, so that is one address here."""
    said = request.META.get("REMOTE_ADDR", "")
    if settings.BEHIND_PROXY:
        # The last entry is the one that our own proxy wrote; those before it are the caller's to invent.
        said = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip() or said
    try:
        address = ip_address(said)
    except ValueError:
        return ""
    return str(address if address.version == 4 else ip_network((address, 64), strict=False))


def forget() -> None:
    """Begins anew in this process: for tests."""
    _requests.forget()
    _failures.forget()
