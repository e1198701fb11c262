"""What an assertion says about a person, in the hub's words, and how good it is. Knows no account and no policy.

Whether an e-mail's domain is granted to the connection is decided in the domain, together with everything else
that depends on whether the person is known.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from provisioning.attributes import DEFAULT_NAMES, Rule, names_an_email, names_of, rule_of
from provisioning.decision.keys import fold
from provisioning.decision.placeholders import says_nothing
from provisioning.decision.quick import quick
from provisioning.decision.types import TRANSIENT, Profile, Subject
from provisioning.formats import cleaned

from .assertion import Assertion, NameId
from .checks import one_email
from .refusal import Refusal, refuse

EMAIL_FORMAT = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
NAME_ID = "NameID"
"""The source of what came as the NameID and not as an attribute."""


class AttributeVerdict(StrEnum):
    """What became of a hub attribute; only an `ok` one has a value."""

    OK = "ok"
    MISSING = "missing"
    MALFORMED = "malformed"
    NOT_ALLOWED = "not-allowed"
    """Not one of the allowed values; or an e-mail attribute where a key or a name belongs."""
    TOO_LONG = "too-long"
    AMBIGUOUS = "ambiguous"
    """Several different values, of which none can be preferred."""


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The connection's own words: which attributes of the assertion carry what, and what each has to be like."""

    attribute_map: Mapping[str, Sequence[str]]
    user_name_attribute: str
    external_id_attribute: str
    group_attribute: str = ""
    limits: Sequence[str] = ()
    """Attributes that a first login is limited by; the hub's own names among them mean nothing here."""
    attribute_rules: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    required: Sequence[str] = ()

    @property
    def needed(self) -> frozenset[str]:
        """The hub attributes whose absence is a fault: what is required, and what was configured as a name or key."""
        return frozenset(
            {
                *self.required,
                *(["user_name"] if self.user_name_attribute else []),
                *(["external_id"] if self.external_id_attribute else []),
            }
        )

    @property
    def asked(self) -> frozenset[str]:
        """The hub attributes that the connection speaks of: their absence is worth noting."""
        mapped = (attribute for attribute, names in self.attribute_map.items() if names)
        return self.needed.union(mapped, self.attribute_rules)


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """`source` is the name under which it came, as it was asked for; "" where nothing came. `came` is what is not good
    enough to be its value."""

    verdict: AttributeVerdict
    source: str = ""
    value: str = field(default="", repr=False)
    came: tuple[str, ...] = field(default=(), repr=False)


_MISSING = Judged(verdict=AttributeVerdict.MISSING)


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """The person of one assertion. `user_name` is the name for a new account, "" where nothing may serve as one.

    `groups` are all values of the group attribute, `attributes` those of each attribute that limits a first login.
    `faults` are the hub attributes that were said but are not believed, with their verdict, and `disbelieved` what was
    said; they have no value here.
    """

    subject: Subject | None
    external_id: str | None
    user_name: str
    login_names: tuple[str, ...]
    emails: tuple[str, ...]
    profile: Profile
    groups: tuple[str, ...] = ()
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    faults: Mapping[str, str] = field(default_factory=dict)
    disbelieved: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Who it is, or why that cannot be said; and a verdict for every hub attribute, the NameID among them."""

    outcome: Person | Refusal
    verdicts: Mapping[str, Judged]
    asked: frozenset[str]
    needed: frozenset[str] = frozenset()

    def record(self) -> dict[str, dict[str, Any]]:
        """What an attempt keeps: names and codes, no value. What nobody asked for and nobody sent is left out.

        `optional` marks what is missing and need not come: not every person has a title.
        """
        return {
            attribute: {"verdict": judged.verdict.value, "source": judged.source}
            | ({} if judged.source or attribute in self.needed else {"optional": True})
            for attribute, judged in self.verdicts.items()
            if judged.source or attribute in self.asked
        }


def read_person(assertion: Assertion, rules: Rules) -> Reading:
    """The person whom a judged assertion describes; a refusal where it contradicts itself or a key is too long."""
    said = _by_name(assertion)
    name_id = _name_id(assertion.name_id)
    emails = _emails(assertion.name_id, said, rules)
    verdicts = {
        "name_id": name_id,
        "user_name": _configured("user_name", rules.user_name_attribute, assertion, said, rules),
        "external_id": _configured("external_id", rules.external_id_attribute, assertion, said, rules),
        "email": _email(emails, rules),
        **{
            attribute: _first_good(said, names_of(attribute, rules.attribute_map), _rule(attribute, rules))
            for attribute in DEFAULT_NAMES
            if attribute != "email"
        },
    }
    if not rules.user_name_attribute and name_id.value:
        verdicts["user_name"] = _judge((name_id.value,), NAME_ID, _rule("user_name", rules))
    outcome = _refusal(emails, verdicts, said, rules) or _person(assertion, said, verdicts, rules)
    return Reading(outcome=outcome, verdicts=verdicts, asked=rules.asked, needed=rules.needed)


def _person(
    assertion: Assertion, said: Mapping[str, tuple[str, ...]], verdicts: Mapping[str, Judged], rules: Rules
) -> Person:
    name_id = assertion.name_id if verdicts["name_id"].value or _is_transient(assertion.name_id) else None
    configured = verdicts["user_name"].value if rules.user_name_attribute else ""
    lasting = verdicts["name_id"].value
    login_names = (configured, lasting if name_id and _is_name(name_id) else "")
    email = verdicts["email"].value
    shown = {attribute: verdicts[attribute].value for attribute in DEFAULT_NAMES if attribute != "email"}
    user_name = configured or _judge((lasting,), NAME_ID, _rule("user_name", rules)).value
    return Person(
        subject=Subject(issuer=assertion.issuer, format=name_id.format, value=name_id.value)
        if name_id
        else None,
        external_id=verdicts["external_id"].value or None,
        user_name=user_name,
        login_names=tuple(dict.fromkeys(name for name in login_names if name)),
        emails=(email.lower(),) if email else (),
        profile=Profile(user_name=user_name, email=email, **shown),
        groups=_values(said, rules.group_attribute),
        attributes={name: _values(said, name) for name in rules.limits},
        faults={
            attribute: judged.verdict.value
            for attribute, judged in verdicts.items()
            if judged.verdict not in (AttributeVerdict.OK, AttributeVerdict.MISSING)
        },
        disbelieved={attribute: judged.came for attribute, judged in verdicts.items() if judged.came},
    )


def _refusal(
    emails: Sequence[tuple[str, str]],
    verdicts: Mapping[str, Judged],
    said: Mapping[str, tuple[str, ...]],
    rules: Rules,
) -> Refusal | None:
    """Where one assertion could be two people, or would not fit its index, nothing of it is used."""
    if refusal := one_email(one for one in emails if not says_nothing(one[1])):
        return refusal
    # Attack: a key with two values lets the IdP's user be two people; which one would depend on the reader.
    for attribute, name in (
        ("user_name", rules.user_name_attribute),
        ("external_id", rules.external_id_attribute),
    ):
        if verdicts[attribute].verdict is AttributeVerdict.AMBIGUOUS:
            came = verdicts[attribute].came
            refusal = refuse("saml:attribute-ambiguous", attribute=attribute, source=name, values=len(came))
            return replace(refusal, found=came)
    for attribute in ("name_id", "user_name", "external_id"):
        if verdicts[attribute].verdict is AttributeVerdict.TOO_LONG:
            # A NameID is as long as a name, which it may become.
            limit = _rule("user_name" if attribute == "name_id" else attribute, rules).longest
            (value,) = verdicts[attribute].came
            return refuse("saml:attribute-too-long", attribute=attribute, length=_length(value), limit=limit)
    return None


def _by_name(assertion: Assertion) -> dict[str, tuple[str, ...]]:
    """Values by lower-case Name, and by FriendlyName where no attribute has it for a Name."""
    said: dict[str, tuple[str, ...]] = {}
    for attribute in assertion.attributes:
        name = attribute.name.lower()
        said[name] = (*said.get(name, ()), *attribute.values)
    named = set(said)
    for attribute in assertion.attributes:
        friendly = attribute.friendly_name.lower()
        if friendly and friendly not in named:
            said[friendly] = (*said.get(friendly, ()), *attribute.values)
    return said


def _also_called(assertion: Assertion, name: str) -> set[str]:
    """Every Name and FriendlyName, in lower case, of the attributes that this name means."""
    names = [{a.name.lower(), a.friendly_name.lower()} for a in assertion.attributes]
    return {name.lower()}.union(*(those for those in names if name.lower() in those))


def _values(said: Mapping[str, tuple[str, ...]], name: str) -> tuple[str, ...]:
    return said.get(name.lower(), ()) if name else ()


def _rule(attribute: str, rules: Rules) -> Rule:
    return rule_of(attribute, rules.attribute_rules)


def _judge(values: Iterable[str], source: str, rule: Rule) -> Judged:
    """One attribute's values by one rule. A value that stands for nothing does not contradict another."""
    meant = list(dict.fromkeys(values))
    if not meant:
        return _MISSING
    if len(meant) > 1:
        meant = [value for value in meant if not says_nothing(value[: rule.longest])] or meant[:1]
    if len(meant) > 1:
        return _bad(AttributeVerdict.AMBIGUOUS, source, meant)
    value = meant[0]
    if _length(value) > rule.longest:
        return _bad(AttributeVerdict.TOO_LONG, source, meant)
    kept = cleaned(value, rule.format)
    if kept is None:
        return _bad(AttributeVerdict.MALFORMED, source, meant)
    if rule.allowed and fold(kept) not in rule.allowed:
        return _bad(AttributeVerdict.NOT_ALLOWED, source, meant)
    return Judged(verdict=AttributeVerdict.OK, source=source, value=kept)


def _length(value: str) -> int:
    # Some letters grow when they are folded to lower case, which is what the index holds.
    return max(len(value), len(value.lower()))


def _bad(verdict: AttributeVerdict, source: str, came: Iterable[str]) -> Judged:
    return Judged(verdict=verdict, source=source, came=tuple(came))


def _first_good(said: Mapping[str, tuple[str, ...]], names: Sequence[str], rule: Rule) -> Judged:
    """The first of these attributes that has a good value; where none has, what is wrong with the first that came."""
    first = _MISSING
    for name in names:
        if values := said.get(name.lower()):
            judged = _judge(values, name, rule)
            if judged.verdict is AttributeVerdict.OK:
                return judged
            first = judged if first is _MISSING else first
    return first


def _configured(
    attribute: str, name: str, assertion: Assertion, said: Mapping[str, tuple[str, ...]], rules: Rules
) -> Judged:
    """A key, or a name to sign in by: from the one attribute that the connection names."""
    judged = _judge(_values(said, name), name, _rule(attribute, rules))
    # Attack (pre-hijack): an e-mail attribute is often self-editable, so a stranger could name himself after the
    # person who will be hired, or take her key. Neither comes from one, be it another than the connection shows.
    if judged.source and any(
        names_an_email(called, rules.attribute_map) for called in _also_called(assertion, name)
    ):
        return _bad(AttributeVerdict.NOT_ALLOWED, name, _values(said, name))
    return judged


def _name_id(name_id: NameId | None) -> Judged:
    if name_id is None or _is_transient(name_id):
        return _MISSING
    return _judge((name_id.value,), NAME_ID, rule_of("user_name", {}))


def _is_transient(name_id: NameId | None) -> bool:
    return name_id is not None and name_id.format == TRANSIENT


def _emails(
    name_id: NameId | None, said: Mapping[str, tuple[str, ...]], rules: Rules
) -> tuple[tuple[str, str], ...]:
    """Every e-mail address that the assertion claims, with the name under which it came.

    A NameID of the e-mail format is one of them, unless the connection says which attribute carries the e-mail
    (Entra's default NameID is a user principal name in that format, which need not be the mail address).
    """
    names = names_of("email", rules.attribute_map)
    found = [(name, value) for name in names for value in _values(said, name)]
    mapped = bool(rules.attribute_map.get("email"))
    if name_id and name_id.format == EMAIL_FORMAT and not (mapped and found):
        found.append((NAME_ID, name_id.value))
    return tuple(found)


def _email(emails: Sequence[tuple[str, str]], rules: Rules) -> Judged:
    """All that came is judged as one attribute: whoever says it twice has to say the same."""
    telling = [one for one in emails if not says_nothing(one[1])] or list(emails[:1])
    source = telling[0][0] if telling else ""
    spelt = {value.lower(): value for _, value in reversed(telling)}
    return _judge(spelt.values(), source, _rule("email", rules))


def _is_name(name_id: NameId) -> bool:
    # A persistent NameID is a key and compared as one; every other lasting format is a name (user, e-mail, UPN).
    return not Subject(issuer="", format=name_id.format, value=name_id.value).is_key
