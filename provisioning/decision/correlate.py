"""Whether a new account's person is known already. Knows rules between connections, not what follows."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from .authority import profile_of_resource
from .keys import domain_of, fold, look_alike
from .policy import Policy
from .score import Person, Score, weigh
from .types import (
    AccountFacts,
    Candidate,
    Channel,
    Document,
    IdentityFacts,
    Known,
    Observation,
    Profile,
    Rule,
)


class Match(StrEnum):
    NONE = "none"
    STRONG = "strong"
    WEAK = "weak"
    DISPUTED = "disputed"
    PROTECTED = "protected"


class Veto(StrEnum):
    """What keeps a rule from linking by itself; a person decides instead."""

    SAME_CONNECTION = "another-account-of-this-connection"
    TOMBSTONE = "tombstone-with-another-key"
    RECENT_EMAIL = "email-changed-recently"
    LOOK_ALIKE = "look-alike-name"
    AUTHENTICATOR = "has-another-authenticator"
    NOT_TRUSTED = "connection-not-trusted-for-this-key"


SIGNS_IN_WITHIN = timedelta(days=30)
CERTAIN = Score(value=100, evidence=())
"""A key that a person keeps says all."""
_NO_IDENTITIES: frozenset[UUID] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """What speaks for one candidate, and what against linking it without asking."""

    identity: IdentityFacts
    rules: tuple[Rule, ...]
    strong: Rule | None
    vetoes: tuple[Veto, ...]
    likelihood: Score

    def as_document(self) -> Document:
        return {
            "identity": str(self.identity.id),
            "rules": [rule.value for rule in self.rules],
            "vetoes": [veto.value for veto in self.vetoes],
            **self.likelihood.as_document(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Correlation:
    """`assessments` are the likeliest first; `rule` is set when the match is strong."""

    match: Match = Match.NONE
    assessments: tuple[Assessment, ...] = ()
    rule: Rule | None = None

    @property
    def identity(self) -> IdentityFacts:
        return self.assessments[0].identity

    @property
    def identities(self) -> tuple[IdentityFacts, ...]:
        return tuple(assessment.identity for assessment in self.assessments)

    @property
    def looks_alike(self) -> bool:
        return any(Veto.LOOK_ALIKE in assessment.vetoes for assessment in self.assessments)

    def evidence(self) -> Document:
        return {"candidates": [dict(assessment.as_document()) for assessment in self.assessments]}


NOBODY = Correlation()


def correlate(
    known: Known, observation: Observation, policy: Policy, *, without: frozenset[UUID] = _NO_IDENTITIES
) -> Correlation:
    """The rules of HR numbers, e-mails and names over the candidates, `without` those identities.

    One answer by a rule that nothing vetoes is strong. Anything else that answers waits for a person. Whom a person
    has said not to be the account's is no answer.
    """
    if not known.candidates:
        return NOBODY
    without |= known.apart
    assessed = (
        assess(candidate, known, observation, policy)
        for candidate in known.candidates
        if candidate.identity.id not in without
    )
    answering = [a for a in assessed if a.rules or Veto.LOOK_ALIKE in a.vetoes]
    if any(a.rules and _has_the_name(a.identity, observation) for a in answering):
        # Whom a person looks like under a name that is hers already is another question, about her and that one.
        answering = [a for a in answering if a.rules]
    assessments = tuple(
        sorted(answering, key=lambda a: (a.strong is None, -a.likelihood.value, a.identity.id))
    )
    if not assessments:
        return NOBODY
    # One protected candidate is enough: linking past it would be a guess about break-glass access.
    if any(a.identity.protected for a in assessments):
        protected_first = tuple(sorted(assessments, key=lambda a: not a.identity.protected))
        return Correlation(match=Match.PROTECTED, assessments=protected_first)
    if len(assessments) > 1:
        return Correlation(match=Match.DISPUTED, assessments=assessments)
    strong = assessments[0].strong
    return Correlation(match=Match.STRONG if strong else Match.WEAK, assessments=assessments, rule=strong)


def correlate_returning(identity: IdentityFacts, rule: Rule, observation: Observation) -> Correlation:
    """The identity of a tombstone that answers by a key which a person keeps: strong, but for the vetoes."""
    vetoed = any(a.connection_id == observation.connection_id for a in identity.accounts)
    assessment = Assessment(
        identity=identity,
        rules=(rule,),
        strong=None if vetoed or identity.protected else rule,
        vetoes=(Veto.SAME_CONNECTION,) if vetoed else (),
        likelihood=CERTAIN,
    )
    match = Match.STRONG if assessment.strong else Match.WEAK
    if identity.protected:
        match = Match.PROTECTED
    return Correlation(match=match, assessments=(assessment,), rule=assessment.strong)


def assess(candidate: Candidate, known: Known, observation: Observation, policy: Policy) -> Assessment:
    identity = candidate.identity
    spoken = _emails_spoken_of(known, observation)
    rules = _rules(candidate, spoken, policy)
    vetoes = tuple(_vetoes(identity, known, observation, spoken))
    refused: list[Veto] = []
    strong = None
    if not vetoes:
        for rule in rules:
            against = tuple(_against(rule, identity, observation, policy))
            if not against:
                strong = rule
                break
            refused += against
    return Assessment(
        identity=identity,
        rules=rules,
        strong=strong,
        vetoes=() if strong else (*vetoes, *dict.fromkeys(refused)),
        likelihood=weigh(_observed(observation, spoken), _known(identity, observation.at), policy.domains),
    )


def looking_like(known: Known, account: AccountFacts) -> tuple[IdentityFacts, ...]:
    """Whose name looks like that of an account which is somebody else's, but for whom a person has told apart."""
    return tuple(
        candidate.identity
        for candidate in known.candidates
        if candidate.identity.id not in known.apart | {account.identity_id}
        and any(look_alike(account.user_name, name) for name in names_of(candidate.identity))
    )


def likeness(one: IdentityFacts, other: IdentityFacts, at: datetime, domains: frozenset[str]) -> Score:
    """How likely two identities are one person."""
    return weigh(_known(one, at), _known(other, at), domains)


def names_of(identity: IdentityFacts) -> frozenset[str]:
    return _said(identity.profile.user_name, *(a.user_name for a in identity.accounts))


def _has_the_name(identity: IdentityFacts, observation: Observation) -> bool:
    asked = {fold(name) for name in (observation.user_name, *observation.login_names) if name}
    return not asked.isdisjoint(map(fold, names_of(identity)))


def _observed(observation: Observation, spoken: frozenset[str]) -> Person:
    """Whom the observation speaks of, to be weighed."""
    profile, key = observation.profile, (str(observation.connection_id), observation.external_id or "")
    said_by_scim = observation.channel is not Channel.SAML and observation.external_id
    return Person(
        hr_numbers=_said(profile.hr_number),
        user_names=_said(observation.user_name, *observation.login_names),
        emails=spoken,
        phones=_phones(observation.resource or {}),
        names=_names(profile),
        keys=frozenset([key] if said_by_scim else ()),
    )


def _known(identity: IdentityFacts, at: datetime) -> Person:
    """Whom an identity is over all its accounts, to be weighed."""
    logins = [a.last_login_at for a in identity.accounts if a.last_login_at]
    profiles = [identity.profile, *(profile_of_resource(a.resource) for a in identity.accounts)]
    return Person(
        hr_numbers=_said(*(profile.hr_number for profile in profiles)),
        user_names=names_of(identity),
        emails=_emails_of(identity),
        phones=frozenset().union(*(_phones(a.resource) for a in identity.accounts)),
        names=frozenset().union(*map(_names, profiles)),
        keys=frozenset(
            (str(a.connection_id), a.external_id) for a in identity.accounts if a.external_id and a.confirmed
        ),
        signs_in=identity.enabled and any(at - login < SIGNS_IN_WITHIN for login in logins),
    )


def _said(*values: str) -> frozenset[str]:
    return frozenset(value for value in values if value)


def _names(profile: Profile) -> frozenset[str]:
    return _said(profile.display_name, f"{profile.given_name} {profile.family_name}".strip())


def _phones(resource: Document) -> frozenset[str]:
    entries = resource.get("phoneNumbers")
    return frozenset(
        str(entry["value"])
        for entry in (entries if isinstance(entries, list) else ())
        if isinstance(entry, dict) and entry.get("value")
    )


def _rules(candidate: Candidate, spoken: frozenset[str], policy: Policy) -> tuple[Rule, ...]:
    """The rules that answer, strongest first; the connection's domains say what an e-mail is worth."""
    rules: list[Rule] = [rule for rule in candidate.rules if rule is not Rule.OTHER_EMAIL]
    shared = spoken & _emails_of(candidate.identity)
    if any(domain_of(email) in policy.domains for email in shared):
        rules.append(Rule.OWNED_EMAIL)
    elif shared or Rule.OTHER_EMAIL in candidate.rules:
        rules.append(Rule.OTHER_EMAIL)
    return tuple(rules)


def _vetoes(
    identity: IdentityFacts, known: Known, observation: Observation, spoken: frozenset[str]
) -> Iterable[Veto]:
    own = known.addressed.id if known.addressed else None
    if any(a.connection_id == observation.connection_id and a.id != own for a in identity.accounts):
        yield Veto.SAME_CONNECTION
    if any(
        t.identity_id == identity.id and not t.matched & {"external_id", "subject"} for t in known.tombstones
    ):
        yield Veto.TOMBSTONE
    if _looks_alike(identity, observation, spoken):
        yield Veto.LOOK_ALIKE


def _against(rule: Rule, identity: IdentityFacts, observation: Observation, policy: Policy) -> Iterable[Veto]:
    match rule:
        case Rule.EXPLICIT:
            return
        case Rule.HR_NUMBER:
            # Attack: a login elsewhere that names somebody's HR number waits for her account to come to it.
            said_by_scim = {
                profile_of_resource(a.resource).hr_number for a in identity.accounts if a.confirmed
            }
            if not policy.trusted_hr_number or identity.profile.hr_number not in said_by_scim:
                yield Veto.NOT_TRUSTED
        case Rule.OWNED_EMAIL:
            if not policy.trusted_email:
                yield Veto.NOT_TRUSTED
            if identity.local or any(a.subject or a.last_login_at for a in identity.accounts):
                yield Veto.AUTHENTICATOR
            changed = identity.email_changed_at
            if changed and observation.at - changed < policy.email_quarantine:
                yield Veto.RECENT_EMAIL
        case _:
            yield Veto.NOT_TRUSTED


def _looks_alike(identity: IdentityFacts, observation: Observation, spoken: frozenset[str]) -> bool:
    asked = {observation.user_name, *observation.login_names} - {""}
    return any(look_alike(one, other) for one in asked for other in names_of(identity)) or any(
        look_alike(one, other) for one in spoken for other in _emails_of(identity)
    )


def _emails_spoken_of(known: Known, observation: Observation) -> frozenset[str]:
    """Those of the observation, or where it brings none (a DELETE) those of the account it addresses."""
    said = {observation.profile.email, *observation.emails} - {""}
    if not said and known.addressed:
        said = set(known.addressed.emails)
    return frozenset(fold(email) for email in said)


def _emails_of(identity: IdentityFacts) -> frozenset[str]:
    # Attack: whoever is shown with somebody else's e-mail would be taken for that person by a push or a login.
    said = {identity.known_email, *(email for a in identity.accounts for email in a.emails)}
    return frozenset(fold(email) for email in said if email)
