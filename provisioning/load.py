"""Gathers what is known about a batch of observations, in a number of statements that does not depend on its size.

Knows which keys find which rows; decides nothing. Everything is read under the locks that `locks` took, and rows
that a decision may change are locked too (identities first, then accounts, each by id).
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from django.db.models import Q

from identity_hub.core.pipeline import Answer
from provisioning import sql
from provisioning.decision.authority import profile_of_assertion, profile_of_resource
from provisioning.decision.deadlines import SETTLED
from provisioning.decision.keys import fold, other_skeleton, skeleton
from provisioning.decision.placeholders import is_nobodys
from provisioning.decision.policy import Policy
from provisioning.decision.reasons import FindingKind
from provisioning.decision.situations import KEPT_KEYS
from provisioning.decision.types import (
    MISSING,
    PROFILE_FIELDS,
    AccountFacts,
    Candidate,
    Channel,
    HoldFacts,
    HoldKind,
    IdentityFacts,
    Intent,
    Known,
    Observation,
    Origin,
    OverrideFacts,
    Profile,
    Rule,
    Subject,
    TombstoneFacts,
    case_of,
)
from provisioning.digests import Digests, digests_of, subject_text
from provisioning.models import Account, Distinction, Finding, Identity, Session
from provisioning.selectors import connections

FEW = 10
"""Observations whose keys are looked for by prepared statements."""

NOBODY = Known()
NO_DIGESTS: Digests = {"external_id": [], "subject": [], "user_name": []}
NO_POLICY = Policy()
"""For acts of an administrator that concern no connection."""


def email_keys(resource: Any, emails: Iterable[str]) -> list[str]:
    """What `Account.email_keys` holds: each e-mail in lower case."""
    keys = {fold(email) for email in emails if email}
    for entry in resource.get("emails") or ():
        if isinstance(entry, dict) and isinstance(entry.get("value"), str) and entry["value"]:
            keys.add(fold(entry["value"]))
    return sorted(keys)


@dataclass(slots=True)
class Loaded:
    """The facts of one batch, and how to look at them from one observation."""

    rules: connections.Rules
    accounts: dict[UUID, AccountFacts]
    identities: dict[UUID, IdentityFacts]
    graves: "list[Grave]"
    digests: dict[int, Digests]
    """What an observation's keys are digested to, by the identity (`id`) of the observation object."""
    candidates: dict[tuple[str, str], set[UUID]]
    """(`email`, `former`, `hr` or `alike`, value) -> identities of the tenant that answer to it."""
    holders: dict[tuple[UUID, str], UUID]
    rejected: "dict[UUID, list[Rejected]]"
    distinct: Mapping[UUID, frozenset[UUID]]
    """Where names look alike: identity -> those that a person has told apart from it."""
    asked: frozenset[tuple[str, UUID, str]]
    """Where a roster speaks: (finding kind, identity or account, `case_of` its evidence) that a person is asked about,
    or has answered."""
    switched_off: Counter[UUID] = field(default_factory=Counter)
    """Connection -> how many people this batch has switched off so far."""
    by: dict[tuple[str, UUID, str], AccountFacts] = field(default_factory=dict)
    """(kind of key, connection, value) -> live account."""
    held_by: dict[UUID, set[UUID]] = field(default_factory=lambda: defaultdict(set))
    """Account that placed a hold -> identities that it rests on."""
    empty: bool = False
    """Nothing at all answers: so it is while people are loaded for the first time."""

    def __post_init__(self) -> None:
        self.empty = not (self.accounts or self.identities or self.graves or self.candidates or self.holders)
        for identity in self.identities.values():
            for hold in identity.holds:
                if hold.source_account_id is not None:
                    self.held_by[hold.source_account_id].add(identity.id)
        for facts in self.accounts.values():
            where = facts.connection_id
            self.by["user_name", where, fold(facts.user_name)] = facts
            if facts.external_id is not None:
                self.by["external_id", where, facts.external_id] = facts
            if facts.asserted_key is not None and not facts.confirmed:
                self.by["asserted_key", where, facts.asserted_key] = facts
            if facts.subject is not None:
                self.by["subject", where, subject_text(facts.subject)] = facts

    def forget(self, keys: Iterable[tuple[str, ...]]) -> None:
        """Names and keys of a connection (kind, connection, value) that nobody answers to any more."""
        for kind, connection, value in keys:
            self.by.pop((kind, UUID(connection), value), None)

    def policy(self, observation: Observation) -> Policy:
        if observation.connection_id is None:
            return NO_POLICY
        policy = self.rules.policies[observation.connection_id]
        if policy.deactivations_left is not None and (spent := self.switched_off[observation.connection_id]):
            policy = replace(policy, deactivations_left=policy.deactivations_left - spent)
        return policy

    def known(self, observation: Observation) -> Known:
        """What the decision core may know about one observation."""
        if self.empty:
            return NOBODY
        where = observation.connection_id
        addressed = self.accounts.get(observation.account_id) if observation.account_id else None
        if addressed is not None and where is not None and addressed.connection_id != where:
            addressed = None
        found: dict[str, AccountFacts | None] = {}
        hits: set[UUID] = set()
        if where is not None:
            subject = observation.subject
            persistent = subject.value if subject is not None and subject.is_key else None
            names = observation.login_names if _is_login(observation) else (observation.user_name,)
            named = [f for name in names if name and (f := self.by.get(("user_name", where, fold(name))))]
            hits = {facts.id for facts in named}
            key = observation.external_id
            asserted = [k for k in (key, persistent) if k and not is_nobodys(k)]
            found = {
                "by_external_id": self.by.get(("external_id", where, key)) if key else None,
                "by_asserted_key": next(
                    (f for k in asserted if (f := self.by.get(("asserted_key", where, k)))), None
                ),
                "by_subject": self.by.get(("subject", where, subject_text(subject)))
                if subject is not None and subject.is_key
                else None,
                "by_user_name": named[0] if named else None,
                "by_subject_as_external_id": self.by.get(("external_id", where, persistent))
                if persistent
                else None,
                "name_holder": self.by.get(("user_name", where, fold(observation.user_name)))
                if _is_login(observation)
                else None,
            }
        candidates = self._candidates(observation, addressed)
        tombstones = self._tombstones(observation, {candidate.identity.id for candidate in candidates})
        concerned = {facts.identity_id for facts in (addressed, *found.values()) if facts is not None}
        concerned |= {grave.identity_id for grave in tombstones}
        concerned |= {candidate.identity.id for candidate in candidates}
        concerned |= {observation.target_identity_id, observation.former_identity_id}
        concerned |= {line.identity_id for line in observation.taken_back}
        sources = {facts.id for facts in (addressed, *found.values()) if facts is not None}
        sources |= {grave.account_id for grave in tombstones}
        concerned |= {held for source in sources for held in self.held_by.get(source, ())}
        answering = addressed or found.get("by_external_id") or found.get("by_asserted_key")
        answering = answering or found.get("by_user_name")
        told = self._remembered(answering, tombstones)
        apart = frozenset(one.identity_id for one in told if one.kind in NOT_THE_SAME)
        if self.distinct and answering is not None and answering.identity_id is not None:
            apart |= self.distinct.get(answering.identity_id, frozenset())
        return Known(
            addressed=addressed,
            **found,
            holders={
                key: holder
                for key in observation.unique_keys
                if where is not None and (holder := self.holders.get((where, key)))
            },
            name_hits=len(hits),
            tombstones=tombstones,
            candidates=candidates,
            identities={key: self.identities[key] for key in concerned if key in self.identities},
            remembered=self.asked
            if observation.as_of is not None
            else frozenset((one.kind, one.identity_id, one.case) for one in told),
            apart=apart,
            carried=frozenset(kind for one in told for kind in one.carried),
        )

    def _remembered(
        self, answering: AccountFacts | None, tombstones: tuple[TombstoneFacts, ...]
    ) -> "list[Rejected]":
        """What a person has decided about the account that answers, or about the one that had its keys before."""
        if not self.rejected:
            return []
        ids = [answering.id] if answering else [t.account_id for t in tombstones if t.matched & KEPT_KEYS]
        return [one for key in ids for one in self.rejected.get(key, ())]

    def _tombstones(self, observation: Observation, asked_about: set[UUID]) -> tuple[TombstoneFacts, ...]:
        if not self.graves:
            return ()
        wanted = self.digests[id(observation)] if _asks_for_tombstones(observation) else NO_DIGESTS
        graves = []
        for grave in self.graves:
            if grave.connection_id != observation.connection_id:
                continue
            matched = {
                name
                for name in ("external_id", "subject", "user_name")
                if (value := getattr(grave, name)) is not None and bytes(value) in wanted[name]
            }
            if matched or grave.identity_id in asked_about:
                graves.append(
                    TombstoneFacts(
                        account_id=grave.account_id,
                        connection_id=grave.connection_id,
                        identity_id=grave.identity_id,
                        matched=frozenset(matched),
                        deleted_at=grave.deleted_at,
                    )
                )
        return tuple(sorted(graves, key=lambda grave: grave.deleted_at, reverse=True))

    def _candidates(self, observation: Observation, addressed: AccountFacts | None) -> tuple[Candidate, ...]:
        rules: dict[UUID, set[Rule]] = {}
        for name in _names(observation):
            for identity_id in self.candidates.get(("alike", skeleton(name)), ()):
                rules[identity_id] = set()
        if _asks_for_candidates(observation, addressed):
            self._by_rule(observation, addressed, rules)
        found = [
            Candidate(identity=self.identities[identity_id], rules=tuple(sorted(which)))
            for identity_id, which in rules.items()
            if identity_id in self.identities
        ]
        return tuple(sorted(found, key=lambda one: (not one.rules, one.rules, one.identity.id)))

    def _by_rule(
        self, observation: Observation, addressed: AccountFacts | None, rules: dict[UUID, set[Rule]]
    ) -> None:
        """Adds who answers by a rule, with the rules."""
        emails = observation.emails or (addressed.emails if addressed else ())
        hr_number = observation.profile.hr_number
        if not hr_number and addressed is not None:
            hr_number = _hr_number(addressed)
        for identity_id in self.candidates.get(("hr", hr_number), ()) if hr_number else ():
            rules.setdefault(identity_id, set()).add(Rule.HR_NUMBER)
        for email in emails:
            for identity_id in self.candidates.get(("email", fold(email)), ()):
                # What an e-mail is worth depends on the connection's domains, which the decision looks at.
                rules.setdefault(identity_id, set()).add(Rule.OTHER_EMAIL)
        if _is_login(observation):
            # Row 21: a former name lets nobody in, and makes no second person of somebody who was renamed.
            for name in _names_and_emails(observation):
                for identity_id in self.candidates.get(("former", name), ()):
                    rules.setdefault(identity_id, set()).add(Rule.USER_NAME)


def _is_login(observation: Observation) -> bool:
    return observation.intent is Intent.AUTHENTICATE


def _names(observation: Observation) -> list[str]:
    return [name for name in (observation.user_name, *observation.login_names) if name]


def _names_and_emails(observation: Observation) -> set[str]:
    said = {observation.user_name, *observation.login_names, *observation.emails}
    return {fold(name) for name in said if name}


def _hr_number(facts: AccountFacts) -> str:
    return profile_of_resource(facts.resource).hr_number or profile_of_assertion(facts.assertion).hr_number


def _asks_for_candidates(observation: Observation, addressed: AccountFacts | None) -> bool:
    """A new account, or one that waits for its link."""
    if (
        observation.intent in (Intent.CREATE, Intent.AUTHENTICATE)
        and observation.channel is not Channel.ADMIN
    ):
        return True
    return addressed is not None and addressed.identity_id is None


def _asks_for_sessions(observation: Observation) -> bool:
    return observation.channel is Channel.ROSTER and observation.target_identity_id is not None


def _asks_for_tombstones(observation: Observation) -> bool:
    if observation.as_of is not None:
        return observation.intent is Intent.CREATE
    return observation.intent in (Intent.CREATE, Intent.AUTHENTICATE, Intent.UPDATE)


def _probes(columns: str, table: str, keys: str, condition: str, afterwards: str = "true") -> str:
    """Rows of the tenant that answer to keys, by one probe of an index for each key (OFFSET keeps it so).

    With the keys as a list, or the tenant beside them, the planner goes by its statistics. While a connection is being
    filled they say that it is empty, or nothing at all: reading all of it, for every batch, then seems cheaper. For the
    same reason a condition names nothing that another index holds, or is partial to; `afterwards` does.
    """
    return (
        f"SELECT {columns} FROM {keys} CROSS JOIN LATERAL "  # noqa: S608 - constants below
        f"(SELECT * FROM {table} WHERE {condition} OFFSET 0) found "
        f"WHERE found.tenant_id = %(tenant)s AND {afterwards}"
    )


def _keyed(names: Sequence[str]) -> str:
    """`connection_id = c.connection_id` and of each name `name = k.name`, as only an index that begins with the names
    and goes on with the connection can serve it: as a bound of the whole key."""
    held = ", ".join([*names, "connection_id"])
    wanted = ", ".join([*(f"k.{name}" for name in names), "c.connection_id"])
    equal = " AND ".join(f"{name} = k.{name}" for name in names)
    return f"{equal} AND ({held}) >= ({wanted}) AND ({held}) <= ({wanted}) AND deleted_at IS NULL"


# A key of one connection is looked for in the others of the batch, too; what it finds there answers to nobody.
_EACH = "unnest(%(connections)s::uuid[]) AS c (connection_id) CROSS JOIN "

_EVERYWHERE = (
    " CROSS JOIN (SELECT id AS connection_id FROM provisioning_connection WHERE tenant_id = %(tenant)s) AS c"
)

# A name that looks like another is the skeleton of that one, or has the same skeleton. The last column says of whom one
# does so; nearly nobody does, and the index of skeletons is nearly empty.
_MATCHES = " UNION ".join(
    _probes(
        f"found.id, found.identity_id, found.version, {alike}",
        "provisioning_account",
        keys,
        condition,
        f"found.deleted_at IS NULL{afterwards}",
    )
    for keys, condition, afterwards, alike in (
        ("unnest(%(ids)s::uuid[]) AS k (value)", "id = k.value", "", "''"),
        (
            _EACH + "unnest(%(external_ids)s::text[]) AS k (external_id)",
            _keyed(["external_id"]) + " AND external_id IS NOT NULL",
            "",
            "''",
        ),
        (
            _EACH + "unnest(%(external_ids)s::text[]) AS k (asserted_key)",
            _keyed(["asserted_key"]) + " AND asserted_key IS NOT NULL",
            " AND found.confirmed_at IS NULL",
            "''",
        ),
        (
            _EACH + "unnest(%(names)s::text[]) AS k (user_name_key)",
            _keyed(["user_name_key"]),
            "",
            "''",
        ),
        (
            _EACH + "unnest(%(subjects)s::text[], %(issuers)s::text[]) AS k (subject_value, subject_issuer)",
            _keyed(["subject_value", "subject_issuer"]) + " AND subject_value <> ''",
            "",
            "''",
        ),
        (
            "unnest(%(other_skeletons)s::text[]) AS k (user_name_key)" + _EVERYWHERE,
            _keyed(["user_name_key"]),
            " AND found.identity_id IS NOT NULL",
            "k.user_name_key",
        ),
        (
            "unnest(%(skeletons)s::text[]) AS k (value)",
            "user_name_skeleton = k.value AND user_name_skeleton <> '' AND deleted_at IS NULL",
            " AND found.identity_id IS NOT NULL",
            "k.value",
        ),
    )
)

_CANDIDATES = " UNION ".join(
    (
        _probes(
            "'email', k.value, found.identity_id",
            "provisioning_account",
            "unnest(%(emails)s::varchar[]) AS k (value)",
            "email_keys @> ARRAY[k.value]",
            "found.deleted_at IS NULL AND found.identity_id IS NOT NULL",
        ),
        _probes(
            "'email', k.value, found.id",
            "provisioning_identity",
            "unnest(%(emails)s::varchar[]) AS k (value)",
            "email_key = k.value",
            "found.merged_into_id IS NULL",
        ),
        """
        SELECT 'former', value_key, identity_id FROM provisioning_alias
         WHERE tenant_id = %(tenant)s AND value_key = ANY(%(names)s::text[]) AND kind <> 'external_id'
           AND identity_id IS NOT NULL
        """,
        """
        SELECT 'hr', hr_number, id FROM provisioning_identity
         WHERE tenant_id = %(tenant)s AND hr_number = ANY(%(hr_numbers)s::text[]) AND hr_number <> ''
           AND merged_into_id IS NULL
        """,
    )
)

_HOLDERS = _probes(
    "k.connection_id, k.value, found.id",
    "provisioning_account",
    "unnest(%(connections)s::uuid[], %(keys)s::varchar[]) AS k (connection_id, value)",
    "unique_keys @> ARRAY[k.value] AND unique_keys <> '{}'",
    "found.connection_id = k.connection_id AND found.deleted_at IS NULL",
)


def _matches(tenant_id: UUID, observations: Sequence[Observation]) -> Answer:
    """(account, identity, version, nothing) of the live accounts that answer to a key, and those of people whose name
    looks like one that is said, with its skeleton last."""
    external: set[str] = set()
    names: set[str] = set()
    skeletons: set[str] = set()
    other_skeletons: set[str] = set()
    subjects: set[Subject] = set()
    for o in observations:
        if o.external_id:
            external.add(o.external_id)
        if o.subject is not None and o.subject.is_key:
            external.add(o.subject.value)
            subjects.add(o.subject)
        said = _names(o)
        names.update(map(fold, said))
        skeletons.update(map(skeleton, said))
        other_skeletons.update(filter(None, map(other_skeleton, said)))
    return sql.ask(
        _MATCHES,
        {
            "tenant": tenant_id,
            "connections": list({o.connection_id for o in observations if o.connection_id is not None}),
            "ids": [o.account_id for o in observations if o.account_id is not None],
            "external_ids": sql.array(external),
            "names": sql.array(names),
            "skeletons": sql.array(skeletons),
            "other_skeletons": sql.array(other_skeletons),
            "issuers": list({subject.issuer for subject in subjects}),
            "subjects": [subject.value for subject in subjects],
        },
        prepared=len(observations) <= FEW,
    )


def _holders(tenant_id: UUID, observations: Sequence[Observation]) -> dict[tuple[UUID, str], UUID]:
    """(connection, unique key) -> the live account that has it."""
    asked = [(o.connection_id, key) for o in observations if o.connection_id for key in o.unique_keys]
    if not asked:
        return {}
    found = sql.rows(
        _HOLDERS,
        {"tenant": tenant_id, "connections": [c for c, _ in asked], "keys": [k for _, k in asked]},
    )
    return {(connection_id, key): account_id for connection_id, key, account_id in found}


_ACCOUNTS = """
SELECT a.id, a.connection_id, a.identity_id, a.origin, a.confirmed_at, a.active, a.version, a.user_name, a.external_id,
       a.asserted_key, a.subject_issuer, a.subject_format, a.subject_value, a.email_keys, a.resource, a.assertion,
       c.precedence, a.created_at, a.last_login_at, a.updated_at, a.as_of, a.lifecycle_owner,
       a.spoken_at
  FROM provisioning_account a
  JOIN provisioning_connection c ON c.tenant_id = a.tenant_id AND c.id = a.connection_id
 WHERE a.tenant_id = %s AND a.deleted_at IS NULL AND (a.id = ANY(%s::uuid[]) OR a.identity_id = ANY(%s::uuid[]))
 ORDER BY a.id
"""


_ACCOUNTS_LOCKED = _ACCOUNTS + "FOR NO KEY UPDATE OF a"

# Calling an enumeration takes ten times as long.
_ORIGINS = {origin.value: origin for origin in Origin}


def _facts(row: tuple[Any, ...]) -> AccountFacts:
    issuer, format_, subject = row[10:13]
    return AccountFacts(
        id=row[0],
        connection_id=row[1],
        identity_id=row[2],
        origin=_ORIGINS[row[3]],
        confirmed=row[4] is not None,
        active=row[5],
        version=row[6],
        user_name=row[7],
        external_id=row[8],
        asserted_key=row[9],
        subject=Subject(issuer=issuer, format=format_, value=subject) if subject else None,
        emails=tuple(row[13]),
        resource=orjson.loads(row[14]),
        assertion=orjson.loads(row[15]),
        precedence=row[16],
        created_at=row[17],
        last_login_at=row[18],
        updated_at=row[19],
        as_of=row[20],
        lifecycle_owner=_ORIGINS[row[21]],
        spoken_at=row[22],
    )


def _accounts(
    tenant_id: UUID, ids: set[UUID], identity_ids: set[UUID], lock: bool
) -> Callable[[], dict[UUID, AccountFacts]]:
    if not ids and not identity_ids:
        return dict
    answer = sql.ask(_ACCOUNTS_LOCKED if lock else _ACCOUNTS, (tenant_id, list(ids), list(identity_ids)))
    return lambda: {row[0]: _facts(row) for row in answer.rows()}


# A hold may rest on somebody who is no longer, or was never, linked to the account that placed it.
_IDENTITIES = f"""
SELECT id, break_glass OR kind = '{Identity.Kind.SERVICE}', local, email_changed_at, merged_into_id, kept_from_runs,
       email_key, {", ".join(PROFILE_FIELDS)}
  FROM provisioning_identity
 WHERE tenant_id = %(tenant)s AND id = ANY(ARRAY(
           SELECT unnest(%(ids)s::uuid[])
           UNION
           SELECT identity_id FROM provisioning_hold
            WHERE tenant_id = %(tenant)s AND source_account_id = ANY(%(sources)s::uuid[])))
 ORDER BY id
"""  # noqa: S608 - constants of the model
_IDENTITIES_LOCKED = _IDENTITIES + "FOR NO KEY UPDATE"
_MERGED_INTO = 4
# Overrides beside holds, in a statement of its own after the one that locks: one that waited for its lock answers with
# the newest identity, and with what else there was when it began to wait.
_HOLDS_AND_OVERRIDES = """
SELECT identity_id, kind, source_account_id, reason, NULL, NULL FROM provisioning_hold
 WHERE tenant_id = %(tenant)s AND identity_id = ANY(%(ids)s::uuid[])
 UNION ALL
SELECT identity_id, attribute, id, value, instead_of, until FROM provisioning_override
 WHERE tenant_id = %(tenant)s AND identity_id = ANY(%(ids)s::uuid[]) AND ended_at IS NULL
"""


class _People(NamedTuple):
    """Rows of identities, the accounts that are theirs or were asked for, the holds on them and their overrides."""

    rows: list[tuple[Any, ...]]
    accounts: dict[UUID, AccountFacts]
    laid_on: list[tuple[Any, ...]]


def _people(
    tenant_id: UUID, account_ids: set[UUID], identity_ids: set[UUID], sources: set[UUID], lock: bool
) -> _People:
    if not identity_ids and not sources:
        return _People([], {}, [])
    answer = sql.ask(
        _IDENTITIES_LOCKED if lock else _IDENTITIES,
        {"tenant": tenant_id, "ids": sql.ids(identity_ids), "sources": sql.ids(sources)},
    )
    accounts = _accounts(tenant_id, account_ids, identity_ids, lock)
    laid_on = _laid_on(tenant_id, identity_ids)
    rows = answer.rows()
    if held := {row[0] for row in rows} - identity_ids:
        accounts = _accounts(tenant_id, account_ids, identity_ids | held, lock)
        laid_on = _laid_on(tenant_id, identity_ids | held)
    return _People(rows, accounts(), laid_on.rows())


def _laid_on(tenant_id: UUID, identity_ids: set[UUID]) -> Answer:
    return sql.ask(_HOLDS_AND_OVERRIDES, {"tenant": tenant_id, "ids": list(identity_ids)})


def _identities(
    tenant_id: UUID, people: _People, at: datetime, sessions_at: datetime | None
) -> dict[UUID, IdentityFacts]:
    rows, accounts = people.rows, people.accounts
    if not rows:
        return {}
    ids = [row[0] for row in rows]
    holds: dict[UUID, list[HoldFacts]] = defaultdict(list)
    overrides: dict[UUID, list[OverrideFacts]] = {}
    for identity_id, what, key, value, instead_of, until in people.laid_on:
        if until is None:
            holds[identity_id].append(
                HoldFacts(kind=HoldKind(what), source_account_id=key, as_missing=value == MISSING)
            )
            continue
        overrides.setdefault(identity_id, []).append(
            OverrideFacts(id=key, attribute=what, value=value, instead_of=instead_of, over=until <= at)
        )
    other_email = {key for key, own in overrides.items() if any(one.attribute == "email" for one in own)}
    accounts_of: dict[UUID, list[AccountFacts]] = defaultdict(list)
    for facts in accounts.values():
        if facts.identity_id is not None:
            accounts_of[facts.identity_id].append(facts)
    signed_in: set[UUID] = set()
    if sessions_at is not None:
        signed_in = set(
            Session.objects.filter(
                tenant_id=tenant_id, identity_id__in=ids, expire_date__gt=sessions_at
            ).values_list("identity_id", flat=True)
        )
    return {
        identity_id: IdentityFacts(
            id=identity_id,
            protected=protected,
            local=local,
            profile=Profile(**dict(zip(PROFILE_FIELDS, profile, strict=True))),
            holds=tuple(holds[identity_id]),
            accounts=tuple(accounts_of[identity_id]),
            email_changed_at=email_changed_at,
            live_sessions=identity_id in signed_in,
            merged_into=merged_into,
            kept_from_runs=kept_from_runs,
            overrides=tuple(overrides.get(identity_id, ())),
            said_email=email_key if identity_id in other_email else None,
        )
        for identity_id, protected, local, email_changed_at, merged_into, kept_from_runs, email_key, *profile in rows
    }


class Grave(NamedTuple):
    """A tombstone's keys."""

    account_id: UUID
    connection_id: UUID
    identity_id: UUID | None
    external_id: bytes | None
    subject: bytes | None
    user_name: bytes
    deleted_at: datetime


_COLUMNS_OF_GRAVES = (
    "id",
    "connection_id",
    "identity_id",
    "external_id_digest",
    "subject_digest",
    "user_name_digest",
    "deleted_at",
)
_GRAVES = " UNION ".join(
    _probes(
        f"found.{', found.'.join(_COLUMNS_OF_GRAVES)}",
        "provisioning_tombstone",
        f"unnest(%({keys})s::{kind}[]) AS k (value)",
        f"{column} = k.value",
        "found.connection_id = ANY(%(connections)s::uuid[])",
    )
    for keys, kind, column in (
        ("external_id", "bytea", "external_id_digest"),
        ("subject", "bytea", "subject_digest"),
        ("user_name", "bytea", "user_name_digest"),
        ("identities", "uuid", "identity_id"),
    )
)


def _graves(
    tenant_id: UUID, asked: Sequence[Digests], connection_ids: set[UUID], candidates: set[UUID]
) -> list[Grave]:
    """Those that answer to a key, and those of the identities in question: another key there is a veto."""
    digests = {name: [value for one in asked for value in one[name]] for name in NO_DIGESTS}
    if not any(digests.values()):
        return []
    found = sql.rows(
        _GRAVES,
        {
            "tenant": tenant_id,
            "connections": list(connection_ids),
            "identities": sql.ids(candidates),
            **{name: sql.array(values) for name, values in digests.items()},
        },
        prepared=len(asked) <= FEW,
    )
    return [Grave(*row) for row in found]


def load(
    tenant_id: UUID, observations: Sequence[Observation], *, lock: bool = True, again: bool = False
) -> Loaded:
    """What is known about a batch of one tenant. With `lock`, to be called inside a transaction."""
    connection_ids = {o.connection_id for o in observations if o.connection_id is not None}
    ruled = connection_ids | _merging(tenant_id, observations)
    # Asked together, read after.
    ruling = connections.ask_rules(tenant_id, ruled, at=observations[0].at)
    found = _matches(tenant_id, observations).rows()
    rules = ruling()
    matches = [row for row in found if not row[-1]]
    alike = [(said, identity_id) for _, identity_id, _, said in found if said]
    account_ids = {account_id for account_id, _, _, _ in matches}
    identity_ids = {identity_id for _, identity_id, _, _ in matches if identity_id is not None}
    named = {key for o in observations for key in (o.target_identity_id, o.former_identity_id) if key}
    named |= {line.identity_id for o in observations for line in o.taken_back if line.identity_id}
    identity_ids |= named
    waiting = {account_id for account_id, identity_id, _, _ in matches if identity_id is None}

    distinct = _distinct(tenant_id, identity_ids, {identity_id for _, identity_id in alike})
    candidates = _candidates(tenant_id, observations, account_ids, waiting)
    for said, identity_id in alike:
        candidates["alike", said].add(identity_id)
    identity_ids |= {identity_id for found in candidates.values() for identity_id in found}
    digests = {id(o): digests_of(o, rules.digest_key) for o in observations}
    asking = [digests[id(o)] for o in observations if _asks_for_tombstones(o)]
    graves = _graves(tenant_id, asking, connection_ids, identity_ids)
    identity_ids |= {grave.identity_id for grave in graves if grave.identity_id is not None}
    sources = account_ids | {grave.account_id for grave in graves}
    people = _people(tenant_id, account_ids, identity_ids, sources, lock)
    identity_ids |= {row[0] for row in people.rows}
    if not again and any(row[_MERGED_INTO] and row[0] not in named for row in people.rows):
        # Merged into another one between the two reads, which answers to all that it answered to.
        return load(tenant_id, observations, lock=lock, again=True)
    accounts = people.accounts
    if any(f.identity_id is not None and f.identity_id not in identity_ids for f in accounts.values()):
        # Linked by somebody else between the two reads; under the row lock it cannot happen again.
        return load(tenant_id, observations, lock=lock)
    if any(key not in accounts or accounts[key].version != version for key, _, version, _ in matches):
        # Deleted or renamed meanwhile: taken for nobody, a leaver would sign in as somebody new.
        return load(tenant_id, observations, lock=lock)
    identities = _identities(
        tenant_id,
        people,
        at=observations[0].at,
        sessions_at=next((o.at for o in observations if _asks_for_sessions(o)), None),
    )
    return Loaded(
        rules=rules,
        accounts=accounts,
        identities=identities,
        graves=graves,
        digests=digests,
        candidates=candidates,
        holders=_holders(tenant_id, observations),
        rejected=_rejected(tenant_id, waiting | {grave.account_id for grave in graves}),
        distinct=distinct,
        asked=_asked(tenant_id, observations, sources, identity_ids),
    )


def _distinct(tenant_id: UUID, these: set[UUID], alike: set[UUID]) -> dict[UUID, frozenset[UUID]]:
    """Of these identities, whom a person has told apart from them among those that look alike."""
    told: dict[UUID, set[UUID]] = defaultdict(set)
    if these and alike:
        for one, other in Distinction.objects.filter(
            Q(one__in=these, other__in=alike) | Q(one__in=alike, other__in=these), tenant_id=tenant_id
        ).values_list("one_id", "other_id"):
            told[one].add(other)
            told[other].add(one)
    return {identity_id: frozenset(others) for identity_id, others in told.items()}


def _merging(tenant_id: UUID, observations: Sequence[Observation]) -> set[UUID]:
    """A merge is of no connection, but it may end an account of one."""
    ids = [
        key
        for o in observations
        if o.intent is Intent.MERGE
        for key in (o.target_identity_id, o.former_identity_id)
    ]
    if not ids:
        return set()
    live = Account.objects.filter(tenant_id=tenant_id, identity_id__in=ids, deleted_at__isnull=True)
    return set(live.values_list("connection_id", flat=True))


def _candidates(
    tenant_id: UUID, observations: Sequence[Observation], account_ids: set[UUID], waiting: set[UUID]
) -> dict[tuple[str, str], set[UUID]]:
    """(kind of key, value) -> identities that answer to it, for whoever may be somebody known already."""
    undecided = [
        o
        for o in observations
        if o.intent in (Intent.CREATE, Intent.AUTHENTICATE)
        and o.channel is not Channel.ADMIN
        and not (account_ids and len(observations) == 1 and _is_login(o))
    ]
    emails = {fold(email) for o in undecided for email in o.emails}
    hr_numbers = {o.profile.hr_number for o in undecided if o.profile.hr_number}
    for facts in _accounts(tenant_id, waiting, set(), lock=False)().values():
        emails |= set(facts.emails)
        if number := _hr_number(facts):
            hr_numbers.add(number)
    names = {name for o in undecided if _is_login(o) for name in _names_and_emails(o)}
    candidates: dict[tuple[str, str], set[UUID]] = defaultdict(set)
    if emails or hr_numbers or names:
        asked = {
            "tenant": tenant_id,
            "emails": sql.array(emails),
            "names": sql.array(names),
            "hr_numbers": sql.array(hr_numbers),
        }
        for kind, value, identity_id in sql.rows(_CANDIDATES, asked, prepared=len(observations) <= FEW):
            candidates[kind, value].add(identity_id)
    return candidates


NOT_THE_SAME = frozenset(
    {FindingKind.KEPT_APART, FindingKind.WEAK_MATCH, FindingKind.DISPUTED, FindingKind.LOOK_ALIKE}
)
"""Kinds of findings that ask whose an account is: whoever rejects one says that it is none of the candidates'."""


class Rejected(NamedTuple):
    """One answer of a person about one account and one identity."""

    kind: str
    identity_id: UUID
    case: str
    carried: tuple[HoldKind, ...]


def _rejected(tenant_id: UUID, account_ids: set[UUID]) -> dict[UUID, list[Rejected]]:
    rejected: dict[UUID, list[Rejected]] = defaultdict(list)
    if account_ids:
        for account_id, kind, names, evidence in Finding.objects.filter(
            tenant_id=tenant_id, account_id__in=account_ids, status=Finding.Status.REJECTED
        ).values_list("account_id", "kind", "candidates", "evidence"):
            carried = (
                tuple(map(HoldKind, evidence.get("carried", ()))) if kind == FindingKind.KEPT_APART else ()
            )
            rejected[account_id] += [Rejected(kind, UUID(name), case_of(evidence), carried) for name in names]
    return rejected


# Of what was dealt with a while ago it is asked again; so it is where SCIM has opened and closed somebody since.
_STANDS = f"""status <> 'obsolete' AND NOT (status = 'approved' AND (
    decided_at <= %(settled)s OR kind = '{FindingKind.STATE_CONFLICT.value}' AND EXISTS (
        SELECT FROM provisioning_hold h
         WHERE h.tenant_id = f.tenant_id AND h.identity_id = f.identity_id AND h.source_account_id = f.account_id
           AND h.placed_at > f.decided_at)))"""
_ASKED = f"""
SELECT kind, identity_id, account_id, evidence FROM provisioning_finding f
 WHERE tenant_id = %(tenant)s AND identity_id = ANY(%(identities)s::uuid[]) AND {_STANDS}
 UNION ALL
SELECT kind, identity_id, account_id, evidence FROM provisioning_finding f
 WHERE tenant_id = %(tenant)s AND account_id = ANY(%(accounts)s::uuid[]) AND identity_id IS NULL AND {_STANDS}
"""  # noqa: S608 - what is put in is written above


def _asked(
    tenant_id: UUID, observations: Sequence[Observation], account_ids: set[UUID], identity_ids: set[UUID]
) -> frozenset[tuple[str, UUID, str]]:
    """What need not be asked again: a roster says the same every night."""
    if all(o.as_of is None for o in observations):
        return frozenset()
    found = sql.rows(
        _ASKED,
        {
            "tenant": tenant_id,
            "identities": sql.ids(identity_ids),
            "accounts": sql.ids(account_ids),
            "settled": min(o.at for o in observations) - SETTLED,
        },
    )
    return frozenset(
        (kind, identity_id or account_id, case_of(orjson.loads(evidence)))
        for kind, identity_id, account_id, evidence in found
    )
