"""What must be true of the stored rows whatever happened before: the laws of the decision core as queries.

Knows the tables, and neither who asks nor what to do about an answer. A law's query yields its violations: (id, an
id or a name beside it). It asks for one tenant, or for the installation where it needs none. All of one law is one
statement, so that a write that is just being committed is seen whole or not at all.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.apps import apps
from django.db import connection as database

from provisioning.constraints import constraint_name
from provisioning.decision.types import PROFILE_FIELDS
from provisioning.models.base import TenantForeignKey

from .derived import is_found_otherwise, is_shown_otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class Law:
    """`about` names what its ids are ids of.

    Where SQL cannot say what a row should hold, the query yields what is looked at, and `breaks` says of its further
    columns which of it is a violation.
    """

    name: str
    sentence: str
    about: str
    query: str
    breaks: Callable[..., bool] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """`tenant_id` is None for the installation's own. Ids and names of columns, nothing of a person."""

    law: Law
    tenant_id: UUID | None
    id: str
    beside: str | None


_KEYS = (
    Law(
        name="account:user-name-once",
        sentence="A userName belongs to one live account of its connection.",
        about="account",
        query="""
SELECT min(id::text), max(id::text) FROM provisioning_account
 WHERE tenant_id = %(tenant)s AND deleted_at IS NULL
 GROUP BY connection_id, user_name_key HAVING count(*) > 1
""",
    ),
    Law(
        name="account:external-id-once",
        sentence="An externalId belongs to one live account of its connection.",
        about="account",
        query="""
SELECT min(id::text), max(id::text) FROM provisioning_account
 WHERE tenant_id = %(tenant)s AND deleted_at IS NULL AND external_id IS NOT NULL
 GROUP BY connection_id, external_id HAVING count(*) > 1
""",
    ),
    Law(
        name="account:subject-once",
        sentence="A persistent NameID is bound to one live account of its connection.",
        about="account",
        query="""
SELECT min(id::text), max(id::text) FROM provisioning_account
 WHERE tenant_id = %(tenant)s AND deleted_at IS NULL AND subject_value <> ''
 GROUP BY connection_id, subject_issuer, subject_value HAVING count(*) > 1
""",
    ),
    Law(
        name="account:subject-persistent",
        sentence="Only a persistent NameID is bound to an account.",
        about="account",
        query="""
SELECT id, NULL FROM provisioning_account
 WHERE tenant_id = %(tenant)s AND subject_value <> ''
   AND subject_format <> 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent'
""",
    ),
    Law(
        name="account:unconfirmed-by-login-alone",
        sentence="An account that is not confirmed was made by a login, and has no externalId.",
        about="account",
        query="""
SELECT id, NULL FROM provisioning_account
 WHERE tenant_id = %(tenant)s AND deleted_at IS NULL AND confirmed_at IS NULL
   AND (origin <> 'jit' OR external_id IS NOT NULL)
""",
    ),
    Law(
        name="account:says-what-it-is-found-by",
        sentence="An account's document says the userName, the externalId and the state that its columns say.",
        about="account",
        query="""
SELECT id, NULL FROM provisioning_account
 WHERE tenant_id = %(tenant)s AND deleted_at IS NULL
   AND (resource->>'userName' IS DISTINCT FROM user_name
     OR resource->>'externalId' IS DISTINCT FROM external_id
     OR (resource->'active') <> to_jsonb(active))
""",
    ),
)

_DERIVED = (
    Law(
        name="account:keys-follow",
        sentence="An account is found by, and compared with rosters by, what its name, its key and its document say.",
        about="account",
        query="""
SELECT id, connection_id, user_name, user_name_key, user_name_skeleton, email_keys, external_id, active, fingerprint,
       resource::text
  FROM provisioning_account
 WHERE tenant_id = %(tenant)s AND deleted_at IS NULL
""",
        breaks=is_found_otherwise,
    ),
    # Whoever has several accounts is shown anew, after a connection's precedence was changed, when one of them changes.
    Law(
        name="identity:shows-its-sources",
        sentence="An identity shows what its live accounts and its overrides say, and is recognised by that.",
        about="identity",
        query=f"""
SELECT i.id, NULL, {", ".join(f"i.{name}" for name in PROFILE_FIELDS)}, i.user_name_key, i.email_key,
       said.accounts::text,
       (SELECT jsonb_agg(jsonb_build_array(o.id, o.attribute, o.value))::text FROM provisioning_override o
         WHERE o.tenant_id = i.tenant_id AND o.identity_id = i.id AND o.ended_at IS NULL)
  FROM provisioning_identity i
 CROSS JOIN LATERAL (
       SELECT jsonb_agg(jsonb_build_array(a.id, a.connection_id, a.confirmed_at IS NOT NULL, a.active, a.user_name,
                                          c.precedence, a.created_at, a.resource, a.assertion)) AS accounts,
              count(*) AS number
         FROM provisioning_account a
         JOIN provisioning_connection c ON c.tenant_id = a.tenant_id AND c.id = a.connection_id
        WHERE a.tenant_id = i.tenant_id AND a.identity_id = i.id AND a.deleted_at IS NULL) said
 WHERE i.tenant_id = %(tenant)s AND said.number > 0
   AND (said.number = 1 OR i.updated_at > coalesce((
       SELECT max(r.at) FROM provisioning_auditrecord r
        WHERE r.tenant_id = %(tenant)s AND r.channel = 'admin' AND r.reason = 'connection:changed'
          AND r.changes @> '[{{"fields": ["precedence"]}}]'), '-infinity'))
   AND NOT EXISTS (SELECT FROM provisioning_override o
                    WHERE o.tenant_id = i.tenant_id AND o.identity_id = i.id AND o.ended_at IS NULL
                      AND o.until <= %(at)s)
""",  # noqa: S608 - names of columns
        breaks=is_shown_otherwise,
    ),
)

_LINKS = (
    Law(
        name="account:identity-of-its-tenant",
        sentence="An account belongs to no identity, or to one of its own tenant.",
        about="account",
        query="""
SELECT a.id, a.identity_id FROM provisioning_account a
 WHERE a.tenant_id = %(tenant)s AND a.identity_id IS NOT NULL
   AND NOT EXISTS (SELECT FROM provisioning_identity i WHERE i.tenant_id = a.tenant_id AND i.id = a.identity_id)
""",
    ),
    Law(
        name="account:link-has-rule",
        sentence="A link says by which rule it was made, and an account without one says none.",
        about="account",
        query="""
SELECT id, identity_id FROM provisioning_account
 WHERE tenant_id = %(tenant)s AND (identity_id IS NULL) <> (link_rule = '')
""",
    ),
    Law(
        name="identity:one-account-of-a-connection",
        sentence="An identity has one live account of a connection.",
        about="account",
        query="""
SELECT min(id::text), max(id::text) FROM provisioning_account
 WHERE tenant_id = %(tenant)s AND deleted_at IS NULL AND identity_id IS NOT NULL
 GROUP BY identity_id, connection_id HAVING count(*) > 1
""",
    ),
    # The links of whom a merge moved stand in the audit under the former id.
    Law(
        name="audit:made-each-link",
        sentence="Every live account's link has the audit row of the decision that made it.",
        about="account",
        query="""
SELECT a.id, a.identity_id FROM provisioning_account a
 WHERE a.tenant_id = %(tenant)s AND a.deleted_at IS NULL AND a.identity_id IS NOT NULL
   AND NOT EXISTS (
       SELECT FROM provisioning_auditrecord r
        WHERE r.tenant_id = a.tenant_id AND r.account_id = a.id AND r.verdict IN ('applied', 'pending')
          AND (r.changes @> jsonb_build_array(jsonb_build_object(
                   'change', 'CreateAccount', 'account_id', a.id, 'identity_id', a.identity_id))
            OR r.changes @> jsonb_build_array(jsonb_build_object(
                   'change', 'LinkAccount', 'account_id', a.id, 'identity_id', a.identity_id))))
   AND NOT EXISTS (SELECT FROM provisioning_merge m
                    WHERE m.tenant_id = a.tenant_id AND (m.winner_id = a.identity_id OR m.loser_id = a.identity_id))
""",
    ),
    Law(
        name="identity:protected-apart",
        sentence="No break-glass or service identity has an IdP's account.",
        about="identity",
        query="""
SELECT i.id, a.id FROM provisioning_identity i
  JOIN provisioning_account a ON a.tenant_id = i.tenant_id AND a.identity_id = i.id
 WHERE i.tenant_id = %(tenant)s AND (i.break_glass OR i.kind = 'service') AND a.deleted_at IS NULL
""",
    ),
    Law(
        name="identity:merged-has-nothing",
        sentence="Whoever ended in another identity has no account, hold or tombstone, and that one is of the tenant.",
        about="identity",
        query="""
SELECT i.id, i.merged_into_id FROM provisioning_identity i
 WHERE i.tenant_id = %(tenant)s AND i.merged_into_id IS NOT NULL
   AND (EXISTS (SELECT FROM provisioning_account a WHERE a.tenant_id = i.tenant_id AND a.identity_id = i.id)
     OR EXISTS (SELECT FROM provisioning_hold h WHERE h.tenant_id = i.tenant_id AND h.identity_id = i.id)
     OR EXISTS (SELECT FROM provisioning_tombstone t WHERE t.tenant_id = i.tenant_id AND t.identity_id = i.id)
     OR NOT EXISTS (SELECT FROM provisioning_merge m
                     WHERE m.tenant_id = i.tenant_id AND m.loser_id = i.id AND m.winner_id = i.merged_into_id
                       AND m.unmerged_at IS NULL))
""",
    ),
    Law(
        name="identity:administrators-are-local",
        sentence="Whoever administers a tenant by a flag is local; everybody else does by an entitlement.",
        about="identity",
        query="""
SELECT id, NULL FROM provisioning_identity
 WHERE tenant_id = %(tenant)s AND is_tenant_administrator AND NOT local
""",
    ),
)

# What lifts a hold stands in the audit (an administrator's lift names no source), and nothing placed it again since.
# Of those that its identity was merged with, and they with others: what was decided is on record under any id.
_PARTNERS = """
           WITH RECURSIVE one (id) AS (
               SELECT a.identity_id
                UNION
               SELECT unnest(ARRAY[m.winner_id, m.loser_id])
                 FROM one JOIN provisioning_merge m
                   ON m.tenant_id = a.tenant_id AND (m.winner_id = one.id OR m.loser_id = one.id))
           SELECT id FROM one
"""
_HOLDS_NOBODY = """
SELECT a.id, a.identity_id FROM provisioning_account a
  JOIN provisioning_identity i ON i.tenant_id = a.tenant_id AND i.id = a.identity_id
 WHERE a.tenant_id = %(tenant)s AND {which}
   AND NOT (i.break_glass OR i.kind = 'service')
   AND NOT EXISTS (SELECT FROM provisioning_hold h
                    WHERE h.tenant_id = a.tenant_id AND h.identity_id = a.identity_id
                      AND h.kind = 'scim' AND h.source_account_id = a.id)
   AND NOT EXISTS (
       SELECT FROM provisioning_auditrecord l
        CROSS JOIN jsonb_array_elements(l.changes) AS c
        WHERE l.tenant_id = a.tenant_id AND l.identity_id IN ({partners})
          AND c->>'change' = 'LiftHold' AND c->>'kind' = 'scim' AND c->>'identity_id' = l.identity_id::text
          AND coalesce(c->>'source_account_id', a.id::text) = a.id::text
          AND NOT EXISTS (
              SELECT FROM provisioning_auditrecord p
               WHERE p.tenant_id = l.tenant_id AND p.account_id = a.id AND p.id > l.id
                 AND p.changes @> jsonb_build_array(jsonb_build_object(
                       'change', 'PlaceHold', 'kind', 'scim', 'source_account_id', a.id))))
""".replace("{partners}", _PARTNERS)

# A duplicate that ended in the account that SCIM had delivered holds nobody: the other one speaks for the person.
_NOT_FOLDED = """
   AND NOT EXISTS (
       SELECT FROM provisioning_auditrecord f
        WHERE f.tenant_id = a.tenant_id AND f.identity_id IN ({partners})
          AND f.channel = 'admin'
          AND f.changes @> jsonb_build_array(jsonb_build_object('change', 'DeleteAccount', 'account_id', a.id)))
""".replace("{partners}", _PARTNERS)

_OVERRIDES = (
    Law(
        name="override:shown",
        sentence="An identity shows what a live override of it says.",
        about="override",
        query="""
SELECT o.id, o.identity_id FROM provisioning_override o
  JOIN provisioning_identity i ON i.tenant_id = o.tenant_id AND i.id = o.identity_id
 WHERE o.tenant_id = %(tenant)s AND o.ended_at IS NULL AND o.until > %(at)s
   AND o.value IS DISTINCT FROM CASE o.attribute
       WHEN 'display_name' THEN i.display_name WHEN 'given_name' THEN i.given_name
       WHEN 'family_name' THEN i.family_name WHEN 'email' THEN i.email
       WHEN 'title' THEN i.title WHEN 'department' THEN i.department END
""",
    ),
    Law(
        name="override:recognised-by-its-sources",
        sentence="Whoever shows another e-mail by an override is recognised by one that a live account says.",
        about="override",
        query="""
SELECT o.id, o.identity_id FROM provisioning_override o
  JOIN provisioning_identity i ON i.tenant_id = o.tenant_id AND i.id = o.identity_id
 WHERE o.tenant_id = %(tenant)s AND o.ended_at IS NULL AND o.attribute = 'email' AND i.merged_into_id IS NULL
   AND i.email_key <> ''
   AND EXISTS (SELECT FROM provisioning_account a
                WHERE a.tenant_id = i.tenant_id AND a.identity_id = i.id AND a.deleted_at IS NULL)
   AND NOT EXISTS (SELECT FROM provisioning_account a
                    WHERE a.tenant_id = i.tenant_id AND a.identity_id = i.id AND a.deleted_at IS NULL
                      AND (a.email_keys @> ARRAY[i.email_key] OR lower(a.assertion->>'email') = i.email_key))
""",
    ),
    Law(
        name="override:ends",
        sentence="No override goes on for a day after its end.",
        about="override",
        query="""
SELECT id, identity_id FROM provisioning_override
 WHERE tenant_id = %(tenant)s AND ended_at IS NULL AND until < %(at)s - interval '1 day'
""",
    ),
    Law(
        name="audit:set-each-override",
        sentence="Every override has the audit row of the decision that set it.",
        about="override",
        query="""
SELECT o.id, o.identity_id FROM provisioning_override o
 WHERE o.tenant_id = %(tenant)s
   AND NOT EXISTS (SELECT FROM provisioning_auditrecord r
                    WHERE r.tenant_id = o.tenant_id AND r.identity_id = o.identity_id AND r.at = o.set_at
                      AND r.changes @> jsonb_build_array(jsonb_build_object(
                            'change', 'SetOverride', 'override_id', o.id)))
""",
    ),
)

_HOLDS = (
    Law(
        name="session:of-the-enabled",
        sentence="Nobody who is held, or has no live account and is not local, has a session whose end is not ordered.",
        about="identity",
        query="""
SELECT s.identity_id, s.handle FROM provisioning_session s
  JOIN provisioning_identity i ON i.tenant_id = s.tenant_id AND i.id = s.identity_id
 WHERE s.tenant_id = %(tenant)s AND s.expire_date > %(at)s
   AND (s.ends_unused_at IS NULL OR s.ends_unused_at > %(at)s)
   AND (EXISTS (SELECT FROM provisioning_hold h WHERE h.tenant_id = i.tenant_id AND h.identity_id = i.id)
     OR NOT (i.local OR EXISTS (SELECT FROM provisioning_account a
                                 WHERE a.tenant_id = i.tenant_id AND a.identity_id = i.id
                                   AND a.deleted_at IS NULL)))
   AND NOT EXISTS (SELECT FROM provisioning_outboxmessage o
                    WHERE o.tenant_id = s.tenant_id AND o.topic = 'sessions.purge' AND o.done_at IS NULL
                      AND o.payload->>'identity' = s.identity_id::text AND o.created_at >= s.created_at)
""",
    ),
    Law(
        name="hold:of-its-source",
        sentence="What an account holds is its own identity; only one that waits for its link may hold whom it may be.",
        about="hold",
        query="""
SELECT h.id, h.source_account_id FROM provisioning_hold h
  LEFT JOIN provisioning_account a ON a.tenant_id = h.tenant_id AND a.id = h.source_account_id
 WHERE h.tenant_id = %(tenant)s AND (h.source_account_id IS NOT NULL OR h.kind IN ('scim', 'expiry'))
   AND (a.id IS NULL OR a.identity_id <> h.identity_id)
""",
    ),
    Law(
        name="hold:expiry-of-the-unconfirmed",
        sentence="SCIM's word ends the hold of an account that nobody had confirmed.",
        about="hold",
        query="""
SELECT h.id, a.id FROM provisioning_hold h
  JOIN provisioning_account a ON a.tenant_id = h.tenant_id AND a.id = h.source_account_id
 WHERE h.tenant_id = %(tenant)s AND h.kind = 'expiry' AND a.confirmed_at IS NOT NULL AND a.deleted_at IS NULL
""",
    ),
    Law(
        name="account:inactive-holds",
        sentence="An account that its IdP set inactive holds its identity, unless an administrator lifted that.",
        about="account",
        query=_HOLDS_NOBODY.replace("{which}", "a.deleted_at IS NULL AND NOT a.active"),
    ),
    # One that was missing from rosters is held while it is active: nothing had switched it off in the same decision.
    Law(
        name="hold:of-the-inactive",
        sentence="What an account placed when it was set inactive is lifted once the account is active again.",
        about="hold",
        query="""
SELECT h.id, a.id FROM provisioning_hold h
  JOIN provisioning_account a
    ON a.tenant_id = h.tenant_id AND a.id = h.source_account_id AND a.identity_id = h.identity_id
 WHERE h.tenant_id = %(tenant)s AND h.kind = 'scim' AND a.active AND a.deleted_at IS NULL
   AND EXISTS (SELECT FROM provisioning_auditrecord r
                WHERE r.tenant_id = h.tenant_id AND r.account_id = a.id AND r.at = h.placed_at
                  AND r.changes @> jsonb_build_array(
                        jsonb_build_object('change', 'PlaceHold', 'kind', 'scim', 'source_account_id', a.id),
                        jsonb_build_object(
                            'change', 'UpdateAccount', 'account_id', a.id, 'fields', jsonb_build_array('active'))))
""",
    ),
    Law(
        name="account:deleted-holds",
        sentence="An account that its IdP deleted holds its identity, until its key returns or an administrator lifts "
        "that.",
        about="account",
        query=_HOLDS_NOBODY.replace("{which}", "a.deleted_at IS NOT NULL") + _NOT_FOLDED,
    ),
)

_LOST = (
    # What was decided about somebody who was merged is on record under several ids.
    Law(
        name="hold:of-administrators-stands",
        sentence="What an administrator held is held until the audit says who lifted it.",
        about="identity",
        query="""
SELECT p.identity_id, p.kind FROM (
    SELECT r.identity_id, c->>'kind' AS kind, max(r.id) AS id
      FROM provisioning_auditrecord r CROSS JOIN jsonb_array_elements(r.changes) AS c
     WHERE r.tenant_id = %(tenant)s AND r.channel = 'admin' AND r.reason = 'identity:held'
       AND c->>'change' = 'PlaceHold' AND c->>'source_account_id' IS NULL
     GROUP BY 1, 2) p
 WHERE NOT EXISTS (SELECT FROM provisioning_hold h
                    WHERE h.tenant_id = %(tenant)s AND h.identity_id = p.identity_id AND h.kind = p.kind)
   AND NOT EXISTS (SELECT FROM provisioning_auditrecord l
                    WHERE l.tenant_id = %(tenant)s AND l.identity_id = p.identity_id AND l.id > p.id
                      AND l.changes @> jsonb_build_array(jsonb_build_object('change', 'LiftHold', 'kind', p.kind)))
   AND NOT EXISTS (SELECT FROM provisioning_merge m
                    WHERE m.tenant_id = %(tenant)s AND (m.winner_id = p.identity_id OR m.loser_id = p.identity_id))
""",
    ),
    Law(
        name="hold:of-the-unconfirmed-stands",
        sentence="An account that was held at the end of its grace holds its identity, until it is confirmed or the "
        "audit says who lifted that.",
        about="account",
        query="""
SELECT a.id, a.identity_id FROM provisioning_account a
 WHERE a.tenant_id = %(tenant)s AND a.confirmed_at IS NULL AND a.deleted_at IS NULL AND a.identity_id IS NOT NULL
   AND NOT EXISTS (SELECT FROM provisioning_hold h
                    WHERE h.tenant_id = a.tenant_id AND h.identity_id = a.identity_id
                      AND h.kind = 'expiry' AND h.source_account_id = a.id)
   AND EXISTS (
       SELECT FROM provisioning_auditrecord p
        WHERE p.tenant_id = a.tenant_id AND p.account_id = a.id
          AND p.changes @> jsonb_build_array(jsonb_build_object(
                'change', 'PlaceHold', 'kind', 'expiry', 'source_account_id', a.id))
          AND NOT EXISTS (
              SELECT FROM provisioning_auditrecord l CROSS JOIN jsonb_array_elements(l.changes) AS c
               WHERE l.tenant_id = a.tenant_id AND l.id > p.id
                 AND (l.account_id = a.id OR l.identity_id IN ({partners}))
                 AND c->>'change' IN ('LiftHold', 'LiftCarried') AND c->>'kind' = 'expiry'
                 AND coalesce(c->>'source_account_id', a.id::text) = a.id::text))
""".replace("{partners}", _PARTNERS),
    ),
)

_GRAVES = (
    Law(
        name="account:deleted-leaves-tombstone",
        sentence="A deleted account has its tombstone, and a tombstone its deleted account.",
        about="account",
        query="""
SELECT a.id, NULL FROM provisioning_account a
 WHERE a.tenant_id = %(tenant)s AND a.deleted_at IS NOT NULL
   AND NOT EXISTS (SELECT FROM provisioning_tombstone t
                    WHERE t.tenant_id = a.tenant_id AND t.id = a.id AND t.connection_id = a.connection_id)
UNION ALL
SELECT t.id, NULL FROM provisioning_tombstone t
 WHERE t.tenant_id = %(tenant)s
   AND NOT EXISTS (SELECT FROM provisioning_account a
                    WHERE a.tenant_id = t.tenant_id AND a.id = t.id AND a.deleted_at IS NOT NULL)
""",
    ),
    Law(
        name="tombstone:has-digests",
        sentence="A tombstone keeps a keyed digest of every key that its account had.",
        about="account",
        query="""
SELECT t.id, NULL FROM provisioning_tombstone t
  JOIN provisioning_account a ON a.tenant_id = t.tenant_id AND a.id = t.id
 WHERE t.tenant_id = %(tenant)s
   AND (octet_length(t.user_name_digest) < 32
     OR (a.external_id IS NOT NULL AND t.external_id_digest IS NULL)
     OR (a.subject_value <> '' AND t.subject_digest IS NULL))
""",
    ),
    Law(
        name="tombstone:purged-holds-no-data",
        sentence="After its retention nothing of a deleted account is left but ids and digests.",
        about="account",
        query="""
SELECT a.id, NULL FROM provisioning_tombstone t
  JOIN provisioning_account a ON a.tenant_id = t.tenant_id AND a.id = t.id
 WHERE t.tenant_id = %(tenant)s AND t.purged_at IS NOT NULL
   AND (a.user_name <> '' OR a.external_id IS NOT NULL OR a.subject_value <> ''
     OR a.resource <> '{}'::jsonb OR a.assertion <> '{}'::jsonb)
""",
    ),
)

_GROUPS = (
    Law(
        name="membership:of-the-living",
        sentence="A member of a group is a live account of the group's connection.",
        about="account",
        query="""
SELECT m.account_id, m.group_id FROM provisioning_membership m
  LEFT JOIN provisioning_account a ON a.tenant_id = m.tenant_id AND a.id = m.account_id
  LEFT JOIN provisioning_directorygroup g ON g.tenant_id = m.tenant_id AND g.id = m.group_id
 WHERE m.tenant_id = %(tenant)s
   AND (a.id IS NULL OR g.id IS NULL OR a.deleted_at IS NOT NULL OR a.connection_id <> g.connection_id)
""",
    ),
    Law(
        name="entitlement:by-mapping-on-record",
        sentence="Whatever gives an entitlement was mapped by somebody whom the audit names.",
        about="mapping",
        query="""
SELECT m.id, m.entitlement_id FROM provisioning_entitlementmapping m
 WHERE m.tenant_id = %(tenant)s
   AND NOT EXISTS (SELECT FROM provisioning_auditrecord r WHERE r.tenant_id = m.tenant_id
                      AND r.object_id = m.id AND r.reason = 'entitlement:mapped')
UNION ALL
SELECT g.id, g.entitlement_id FROM provisioning_assertedgroup g
 WHERE g.tenant_id = %(tenant)s
   AND NOT EXISTS (SELECT FROM provisioning_auditrecord r WHERE r.tenant_id = g.tenant_id
                      AND r.object_id = g.id AND r.reason = 'entitlement:group-allowed')
""",
    ),
)

_RUNS = (
    Law(
        name="item:applied-on-record",
        sentence="What a run did to somebody stands in the audit under the run's id.",
        about="run",
        query="""
SELECT i.run_id, coalesce(i.account_id, i.identity_id) FROM provisioning_reconciliationitem i
 WHERE i.tenant_id = %(tenant)s AND i.status = 'applied'
   AND NOT EXISTS (
       SELECT FROM provisioning_auditrecord r
        WHERE r.tenant_id = i.tenant_id AND r.request_id = i.run_id::text AND r.verdict IN ('applied', 'pending')
          AND r.id = i.audit_id AND (r.account_id IS NULL OR r.account_id = i.account_id))
""",
    ),
    Law(
        name="item:inverse-on-record",
        sentence="What would take an item back names the audit row that holds the values from before.",
        about="run",
        query="""
SELECT i.run_id, coalesce(i.account_id, i.identity_id) FROM provisioning_reconciliationitem i
 CROSS JOIN jsonb_array_elements(i.inverse) AS line
 WHERE i.tenant_id = %(tenant)s
   AND NOT EXISTS (SELECT FROM provisioning_auditrecord r
                    WHERE r.tenant_id = i.tenant_id AND r.id = (line->>'audit_id')::bigint)
""",
    ),
    Law(
        name="item:done-once",
        sentence="A run did nothing to anybody more often than its items say.",
        about="run",
        query="""
WITH done AS (
    SELECT r.request_id, coalesce(r.account_id, r.identity_id) AS whom, r.reason, count(*) AS times
      FROM provisioning_auditrecord r JOIN provisioning_reconciliationrun run
        ON run.tenant_id = r.tenant_id AND run.id::text = r.request_id
     WHERE r.tenant_id = %(tenant)s AND r.channel = 'roster' AND r.verdict IN ('applied', 'pending')
       AND coalesce(r.account_id, r.identity_id) IS NOT NULL
     GROUP BY 1, 2, 3
), said AS (
    SELECT i.run_id::text AS request_id, coalesce(i.account_id, i.identity_id) AS whom, i.reason, count(*) AS times
      FROM provisioning_reconciliationitem i
     WHERE i.tenant_id = %(tenant)s AND i.status IN ('applied', 'undone')
     GROUP BY 1, 2, 3
)
SELECT done.request_id, done.whom FROM done LEFT JOIN said USING (request_id, whom, reason)
 WHERE done.times > coalesce(said.times, 0)
""",
    ),
    Law(
        name="item:planned-once",
        sentence="A run has one item for one thing that a check found.",
        about="run",
        query="""
SELECT i.run_id, min(coalesce(i.account_id, i.identity_id)::text) FROM provisioning_reconciliationitem i
  LEFT JOIN provisioning_tombstone t ON t.tenant_id = i.tenant_id AND t.id = i.account_id
 WHERE i.tenant_id = %(tenant)s AND i.status <> 'reported' AND coalesce(i.account_id, i.identity_id) IS NOT NULL
   AND t.purged_at IS NULL
 GROUP BY i.run_id, i.check_name, i.account_id, i.identity_id, i.row_id, i.evidence->>'group', i.evidence->>'says'
HAVING count(*) > 1
""",
    ),
    Law(
        name="run:done-left-nothing",
        sentence="A run that is done has nothing planned left.",
        about="run",
        query="""
SELECT DISTINCT r.id, NULL FROM provisioning_reconciliationrun r
  JOIN provisioning_reconciliationitem i ON i.tenant_id = r.tenant_id AND i.run_id = r.id
 WHERE r.tenant_id = %(tenant)s AND r.status = 'done' AND i.status = 'planned'
""",
    ),
)

_AUDIT = (
    Law(
        name="audit:made-each-account",
        sentence="Every account has the audit row of the decision that made it.",
        about="account",
        query="""
SELECT a.id, NULL FROM provisioning_account a
 WHERE a.tenant_id = %(tenant)s
   AND NOT EXISTS (SELECT FROM provisioning_auditrecord r
                    WHERE r.tenant_id = a.tenant_id AND r.account_id = a.id
                      AND r.changes @> '[{"change": "CreateAccount"}]')
""",
    ),
    Law(
        name="audit:made-each-identity",
        sentence="Every identity has the audit row of the decision, or of the act, that made it.",
        about="identity",
        query="""
SELECT i.id, NULL FROM provisioning_identity i
 WHERE i.tenant_id = %(tenant)s
   AND NOT EXISTS (SELECT FROM provisioning_auditrecord r
                    WHERE r.tenant_id = i.tenant_id AND r.identity_id = i.id
                      AND (r.reason = 'identity:local-created' OR r.changes @> '[{"change": "CreateIdentity"}]'))
""",
    ),
    Law(
        name="audit:placed-each-hold",
        sentence="Every hold has the audit row of the decision that placed it.",
        about="hold",
        query="""
SELECT h.id, h.identity_id FROM provisioning_hold h
 WHERE h.tenant_id = %(tenant)s
   AND NOT EXISTS (SELECT FROM provisioning_auditrecord r
                    WHERE r.tenant_id = h.tenant_id AND r.identity_id = h.identity_id AND r.at = h.placed_at
                      AND r.changes @> jsonb_build_array(jsonb_build_object(
                            'change', 'PlaceHold', 'kind', h.kind, 'identity_id', h.identity_id)))
   AND NOT EXISTS (SELECT FROM provisioning_auditrecord r
                    WHERE r.tenant_id = h.tenant_id AND r.account_id = h.source_account_id AND r.at = h.placed_at
                      AND r.changes @> jsonb_build_array(jsonb_build_object(
                            'change', 'PlaceHold', 'kind', h.kind, 'source_account_id', h.source_account_id)))
   AND NOT EXISTS (SELECT FROM provisioning_merge m JOIN provisioning_auditrecord r
                        ON r.tenant_id = m.tenant_id AND r.identity_id IN (m.winner_id, m.loser_id)
                    WHERE m.tenant_id = h.tenant_id AND r.at = h.placed_at
                      AND (r.reason = 'identity:unmerged' OR r.changes @> jsonb_build_array(jsonb_build_object(
                            'change', 'PlaceHold', 'kind', h.kind, 'identity_id', r.identity_id))))
""",
    ),
    Law(
        name="finding:about-what-exists",
        sentence="An open finding is about rows that are there, and names candidates that are there.",
        about="finding",
        query="""
SELECT f.id, NULL FROM provisioning_finding f
  LEFT JOIN provisioning_account a ON a.tenant_id = f.tenant_id AND a.id = f.account_id
  LEFT JOIN provisioning_identity i ON i.tenant_id = f.tenant_id AND i.id = f.identity_id
  LEFT JOIN provisioning_connection c ON c.tenant_id = f.tenant_id AND c.id = f.connection_id
  LEFT JOIN provisioning_tombstone t ON t.tenant_id = f.tenant_id AND t.id = f.account_id
 WHERE f.tenant_id = %(tenant)s AND f.status = 'open'
   AND ((f.account_id IS NOT NULL AND a.id IS NULL) OR (f.identity_id IS NOT NULL AND i.id IS NULL)
     OR (f.connection_id IS NOT NULL AND c.id IS NULL) OR t.purged_at IS NOT NULL
     OR EXISTS (SELECT FROM jsonb_array_elements_text(f.candidates) AS candidate
                 WHERE NOT EXISTS (SELECT FROM provisioning_identity i
                                    WHERE i.tenant_id = f.tenant_id AND i.id::text = candidate)))
""",
    ),
)

_PRIVILEGES = (
    Law(
        name="identity:privileges-on-record",
        sentence="Whoever is local has the privileges, and the protection, that the audit says it was made with.",
        about="identity",
        query="""
SELECT i.id, NULL FROM provisioning_identity i
 WHERE i.tenant_id = %(tenant)s AND i.local
   AND EXISTS (
       SELECT FROM provisioning_auditrecord r CROSS JOIN jsonb_array_elements(r.changes) AS c
        WHERE r.tenant_id = i.tenant_id AND r.identity_id = i.id AND r.reason = 'identity:local-created'
          AND c->>'change' = 'configuration'
          AND ((c->'fields') ? 'is_tenant_administrator' <> i.is_tenant_administrator
            OR (c->'fields') ? 'break_glass' <> i.break_glass))
""",
    ),
    Law(
        name="entitlement:privileges-on-record",
        sentence="An entitlement administers the tenant only if the audit says that it was made to.",
        about="entitlement",
        query="""
SELECT e.id, NULL FROM provisioning_auditrecord r
 CROSS JOIN jsonb_array_elements(r.changes) AS c
  JOIN provisioning_entitlement e ON e.tenant_id = r.tenant_id AND e.id = r.object_id
 WHERE r.tenant_id = %(tenant)s AND r.channel = 'admin' AND r.reason = 'entitlement:created'
   AND c->>'change' = 'configuration' AND (c->'fields') ? 'grants_staff' <> e.grants_staff
""",
    ),
)

LAWS: tuple[Law, ...] = (
    *_KEYS,
    *_DERIVED,
    *_LINKS,
    *_HOLDS,
    *_LOST,
    *_OVERRIDES,
    *_GRAVES,
    *_GROUPS,
    *_RUNS,
    *_AUDIT,
    *_PRIVILEGES,
)
"""Of every tenant."""

CATALOGUE: tuple[Law, ...] = (
    Law(
        name="audit:append-only",
        sentence="The database refuses to change or to empty the audit.",
        about="trigger",
        query="""
SELECT wanted.name, wanted.tab
  FROM (VALUES ('append_only_rows', 'provisioning_auditrecord'), ('append_only_table', 'provisioning_auditrecord'),
               ('append_only_rows', 'provisioning_auditvalue'), ('append_only_table', 'provisioning_auditvalue'))
       AS wanted (name, tab)
 WHERE NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = wanted.tab::regclass AND t.tgname = wanted.name
                      AND t.tgenabled IN ('O', 'A'))
""",
    ),
    Law(
        name="database:guards-stand",
        sentence="Every constraint that the code relies on is there and was checked against all rows.",
        about="constraint",
        query="""
SELECT wanted, NULL FROM unnest(%(guards)s::text[]) AS wanted
 WHERE NOT EXISTS (SELECT FROM pg_constraint WHERE conname = wanted AND convalidated)
   AND NOT EXISTS (SELECT FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid
                    WHERE c.relname = wanted AND x.indisunique AND x.indisvalid)
""",
    ),
)
"""Of the database alone: its catalogue is read, and no row."""

INSTALLATION: tuple[Law, ...] = (
    *CATALOGUE,
    Law(
        name="identity:superuser-of-no-tenant",
        sentence="An installation superuser is local and of no tenant, and nobody else is of none.",
        about="identity",
        query="""
SELECT id, tenant_id FROM provisioning_identity
 WHERE (is_superuser AND NOT (local AND tenant_id IS NULL)) OR (tenant_id IS NULL AND NOT is_superuser)
    OR (break_glass AND NOT local)
""",
    ),
)
"""Of the database, and of those who belong to no tenant."""


def violations(
    *, tenant_id: UUID | None, at: datetime, laws: Iterable[Law] | None = None
) -> Iterator[Violation]:
    """What breaks a tenant's laws, or with None the installation's. Streamed, law by law."""
    chosen = laws if laws is not None else INSTALLATION if tenant_id is None else LAWS
    parameters: dict[str, Any] = {"tenant": tenant_id, "at": at, "guards": _guards()}
    for law in chosen:
        with database.chunked_cursor() as cursor:
            cursor.execute(law.query, parameters)
            for found, beside, *columns in cursor:
                if law.breaks is not None and not law.breaks(*columns):
                    continue
                yield Violation(
                    law=law,
                    tenant_id=tenant_id,
                    id=str(found),
                    beside=None if beside is None else str(beside),
                )


@lru_cache(maxsize=1)
def _guards() -> list[str]:
    """The names of the models' constraints, and of those that keep a reference inside its tenant."""
    names: list[str] = []
    for model in apps.get_models():
        if model._meta.managed:
            names += [constraint.name for constraint in model._meta.constraints]
            names += [
                constraint_name(model._meta.db_table, field.column)
                for field in model._meta.local_fields
                if isinstance(field, TenantForeignKey)
            ]
    return names
