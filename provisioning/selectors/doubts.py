"""What the stored facts of a tenant leave to a person, one query for each kind of finding. Knows no severity.

Every query takes a tenant, or a connection, which carries its tenant. Rows are streamed, so that memory does not grow
with the organisation. Answers are ids and kinds; no value of a person leaves this module but to be weighed, or to tell
two cases apart.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID

from django.db import connection as database
from django.db.models import Count, Exists, OuterRef, Q, Subquery
from django.db.models.fields.json import KT

from provisioning.decision.authority import ENTERPRISE_USER
from provisioning.decision.placeholders import WORDS_OF_NOTHING, is_nobodys
from provisioning.decision.reasons import FindingKind
from provisioning.decision.score import LAST_DIGITS, LEAST_DIGITS, Person, Score, weigh
from provisioning.models import (
    Account,
    Connection,
    Finding,
    Hold,
    Identity,
    ReconciliationItem,
    ReconciliationRun,
    Roster,
    RosterSource,
    ScimClient,
    TenantDomain,
)

from .credentials import live

CHUNK = 2000
FIRST = 10
"""Of many that one case is about."""
QUIET = timedelta(days=90)
"""After so long without a push, a roster or a login nobody vouches for an account any more."""
LISTED_WITHIN = timedelta(days=3)
HELD_LONG = timedelta(days=30)
LATELY = timedelta(days=30)


def _stream(statement: str, parameters: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    with database.chunked_cursor() as cursor:
        cursor.execute(statement, parameters)
        yield from cursor


# A key that more than ten people share (info@...) tells nobody apart; its first ten are compared. Of a number that more
# share (a switchboard) those with one name are, and no others. Keys are compared by their hashes: whoever meets by
# chance is weighed, and has nothing in common. What is not asked is taken away as a set: a planner that knows nothing
# of the findings yet holds each pair against all of them.
_PAIRS = """
WITH people AS MATERIALIZED (
    SELECT i.id, i.hr_number, i.email_key, lower(i.given_name || ' ' || i.family_name) AS name, a.email_keys,
           COALESCE(NULLIF(a.user_name_skeleton, ''), a.user_name_key) AS user_name,
           a.resource -> 'phoneNumbers' AS phones
      FROM provisioning_account a
      JOIN provisioning_identity i ON i.tenant_id = a.tenant_id AND i.id = a.identity_id
     WHERE a.tenant_id = %(tenant)s AND a.deleted_at IS NULL AND NOT i.local AND i.kind = 'person'
), numbers AS (
    SELECT id, name, right(regexp_replace(entry ->> 'value', '[^0-9]', '', 'g'), %(digits)s) AS number
      FROM people
     CROSS JOIN jsonb_array_elements(CASE jsonb_typeof(phones) WHEN 'array' THEN phones ELSE '[]' END) AS entry
), said AS (
    SELECT 'hr ' || hr_number AS value, id, false AS of_few FROM people WHERE hr_number <> ''
    UNION ALL
    SELECT 'email ' || email_key, id, false FROM people WHERE email_key <> ''
    UNION ALL
    SELECT 'email ' || email, id, false FROM people CROSS JOIN unnest(email_keys) AS email
    UNION ALL
    SELECT 'user ' || user_name, id, false FROM people
    UNION ALL
    SELECT 'name ' || split_part(email_key, '@', 1) || ' ' || name, id, false FROM people
     WHERE email_key <> '' AND name NOT LIKE ' %%' AND name NOT LIKE '%% '
    UNION ALL
    SELECT 'number ' || number, id, true FROM numbers WHERE length(number) >= %(least)s
    UNION ALL
    SELECT 'number ' || number || ' ' || name, id, false FROM numbers
     WHERE length(number) >= %(least)s AND name <> ' '
), shared AS (
    SELECT (array_agg(DISTINCT id ORDER BY id))[1:10] AS ids FROM said
     GROUP BY hashtextextended(value, 0)
    HAVING count(DISTINCT id) > 1 AND NOT (bool_or(of_few) AND count(DISTINCT id) > 10)
)
SELECT one, other FROM shared, unnest(ids) AS one, unnest(ids) AS other WHERE one < other
EXCEPT
SELECT one_id, other_id FROM provisioning_distinction WHERE tenant_id = %(tenant)s
EXCEPT
SELECT LEAST(f.identity_id, candidate::uuid), GREATEST(f.identity_id, candidate::uuid)
  FROM provisioning_finding f CROSS JOIN jsonb_array_elements_text(f.candidates) AS candidate
 WHERE f.tenant_id = %(tenant)s AND f.status = 'open' AND f.kind <> %(kind)s AND f.identity_id IS NOT NULL
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two identities, the one with the smaller id first."""

    one: UUID
    other: UUID
    score: Score


def duplicates(tenant_id: UUID, at: datetime) -> Iterator[Pair]:
    """Pairs of people who share a key and are likely enough one, but for those that a person has told apart."""
    domains = frozenset(
        TenantDomain.objects.filter(tenant_id=tenant_id, verified_at__isnull=False).values_list(
            "domain", flat=True
        )
    )
    parameters = {
        "tenant": tenant_id,
        "kind": FindingKind.DUPLICATE_IDENTITIES.value,
        "digits": LAST_DIGITS,
        "least": LEAST_DIGITS,
    }
    stream = _stream(_PAIRS, parameters)
    while pairs := list(islice(stream, CHUNK)):
        people = persons(tenant_id, {key for pair in pairs for key in pair}, at)
        for one, other in pairs:
            if one in people and other in people:
                score = weigh(people[one], people[other], domains)
                if score.is_asked:
                    yield Pair(one=one, other=other, score=score)


_PERSONS = """
SELECT i.id, i.hr_number, i.user_name, i.email_key, i.display_name, i.given_name || ' ' || i.family_name,
       NOT EXISTS (SELECT FROM provisioning_hold h WHERE h.tenant_id = i.tenant_id AND h.identity_id = i.id)
       AND COALESCE(GREATEST(i.last_login, max(a.last_login_at)), '-infinity') > %(lately)s,
       array_agg(DISTINCT a.user_name) FILTER (WHERE a.id IS NOT NULL),
       array_agg(DISTINCT a.connection_id::text || ' ' || a.external_id)
           FILTER (WHERE a.external_id IS NOT NULL AND a.confirmed_at IS NOT NULL),
       (SELECT array_agg(DISTINCT spoken.email)
          FROM provisioning_account b CROSS JOIN unnest(b.email_keys) AS spoken (email)
         WHERE b.tenant_id = i.tenant_id AND b.identity_id = i.id AND b.deleted_at IS NULL),
       (SELECT array_agg(DISTINCT phone ->> 'value') FROM provisioning_account b
         CROSS JOIN jsonb_path_query(b.resource, '$.phoneNumbers[*]') AS phone
         WHERE b.tenant_id = i.tenant_id AND b.identity_id = i.id AND b.deleted_at IS NULL),
       (SELECT array_agg(DISTINCT b.resource #>> ARRAY[%(enterprise)s, 'employeeNumber']) FROM provisioning_account b
         WHERE b.tenant_id = i.tenant_id AND b.identity_id = i.id AND b.deleted_at IS NULL)
  FROM provisioning_identity i
  LEFT JOIN provisioning_account a ON a.tenant_id = i.tenant_id AND a.identity_id = i.id AND a.deleted_at IS NULL
 WHERE i.tenant_id = %(tenant)s AND i.id = ANY(%(ids)s)
 GROUP BY i.id
"""


def persons(tenant_id: UUID, ids: Iterable[UUID], at: datetime) -> dict[UUID, Person]:
    """What is said of these identities over all sources, to be weighed and not to be kept."""
    parameters = {
        "tenant": tenant_id,
        "ids": list(ids),
        "lately": at - LATELY,
        "enterprise": ENTERPRISE_USER,
    }
    with database.cursor() as cursor:
        cursor.execute(_PERSONS, parameters)
        return {row[0]: _person(row) for row in cursor}


def _person(row: tuple[Any, ...]) -> Person:
    _, hr_number, user_name, email, display, name, signs_in, names, keys, emails, phones, numbers = row
    return Person(
        hr_numbers=_said(hr_number, *(numbers or ())),
        user_names=_said(user_name, *(names or ())),
        emails=_said(email, *(emails or ())),
        phones=_said(*(phones or ())),
        names=_said(display, name.strip()),
        keys=frozenset((key[:36], key[37:]) for key in keys or ()),
        signs_in=bool(signs_in),
    )


def _said(*values: str | None) -> frozenset[str]:
    return frozenset(value for value in values if value)


# When each of their connections was last heard of them, in seconds.
_ORPHANS = """
WITH listed AS (
    SELECT connection_id, max(as_of) AS as_of FROM provisioning_roster
     WHERE tenant_id = %(tenant)s AND status IN ('complete', 'superseded') GROUP BY connection_id
), vouching AS (
    SELECT a.identity_id, c.id, c.status, GREATEST(c.last_push_at, a.last_login_at, a.created_at, listed.as_of) AS heard
      FROM provisioning_account a
      JOIN provisioning_connection c ON c.tenant_id = a.tenant_id AND c.id = a.connection_id
      LEFT JOIN listed ON listed.connection_id = c.id
     WHERE a.tenant_id = %(tenant)s AND a.deleted_at IS NULL AND a.identity_id IS NOT NULL
)
SELECT i.id,
       CASE WHEN count(v.id) = 0 THEN 'no-account'
            WHEN bool_and(v.status = 'disabled') THEN 'disabled' ELSE 'quiet' END,
       COALESCE(array_agg(DISTINCT v.id::text || ' ' || extract(epoch FROM v.heard)::bigint)
                    FILTER (WHERE v.id IS NOT NULL),
                (SELECT ARRAY[' ' || extract(epoch FROM max(t.deleted_at))::bigint] FROM provisioning_tombstone t
                  WHERE t.tenant_id = %(tenant)s AND t.identity_id = i.id))
  FROM provisioning_identity i
  LEFT JOIN vouching v ON v.identity_id = i.id
 WHERE i.tenant_id = %(tenant)s AND NOT i.local AND i.kind = 'person' AND i.merged_into_id IS NULL
   AND NOT EXISTS (SELECT FROM provisioning_hold h WHERE h.tenant_id = i.tenant_id AND h.identity_id = i.id)
 GROUP BY i.id
HAVING NOT COALESCE(bool_or(v.status <> 'disabled' AND v.heard > %(since)s), false)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Orphan:
    """Why: `no-account`, `disabled` (every connection of theirs is), `quiet` (nothing was heard for three months)."""

    identity_id: UUID
    why: str
    heard: tuple[str, ...]
    """Of each connection its id and, behind a space, when it was last heard of the person; without any, when the last
    account ended."""

    @property
    def connections(self) -> list[str]:
        return sorted({one.partition(" ")[0] for one in self.heard} - {""})


def orphans(tenant_id: UUID, at: datetime) -> Iterator[Orphan]:
    """People who may sign in and for whom no live source vouches."""
    for identity_id, why, heard in _stream(_ORPHANS, {"tenant": tenant_id, "since": at - QUIET}):
        yield Orphan(identity_id=identity_id, why=why, heard=tuple(one or "" for one in heard))


def unlinked(connection: Connection) -> Iterator[tuple[UUID, datetime | None]]:
    """(account, when somebody took it off an identity last) of those that wait while nothing asks whose they are."""
    about = Finding.objects.filter(tenant_id=connection.tenant_id, account=OuterRef("pk"))
    asked = about.filter(status=Finding.Status.OPEN).exclude(kind=FindingKind.ORPHAN_ACCOUNT)
    taken_off = about.filter(kind=FindingKind.KEPT_APART).order_by("-opened_at")
    rows = Account.objects.filter(
        ~Exists(asked),
        tenant_id=connection.tenant_id,
        connection_id=connection.pk,
        deleted_at__isnull=True,
        identity__isnull=True,
    ).annotate(taken_off=Subquery(taken_off.values("opened_at")[:1]))
    yield from rows.order_by("id").values_list("id", "taken_off").iterator(chunk_size=CHUNK)


def dormant(connection: Connection, at: datetime) -> Iterator[tuple[UUID, UUID, datetime]]:
    """(account, identity, last login) of people who may sign in, and did so before the connection's threshold."""
    if not connection.dormant_days:
        return
    held = Hold.objects.filter(tenant_id=connection.tenant_id, identity=OuterRef("identity"))
    rows = Account.objects.filter(
        ~Exists(held),
        tenant_id=connection.tenant_id,
        connection_id=connection.pk,
        deleted_at__isnull=True,
        active=True,
        identity__isnull=False,
        last_login_at__lt=at - timedelta(days=connection.dormant_days),
    )
    columns = rows.order_by("id").values_list("id", "identity_id", "last_login_at")
    yield from columns.iterator(chunk_size=CHUNK)


_STATES = """
SELECT a.identity_id, array_agg(a.id ORDER BY a.id) FILTER (WHERE a.active),
       array_agg(a.id ORDER BY a.id) FILTER (WHERE NOT a.active)
  FROM provisioning_account a
  JOIN provisioning_identity i ON i.tenant_id = a.tenant_id AND i.id = a.identity_id
 WHERE a.tenant_id = %(tenant)s AND a.deleted_at IS NULL AND NOT i.break_glass AND i.kind = 'person'
   AND a.identity_id IN (SELECT identity_id FROM provisioning_account
                          WHERE tenant_id = %(tenant)s AND deleted_at IS NULL AND NOT active)
 GROUP BY a.identity_id
HAVING bool_or(a.active)
"""


def state_conflicts(tenant_id: UUID) -> Iterator[tuple[UUID, list[UUID], list[UUID]]]:
    """(identity, active accounts, inactive accounts) of whom one connection says active and another inactive."""
    for identity_id, active, inactive in _stream(_STATES, {"tenant": tenant_id}):
        yield identity_id, list(active), list(inactive)


# An assertion is a source beside its account's document. An e-mail differs where two have none in common. Of roles
# and entitlements only privileged ones are compared, and only where both connections give such an attribute to anybody:
# an IdP that never speaks of roles contradicts no role. Almost everybody has one value of everything, and is left out
# first, by hashes: whole documents would be sorted, which takes minutes among a million.
_ATTRIBUTES = """
WITH told AS NOT MATERIALIZED (
    SELECT a.identity_id, a.id, a.connection_id, a.resource, NULLIF(a.email_keys, '{}') AS email,
           lower(NULLIF(a.resource #>> ARRAY[%(enterprise)s, 'employeeNumber'], '')) COLLATE "C" AS hr_number,
           lower(NULLIF(a.resource ->> 'userType', '')) COLLATE "C" AS user_type,
           lower(NULLIF(a.resource #>> '{name,familyName}', '')) COLLATE "C" AS family_name,
           lower(NULLIF(a.assertion ->> 'hr_number', '')) COLLATE "C" AS said_hr_number,
           lower(NULLIF(a.assertion ->> 'family_name', '')) COLLATE "C" AS said_family_name,
           CASE WHEN a.assertion ->> 'email' <> ''
                THEN ARRAY[lower(a.assertion ->> 'email')]::varchar[] END AS said_email
      FROM provisioning_account a
     WHERE a.tenant_id = %(tenant)s AND a.deleted_at IS NULL AND a.identity_id IS NOT NULL
), doubtful AS MATERIALIZED (
    SELECT identity_id
      FROM (SELECT identity_id, hashtextextended(hr_number, 0) AS hr, hashtextextended(said_hr_number, 0) AS said_hr,
                   hashtextextended(family_name, 0) AS name, hashtextextended(said_family_name, 0) AS said_name,
                   hash_array_extended(email, 0) AS mail, hash_array_extended(said_email, 0) AS said_mail,
                   hashtextextended(user_type, 0) AS type,
                   resource ->> 'roles' ~* %(privileged)s OR resource ->> 'entitlements' ~* %(privileged)s AS grave
              FROM told OFFSET 0) AS brief
     GROUP BY identity_id
    HAVING min(LEAST(hr, said_hr)) <> max(GREATEST(hr, said_hr))
        OR min(LEAST(name, said_name)) <> max(GREATEST(name, said_name))
        OR min(LEAST(mail, said_mail)) <> max(GREATEST(mail, said_mail))
        OR min(type) <> max(type)
        OR count(*) > 1 AND bool_or(grave)
), speaks AS MATERIALIZED (
    SELECT connection_id, bool_or(resource ? 'roles') AS of_roles,
           bool_or(resource ? 'entitlements') AS of_entitlements
      FROM provisioning_account WHERE tenant_id = %(tenant)s AND deleted_at IS NULL GROUP BY connection_id
), said AS MATERIALIZED (
    SELECT identity_id, id, connection_id, 'scim' AS source, email, hr_number, user_type, family_name,
           CASE WHEN of_roles THEN COALESCE(held.roles, '{}') END AS roles,
           CASE WHEN of_entitlements THEN COALESCE(held.entitlements, '{}') END AS entitlements
      FROM told JOIN doubtful USING (identity_id) JOIN speaks USING (connection_id)
     CROSS JOIN LATERAL (
           SELECT array_agg(DISTINCT lower(role)) FILTER (WHERE attribute = 'roles') AS roles,
                  array_agg(DISTINCT lower(role)) FILTER (WHERE attribute = 'entitlements') AS entitlements
             FROM (VALUES ('roles'), ('entitlements')) AS named (attribute)
            CROSS JOIN jsonb_array_elements(CASE jsonb_typeof(resource -> attribute) WHEN 'array'
                                            THEN resource -> attribute ELSE '[]' END) AS entry
            CROSS JOIN LATERAL COALESCE(entry ->> 'value', entry ->> 'display', entry #>> '{}') AS role
            WHERE role ~* %(privileged)s) AS held
    UNION ALL
    SELECT identity_id, id, connection_id, 'assertion', said_email, said_hr_number, NULL, said_family_name, NULL, NULL
      FROM told JOIN doubtful USING (identity_id)
)
SELECT one.identity_id,
       json_agg(json_build_object('attribute', attribute, 'sides', json_build_array(
           json_build_object('source', one.source, 'connection', one.connection_id,
                             'values', to_jsonb(one) -> attribute),
           json_build_object('source', other.source, 'connection', other.connection_id,
                             'values', to_jsonb(other) -> attribute))))
  FROM said one JOIN said other ON other.identity_id = one.identity_id
   AND (one.id, one.source) < (other.id, other.source)
 CROSS JOIN LATERAL unnest(array_remove(ARRAY[
           CASE WHEN one.hr_number <> other.hr_number THEN 'hr_number' END,
           CASE WHEN one.user_type <> other.user_type THEN 'user_type' END,
           CASE WHEN NOT one.email && other.email THEN 'email' END,
           CASE WHEN one.family_name <> other.family_name THEN 'family_name' END,
           CASE WHEN one.roles <> other.roles THEN 'roles' END,
           CASE WHEN one.entitlements <> other.entitlements THEN 'entitlements' END], NULL)) AS attribute
 GROUP BY one.identity_id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contradiction:
    """Two sources that disagree on one attribute. `values` are theirs, in lower case.

    A kind of source is `scim` (an account's document) or `assertion` (what its last login said).
    """

    attribute: str
    sources: tuple[str, str]
    connections: tuple[str, str]
    values: tuple[tuple[str, ...], tuple[str, ...]]


def attribute_conflicts(tenant_id: UUID) -> Iterator[tuple[UUID, list[Contradiction]]]:
    """(identity, what its sources say that cannot both be so)."""
    parameters = {"tenant": tenant_id, "enterprise": ENTERPRISE_USER, "privileged": PRIVILEGED}
    for identity_id, found in _stream(_ATTRIBUTES, parameters):
        told = [_contradiction(one["attribute"], *one["sides"]) for one in found]
        if meant := [one for one in told if not _says_no_number(one)]:
            yield identity_id, meant


def _says_no_number(one: Contradiction) -> bool:
    return one.attribute == "hr_number" and any(is_nobodys(value) for side in one.values for value in side)


def _contradiction(attribute: str, one: dict[str, Any], other: dict[str, Any]) -> Contradiction:
    return Contradiction(
        attribute=attribute,
        sources=(one["source"], other["source"]),
        connections=(one["connection"], other["connection"]),
        values=(_listed(one["values"]), _listed(other["values"])),
    )


def _listed(said: str | list[str]) -> tuple[str, ...]:
    return tuple(sorted(said)) if isinstance(said, list) else (said,)


_GROUPS = """
WITH allowed AS (
    SELECT DISTINCT value FROM provisioning_assertedgroup
     WHERE tenant_id = %(tenant)s AND connection_id = %(connection)s
), accounts AS (
    SELECT id, identity_id, assertion FROM provisioning_account
     WHERE tenant_id = %(tenant)s AND connection_id = %(connection)s AND deleted_at IS NULL
       AND identity_id IS NOT NULL AND last_login_at IS NOT NULL
), brought AS (
    SELECT a.id, value FROM accounts a
     CROSS JOIN jsonb_array_elements_text(
         CASE jsonb_typeof(a.assertion -> 'groups') WHEN 'array' THEN a.assertion -> 'groups' ELSE '[]' END) AS value
), pushed AS (
    SELECT DISTINCT a.id, value
      FROM accounts a
      JOIN provisioning_membership m ON m.tenant_id = %(tenant)s AND m.account_id = a.id
      JOIN provisioning_directorygroup g ON g.tenant_id = m.tenant_id AND g.id = m.group_id
     CROSS JOIN LATERAL (SELECT CASE WHEN g.display_name IN (SELECT value FROM allowed) THEN g.display_name
                                     ELSE g.external_id END AS value) AS named
     WHERE value IN (SELECT value FROM allowed)
)
SELECT accounts.id, accounts.identity_id,
       array_agg(DISTINCT brought.value) FILTER (WHERE pushed.id IS NULL),
       array_agg(DISTINCT pushed.value) FILTER (WHERE brought.id IS NULL)
  FROM brought FULL JOIN pushed ON pushed.id = brought.id AND pushed.value = brought.value
  JOIN accounts ON accounts.id = COALESCE(brought.id, pushed.id)
 WHERE pushed.id IS NULL OR brought.id IS NULL
 GROUP BY accounts.id, accounts.identity_id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """Groups by the value that the connection's allow-list has, or had, for them."""

    account_id: UUID
    identity_id: UUID
    only_logins: tuple[str, ...]
    only_scim: tuple[str, ...]


def group_drift(connection: Connection) -> Iterator[Drift]:
    """Whose logins bring other groups than SCIM has, where SCIM has groups (row 31)."""
    manages = connection.group_attribute and connection.groups.filter(tenant_id=connection.tenant_id).exists()
    if not manages:
        return
    parameters = {"tenant": connection.tenant_id, "connection": connection.pk}
    for account_id, identity_id, brought, pushed in _stream(_GROUPS, parameters):
        yield Drift(
            account_id=account_id,
            identity_id=identity_id,
            only_logins=tuple(brought or ()),
            only_scim=tuple(pushed or ()),
        )


def given_by_groups(connection: Connection) -> dict[str, set[tuple[UUID, bool]]]:
    """Value of the allow-list -> (entitlement, whether it administers the tenant) of what it stands for."""
    given: dict[str, set[tuple[UUID, bool]]] = defaultdict(set)
    rows = connection.asserted_groups.filter(tenant_id=connection.tenant_id)
    for value, entitlement_id, staff in rows.values_list(
        "value", "entitlement_id", "entitlement__grants_staff"
    ):
        given[value].add((entitlement_id, staff))
    return given


_UNREACHABLE = """
SELECT e.id, CASE WHEN EXISTS (SELECT FROM provisioning_entitlementmapping m
                                WHERE m.tenant_id = e.tenant_id AND m.entitlement_id = e.id)
                  THEN 'empty' ELSE 'unmapped' END
  FROM provisioning_entitlement e
 WHERE e.tenant_id = %(tenant)s
   AND NOT EXISTS (SELECT FROM provisioning_assertedgroup g WHERE g.tenant_id = e.tenant_id AND g.entitlement_id = e.id)
   AND NOT EXISTS (
       SELECT FROM provisioning_entitlementmapping m
         JOIN provisioning_membership s ON s.tenant_id = m.tenant_id AND s.group_id = m.group_id
         JOIN provisioning_account a ON a.tenant_id = s.tenant_id AND a.id = s.account_id
        WHERE m.tenant_id = e.tenant_id AND m.entitlement_id = e.id
          AND a.deleted_at IS NULL AND a.active AND a.identity_id IS NOT NULL)
"""


def unreachable_entitlements(tenant_id: UUID) -> Iterator[tuple[UUID, str]]:
    """(entitlement, why) of those that nobody has: `unmapped` (its group is gone), `empty` (nobody live is in it)."""
    yield from _stream(_UNREACHABLE, {"tenant": tenant_id})


_HELD = """
SELECT a.identity_id, min(held.since),
       json_agg(DISTINCT jsonb_build_array(s.group_id, m.entitlement_id, e.grants_staff))
  FROM provisioning_account a
 CROSS JOIN LATERAL (SELECT min(h.placed_at) AS since FROM provisioning_hold h
                      WHERE h.tenant_id = a.tenant_id AND h.identity_id = a.identity_id) AS held
  JOIN provisioning_membership s ON s.tenant_id = a.tenant_id AND s.account_id = a.id
  JOIN provisioning_entitlementmapping m ON m.tenant_id = s.tenant_id AND m.group_id = s.group_id
  JOIN provisioning_entitlement e ON e.tenant_id = m.tenant_id AND e.id = m.entitlement_id
 WHERE a.tenant_id = %(tenant)s AND a.deleted_at IS NULL AND a.active AND held.since < %(since)s
 GROUP BY a.identity_id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldMember:
    identity_id: UUID
    since: datetime
    """When the oldest of the holds was placed."""
    gives: tuple[tuple[str, str, bool], ...]
    """(group, entitlement, whether it administers the tenant) of what is given the day the person is let in."""


def held_members(tenant_id: UUID, at: datetime) -> Iterator[HeldMember]:
    """People held for long whose groups would give them something."""
    for identity_id, since, gives in _stream(_HELD, {"tenant": tenant_id, "since": at - HELD_LONG}):
        yield HeldMember(
            identity_id=identity_id,
            since=since,
            gives=tuple((group, entitlement, staff) for group, entitlement, staff in gives),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ownerless:
    """`what` is `token`, `client` or `identity`; `owner_id` is None where nobody ever owned it."""

    what: str
    id: UUID
    connection_id: UUID | None
    identity_id: UUID | None
    owner_id: UUID | None
    left_at: datetime | None
    """When the oldest hold of the owner was placed; None where there is no hold."""
    administers: bool = False


def ownerless(tenant_id: UUID, at: datetime) -> Iterator[Ownerless]:
    """Credentials and non-humans in use whose owner may not sign in any more; all but people's need one."""
    able = Identity.objects.with_state().filter(tenant_id=tenant_id, pk=OuterRef("owner"), enabled=True)
    unanswered = ~Exists(able)
    holds = Hold.objects.filter(tenant_id=tenant_id, identity=OuterRef("owner")).order_by("placed_at")
    left_at = Subquery(holds.values("placed_at")[:1])
    # What a command issued has no owner, and is nobody's to rotate.
    tokens = live(at).filter(unanswered, tenant_id=tenant_id, client__isnull=True)
    clients = ScimClient.objects.filter(unanswered, tenant_id=tenant_id, revoked_at__isnull=True)
    rows: tuple[tuple[str, Any], ...] = (("token", tokens), ("client", clients))
    for what, found in rows:
        for key, connection_id, owner_id, left in found.values_list(
            "id", "connection_id", "owner_id", left_at
        ):
            yield Ownerless(
                what=what,
                id=key,
                connection_id=connection_id,
                identity_id=None,
                owner_id=owner_id,
                left_at=left,
            )
    service = Q(kind=Identity.Kind.SERVICE)
    identities = (
        Identity.objects.with_state()
        .filter(
            service | Q(local=True, owner__isnull=False),
            unanswered,
            tenant_id=tenant_id,
            break_glass=False,
            held=False,
        )
        .order_by("id")
    )
    columns = identities.values_list("id", "owner_id", left_at, "is_tenant_administrator", "is_superuser")
    for key, owner_id, left, *flags in columns.iterator(chunk_size=CHUNK):
        yield Ownerless(
            what="identity",
            id=key,
            connection_id=None,
            identity_id=key,
            owner_id=owner_id,
            left_at=left,
            administers=any(flags),
        )


def stale_connections(tenant_id: UUID, at: datetime) -> Iterator[Connection]:
    """Active connections that have not pushed for as long as they allow for, since they were made if never."""
    rows = Connection.objects.filter(
        tenant_id=tenant_id,
        status=Connection.Status.ACTIVE,
        scim_enabled=True,
        stale_push_days__gt=0,
    )
    for row in rows:
        if (row.last_push_at or row.created_at) < at - timedelta(days=row.stale_push_days):
            yield row


@dataclass(frozen=True, slots=True, kw_only=True)
class Overdue:
    connection_id: UUID
    last_complete: datetime | None
    code: str
    """Of the last listing; empty where none was begun."""


def overdue_listings(tenant_id: UUID, at: datetime) -> Iterator[Overdue]:
    """Sources of active connections that are listed every night, and gave no complete roster for days."""
    since = at - LISTED_WITHIN
    theirs = Roster.objects.filter(
        tenant=OuterRef("tenant"), connection=OuterRef("connection"), source=OuterRef("kind")
    )
    complete = theirs.filter(status__in=[Roster.Status.COMPLETE, Roster.Status.SUPERSEDED])
    rows = (
        RosterSource.objects.filter(
            tenant_id=tenant_id,
            scheduled=True,
            scheduled_at__lt=since,
            connection__status=Connection.Status.ACTIVE,
        )
        .exclude(Exists(complete.filter(completed_at__gte=since)))
        .annotate(
            last_complete=Subquery(complete.order_by("-completed_at").values("completed_at")[:1]),
            last_code=Subquery(theirs.order_by("-started_at").values("code")[:1]),
        )
    )
    for row in rows:
        yield Overdue(
            connection_id=row.connection_id,
            last_complete=row.last_complete,
            code=row.last_code or "",
        )


PRIVILEGED = (
    r"(^|[^[:alnum:]])(admins?|administrators?|root|super ?users?|owners?|privileged|sudo)($|[^[:alnum:]])"
)
"""What a role is called that lets its holder do much (PostgreSQL's regular expressions, case aside)."""


def privileged(names: Iterable[str]) -> set[str]:
    """Those of these names that sound like it."""
    with database.cursor() as cursor:
        cursor.execute(
            "SELECT name FROM unnest(%s::text[]) AS name WHERE name ~* %s", [list(names), PRIVILEGED]
        )
        return {name for (name,) in cursor}


_PRIVILEGED_VALUES = """
WITH said AS (
    SELECT a.id, 'userType' AS attribute, a.resource ->> 'userType' AS value FROM provisioning_account a
     WHERE a.tenant_id = %(tenant)s AND a.connection_id = %(connection)s AND a.deleted_at IS NULL
       AND a.resource ? 'userType'
    UNION ALL
    SELECT a.id, named.attribute, COALESCE(entry ->> 'value', entry ->> 'display', entry #>> '{}')
      FROM provisioning_account a
     CROSS JOIN (VALUES ('roles'), ('entitlements')) AS named (attribute)
     CROSS JOIN jsonb_array_elements(CASE jsonb_typeof(a.resource -> named.attribute) WHEN 'array'
                                     THEN a.resource -> named.attribute ELSE '[]' END) AS entry
     WHERE a.tenant_id = %(tenant)s AND a.connection_id = %(connection)s AND a.deleted_at IS NULL
)
SELECT attribute, count(DISTINCT id), (array_agg(DISTINCT id))[1:10], array_agg(DISTINCT lower(value)) FROM said
 WHERE value ~* %(privileged)s GROUP BY attribute
"""

_PRIVILEGED_GROUPS = """
SELECT count(DISTINCT g.id), (array_agg(DISTINCT g.id))[1:10], array_agg(DISTINCT lower(g.display_name))
  FROM provisioning_directorygroup g
 WHERE g.tenant_id = %(tenant)s AND g.connection_id = %(connection)s AND g.display_name ~* %(privileged)s
   AND NOT EXISTS (SELECT FROM provisioning_entitlementmapping m WHERE m.tenant_id = g.tenant_id AND m.group_id = g.id)
   AND EXISTS (SELECT FROM provisioning_membership s WHERE s.tenant_id = g.tenant_id AND s.group_id = g.id)
HAVING count(*) > 0
"""


def privileged_unmapped(connection: Connection) -> Iterator[tuple[str, int, list[UUID], list[str]]]:
    """(attribute, how many, the first ids, its names) of what looks like privilege, comes in, and gives nothing here.

    The ids are accounts'; for `groups` they are the groups'.
    """
    parameters = {
        "tenant": connection.tenant_id,
        "connection": connection.pk,
        "privileged": PRIVILEGED,
    }
    for attribute, count, ids, names in _stream(_PRIVILEGED_VALUES, parameters):
        yield attribute, count, list(ids), list(names)
    for count, ids, names in _stream(_PRIVILEGED_GROUPS, parameters):
        yield "groups", count, list(ids), list(names)


# What may be one; `is_nobodys` says what is.
_PLACEHOLDERS = """
WITH said AS (
    SELECT id, 'externalId' AS attribute, external_id AS value FROM provisioning_account
     WHERE tenant_id = %(tenant)s AND connection_id = %(connection)s AND deleted_at IS NULL
       AND external_id IS NOT NULL
    UNION ALL
    SELECT id, 'employeeNumber', resource #>> ARRAY[%(enterprise)s, 'employeeNumber'] FROM provisioning_account
     WHERE tenant_id = %(tenant)s AND connection_id = %(connection)s AND deleted_at IS NULL
       AND resource ? %(enterprise)s
)
SELECT id, attribute, value FROM said
 WHERE value <> '' AND (lower(btrim(value)) = ANY(%(words)s::text[]) OR value ~ '^[^[:alpha:]1-9]*$|[$%%#{<]')
"""


def placeholder_keys(connection: Connection) -> Iterator[tuple[str, int, list[UUID], set[str]]]:
    """(attribute, how many accounts, the first ids, the words) of what a connection sends for want of a key."""
    parameters = {
        "tenant": connection.tenant_id,
        "connection": connection.pk,
        "enterprise": ENTERPRISE_USER,
        "words": list(WORDS_OF_NOTHING),
    }
    counted: Counter[str] = Counter()
    ids, words = defaultdict[str, list[UUID]](list), defaultdict[str, set[str]](set)
    for account_id, attribute, value in _stream(_PLACEHOLDERS, parameters):
        if is_nobodys(value):
            counted[attribute] += 1
            words[attribute].add(value.strip().lower())
            if len(ids[attribute]) < FIRST:
                ids[attribute].append(account_id)
    for attribute, count in counted.items():
        yield attribute, count, ids[attribute], words[attribute]


def left_out(connection: Connection) -> list[tuple[str, int]]:
    """(the run of which somebody said so, how many items) of what the newest executed run left out."""
    runs = ReconciliationRun.objects.filter(tenant_id=connection.tenant_id, connection_id=connection.pk)
    newest = runs.filter(status=ReconciliationRun.Status.DONE).order_by("-simulated_at").first()
    if newest is None:
        return []
    items = ReconciliationItem.objects.filter(
        tenant_id=connection.tenant_id, run=newest, status=ReconciliationItem.Status.LEFT_OUT
    ).order_by()
    counted = items.annotate(of=KT("evidence__left_out_of")).values_list("of").annotate(number=Count("id"))
    return [(of or str(newest.pk), number) for of, number in counted]
