"""What has to be true of a connection before people depend on it. Judges facts; knows no database and no clock."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Item(StrEnum):
    CERTIFICATE = "certificate"
    DOMAINS = "domains"
    MAPPING = "mapping"
    KEY = "key"
    LIFECYCLE = "lifecycle"
    SIGN_OUT = "sign-out"
    DEACTIVATION = "deactivation"


class State(StrEnum):
    MET = "met"
    ACCEPTED = "accepted"
    """Not met, and a person said in writing that it need not be."""
    MISSING = "missing"
    NOT_NEEDED = "not-needed"


ACCEPTABLE = frozenset({Item.DOMAINS, Item.LIFECYCLE, Item.SIGN_OUT, Item.DEACTIVATION})
"""What an administrator of the tenant may do without, in writing."""

OPERATOR_ACCEPTABLE = ACCEPTABLE | {Item.MAPPING, Item.KEY}
"""What whoever runs the installation may do without, too. Nobody does without a certificate."""

VALUES_OK = "ok"


@dataclass(frozen=True, slots=True, kw_only=True)
class TestFacts:
    """What the last test login showed. `verdicts` are those of the mapping, by hub attribute; `key` says what would
    recognise the person for ever: `name-id`, `attribute`, or "" for nothing."""

    __test__ = False

    at: datetime
    mapping: str
    """Digest of the mapping that it was judged by."""
    passed: bool
    verdicts: Mapping[str, str]
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    by: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    at: datetime
    has_saml: bool
    """Whether people sign in through it at all; a connection may only push."""
    certificate_ends: datetime | None
    """When the last of the IdP's signing certificates that have begun ends; None where there is none."""
    certificate_begins: datetime | None = None
    """When the first of them begins, or began."""
    metadata_ends: datetime | None = None
    """Until when the IdP metadata is good; None where it does not say."""
    certificates_left_out: str = ""
    """Which of them count for nothing, and why; "" where all do."""
    domains: frozenset[str]
    required_attributes: Sequence[str]
    mapping: str
    """Digest of the mapping as it is now."""
    test: TestFacts | None
    takes_pushes: bool
    """SCIM is on and a token of it works."""
    pushed_at: datetime | None
    listed_at: datetime | None = None
    """When its people were last listed as a whole, where the hub does that every night."""
    idp_takes_sign_out: bool
    signed_out_at: datetime | None
    """When a sign-out went all the way between the hub and the IdP."""
    deactivated: bool
    """The IdP has disabled or deleted somebody here."""
    accepted: Mapping[Item, Acceptance]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    item: Item
    state: State
    title: str
    sentence: str
    """Why it is so, or what to do."""

    @property
    def is_open(self) -> bool:
        return self.state is State.MISSING


def judge_readiness(facts: Facts) -> list[Judged]:
    """The whole list, in the order in which one sets a connection up."""
    return [_stated(item, facts) for item in Item]


def unmet(judged: Sequence[Judged]) -> list[Judged]:
    return [one for one in judged if one.is_open]


_TITLES = {
    Item.CERTIFICATE: "A valid certificate",
    Item.DOMAINS: "A verified e-mail domain",
    Item.MAPPING: "A complete mapping",
    Item.KEY: "A key that never changes",
    Item.LIFECYCLE: "A path for leavers",
    Item.SIGN_OUT: "Sign-out proven",
    Item.DEACTIVATION: "Deactivation proven",
}

_CHANGED = "The mapping, the IdP or what is asked of it changed after the last test login: test it again."

_SIGN_IN_ONLY = frozenset({Item.CERTIFICATE, Item.DOMAINS, Item.MAPPING, Item.KEY, Item.SIGN_OUT})


def _stated(item: Item, facts: Facts) -> Judged:
    if item in _SIGN_IN_ONLY and not facts.has_saml:
        state, sentence = State.NOT_NEEDED, "Nobody signs in through this connection: it has no IdP metadata."
    else:
        met, sentence = _JUDGES[item](facts)
        state = State.MET if met else State.MISSING
    acceptance = facts.accepted.get(item)
    if state is State.MISSING and acceptance is not None:
        state = State.ACCEPTED
        sentence = f"Accepted by {acceptance.by} on {acceptance.at:%Y-%m-%d}: {acceptance.reason}"
    return Judged(item=item, state=state, title=_TITLES[item], sentence=sentence)


def _certificate(facts: Facts) -> tuple[bool, str]:
    ends = facts.certificate_ends
    begins = facts.certificate_begins
    if facts.metadata_ends is not None and facts.metadata_ends <= facts.at:
        until = f"{facts.metadata_ends:%Y-%m-%d %H:%M} UTC"
        return (
            False,
            f"The IdP metadata was good until {until}, and admits nobody any more: import newer metadata.",
        )
    if ends is None and begins is not None:
        return False, f"No signing certificate of the IdP is good before {begins:%Y-%m-%d %H:%M} UTC."
    if ends is None:
        why = f" {facts.certificates_left_out}" if facts.certificates_left_out else ""
        return False, f"The IdP metadata holds no signing certificate that can be used.{why}"
    if ends <= facts.at:
        return (
            False,
            f"The last signing certificate of the IdP ended on {ends:%Y-%m-%d}: import newer metadata.",
        )
    return True, f"Good until {ends:%Y-%m-%d}. {facts.certificates_left_out}".strip()


def _domains(facts: Facts) -> tuple[bool, str]:
    if facts.domains:
        return True, f"It speaks for {', '.join(sorted(facts.domains))}."
    return (
        False,
        "Verify a domain of the tenant and grant it to this connection; without one a login creates nobody.",
    )


def _mapping(facts: Facts) -> tuple[bool, str]:
    test = facts.test
    if test is None:
        return False, "No test login has shown what the IdP sends."
    if not test.passed:
        return False, "The last test login failed one of the checks."
    if test.mapping != facts.mapping:
        return False, _CHANGED
    wrong = [name for name in facts.required_attributes if test.verdicts.get(name) != VALUES_OK]
    if wrong:
        told = ", ".join(f"{name.replace('_', ' ')} ({test.verdicts.get(name, 'missing')})" for name in wrong)
        return False, f"The last test login lacked what is required: {told}."
    return True, f"The test login of {test.at:%Y-%m-%d} brought everything that is required."


def _key(facts: Facts) -> tuple[bool, str]:
    told = {"name-id": "a persistent NameID", "attribute": "the externalId attribute"}
    if facts.test is None:
        return False, "No test login has shown what the IdP sends."
    if facts.test.mapping != facts.mapping:
        return False, _CHANGED
    if facts.test.key not in told:
        return (
            False,
            "The last test login named the person by nothing that stays hers: let the IdP send a persistent NameID, "
            "or name the attribute that carries its externalId.",
        )
    return True, f"People are recognised by {told[facts.test.key]}."


def _lifecycle(facts: Facts) -> tuple[bool, str]:
    pushes = facts.takes_pushes and facts.pushed_at is not None
    if facts.listed_at is not None and not pushes:
        return (
            True,
            f"Its people are listed every night; the last whole listing ended on {facts.listed_at:%Y-%m-%d}.",
        )
    if not facts.takes_pushes:
        return (
            False,
            "Nothing tells the hub who has left: issue a SCIM token and enter it at the IdP. Logins alone never do.",
        )
    if facts.pushed_at is None:
        return False, "There is a SCIM token, but the IdP has pushed nobody yet."
    return True, f"SCIM pushes; the last one came on {facts.pushed_at:%Y-%m-%d}."


def _sign_out(facts: Facts) -> tuple[bool, str]:
    if facts.signed_out_at is not None:
        return True, f"A sign-out reached both sides on {facts.signed_out_at:%Y-%m-%d}."
    if not facts.idp_takes_sign_out:
        return (
            False,
            "The IdP metadata names no SingleLogoutService: signing out here leaves the person signed in there.",
        )
    return False, "Finish a test login, then press Test sign-out on its page."


def _deactivation(facts: Facts) -> tuple[bool, str]:
    if facts.deactivated:
        return True, "The IdP has disabled or deleted somebody, and the hub obeyed."
    return False, "Disable one test person at the IdP and see her sessions end here."


_JUDGES = {
    Item.CERTIFICATE: _certificate,
    Item.DOMAINS: _domains,
    Item.MAPPING: _mapping,
    Item.KEY: _key,
    Item.LIFECYCLE: _lifecycle,
    Item.SIGN_OUT: _sign_out,
    Item.DEACTIVATION: _deactivation,
}
