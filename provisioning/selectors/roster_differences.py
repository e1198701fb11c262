"""Where a complete roster and its connection's accounts differ, found by joins. Knows no reaction.

They are found once (`find`) and kept in a temporary table of this database connection; then each kind of them is
streamed. A row means the live account with its externalId, else the one that only a login made and that asserted this
key, else the one with its userName. Of what the roster does not say nothing is compared, and an account that changed
after the roster's moment differs in nothing: it is newer.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import groupby, islice
from typing import Any
from uuid import UUID

import orjson
from django.db import connection as database
from django.db import transaction
from django.db.models import Exists, Max, OuterRef, Q

from provisioning.decision.reasons import Reason
from provisioning.decision.types import HoldKind
from provisioning.fingerprints import FIELDS, WIDTH
from provisioning.models import Connection, ReconciliationItem, ReconciliationRun, Roster

from .rosters import APART

CHUNK = 2000
WORK_MEMORY = "128MB"
"""For each hash of a join, which may take twice as much: a million rows of keys and fingerprints."""

_Run = ReconciliationRun.Status


class Kind(StrEnum):
    NEW = "new"
    """A row that no live account answers."""
    CHANGED = "changed"
    INACTIVE = "inactive"
    """Inactive there, active here."""
    ACTIVE = "active"
    """Active there, inactive or held as missing here."""
    AMBIGUOUS = "ambiguous"
    """Two live accounts answer to one row, or one does by its name and has another key."""
    GONE = "gone"
    """An account that is in neither of two complete rosters."""
    GONE_ONCE = "gone-once"
    """An account that is not in the newest one only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A row of a roster. `account_id` is whom it was found to mean; None for nobody, or where nobody looked again."""

    row_id: int
    account_id: UUID | None
    line: int
    user_name: str
    external_id: str | None
    active: bool
    email_keys: list[str]
    document: dict[str, Any]


def roster_for(connection: Connection) -> Roster | None:
    """The newest complete roster that no run has used up, and that is older than none that a run has executed."""
    rows = _complete(connection)
    items = ReconciliationItem.objects.filter(tenant_id=connection.tenant_id, run=OuterRef("pk"))
    uncounted = Q(status=ReconciliationItem.Status.REFUSED, reason=Reason.ITEM_DESTRUCTIVE_NOW.value)
    left_out = items.filter(Q(status=ReconciliationItem.Status.LEFT_OUT) | uncounted)
    # Done as a whole, or a person would have none of it. Whom a person or the guard left out is asked about again.
    used_up = ReconciliationRun.objects.filter(
        Q(status=_Run.REJECTED) | Q(~Exists(left_out), status=_Run.DONE),
        tenant_id=connection.tenant_id,
        connection_id=connection.pk,
    ).aggregate(newest=Max("roster__as_of"))["newest"]
    if used_up is not None:
        rows = rows.filter(as_of__gt=used_up)
    executed = executed_until(connection)
    return (rows if executed is None else rows.filter(as_of__gte=executed)).first()


def executed_until(connection: Connection) -> datetime | None:
    """The moment of the newest roster that a run has executed."""
    return Roster.objects.filter(
        tenant_id=connection.tenant_id, connection_id=connection.pk, runs__status=_Run.DONE
    ).aggregate(newest=Max("as_of"))["newest"]


def is_overtaken(run: ReconciliationRun) -> bool:
    """Whether a run that is executed already went by a newer roster."""
    return (
        run.roster is not None
        and ReconciliationRun.objects.filter(
            tenant_id=run.tenant_id,
            connection_id=run.connection_id,
            status=_Run.DONE,
            roster__as_of__gt=run.roster.as_of,
        ).exists()
    )


def before(roster: Roster) -> Roster | None:
    """The complete roster before this one, and far enough before it: who is in neither is missing twice."""
    return _complete(roster.connection).filter(as_of__lte=roster.as_of - APART).first()


def _complete(connection: Connection) -> Any:
    return Roster.objects.filter(
        tenant_id=connection.tenant_id, connection_id=connection.pk, status=Roster.Status.COMPLETE
    ).order_by("-as_of")


def _same(fields: Collection[str]) -> str:
    """Whether row `r` and account `a` agree on what a roster says, but for keys, which are never taken away."""
    compared = [
        FIELDS.index(name) for name in FIELDS if name in fields and name not in ("external_id", "active")
    ]
    parts = ["(r.external_id IS NULL OR r.external_id = a.external_id)"]
    if "active" in fields:
        parts.append("r.active = a.active")
    for first, last in _ranges(compared):
        start, length = first * WIDTH + 1, (last - first + 1) * WIDTH
        parts.append(f"substr(r.fingerprint, {start}, {length}) = substr(a.fingerprint, {start}, {length})")
    return " AND ".join(parts)


def _ranges(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First and last of those that follow each other."""
    for _, together in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        run = [number for _, number in together]
        yield run[0], run[-1]


_ROWS = """(
    SELECT id, external_id, user_name_key, active, fingerprint FROM provisioning_rosterrow
     WHERE tenant_id = %(tenant)s AND roster_id = %(roster)s
) r"""
_ACCOUNTS = """(
    SELECT id, external_id, user_name_key, active, fingerprint, identity_id, created_at,
           confirmed_at IS NOT NULL AS confirmed, coalesce(as_of, updated_at) AS speaks_of
      FROM provisioning_account
     WHERE tenant_id = %(tenant)s AND connection_id = %(connection)s AND deleted_at IS NULL
) a"""
_LIVE = "{0}.tenant_id = %(tenant)s AND {0}.connection_id = %(connection)s AND {0}.deleted_at IS NULL"

# Both sides once, in one pass, with all that is asked later: what agrees is left out, and of a million that is nearly
# all. Without a row somebody is missing, without an account somebody is new.
_PAIRS = """
CREATE TEMP TABLE roster_pair AS
SELECT r.id AS row_id, r.external_id AS row_key, r.user_name_key AS row_name, r.active AS row_active,
       a.id AS account_id, a.external_id AS key, a.user_name_key AS name, a.active, a.confirmed, a.identity_id,
       a.created_at, a.speaks_of, a.fingerprint IS NULL AS unread, false AS alike
  FROM {rows} FULL JOIN {accounts} ON a.{key} = r.{key}
 WHERE r.id IS NULL OR a.id IS NULL OR (a.confirmed AND {same}) IS NOT TRUE
"""

# Of the rows that nobody answered by the first key: whom a login made under it, else who has the name.
_SECOND = """
INSERT INTO roster_pair
SELECT found.row_id, found.row_key, found.row_name, found.row_active,
       a.id, a.external_id, a.user_name_key, a.active, a.confirmed_at IS NOT NULL, a.identity_id,
       a.created_at, coalesce(a.as_of, a.updated_at), a.fingerprint IS NULL,
       (a.confirmed_at IS NOT NULL AND {same}) IS TRUE
  FROM (
    SELECT p.row_id, p.row_key, p.row_name, p.row_active, coalesce(j.id, n.id) AS account_id
      FROM roster_pair p
      LEFT JOIN provisioning_account j
        ON {live_j} AND j.confirmed_at IS NULL AND j.asserted_key = p.row_key
      LEFT JOIN provisioning_account n ON {live_n} AND n.user_name_key = p.row_name
     WHERE p.account_id IS NULL
  ) found
  JOIN provisioning_rosterrow r ON r.id = found.row_id
  JOIN provisioning_account a ON a.id = found.account_id
"""

_KINDS = """
CREATE TEMP TABLE roster_difference AS
SELECT CASE
         WHEN row_active = false AND active AND {says_active} THEN 'inactive'
         WHEN contradicts OR twice THEN 'ambiguous'
         WHEN row_active AND NOT active AND {says_active} THEN 'active'
         ELSE 'changed'
       END AS kind, row_id, account_id
  FROM (
    SELECT p.row_id, p.account_id, p.row_active, p.active, p.confirmed AND p.key <> p.row_key AS contradicts,
           p.row_name <> p.name AND EXISTS (
             SELECT FROM provisioning_account n
              WHERE {live_n} AND n.user_name_key = p.row_name AND n.id <> p.account_id
           ) AS twice
      FROM roster_pair p
     WHERE p.row_id IS NOT NULL AND p.account_id IS NOT NULL
       AND NOT p.alike AND NOT (p.confirmed AND p.speaks_of > %(as_of)s)
  ) pairs
UNION ALL
SELECT 'new', p.row_id, NULL
  FROM roster_pair p
 WHERE p.account_id IS NULL
   AND NOT EXISTS (SELECT FROM roster_pair o WHERE o.row_id = p.row_id AND o.account_id IS NOT NULL)
UNION ALL
SELECT CASE
         WHEN %(previous)s::uuid IS NULL OR a.created_at >= %(previous_as_of)s OR {in_previous} THEN 'gone-once'
         ELSE 'gone'
       END, NULL, a.account_id
  FROM roster_pair a
 WHERE a.row_id IS NULL AND a.confirmed AND a.active AND a.speaks_of <= %(as_of)s
   AND NOT {in_newest}
   AND NOT EXISTS (
     SELECT FROM provisioning_hold h
      WHERE h.tenant_id = %(tenant)s AND h.source_account_id = a.account_id AND h.kind = '{scim}'
   )
   AND NOT EXISTS (
     SELECT FROM provisioning_auditrecord w
      WHERE w.tenant_id = %(tenant)s AND w.identity_id = a.identity_id AND w.reason = '{released}'
        AND w.at > %(as_of)s
   )
"""
_LISTED = """EXISTS (
  SELECT FROM provisioning_rosterrow o
   WHERE o.tenant_id = %(tenant)s AND o.roster_id = {roster} AND o.{key} = a.{own}
)"""

# An active account's own hold was placed because rosters missed it; being listed lifts it.
_RETURNED = """
INSERT INTO roster_difference
SELECT 'active', coalesce(k.id, n.id), a.id
  FROM provisioning_hold h
  JOIN provisioning_account a ON a.id = h.source_account_id AND {live_a} AND a.active
  LEFT JOIN provisioning_rosterrow k
    ON k.tenant_id = %(tenant)s AND k.roster_id = %(roster)s AND k.external_id = a.external_id
  LEFT JOIN provisioning_rosterrow n
    ON n.tenant_id = %(tenant)s AND n.roster_id = %(roster)s AND n.user_name_key = a.user_name_key
   AND (n.external_id IS NULL OR a.external_id IS NULL)
 WHERE h.tenant_id = %(tenant)s AND h.kind = '{scim}' AND coalesce(k.active, n.active) AND {says_active}
   AND coalesce(a.as_of, a.updated_at) <= %(as_of)s
   AND NOT EXISTS (SELECT FROM roster_difference d WHERE d.row_id = coalesce(k.id, n.id))
"""


def find(connection: Connection, roster: Roster) -> bool:
    """Finds every difference, for `differences` and `gone` of this database connection to stream.

    True where accounts have no fingerprint yet: they are among the differences until they have.
    """
    previous = before(roster)
    says_keys = "external_id" in roster.fields
    same = _same(roster.fields)
    listed = {"user_name_key": "name"} | ({"external_id": "key"} if says_keys else {})

    def is_in(parameter: str) -> str:
        found = (_LISTED.format(roster=f"%({parameter})s", key=key, own=own) for key, own in listed.items())
        return f"({' OR '.join(found)})"

    spelled = {
        "rows": _ROWS,
        "accounts": _ACCOUNTS,
        "key": "external_id" if says_keys else "user_name_key",
        "same": same,
        "says_active": "true" if "active" in roster.fields else "false",
        "in_newest": is_in("roster"),
        "in_previous": is_in("previous"),
        "scim": HoldKind.SCIM.value,
        "released": Reason.IDENTITY_RELEASED.value,
        **{f"live_{table}": _LIVE.format(table) for table in "ajn"},
    }
    parameters = {
        "tenant": connection.tenant_id,
        "connection": connection.pk,
        "roster": roster.pk,
        "as_of": roster.as_of,
        "previous": previous.pk if previous else None,
        "previous_as_of": previous.as_of if previous else None,
    }
    forget()
    with transaction.atomic(), database.cursor() as cursor:
        # Compiling such a statement takes longer than running it.
        cursor.execute(f"SET LOCAL work_mem = '{WORK_MEMORY}'; SET LOCAL jit = off")
        cursor.execute(_PAIRS.format(**spelled), parameters)
        cursor.execute(
            "SELECT EXISTS (SELECT FROM roster_pair WHERE account_id IS NOT NULL AND row_id IS NOT NULL AND unread)"
        )
        (unread,) = cursor.fetchone()
        cursor.execute("ANALYZE roster_pair")
        cursor.execute(_SECOND.format(**spelled), parameters)
        cursor.execute(_KINDS.format(**spelled), parameters)
        cursor.execute(_RETURNED.format(**spelled), parameters)
        cursor.execute("DROP TABLE roster_pair")
        cursor.execute("ANALYZE roster_difference")
    return bool(unread)


def forget() -> None:
    with database.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS pg_temp.roster_pair, pg_temp.roster_difference")


_DIFFERING = """
SELECT r.id, d.account_id, r.line, r.user_name, r.external_id, r.active, r.email_keys, r.document
  FROM roster_difference d JOIN provisioning_rosterrow r ON r.id = d.row_id
 WHERE d.kind = %s ORDER BY r.id
"""
_AGAIN = """
SELECT id, NULL, line, user_name, external_id, active, email_keys, document
  FROM provisioning_rosterrow WHERE tenant_id = %s AND roster_id = %s AND id = ANY(%s) ORDER BY id
"""


def differences(kind: Kind) -> Iterator[Listed]:
    """The rows of one kind, as `find` found them, in the order of the roster."""
    with database.chunked_cursor() as cursor:
        cursor.itersize = CHUNK
        cursor.execute(_DIFFERING, [kind.value])
        yield from map(_listed, cursor)


def rows_again(roster: Roster, ids: Collection[int]) -> Iterator[Listed]:
    """Rows that differed when they were found; what they mean now is decided anew."""
    with database.cursor() as cursor:
        cursor.execute(_AGAIN, [roster.tenant_id, roster.pk, list(ids)])
        yield from map(_listed, cursor)


def gone(kind: Kind) -> Iterator[UUID]:
    """Accounts of the kinds GONE and GONE_ONCE."""
    with database.chunked_cursor() as cursor:
        cursor.itersize = CHUNK
        cursor.execute(
            "SELECT account_id FROM roster_difference WHERE kind = %s ORDER BY account_id", [kind.value]
        )
        for (account_id,) in cursor:
            yield account_id


def unlisted(accounts: Iterable[tuple[UUID, UUID]]) -> Iterator[tuple[UUID, UUID]]:
    """Of accounts (and their identities) those that no row that differs means: the roster confirms the others."""
    coming = iter(accounts)
    while some := list(islice(coming, CHUNK)):
        with database.cursor() as cursor:
            cursor.execute(
                "SELECT account_id FROM roster_difference WHERE row_id IS NOT NULL AND account_id = ANY(%s)",
                [[account_id for account_id, _ in some]],
            )
            listed = {account_id for (account_id,) in cursor}
        yield from (pair for pair in some if pair[0] not in listed)


def _listed(row: tuple[Any, ...]) -> Listed:
    row_id, account_id, line, user_name, external_id, active, email_keys, document = row
    return Listed(
        row_id=row_id,
        account_id=account_id,
        line=line,
        user_name=user_name,
        external_id=external_id,
        active=active,
        email_keys=email_keys,
        document=orjson.loads(document),
    )
