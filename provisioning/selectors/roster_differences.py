"""Where a complete roster and its connection's accounts differ, found by joins. Knows no reaction.

They are found once (`find`) and kept in a temporary table of this database connection; then each kind of them is
streamed. A row means the live account with its externalId, else the one that only a login made and that asserted this
key, else the one with its userName. Whoever is known by a key is whom the row with this key means, and no other row.
Of what the roster does not say nothing is compared, and an account that changed after the roster's moment differs in
nothing: it is newer.
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
from provisioning.decision.types import MISSING, HoldKind
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
    NAMELESS = "nameless"
    """The same in a roster without names: nobody can be made of it."""
    CHANGED = "changed"
    INACTIVE = "inactive"
    """Inactive there, active here."""
    ACTIVE = "active"
    """Active there and inactive here, or listed there and held as missing here."""
    RENAMED = "renamed"
    """Whose new name is that of another account, which another row gives another one."""
    AMBIGUOUS = "ambiguous"
    """Two live accounts answer to one row, or one does by its name and has another key."""
    GONE = "gone"
    """An account that is in neither of two complete rosters, nor in one between them, and of which SCIM has said
    nothing since the former."""
    GONE_ONCE = "gone-once"
    """An account that is not in the newest one only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A row of a roster. `account_id` is whom it was found to mean; None for nobody, or where nobody looked again.

    `of_another_row` is the account that has its userName and that another row means by its key. `hands_on`: the name
    that `account_id` has had so far is another row's.
    """

    row_id: int
    account_id: UUID | None
    line: int
    user_name: str
    external_id: str | None
    active: bool
    email_keys: list[str]
    document: dict[str, Any]
    of_another_row: UUID | None = None
    hands_on: bool = False


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


def overtaking(run: ReconciliationRun) -> Roster | None:
    """The newest complete roster, where it is newer than the one that the run was planned with, or that one had none.

    It may list whom the run is about to hold as missing or unconfirmed.
    """
    if run.roster is None:
        return roster_for(run.connection)
    newer: Roster | None = _complete(run.connection).filter(as_of__gt=run.roster.as_of).first()
    return newer


def before(roster: Roster) -> Roster | None:
    """The complete roster before this one, and far enough before it: who is in neither is missing twice."""
    return _complete(roster.connection).filter(as_of__lte=roster.as_of - APART).first()


def _since(previous: Roster | None, roster: Roster) -> list[UUID]:
    """The one before and those between the two: whoever is in one of them was not missing all the time."""
    if previous is None:
        return []
    rows = _complete(roster.connection).filter(as_of__gte=previous.as_of, as_of__lt=roster.as_of)
    return list(rows.values_list("pk", flat=True))


def _complete(connection: Connection) -> Any:
    return Roster.objects.filter(
        tenant_id=connection.tenant_id, connection_id=connection.pk, status=Roster.Status.COMPLETE
    ).order_by("-as_of")


def _known_to(roster: Roster) -> str:
    """Whether a roster can tell that account `a` is not in it: one without names cannot, of somebody without a key."""
    return "true" if "user_name" in roster.fields else "a.key IS NOT NULL"


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


# `AccountFacts.speaks_of` of an account `a`.
_SPEAKS_OF = "greatest(coalesce(a.as_of, a.updated_at), a.spoken_at)"
_ROWS = """(
    SELECT id, external_id, user_name_key, active, fingerprint FROM provisioning_rosterrow
     WHERE tenant_id = %(tenant)s AND roster_id = %(roster)s
) r"""
_ACCOUNTS = """(
    SELECT id, external_id, user_name_key, active, fingerprint, identity_id, created_at,
           confirmed_at IS NOT NULL AS confirmed, {speaks_of} AS speaks_of
      FROM provisioning_account a
     WHERE tenant_id = %(tenant)s AND connection_id = %(connection)s AND deleted_at IS NULL
) a"""
_LIVE = "{0}.tenant_id = %(tenant)s AND {0}.connection_id = %(connection)s AND {0}.deleted_at IS NULL"

# Both sides once, in one pass, with all that is asked later: what agrees is left out, and of a million that is nearly
# all. Without a row somebody is missing, without an account somebody is new.
_PAIRS = """
CREATE TEMP TABLE roster_pair AS
SELECT r.id AS row_id, r.external_id AS row_key, r.user_name_key AS row_name, r.active AS row_active,
       a.id AS account_id, a.external_id AS key, a.user_name_key AS name, a.active, a.confirmed, a.identity_id,
       a.created_at, a.speaks_of, a.fingerprint IS NULL AS unread, false AS alike, false AS elsewhere
  FROM {rows} FULL JOIN {accounts} ON a.{key} = r.{key}
 WHERE r.id IS NULL OR a.id IS NULL OR (a.confirmed AND {same}) IS NOT TRUE
"""

# Of the rows that no account with their key answered: whom a login made under it, then who has the name. Whoever gets
# another name by another row does not mean the row that has the former one.
_ANSWERS = """
INSERT INTO roster_pair
SELECT p.row_id, p.row_key, p.row_name, p.row_active,
       a.id, a.external_id, a.user_name_key, a.active, a.confirmed_at IS NOT NULL, a.identity_id,
       a.created_at, {speaks_of}, a.fingerprint IS NULL,
       (a.confirmed_at IS NOT NULL AND {same}) IS TRUE,
       EXISTS (SELECT FROM roster_pair k WHERE k.account_id = a.id AND k.row_id IS NOT NULL)
  FROM roster_pair p
  JOIN provisioning_rosterrow r ON r.id = p.row_id
  JOIN provisioning_account a ON {live_a} AND {answers}
 WHERE p.account_id IS NULL
   AND NOT EXISTS (SELECT FROM roster_pair o WHERE o.row_id = p.row_id AND o.account_id IS NOT NULL)
"""
_BY_ASSERTED_KEY = "a.confirmed_at IS NULL AND a.asserted_key = p.row_key"
_BY_NAME = (
    "a.user_name_key = p.row_name AND NOT EXISTS (SELECT FROM roster_rename m WHERE m.account_id = a.id)"
)

# Who gets another name that is free, or that is let go of before: `turn` counts how many have to go first. Whoever
# swaps names, or waits for somebody who keeps hers, is not among them.
_RENAMES = """
CREATE TEMP TABLE roster_rename AS
WITH RECURSIVE moving AS MATERIALIZED (
    SELECT p.account_id, p.name, p.row_name,
           EXISTS (SELECT FROM provisioning_account n WHERE {live_n} AND n.user_name_key = p.row_name) AS waits
      FROM roster_pair p
     WHERE p.row_id IS NOT NULL AND p.account_id IS NOT NULL AND p.row_name NOT IN ('', p.name)
       AND NOT (p.confirmed AND p.speaks_of > %(as_of)s)
), renamed (account_id, name, turn) AS (
    SELECT account_id, name, 0 FROM moving WHERE NOT waits
     UNION ALL
    SELECT m.account_id, m.name, r.turn + 1 FROM renamed r JOIN moving m ON m.waits AND m.row_name = r.name
     WHERE r.turn < {turns}
)
SELECT account_id, name, turn FROM renamed
"""
TURNS = 100
"""How long a chain of names that are handed on may be. Each costs a look at everybody who is renamed."""

_KINDS = """
CREATE TEMP TABLE roster_difference AS
SELECT CASE
         WHEN elsewhere THEN 'ambiguous'
         WHEN turn > 0 THEN 'renamed'
         WHEN row_active = false AND active AND {says_active} THEN 'inactive'
         WHEN contradicts OR twice THEN 'ambiguous'
         WHEN row_active AND NOT active AND {says_active} THEN 'active'
         ELSE 'changed'
       END AS kind, row_id, account_id, coalesce(turn, 0) AS turn, hands_on,
       CASE WHEN elsewhere THEN account_id END AS of_another_row
  FROM (
    SELECT p.row_id, p.account_id, p.row_active, p.active, p.elsewhere, m.turn,
           p.confirmed AND p.key <> p.row_key AS contradicts,
           p.row_name <> p.name AND m.account_id IS NULL AND EXISTS (
             SELECT FROM provisioning_account n
              WHERE {live_n} AND n.user_name_key = p.row_name AND n.id <> p.account_id
           ) AS twice,
           m.account_id IS NOT NULL AND EXISTS (
             SELECT FROM provisioning_rosterrow o
              WHERE o.tenant_id = %(tenant)s AND o.roster_id = %(roster)s AND o.user_name_key = p.name
           ) AS hands_on
      FROM roster_pair p
      LEFT JOIN roster_rename m ON m.account_id = p.account_id
     WHERE p.row_id IS NOT NULL AND p.account_id IS NOT NULL
       AND (p.elsewhere OR NOT p.alike) AND NOT (p.confirmed AND p.speaks_of > %(as_of)s)
  ) pairs
UNION ALL
SELECT CASE WHEN p.row_name = '' THEN 'nameless' ELSE 'new' END, p.row_id, NULL, 0, false, m.account_id
  FROM roster_pair p
  LEFT JOIN roster_rename m ON m.name = p.row_name
 WHERE p.account_id IS NULL
   AND NOT EXISTS (SELECT FROM roster_pair o WHERE o.row_id = p.row_id AND o.account_id IS NOT NULL)
UNION ALL
SELECT CASE
         WHEN %(previous)s::uuid IS NULL OR greatest(a.created_at, a.speaks_of) >= %(previous_as_of)s
           OR {in_earlier} OR NOT {known_to_previous} THEN 'gone-once'
         ELSE 'gone'
       END, NULL, a.account_id, 0, false, NULL
  FROM roster_pair a
 WHERE a.row_id IS NULL AND a.confirmed AND a.active AND a.speaks_of <= %(as_of)s
   AND {known_to_newest} AND NOT {in_newest}
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
# Whatever a roster does not say its rows have not: each of the two keys may be asked for.
_LISTED = """(EXISTS (
  SELECT FROM provisioning_rosterrow o
   WHERE o.tenant_id = %(tenant)s AND o.roster_id {rosters} AND o.user_name_key = a.name
) OR EXISTS (
  SELECT FROM provisioning_rosterrow o
   WHERE o.tenant_id = %(tenant)s AND o.roster_id {rosters} AND o.external_id = a.key
))"""

# An active account's own hold was placed because rosters missed it, or put back by whoever took its end back: being
# listed lifts the one, being listed as active either.
_RETURNED = """
INSERT INTO roster_difference
SELECT 'active', coalesce(k.id, n.id), a.id, 0, false, NULL
  FROM provisioning_hold h
  JOIN provisioning_account a ON a.id = h.source_account_id AND {live_a} AND a.active
  LEFT JOIN provisioning_rosterrow k
    ON k.tenant_id = %(tenant)s AND k.roster_id = %(roster)s AND k.external_id = a.external_id
  LEFT JOIN provisioning_rosterrow n
    ON n.tenant_id = %(tenant)s AND n.roster_id = %(roster)s AND n.user_name_key = a.user_name_key
   AND (n.external_id IS NULL OR a.external_id IS NULL)
 WHERE h.tenant_id = %(tenant)s AND h.kind = '{scim}' AND coalesce(k.active, n.active)
   AND ({says_active} OR h.reason = '{missing}')
   AND {speaks_of} <= %(as_of)s
   AND NOT EXISTS (SELECT FROM roster_difference d WHERE d.row_id = coalesce(k.id, n.id))
"""


def find(connection: Connection, roster: Roster) -> bool:
    """Finds every difference, for `differences` and `gone` of this database connection to stream.

    True where accounts have no fingerprint yet: they are among the differences until they have.
    """
    previous = before(roster)
    says_keys = "external_id" in roster.fields
    same = _same(roster.fields)
    spelled = {
        "rows": _ROWS,
        "accounts": _ACCOUNTS.format(speaks_of=_SPEAKS_OF),
        "speaks_of": _SPEAKS_OF,
        "key": "external_id" if says_keys else "user_name_key",
        "same": same,
        "says_active": "true" if "active" in roster.fields else "false",
        "in_newest": _LISTED.format(rosters="= %(roster)s"),
        "in_earlier": _LISTED.format(rosters="= ANY(%(since)s::uuid[])"),
        "known_to_newest": _known_to(roster),
        "known_to_previous": _known_to(previous or roster),
        "scim": HoldKind.SCIM.value,
        "missing": MISSING,
        "released": Reason.IDENTITY_RELEASED.value,
        **{f"live_{table}": _LIVE.format(table) for table in "an"},
    }
    parameters = {
        "tenant": connection.tenant_id,
        "connection": connection.pk,
        "roster": roster.pk,
        "as_of": roster.as_of,
        "previous": previous.pk if previous else None,
        "previous_as_of": previous.as_of if previous else None,
        "since": _since(previous, roster),
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
        cursor.execute(_ANSWERS.format(answers=_BY_ASSERTED_KEY, **spelled), parameters)
        cursor.execute(_RENAMES.format(turns=TURNS, **spelled), parameters)
        cursor.execute(_ANSWERS.format(answers=_BY_NAME, **spelled), parameters)
        cursor.execute(_KINDS.format(**spelled), parameters)
        cursor.execute(_RETURNED.format(**spelled), parameters)
        cursor.execute("DROP TABLE roster_pair, roster_rename")
        cursor.execute("ANALYZE roster_difference")
    return bool(unread)


def forget() -> None:
    with database.cursor() as cursor:
        cursor.execute(
            "DROP TABLE IF EXISTS pg_temp.roster_pair, pg_temp.roster_rename, pg_temp.roster_difference"
        )


_DIFFERING = """
SELECT r.id, d.account_id, r.line, r.user_name, r.external_id, r.active, r.email_keys, r.document, d.of_another_row,
       d.hands_on
  FROM roster_difference d JOIN provisioning_rosterrow r ON r.id = d.row_id
 WHERE d.kind = %s ORDER BY d.turn, r.id
"""
# One probe of an index for each row (OFFSET and LIMIT keep it so), whatever the statistics say of rows that have just
# come.
_AGAIN = """
SELECT r.id, NULL, r.line, r.user_name, r.external_id, r.active, r.email_keys, r.document, named.id, false
  FROM provisioning_rosterrow r
  LEFT JOIN LATERAL (
         SELECT a.id FROM (
                SELECT id, coalesce(external_id, CASE WHEN confirmed_at IS NULL THEN asserted_key END) AS key
                  FROM provisioning_account
                 WHERE user_name_key = r.user_name_key
                   AND (user_name_key, connection_id) >= (r.user_name_key, %(connection)s)
                   AND (user_name_key, connection_id) <= (r.user_name_key, %(connection)s) AND deleted_at IS NULL
                OFFSET 0) a
          WHERE a.key IS DISTINCT FROM r.external_id
            AND (SELECT o.id FROM provisioning_rosterrow o
                  WHERE o.tenant_id = r.tenant_id AND o.roster_id = r.roster_id AND o.external_id = a.key LIMIT 1)
                IS NOT NULL) named ON r.user_name_key <> ''
 WHERE r.tenant_id = %(tenant)s AND r.roster_id = %(roster)s AND r.id = ANY(%(ids)s) ORDER BY r.id
"""


def differences(kind: Kind) -> Iterator[Listed]:
    """The rows of one kind, as `find` found them, in the order of the roster; of RENAMED whoever has to go first."""
    with database.chunked_cursor() as cursor:
        cursor.itersize = CHUNK
        cursor.execute(_DIFFERING, [kind.value])
        yield from map(_listed, cursor)


def rows_again(roster: Roster, ids: Collection[int]) -> Iterator[Listed]:
    """Rows that differed when they were found; what they mean now is decided anew."""
    with database.cursor() as cursor:
        asked = {"tenant": roster.tenant_id, "connection": roster.connection_id, "roster": roster.pk}
        cursor.execute(_AGAIN, asked | {"ids": list(ids)})
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


# Whom a row means, asked from the account's side; one probe of an index each here, too.
_UNLISTED = """
SELECT a.id FROM provisioning_account a
 WHERE a.tenant_id = %(tenant)s AND a.id = ANY(%(ids)s::uuid[])
   AND (SELECT r.id FROM (
               SELECT id, external_id, true AS by_key FROM provisioning_rosterrow
                WHERE tenant_id = %(tenant)s AND roster_id = %(roster)s
                  AND external_id = coalesce(a.external_id, a.asserted_key)
                UNION ALL
               SELECT id, external_id, false FROM provisioning_rosterrow
                WHERE tenant_id = %(tenant)s AND roster_id = %(roster)s AND user_name_key = a.user_name_key) r
         WHERE (SELECT n.id FROM provisioning_account n
                 WHERE {live_n} AND n.id <> a.id AND n.external_id = r.external_id LIMIT 1) IS NULL
           AND (by_key OR (SELECT n.id FROM provisioning_account n
                            WHERE {live_n} AND n.id <> a.id AND n.confirmed_at IS NULL
                              AND n.asserted_key = r.external_id LIMIT 1) IS NULL)
         LIMIT 1) IS NULL
"""


def unlisted(connection: Connection, accounts: Iterable[tuple[UUID, UUID]]) -> Iterator[tuple[UUID, UUID]]:
    """Of accounts that a login made (and their identities) those that no row of the newest complete roster means.

    Whether a run has used it up or not: it confirms the others, or a person is asked about them.
    """
    roster = _complete(connection).first()
    coming = iter(accounts)
    while some := list(islice(coming, CHUNK)):
        if roster is not None:
            asked = {"tenant": connection.tenant_id, "connection": connection.pk, "roster": roster.pk}
            with database.cursor() as cursor:
                cursor.execute(
                    _UNLISTED.format(live_n=_LIVE.format("n")), asked | {"ids": [pk for pk, _ in some]}
                )
                missing = {pk for (pk,) in cursor}
            some = [pair for pair in some if pair[0] in missing]
        yield from some


def _listed(row: tuple[Any, ...]) -> Listed:
    (
        row_id,
        account_id,
        line,
        user_name,
        external_id,
        active,
        email_keys,
        document,
        of_another_row,
        hands_on,
    ) = row
    return Listed(
        row_id=row_id,
        account_id=account_id,
        line=line,
        user_name=user_name,
        external_id=external_id,
        active=active,
        email_keys=email_keys,
        document=orjson.loads(document),
        of_another_row=of_another_row,
        hands_on=hands_on,
    )
