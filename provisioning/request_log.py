"""The one way into the provisioning log: what is told of a SCIM request, when it is written, and that it never hurts.

A write or a refusal is INSERTed at once, in a transaction of its own, after that of the request has ended. That
transaction does not wait for the disk: the audit is what must be durable, and a crash of the database may cost the
log its last second. A read that was answered is put aside, and a thread writes what has come together within a
second. Whatever becomes of the log, the answer stays the same.
"""

import atexit
import os
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
import structlog
from django.db import Error, InterfaceError, OperationalError, connection, transaction
from prometheus_client import Counter

from identity_hub.core.text import made_keepable
from provisioning import sql
from provisioning.decision.keys import fold
from provisioning.digests import keyed
from provisioning.redaction import redacted, without_values

PERIOD_SECONDS = 0.8
"""How long a read waits at most for others to be written with."""
BATCH = 500
LIMIT = 20_000
"""How many reads wait at most while the database is away; the oldest go first."""
PAUSE_SECONDS = 5.0
"""How long the thread waits after a failure."""

USER_NAME, EXTERNAL_ID, EMAIL = "user_name", "external_id", "email"
FAMILIES = (USER_NAME, EXTERNAL_ID, EMAIL)

_READS = frozenset({"read", "list", "look-up", "discovery"})

_log = structlog.get_logger("provisioning.request_log")
_lost = Counter("hub_scim_requests_unlogged_total", "SCIM requests that the provisioning log could not keep.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One SCIM request that a token made, as the face saw it; what is personal in it never reaches the table.

    `body` is the parsed JSON, or the query parameters of a GET. `keys` are (family, value) pairs that the request
    named: by their digests an administrator finds a person. `names` are the attributes of the tenant's own schemas.
    """

    tenant_id: UUID
    connection_id: UUID
    token_id: UUID
    digest_key: bytes
    at: datetime
    method: str
    action: str
    status: int
    milliseconds: float
    request_id: str = ""
    target_id: UUID | None = None
    scim_type: str = ""
    reason: str = ""
    detail: str = ""
    results: int | None = None
    body: Any = None
    keys: tuple[tuple[str, str], ...] = ()
    names: frozenset[str] = frozenset()

    @property
    def waits(self) -> bool:
        """Whether it need not be written at once: a read that was answered, or one of a flood that was stemmed."""
        if self.status == 429:
            return True
        return self.status < 400 and (
            self.method in ("GET", "HEAD") or self.action.rpartition(".")[2] in _READS
        )


def note(*entries: Entry) -> None:
    """Logs requests that have been answered. Never raises for the database's sake; call it outside of `atomic`."""
    now = []
    for entry in entries:
        if entry.waits:
            READS.put(entry)
        else:
            now.append(entry)
    if not now:
        return
    try:
        _insert(now)
    except Error as error:
        _miss(len(now), error)


def flush() -> None:
    """Writes the reads that wait, now."""
    READS.flush()


def digests(digest_key: bytes, connection_id: UUID, keys: Iterable[tuple[str, str]]) -> list[str]:
    """What stands for (family, value) pairs of one connection: the same digests as the audit's."""
    return [
        keyed(digest_key, family, connection_id, value if family == EXTERNAL_ID else fold(value)).hex()
        for family, value in keys
    ]


# One JSON document for any number of rows: the statement is always the same, and stays prepared. Outside of a
# transaction the setting ends with the statement; inside one, which only tests have, nothing is set.
_INSERT = """
INSERT INTO provisioning_scimrequest
       (tenant_id, connection_id, token_id, at, request_id, method, action, target_id, status, scim_type, reason,
        detail, milliseconds, results, body, digests)
SELECT entry.* FROM
       set_config('synchronous_commit', coalesce(%s::text, current_setting('synchronous_commit')), true),
       json_to_recordset(%s::json) AS entry
       (tenant_id uuid, connection_id uuid, token_id uuid, at timestamptz, request_id text, method text,
        action text, target_id uuid, status smallint, scim_type text, reason text, detail text,
        milliseconds float8, results integer, body jsonb, digests text[])
"""


def _insert(entries: Sequence[Entry]) -> None:
    rows = orjson.dumps([_row(entry) for entry in entries]).decode()
    if connection.in_atomic_block:
        with transaction.atomic():
            sql.execute(_INSERT, (None, rows))
    else:
        sql.execute(_INSERT, ("off", rows))


def _row(entry: Entry) -> dict[str, Any]:
    return {
        "tenant_id": entry.tenant_id,
        "connection_id": entry.connection_id,
        "token_id": entry.token_id,
        "at": entry.at,
        "request_id": _text(entry.request_id, 64),
        "method": _text(entry.method, 8),
        "action": _text(entry.action, 40),
        "target_id": entry.target_id,
        "status": entry.status,
        "scim_type": _text(entry.scim_type, 32),
        "reason": _text(entry.reason, 64),
        "detail": _text(without_values(entry.detail, entry.body, entry.names), 500),
        "milliseconds": round(entry.milliseconds, 2),
        "results": entry.results,
        "body": redacted(entry.body, entry.names),
        "digests": sorted({*digests(entry.digest_key, entry.connection_id, entry.keys)}),
    }


def _insert_singly(entries: Sequence[Entry]) -> None:
    """One row that cannot be written does not take others along."""
    for entry in entries:
        try:
            _insert([entry])
        except Error as error:
            _miss(1, error)


def _text(text: str, longest: int) -> str:
    return made_keepable(text[:longest])


def _miss(number: int, error: Exception) -> None:
    _lost.inc(number)
    _log.warning("request:unlogged", count=number, error=type(error).__name__)


class Reads:
    """Reads that wait to be written together: one queue for each process, emptied by a thread of its own.

    The thread starts with the first read, so that a server may fork after its import; it holds a database
    connection while there is work. `threaded` False leaves the writing to `flush`.
    """

    def __init__(self, *, threaded: bool = True) -> None:
        self.threaded = threaded
        self.start_anew()

    def start_anew(self) -> None:
        """With nothing waiting and no thread: a forked child has neither, and its parent writes what waited."""
        self._waiting: deque[Entry] = deque()
        self._arrived = threading.Event()
        self._full = threading.Event()
        self._starting = threading.Lock()
        self._writing = threading.Lock()
        self._thread: threading.Thread | None = None
        self._dropped = 0

    def put(self, entry: Entry) -> None:
        waiting = self._waiting
        if len(waiting) >= LIMIT:
            self._drop_oldest()
        waiting.append(entry)
        if not self.threaded:
            return
        if self._thread is None:
            self._start()
        if not self._arrived.is_set():
            self._arrived.set()
        if len(waiting) >= BATCH:
            self._full.set()

    def flush(self) -> None:
        """Writes everything that waits. While the database is away it waits on, and the error is raised."""
        with self._writing:
            while batch := self._taken():
                try:
                    _insert(batch)
                except (OperationalError, InterfaceError) as error:
                    self._waiting.extendleft(reversed(batch))
                    _log.warning("request:log-away", waiting=len(self._waiting), error=type(error).__name__)
                    raise
                except Error:
                    _insert_singly(batch)
        if dropped := self._dropped:
            self._dropped = 0
            _log.warning("request:unlogged", count=dropped, error="queue full")

    def _taken(self) -> list[Entry]:
        batch: list[Entry] = []
        while self._waiting and len(batch) < BATCH:
            batch.append(self._waiting.popleft())
        return batch

    def _drop_oldest(self) -> None:
        try:
            self._waiting.popleft()
        except IndexError:  # the thread was quicker
            return
        self._dropped += 1
        _lost.inc()

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="request-log", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        try:
            while True:
                self._round()
        finally:
            connection.close()
            self._thread = None

    def _round(self) -> None:
        if not self._arrived.wait(timeout=PAUSE_SECONDS):
            # Nothing to do: the database gets its connection back.
            connection.close()
            self._arrived.wait()
        self._full.wait(timeout=PERIOD_SECONDS)
        self._full.clear()
        self._arrived.clear()
        try:
            self.flush()
        except Error:
            connection.close()
            self._arrived.set()
            time.sleep(PAUSE_SECONDS)

    def finish(self) -> None:
        """At the end of the process: what waits is written, or counted as lost."""
        if not self.threaded or not self._waiting:
            return
        try:
            self.flush()
        except Error as error:
            _miss(len(self._waiting), error)
        connection.close()


READS = Reads()
os.register_at_fork(after_in_child=READS.start_anew)
atexit.register(READS.finish)
