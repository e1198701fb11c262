"""A hub in memory: what is known about an observation, and what a decision does to it. Knows no rule."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from provisioning.decision.authority import resource_of_profile
from provisioning.decision.decide import decide
from provisioning.decision.keys import fold, look_alike
from provisioning.decision.policy import Jit, Policy
from provisioning.decision.types import (
    MISSING,
    PERSISTENT,
    AccountFacts,
    Actor,
    AddAlias,
    Candidate,
    Change,
    Channel,
    CloseFinding,
    CreateAccount,
    CreateIdentity,
    Decision,
    DeleteAccount,
    EndOverride,
    EndSessions,
    HoldFacts,
    HoldKind,
    IdentityFacts,
    Intent,
    KeepApart,
    Known,
    LiftCarried,
    LiftHold,
    LinkAccount,
    MergeIdentities,
    MoveHold,
    Observation,
    OpenFinding,
    OverrideFacts,
    PlaceHold,
    Profile,
    RecordLogin,
    Rule,
    SetOverride,
    Subject,
    TombstoneFacts,
    UnlinkAccount,
    UnmergeIdentities,
    UpdateAccount,
    UpdateIdentity,
    Verdict,
    WithdrawFinding,
    case_of,
)

SPACE = UUID("6f1c0b1e-0000-4000-8000-000000000000")
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
ISSUER = "https://idp.example"
EMAIL_FORMAT = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
TRANSIENT_FORMAT = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"


def name(text: str) -> UUID:
    return uuid5(SPACE, text)


TENANT, ENTRA, OKTA = name("tenant"), name("entra"), name("okta")
SAYS = frozenset({"user_name", "email", "given_name", "hr_number"})
"""What a roster says of people, where a test does not say otherwise."""
OPEN = Policy(jit=Jit.CREATE, domains=frozenset({"example.org"}))


@dataclass
class World:
    policy: Policy = OPEN
    at: datetime = NOW
    accounts: dict[UUID, AccountFacts] = field(default_factory=dict)
    profiles: dict[UUID, Profile] = field(default_factory=dict)
    email_changed: dict[UUID, datetime] = field(default_factory=dict)
    protected: set[UUID] = field(default_factory=set)
    kept_from_runs: set[UUID] = field(default_factory=set)
    local: set[UUID] = field(default_factory=set)
    holds: list[tuple[UUID, HoldKind, UUID | None]] = field(default_factory=list)
    missing: set[UUID | None] = field(default_factory=set)
    """Accounts that were held because rosters lacked them."""
    sessions: set[UUID] = field(default_factory=set)
    graves: list[tuple[AccountFacts, datetime]] = field(default_factory=list)
    findings: list[OpenFinding] = field(default_factory=list)
    merged: dict[UUID, UUID] = field(default_factory=dict)
    """Identity -> the one that it ended in."""
    apart: dict[tuple[UUID, UUID], tuple[HoldKind, ...]] = field(default_factory=dict)
    """(account, identity) that a person said are not one -> what the account carries."""
    distinct: set[frozenset[UUID]] = field(default_factory=set)
    """Two identities that a person told apart."""
    aliases: set[tuple[UUID, str, str]] = field(default_factory=set)
    overrides: dict[UUID, list[OverrideFacts]] = field(default_factory=dict)
    said_emails: dict[UUID, str] = field(default_factory=dict)
    born: int = 0

    def post(self, user: str, external_id: str | None = None, **said: Any) -> Decision:
        return self.submit(self.pushed(Intent.CREATE, user, external_id, **said))

    def put(self, account_id: UUID, user: str = "", external_id: str | None = None, **said: Any) -> Decision:
        active = said.get("active")
        stored = self.accounts.get(account_id)
        intent = Intent.UPDATE
        if stored and active is not None and active != stored.active:
            intent = Intent.ENABLE if active else Intent.DISABLE
        user = user or (stored.user_name if stored else "nobody")
        return self.submit(self.pushed(intent, user, external_id, account_id=account_id, **said))

    def delete(self, account_id: UUID, **said: Any) -> Decision:
        return self.submit(self.observed(Channel.SCIM, Intent.DELETE, account_id=account_id, **said))

    def login(self, user: str = "", nameid: str = "", **said: Any) -> Decision:
        return self.submit(self.asserted(user, nameid, **said))

    def run(self, intent: Intent, **said: Any) -> Decision:
        return self.submit(self.observed(Channel.ROSTER, intent, **said))

    def listed(
        self,
        user: str,
        external_id: str | None = None,
        *,
        intent: Intent | None = None,
        as_of: datetime | None = None,
        says: frozenset[str] = SAYS,
        **said: Any,
    ) -> Decision:
        """A row of a roster, as the difference is found: by externalId, else by userName."""
        return self.submit(self.row(user, external_id, intent=intent, as_of=as_of, says=says, **said))

    def row(
        self,
        user: str,
        external_id: str | None = None,
        *,
        intent: Intent | None = None,
        as_of: datetime | None = None,
        says: frozenset[str] = SAYS,
        email: str | None = None,
        active: bool | None = True,
        connection_id: UUID = ENTRA,
        **said: Any,
    ) -> Observation:
        here = [a for a in self.accounts.values() if a.connection_id == connection_id]
        account = _first(a for a in here if external_id and a.external_id == external_id) or _first(
            a for a in here if fold(a.user_name) == fold(user)
        )
        if intent is None:
            intent = Intent.UPDATE if account else Intent.CREATE
            if account and active is not None and active != account.active:
                intent = Intent.ENABLE if active else Intent.DISABLE
        profile = Profile(user_name=user, email=f"{user}@example.org" if email is None else email, **said)
        return self.observed(
            Channel.ROSTER,
            intent,
            connection_id=connection_id,
            account_id=account.id if account else None,
            user_name=user,
            external_id=external_id,
            active=active,
            emails=(fold(profile.email),) if profile.email else (),
            profile=profile,
            resource=resource_of_profile(profile) | {"active": active is not False},
            as_of=as_of or self.at,
            says=says,
        )

    def act(self, intent: Intent, **said: Any) -> Decision:
        return self.submit(self.observed(Channel.ADMIN, intent, **said))

    def pushed(
        self,
        intent: Intent,
        user: str,
        external_id: str | None = None,
        *,
        email: str | None = None,
        active: bool | None = None,
        hr_number: str = "",
        given_name: str = "",
        **more: Any,
    ) -> Observation:
        email = f"{user}@example.org" if email is None else email
        profile = Profile(user_name=user, email=email, given_name=given_name, hr_number=hr_number)
        stored = self.accounts.get(more.get("account_id"))
        # A document carries what was said last, also where a request says nothing of it.
        held = stored.active if stored else True
        resource = resource_of_profile(profile) | {"active": held if active is None else active}
        if external_id:
            resource["externalId"] = external_id
        return self.observed(
            Channel.SCIM,
            intent,
            user_name=user,
            external_id=external_id,
            active=active,
            emails=(fold(email),) if email else (),
            profile=profile,
            resource=resource,
            **more,
        )

    def asserted(
        self,
        user: str = "",
        nameid: str = "",
        *,
        format: str = PERSISTENT,
        key: str | None = None,
        email: str | None = None,
        given_name: str = "",
        hr_number: str = "",
        **more: Any,
    ) -> Observation:
        """`user` is the configured userName attribute, `key` the one configured to carry externalId."""
        subject = Subject(issuer=ISSUER, format=format, value=nameid) if nameid else None
        named = nameid if subject and not subject.is_transient else ""
        email = f"{user or 'somebody'}@example.org" if email is None else email
        profile = Profile(user_name=user, email=email, given_name=given_name, hr_number=hr_number)
        return self.observed(
            Channel.SAML,
            Intent.AUTHENTICATE,
            user_name=user or named,
            external_id=key,
            subject=subject,
            login_names=tuple(n for n in (named, user) if n),
            emails=(fold(email),) if email else (),
            profile=profile,
            **more,
        )

    def observed(self, channel: Channel, intent: Intent, **more: Any) -> Observation:
        self.born += 1
        more.setdefault("connection_id", ENTRA)
        return Observation(
            channel=channel,
            intent=intent,
            tenant_id=TENANT,
            at=self.at,
            actor=Actor(kind="test"),
            new_account_id=name(f"account {self.born}"),
            new_identity_id=name(f"identity {self.born}"),
            **more,
        )

    def identity(self, identity_id: UUID) -> IdentityFacts:
        return IdentityFacts(
            id=identity_id,
            protected=identity_id in self.protected,
            kept_from_runs=identity_id in self.kept_from_runs,
            local=identity_id in self.local,
            profile=self.profiles[identity_id],
            holds=tuple(
                HoldFacts(kind=kind, source_account_id=source, as_missing=source in self.missing)
                for held, kind, source in self.holds
                if held == identity_id
            ),
            accounts=tuple(a for a in self.accounts.values() if a.identity_id == identity_id),
            email_changed_at=self.email_changed.get(identity_id),
            live_sessions=identity_id in self.sessions,
            merged_into=self.merged.get(identity_id),
            overrides=tuple(self.overrides.get(identity_id, ())),
            said_email=self._said_email(identity_id),
        )

    def _said_email(self, identity_id: UUID) -> str | None:
        if all(one.attribute != "email" for one in self.overrides.get(identity_id, ())):
            return None
        return self.said_emails.get(identity_id, fold(self.profiles[identity_id].email))

    def known(self, o: Observation) -> Known:
        here = [a for a in self.accounts.values() if a.connection_id == o.connection_id]
        addressed = next((a for a in here if a.id == o.account_id), None)
        persistent = o.subject.value if o.subject and o.subject.is_key else None
        names = {fold(n) for n in (o.login_names if o.channel is Channel.SAML else (o.user_name,)) if n}
        named = [a for a in here if fold(a.user_name) in names]
        tombstones = tuple(self._tombstones(o, persistent))
        candidates = tuple(self._candidates(o, addressed))
        found = {
            "by_external_id": _first(a for a in here if o.external_id and a.external_id == o.external_id),
            "by_asserted_key": _first(
                a for a in here if not a.confirmed and a.asserted_key in {o.external_id, persistent} - {None}
            ),
            "by_subject": _first(a for a in here if persistent and a.subject == o.subject),
            "by_user_name": _first(named),
            "by_subject_as_external_id": _first(
                a for a in here if persistent and a.external_id == persistent
            ),
            "name_holder": _first(
                a
                for a in here
                if o.channel is Channel.SAML and o.user_name and fold(a.user_name) == fold(o.user_name)
            ),
        }
        sources = {a.id for a in (addressed, *found.values()) if a} | {t.account_id for t in tombstones}
        concerned = {a.identity_id for a in (addressed, *found.values()) if a}
        concerned |= {t.identity_id for t in tombstones} | {c.identity.id for c in candidates}
        concerned |= {o.target_identity_id, o.former_identity_id}
        concerned |= {held for held, _, source in self.holds if source in sources}
        return Known(
            addressed=addressed,
            **found,
            name_hits=len(named),
            tombstones=tombstones,
            candidates=candidates,
            identities={i: self.identity(i) for i in concerned if i in self.profiles},
            remembered=frozenset(
                (f.kind, about, case_of(f.evidence))
                for f in self.findings
                if (about := f.identity_id or (f.account_id if o.as_of else None))
            ),
            apart=frozenset(i for a, i in self.apart if addressed and a == addressed.id)
            | {i for pair in self.distinct if addressed and addressed.identity_id in pair for i in pair},
            carried=frozenset(
                kind
                for (a, _), kinds in self.apart.items()
                if addressed and a == addressed.id
                for kind in kinds
            ),
        )

    def _tombstones(self, o: Observation, persistent: str | None) -> list[TombstoneFacts]:
        answering = []
        for account, deleted_at in self.graves:
            matched = set()
            key = account.external_id or account.asserted_key
            if key and key in {o.external_id, persistent}:
                matched.add("external_id")
            if account.subject and account.subject == o.subject:
                matched.add("subject")
            if fold(account.user_name) in {fold(n) for n in (o.user_name, *o.login_names) if n}:
                matched.add("user_name")
            if matched and account.connection_id == o.connection_id:
                answering.append(
                    TombstoneFacts(
                        account_id=account.id,
                        connection_id=account.connection_id,
                        identity_id=account.identity_id,
                        matched=frozenset(matched),
                        deleted_at=deleted_at,
                    )
                )
        return answering

    def _candidates(self, o: Observation, addressed: AccountFacts | None) -> list[Candidate]:
        linked = bool(addressed and addressed.identity_id)
        said = [n for n in (o.user_name, *o.login_names) if n]
        emails = {fold(e) for e in o.emails or (addressed.emails if addressed else ())}
        found = []
        for identity_id, profile in self.profiles.items():
            if identity_id in self.merged:
                continue
            facts = self.identity(identity_id)
            rules = []
            alike = any(look_alike(n, a.user_name) for n in said for a in facts.accounts)
            if not linked and o.profile.hr_number and o.profile.hr_number == profile.hr_number:
                rules.append(Rule.HR_NUMBER)
            if not linked and emails & {
                fold(facts.known_email),
                *(e for a in facts.accounts for e in a.emails),
            }:
                rules.append(Rule.OTHER_EMAIL)
            if rules or alike:
                found.append(Candidate(identity=facts, rules=tuple(rules)))
        return found

    def submit(self, observation: Observation) -> Decision:
        decision = decide(self.known(observation), observation, self.policy)
        for change in decision.changes:
            self.apply(change, observation.as_of)
        return decision

    def apply(self, change: Change, as_of: datetime | None = None) -> None:
        match change:
            case CreateIdentity(identity_id=key, profile=profile):
                assert key not in self.profiles
                self.profiles[key] = profile
            case UpdateIdentity(identity_id=key, profile=profile):
                self.profiles[key] = profile
                email = profile.email if change.said_email is None else change.said_email
                self.said_emails[key] = fold(email)
                self.overrides[key] = [
                    replace(one, instead_of=change.instead_of.get(one.attribute, one.instead_of))
                    for one in self.overrides.get(key, [])
                ]
            case SetOverride(identity_id=key, override=override):
                own = self.overrides.setdefault(key, [])
                assert override.attribute not in {one.attribute for one in own}
                own.append(
                    OverrideFacts(
                        id=override.id,
                        attribute=override.attribute,
                        value=override.value,
                        instead_of=change.instead_of,
                    )
                )
            case EndOverride(identity_id=key):
                self.overrides[key] = [one for one in self.overrides[key] if one.id != change.override_id]
            case CreateAccount():
                assert change.account_id not in self.accounts
                self.accounts[change.account_id] = AccountFacts(
                    id=change.account_id,
                    connection_id=change.connection_id,
                    identity_id=change.identity_id,
                    origin=change.origin,
                    confirmed=change.confirmed,
                    active=change.active,
                    version=1,
                    user_name=change.user_name,
                    external_id=change.external_id,
                    asserted_key=change.asserted_key,
                    subject=change.subject,
                    emails=change.emails,
                    resource=change.resource,
                    assertion=change.assertion,
                    precedence=self.policy.precedence,
                    created_at=self.at,
                    last_login_at=None,
                    updated_at=self.at,
                    as_of=as_of,
                    lifecycle_owner=change.origin,
                )
            case UpdateAccount(account_id=key):
                old = self.accounts[key]
                if says_more(change, old):
                    old = replace(old, updated_at=self.at, as_of=as_of)
                self.accounts[key] = replace(
                    old,
                    version=old.version + 1,
                    active=change.active,
                    confirmed=change.confirmed,
                    user_name=change.user_name,
                    external_id=change.external_id,
                    asserted_key=change.asserted_key,
                    subject=change.subject,
                    emails=change.emails,
                    resource=change.resource,
                    assertion=change.assertion,
                    lifecycle_owner=change.lifecycle_owner or old.lifecycle_owner,
                )
            case DeleteAccount(account_id=key):
                self.graves.append((self.accounts.pop(key), self.at))
            case LinkAccount(account_id=key, identity_id=identity_id):
                self.accounts[key] = replace(self.accounts[key], identity_id=identity_id)
                self.apart = {pair: () if pair[0] == key else held for pair, held in self.apart.items()}
                self.apart.pop((key, identity_id), None)
            case UnlinkAccount(account_id=key):
                self.accounts[key] = replace(self.accounts[key], identity_id=None)
            case LiftCarried(account_id=key, kind=kind):
                self.apart = {
                    pair: tuple(one for one in held if pair[0] != key or one is not kind)
                    for pair, held in self.apart.items()
                }
            case KeepApart():
                self.apart[change.account_id, change.identity_id] = change.carried
            case MergeIdentities(identity_id=winner, former_identity_id=loser):
                self.merged[loser] = winner
                for key, account in self.accounts.items():
                    if account.identity_id == loser:
                        self.accounts[key] = replace(account, identity_id=winner)
                self.graves = [
                    (replace(a, identity_id=winner) if a.identity_id == loser else a, at)
                    for a, at in self.graves
                ]
                self.holds = list(
                    dict.fromkeys((winner if h[0] == loser else h[0], *h[1:]) for h in self.holds)
                )
                self.apart = {(a, winner if i == loser else i): kinds for (a, i), kinds in self.apart.items()}
            case UnmergeIdentities():
                del self.merged[change.former_identity_id]
            case MoveHold():
                before = (change.former_identity_id, change.kind, change.source_account_id)
                self.holds.remove(before)
                moved = (change.identity_id, *before[1:])
                self.holds += [] if moved in self.holds else [moved]
            case PlaceHold():
                hold = (change.identity_id, change.kind, change.source_account_id)
                assert hold not in self.holds
                self.holds.append(hold)
                (self.missing.add if change.reason == MISSING else self.missing.discard)(
                    change.source_account_id
                )
            case LiftHold():
                self.holds = [
                    hold
                    for hold in self.holds
                    if hold[:2] != (change.identity_id, change.kind)
                    or change.source_account_id not in (None, hold[2])
                ]
            case EndSessions(identity_id=key):
                self.sessions.discard(key)
            case OpenFinding():
                self.findings.append(change)
            case AddAlias():
                self.aliases.add((change.account_id, change.kind, change.value))
            case RecordLogin(account_id=key, identity_id=identity_id):
                self.accounts[key] = replace(self.accounts[key], last_login_at=self.at)
                self.sessions.add(identity_id)
            case CloseFinding() | WithdrawFinding():
                pass

    def new_name(self) -> UUID:
        self.born += 1
        return name(f"new {self.born}")

    def later(self, **span: float) -> None:
        self.at += timedelta(**span)

    def held(self, identity_id: UUID | None) -> set[HoldKind]:
        return {kind for held, kind, _ in self.holds if held == identity_id}

    def asked(self) -> list[str]:
        return [finding.kind for finding in self.findings]

    def person(self, text: str, **facts: Any) -> UUID:
        """An identity without accounts, as an administrator or another tenant story left it."""
        identity_id = name(text)
        self.profiles[identity_id] = Profile(**facts)
        return identity_id


def _first(accounts: Any) -> AccountFacts | None:
    return next(iter(accounts), None)


def says_more(change: UpdateAccount, facts: AccountFacts) -> bool:
    return change.resource != facts.resource or change.external_id != facts.external_id


def kinds(decision: Decision) -> set[type]:
    return {type(change) for change in decision.changes}


def answer(decision: Decision) -> tuple[Verdict, str]:
    return decision.verdict, decision.reason
