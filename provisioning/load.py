"""Gathers what is known about a batch of observations, in a number of statements that does not depend on its size.

Knows which keys find which rows; decides nothing. Everything is read under the locks that `locks` took, and rows
that a decision may change are locked too (identities first, then accounts, each by id).
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection as database
from django.db.models import F, Q

from provisioning.decision.authority import profile_of_assertion, profile_of_resource
from provisioning.decision.keys import fold
from provisioning.decision.policy import Policy
from provisioning.decision.types import (
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
    Profile,
    Rule,
    Subject,
    TombstoneFacts,
)
from provisioning.digests import keyed
from provisioning.models import Account, Finding, Hold, Identity, Session, Tombstone
from provisioning.selectors import connections

NO_POLICY = Policy()
"""For acts of an administrator that concern no connection."""


def email_keys(resource: Any, emails: Iterable[str]) -> list[str]:
    """What `Account.email_keys` holds: each e-mail in lower case, and as `type:value` where it has a type."""
    keys = {fold(email) for email in emails if email}
    for entry in resource.get("emails") or ():
        if isinstance(entry, dict) and isinstance(entry.get("value"), str) and entry["value"]:
            keys.add(fold(entry["value"]))
            if isinstance(entry.get("type"), str):
                keys.add(f"{fold(entry['type'])}:{fold(entry['value'])}")
    return sorted(keys)


def plain_emails(keys: Iterable[str]) -> tuple[str, ...]:
    return tuple(key for key in keys if ":" not in key.partition("@")[0])


@dataclass(slots=True)
class Loaded:
    """The facts of one batch, and how to look at them from one observation."""

    rules: connections.Rules
    accounts: dict[UUID, AccountFacts]
    identities: dict[UUID, IdentityFacts]
    tombstones: list[Tombstone]
    candidates: dict[tuple[str, str], set[UUID]]
    """(`email` or `hr`, value) -> identities of the tenant that answer to it."""
    rejected: dict[UUID, list[tuple[str, UUID]]]
    by: dict[tuple[str, UUID, str], AccountFacts] = field(default_factory=dict)
    """(kind of key, connection, value) -> live account."""

    def __post_init__(self) -> None:
        for facts in self.accounts.values():
            where = facts.connection_id
            self.by["user_name", where, fold(facts.user_name)] = facts
            if facts.external_id is not None:
                self.by["external_id", where, facts.external_id] = facts
            if facts.asserted_key is not None and not facts.confirmed:
                self.by["asserted_key", where, facts.asserted_key] = facts
            if facts.subject is not None:
                self.by["subject", where, _subject_text(facts.subject)] = facts

    def policy(self, observation: Observation) -> Policy:
        if observation.connection_id is None:
            return NO_POLICY
        return self.rules.policies[observation.connection_id]

    def known(self, observation: Observation) -> Known:
        """What the decision core may know about one observation."""
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
            asserted = [k for k in (key, persistent) if k]
            found = {
                "by_external_id": self.by.get(("external_id", where, key)) if key else None,
                "by_asserted_key": next(
                    (f for k in asserted if (f := self.by.get(("asserted_key", where, k)))), None
                ),
                "by_subject": self.by.get(("subject", where, _subject_text(subject)))
                if subject is not None and subject.is_key
                else None,
                "by_user_name": named[0] if named else None,
                "by_subject_as_external_id": self.by.get(("external_id", where, persistent))
                if persistent
                else None,
            }
        candidates = self._candidates(observation, addressed)
        tombstones = self._tombstones(observation, {candidate.identity.id for candidate in candidates})
        concerned = {facts.identity_id for facts in (addressed, *found.values()) if facts is not None}
        concerned |= {grave.identity_id for grave in tombstones}
        concerned |= {candidate.identity.id for candidate in candidates}
        concerned.add(observation.target_identity_id)
        sources = {facts.id for facts in (addressed, *found.values()) if facts is not None}
        sources |= {grave.account_id for grave in tombstones}
        concerned |= {
            identity.id
            for identity in self.identities.values()
            if any(hold.source_account_id in sources for hold in identity.holds)
        }
        return Known(
            addressed=addressed,
            **found,
            name_hits=len(hits),
            tombstones=tombstones,
            candidates=candidates,
            identities={key: self.identities[key] for key in concerned if key in self.identities},
            remembered=frozenset(self.rejected.get(addressed.id, ()) if addressed else ()),
        )

    def _tombstones(self, observation: Observation, asked_about: set[UUID]) -> tuple[TombstoneFacts, ...]:
        wanted = _tombstone_digests(observation, self.rules.digest_key)
        graves = []
        for row in self.tombstones:
            if row.connection_id != observation.connection_id:
                continue
            matched = {
                name
                for name in ("external_id", "subject", "user_name")
                if (value := getattr(row, f"{name}_digest")) is not None and bytes(value) in wanted[name]
            }
            if matched or row.identity_id in asked_about:
                graves.append(
                    TombstoneFacts(
                        account_id=row.pk,
                        connection_id=row.connection_id,
                        identity_id=row.identity_id,
                        matched=frozenset(matched),
                        deleted_at=row.deleted_at,
                    )
                )
        return tuple(sorted(graves, key=lambda grave: grave.deleted_at, reverse=True))

    def _candidates(self, observation: Observation, addressed: AccountFacts | None) -> tuple[Candidate, ...]:
        if not _asks_for_candidates(observation, addressed):
            return ()
        emails = observation.emails or (addressed.emails if addressed else ())
        hr_number = observation.profile.hr_number
        if not hr_number and addressed is not None:
            hr_number = _hr_number(addressed)
        rules: dict[UUID, set[Rule]] = defaultdict(set)
        for identity_id in self.candidates.get(("hr", hr_number), ()) if hr_number else ():
            rules[identity_id].add(Rule.HR_NUMBER)
        for email in emails:
            for identity_id in self.candidates.get(("email", fold(email)), ()):
                # What an e-mail is worth depends on the connection's domains, which the decision looks at.
                rules[identity_id].add(Rule.OTHER_EMAIL)
        if _is_login(observation):
            # Row 21: a former name lets nobody in, and makes no second person of somebody who was renamed.
            for name in _names_and_emails(observation):
                for identity_id in self.candidates.get(("former", name), ()):
                    rules[identity_id].add(Rule.USER_NAME)
        found = [
            Candidate(identity=self.identities[identity_id], rules=tuple(sorted(which)))
            for identity_id, which in rules.items()
            if identity_id in self.identities
        ]
        return tuple(sorted(found, key=lambda candidate: (candidate.rules[0], candidate.identity.id)))


def _is_login(observation: Observation) -> bool:
    return observation.intent is Intent.AUTHENTICATE


def _names_and_emails(observation: Observation) -> set[str]:
    said = {observation.user_name, *observation.login_names, *observation.emails}
    return {fold(name) for name in said if name}


def _subject_text(subject: Subject) -> str:
    return f"{subject.issuer}\x00{subject.value}"


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


def _tombstone_digests(observation: Observation, digest_key: bytes) -> dict[str, set[bytes]]:
    """Which digests a tombstone would have to carry to answer; empty where a tombstone has no say."""
    wanted: dict[str, set[bytes]] = {"external_id": set(), "subject": set(), "user_name": set()}
    if observation.intent not in (Intent.CREATE, Intent.AUTHENTICATE, Intent.UPDATE):
        return wanted
    where = observation.connection_id
    subject = observation.subject
    keys = {observation.external_id} if observation.external_id else set()
    if subject is not None and subject.is_key:
        wanted["subject"].add(keyed(digest_key, "subject", where, _subject_text(subject)))
        keys.add(subject.value)
    wanted["external_id"] = {keyed(digest_key, "external_id", where, key) for key in keys if key}
    names = {observation.user_name, *observation.login_names}
    wanted["user_name"] = {keyed(digest_key, "user_name", where, fold(name)) for name in names if name}
    return wanted


_MATCHES = """
SELECT id, identity_id, version FROM provisioning_account
 WHERE tenant_id = %(tenant)s AND deleted_at IS NULL AND id = ANY(%(ids)s)
UNION
SELECT a.id, a.identity_id, a.version FROM provisioning_account a
  JOIN unnest(%(external_connections)s::uuid[], %(external_ids)s::text[]) AS k (connection_id, value)
    ON a.connection_id = k.connection_id AND a.external_id = k.value
 WHERE a.tenant_id = %(tenant)s AND a.deleted_at IS NULL
UNION
SELECT a.id, a.identity_id, a.version FROM provisioning_account a
  JOIN unnest(%(external_connections)s::uuid[], %(external_ids)s::text[]) AS k (connection_id, value)
    ON a.connection_id = k.connection_id AND a.asserted_key = k.value
 WHERE a.tenant_id = %(tenant)s AND a.deleted_at IS NULL AND a.asserted_key IS NOT NULL AND a.confirmed_at IS NULL
UNION
SELECT a.id, a.identity_id, a.version FROM provisioning_account a
  JOIN unnest(%(name_connections)s::uuid[], %(names)s::text[]) AS k (connection_id, value)
    ON a.connection_id = k.connection_id AND a.user_name_key = k.value
 WHERE a.tenant_id = %(tenant)s AND a.deleted_at IS NULL
UNION
SELECT a.id, a.identity_id, a.version FROM provisioning_account a
  JOIN unnest(%(subject_connections)s::uuid[], %(issuers)s::text[], %(subjects)s::text[])
    AS k (connection_id, issuer, value)
    ON a.connection_id = k.connection_id AND a.subject_issuer = k.issuer AND a.subject_value = k.value
 WHERE a.tenant_id = %(tenant)s AND a.deleted_at IS NULL AND a.subject_value <> ''
"""

# The index of e-mails is asked first and alone, one probe for each: a plan that begins with the tenant's accounts
# looks at all of them for each e-mail, and a planner without fresh statistics chooses it.
_CANDIDATES = """
WITH named AS MATERIALIZED (
    SELECT k.value, a.tenant_id, a.identity_id, a.deleted_at
      FROM unnest(%(emails)s::varchar[]) AS k (value)
      JOIN provisioning_account a ON a.email_keys @> ARRAY[k.value]
)
SELECT 'email', value, identity_id FROM named
 WHERE tenant_id = %(tenant)s AND deleted_at IS NULL AND identity_id IS NOT NULL
UNION
SELECT 'email', email_key, id FROM provisioning_identity
 WHERE tenant_id = %(tenant)s AND email_key <> '' AND email_key = ANY(%(emails)s)
UNION
SELECT 'former', value_key, identity_id FROM provisioning_alias
 WHERE tenant_id = %(tenant)s AND value_key = ANY(%(names)s) AND kind <> 'external_id'
   AND identity_id IS NOT NULL
UNION
SELECT 'hr', hr_number, id FROM provisioning_identity
 WHERE tenant_id = %(tenant)s AND hr_number <> '' AND hr_number = ANY(%(hr_numbers)s)
"""


def _rows(statement: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    with database.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())


def _matches(tenant_id: UUID, observations: Sequence[Observation]) -> list[tuple[UUID, UUID | None, int]]:
    """(account, identity, version) of the live accounts that answer to a key."""
    external: set[tuple[UUID, str]] = set()
    names: set[tuple[UUID, str]] = set()
    subjects: set[tuple[UUID, str, str]] = set()
    for o in observations:
        if o.connection_id is None:
            continue
        if o.external_id:
            external.add((o.connection_id, o.external_id))
        if o.subject is not None and o.subject.is_key:
            external.add((o.connection_id, o.subject.value))
            subjects.add((o.connection_id, o.subject.issuer, o.subject.value))
        for name in o.login_names if _is_login(o) else (o.user_name,):
            if name:
                names.add((o.connection_id, fold(name)))
    return _rows(
        _MATCHES,
        {
            "tenant": tenant_id,
            "ids": [o.account_id for o in observations if o.account_id is not None],
            "external_connections": [c for c, _ in external],
            "external_ids": [v for _, v in external],
            "name_connections": [c for c, _ in names],
            "names": [v for _, v in names],
            "subject_connections": [c for c, _, _ in subjects],
            "issuers": [i for _, i, _ in subjects],
            "subjects": [v for _, _, v in subjects],
        },
    )


_ACCOUNT_COLUMNS = (
    "id",
    "connection_id",
    "identity_id",
    "origin",
    "confirmed_at",
    "active",
    "version",
    "user_name",
    "external_id",
    "asserted_key",
    "subject_issuer",
    "subject_format",
    "subject_value",
    "email_keys",
    "resource",
    "assertion",
    "created_at",
    "last_login_at",
)


def _facts(row: dict[str, Any], precedence: int) -> AccountFacts:
    subject = None
    if row["subject_value"]:
        subject = Subject(
            issuer=row["subject_issuer"], format=row["subject_format"], value=row["subject_value"]
        )
    return AccountFacts(
        id=row["id"],
        connection_id=row["connection_id"],
        identity_id=row["identity_id"],
        origin=Origin(row["origin"]),
        confirmed=row["confirmed_at"] is not None,
        active=row["active"],
        version=row["version"],
        user_name=row["user_name"],
        external_id=row["external_id"],
        asserted_key=row["asserted_key"],
        subject=subject,
        emails=plain_emails(row["email_keys"]),
        resource=row["resource"],
        assertion=row["assertion"],
        precedence=precedence,
        created_at=row["created_at"],
        last_login_at=row["last_login_at"],
    )


def _accounts(
    tenant_id: UUID, ids: set[UUID], identity_ids: set[UUID], lock: bool
) -> dict[UUID, AccountFacts]:
    if not ids and not identity_ids:
        return {}
    rows = Account.objects.filter(tenant_id=tenant_id, deleted_at__isnull=True)
    if identity_ids and ids:
        rows = rows.filter(pk__in=ids) | rows.filter(identity_id__in=identity_ids)
    else:
        rows = rows.filter(pk__in=ids) if ids else rows.filter(identity_id__in=identity_ids)
    if lock:
        rows = rows.select_for_update(no_key=True, of=("self",))
    columns = rows.order_by("id").annotate(precedence=F("connection__precedence"))
    return {
        row["id"]: _facts(row, row["precedence"]) for row in columns.values(*_ACCOUNT_COLUMNS, "precedence")
    }


def _identities(
    tenant_id: UUID,
    ids: set[UUID],
    accounts: dict[UUID, AccountFacts],
    rows: list[Identity],
    sessions_at: datetime | None,
) -> dict[UUID, IdentityFacts]:
    if not rows:
        return {}
    holds: dict[UUID, list[HoldFacts]] = defaultdict(list)
    for identity_id, kind, source in Hold.objects.filter(
        tenant_id=tenant_id, identity_id__in=ids
    ).values_list("identity_id", "kind", "source_account_id"):
        holds[identity_id].append(HoldFacts(kind=HoldKind(kind), source_account_id=source))
    own: dict[UUID, list[AccountFacts]] = defaultdict(list)
    for facts in accounts.values():
        if facts.identity_id is not None:
            own[facts.identity_id].append(facts)
    signed_in: set[UUID] = set()
    if sessions_at is not None:
        signed_in = set(
            Session.objects.filter(
                tenant_id=tenant_id, identity_id__in=ids, expire_date__gt=sessions_at
            ).values_list("identity_id", flat=True)
        )
    return {
        row.pk: IdentityFacts(
            id=row.pk,
            protected=row.protected,
            local=row.local,
            profile=Profile(**{name: getattr(row, name) for name in PROFILE_FIELDS}),
            holds=tuple(holds[row.pk]),
            accounts=tuple(own[row.pk]),
            email_changed_at=row.email_changed_at,
            live_sessions=row.pk in signed_in,
        )
        for row in rows
    }


def _tombstones(
    tenant_id: UUID, observations: Sequence[Observation], digest_key: bytes, candidates: set[UUID]
) -> list[Tombstone]:
    """Those that answer to a key, and those of the identities in question: another key there is a veto."""
    digests: dict[str, set[bytes]] = {"external_id": set(), "subject": set(), "user_name": set()}
    for observation in observations:
        for name, values in _tombstone_digests(observation, digest_key).items():
            digests[name] |= values
    if not any(digests.values()):
        return []
    answering = Q(identity_id__in=candidates)
    for name, values in digests.items():
        answering |= Q(**{f"{name}_digest__in": values})
    where = {o.connection_id for o in observations if o.connection_id is not None}
    return list(Tombstone.objects.filter(answering, tenant_id=tenant_id, connection_id__in=where))


def load(tenant_id: UUID, observations: Sequence[Observation], *, lock: bool = True) -> Loaded:
    """What is known about a batch of one tenant. With `lock`, to be called inside a transaction."""
    rules = connections.rules(
        tenant_id, {o.connection_id for o in observations if o.connection_id is not None}
    )
    matches = _matches(tenant_id, observations)
    account_ids = {account_id for account_id, _, _ in matches}
    identity_ids = {identity_id for _, identity_id, _ in matches if identity_id is not None}
    identity_ids |= {o.target_identity_id for o in observations if o.target_identity_id is not None}

    candidates: dict[tuple[str, str], set[UUID]] = defaultdict(set)
    undecided = [
        o
        for o in observations
        if o.intent in (Intent.CREATE, Intent.AUTHENTICATE)
        and o.channel is not Channel.ADMIN
        and not (account_ids and len(observations) == 1 and _is_login(o))
    ]
    waiting = {account_id for account_id, identity_id, _ in matches if identity_id is None}
    emails = {fold(email) for o in undecided for email in o.emails}
    hr_numbers = {o.profile.hr_number for o in undecided if o.profile.hr_number}
    if waiting:
        for facts in _accounts(tenant_id, waiting, set(), lock=False).values():
            emails |= set(facts.emails)
            if number := _hr_number(facts):
                hr_numbers.add(number)
    names = {name for o in undecided if _is_login(o) for name in _names_and_emails(o)}
    if emails or hr_numbers or names:
        asked = {"emails": list(emails), "hr_numbers": list(hr_numbers), "names": list(names)}
        for kind, value, identity_id in _rows(_CANDIDATES, {"tenant": tenant_id, **asked}):
            candidates[kind, value].add(identity_id)
            identity_ids.add(identity_id)

    tombstones = _tombstones(tenant_id, observations, rules.digest_key, identity_ids)
    identity_ids |= {row.identity_id for row in tombstones if row.identity_id is not None}
    sources = account_ids | {row.pk for row in tombstones}
    if sources:
        # A hold may rest on somebody who is no longer, or was never, linked to the account that placed it.
        held = Hold.objects.filter(tenant_id=tenant_id, source_account_id__in=sources)
        identity_ids |= set(held.values_list("identity_id", flat=True))
    rows: list[Identity] = []
    if identity_ids:
        query = Identity.objects.filter(tenant_id=tenant_id, pk__in=identity_ids).order_by("id")
        rows = list(query.select_for_update(no_key=True) if lock else query)
    accounts = _accounts(tenant_id, account_ids, identity_ids, lock)
    if any(f.identity_id is not None and f.identity_id not in identity_ids for f in accounts.values()):
        # Linked by somebody else between the two reads; under the row lock it cannot happen again.
        return load(tenant_id, observations, lock=lock)
    if any(key not in accounts or accounts[key].version != version for key, _, version in matches):
        # Deleted or renamed meanwhile: taken for nobody, a leaver would sign in as somebody new.
        return load(tenant_id, observations, lock=lock)
    identities = _identities(
        tenant_id,
        identity_ids,
        accounts,
        rows,
        sessions_at=next((o.at for o in observations if o.channel is Channel.ROSTER), None),
    )
    rejected: dict[UUID, list[tuple[str, UUID]]] = defaultdict(list)
    if waiting:
        for account_id, kind, names in Finding.objects.filter(
            tenant_id=tenant_id, account_id__in=waiting, status=Finding.Status.REJECTED
        ).values_list("account_id", "kind", "candidates"):
            rejected[account_id] += [(kind, UUID(name)) for name in names]
    return Loaded(
        rules=rules,
        accounts=accounts,
        identities=identities,
        tombstones=tombstones,
        candidates=candidates,
        rejected=rejected,
    )
