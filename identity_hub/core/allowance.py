"""So many a minute for each key, over all processes that share the cache. Knows neither who asks nor what for.

Minutes are those of the clock; an allowance may count in longer windows. All web processes count together in the
cache, and each leases its permits in chunks of a hundredth, so that an ordinary request asks nobody: it costs 3 µs, and
each chunk 0.25 ms in Redis. Never more is granted than the limit; at a window's end each process may hold a chunk that
it did not use. Without Redis each process counts for itself.
"""

from collections.abc import Hashable
from threading import Lock
from weakref import WeakSet

from django.core.cache import cache

from identity_hub.core.clock import now

MINUTE = 60
CHUNKS = 100
SPENT = -1


class Allowance:
    """Permits by name: two allowances of one name are two processes."""

    def __init__(self, name: str, seconds: int = MINUTE) -> None:
        self._name, self._seconds = name, seconds
        self._lock = Lock()
        self.forget()
        _every.add(self)

    def forget(self) -> None:
        self._window = -1
        self._left: dict[Hashable, int] = {}
        """Permits leased and not used yet; SPENT where the window has no more of them."""
        self._alone: dict[Hashable, int] = {}

    def take(self, key: Hashable, limit: int) -> int:
        """Takes one. 0 where it was there, else the seconds until the next window."""
        window, second = divmod(int(now().timestamp()), self._seconds)
        with self._lock:
            if window != self._window:
                self._window, self._left, self._alone = window, {}, {}
            left = self._left.get(key, 0)
            if left > 0:
                self._left[key] = left - 1
                return 0
        if left == SPENT:
            return self._seconds - second
        leased = self._lease(key, window, limit)
        with self._lock:
            if window == self._window:
                # Another thread may have leased meanwhile; what it has left is used up first.
                left = max(self._left.get(key, 0), 0)
                self._left[key] = left + leased - 1 if leased else left or SPENT
        return 0 if leased else self._seconds - second

    def spent(self, key: Hashable) -> int:
        """The seconds for which this process knows that nothing is left to take; 0 where it knows no such thing."""
        if not self._left:
            return 0
        window, second = divmod(int(now().timestamp()), self._seconds)
        with self._lock:
            known = window == self._window and self._left.get(key) == SPENT
        return self._seconds - second if known else 0

    def _lease(self, key: Hashable, window: int, limit: int) -> int:
        chunk = max(1, limit // CHUNKS)
        before = self._counted(key, window, chunk) - chunk
        return max(0, min(chunk, limit - before))

    def _counted(self, key: Hashable, window: int, amount: int) -> int:
        name = f"{self._name}:{key}:{window}"
        for _ in range(2):
            try:
                return int(cache.incr(name, amount))
            except ValueError:
                # Nobody has counted in this window; or the cache is away, and then this adds nothing either.
                cache.add(name, 0, timeout=2 * self._seconds)
        with self._lock:
            self._alone[key] = self._alone.get(key, 0) + amount
            return self._alone[key]


_every: WeakSet[Allowance] = WeakSet()


def forget() -> None:
    """Begins anew in this process: for tests."""
    for allowance in _every:
        allowance.forget()
