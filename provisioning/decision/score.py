"""How likely two are one person, and why. Knows what is said of people, and neither tables nor what follows."""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from .keys import INVISIBLE, domain_of, fold, look_alike
from .placeholders import is_nobodys
from .types import Document


class Evidence(StrEnum):
    """What two people have in common, or what tells them apart."""

    weight: int
    meaning: str

    def __new__(cls, code: str, weight: int, meaning: str) -> "Evidence":
        member = str.__new__(cls, code)
        member._value_ = code
        member.weight = weight
        member.meaning = meaning
        return member

    SAME_HR_NUMBER = "same-hr-number", 70, "The same HR number"
    SAME_OWNED_EMAIL = "same-owned-email", 55, "The same e-mail, in a domain of the organisation"
    SAME_USER_NAME = "same-user-name", 35, "The same userName"
    LOOK_ALIKE = "look-alike", 30, "Names that only look the same"
    SAME_OTHER_EMAIL = "same-other-email", 30, "The same e-mail, in a domain of somebody else's"
    SAME_PHONE = "same-phone", 25, "The same telephone number"
    SAME_NAME = "same-name", 20, "The same name"
    SAME_LOCAL_PART = "same-local-part", 15, "E-mails that are equal before the @"

    OTHER_HR_NUMBER = "other-hr-number", -70, "Two HR numbers"
    OTHER_KEY = "other-key", -40, "One directory knows both, under two keys"
    BOTH_SIGN_IN = "both-sign-in", -20, "Both sign in these days"
    OTHER_NAME = "other-name", -15, "Names that have nothing in common"

    @property
    def speaks_for(self) -> bool:
        return self.weight > 0


ASKED_FROM = 30
"""From this score on a person is asked whether two are one."""
LIKELY_FROM = 70


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """What is said of one person over all sources. `keys` are (connection, externalId) that SCIM delivered."""

    hr_numbers: frozenset[str] = frozenset()
    user_names: frozenset[str] = frozenset()
    emails: frozenset[str] = frozenset()
    phones: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    keys: frozenset[tuple[str, str]] = frozenset()
    signs_in: bool = False
    """Enabled, and has signed in lately."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    value: int
    """0 to 100."""
    evidence: tuple[Evidence, ...]
    """The weightiest first, whichever way it points."""

    @property
    def is_asked(self) -> bool:
        """Whether the pair is put to a person. A name that imitates another is, also where one directory knows both."""
        return self.value >= ASKED_FROM or Evidence.LOOK_ALIKE in self.evidence

    @property
    def is_grave(self) -> bool:
        """Likely one person, or somebody whose name imitates another's."""
        return self.value >= LIKELY_FROM or Evidence.LOOK_ALIKE in self.evidence

    @property
    def in_favour(self) -> tuple[str, ...]:
        """The parts of the case: what speaks for it since it was dealt with makes it worth another look."""
        return tuple(one.value for one in self.evidence if one.speaks_for)

    def as_document(self) -> Document:
        """Kinds of evidence and no value of a person."""
        return {"score": self.value, "evidence": [one.value for one in self.evidence]}


def weigh(one: Person, other: Person, domains: frozenset[str]) -> Score:
    """`domains` are the organisation's own (folded): elsewhere anybody may have an e-mail of any name."""
    found = sorted(_evidence(one, other, domains), key=lambda each: (-abs(each.weight), each.value))
    value = sum(each.weight for each in found)
    return Score(value=max(0, min(100, value)), evidence=tuple(found))


def _evidence(one: Person, other: Person, domains: frozenset[str]) -> Iterable[Evidence]:
    numbers, others = _meant(one.hr_numbers), _meant(other.hr_numbers)
    if numbers and others:
        yield Evidence.SAME_HR_NUMBER if numbers & others else Evidence.OTHER_HR_NUMBER
    shared = _folded(one.emails) & _folded(other.emails)
    if any(domain_of(email) in domains for email in shared):
        yield Evidence.SAME_OWNED_EMAIL
    elif shared:
        yield Evidence.SAME_OTHER_EMAIL
    elif _local_parts(one.emails) & _local_parts(other.emails):
        yield Evidence.SAME_LOCAL_PART
    if _folded(one.user_names) & _folded(other.user_names):
        yield Evidence.SAME_USER_NAME
    elif any(
        look_alike(mine, theirs)
        for mine in one.user_names | one.emails
        for theirs in other.user_names | other.emails
    ):
        yield Evidence.LOOK_ALIKE
    if digits(one.phones) & digits(other.phones):
        yield Evidence.SAME_PHONE
    mine, theirs = {plain(name) for name in one.names}, {plain(name) for name in other.names}
    if (mine & theirs) - {""}:
        yield Evidence.SAME_NAME
    elif mine - {""} and theirs - {""} and not _words(mine) & _words(theirs):
        yield Evidence.OTHER_NAME
    if _told_apart_by_a_directory(one, other):
        yield Evidence.OTHER_KEY
    if one.signs_in and other.signs_in:
        yield Evidence.BOTH_SIGN_IN


def plain(name: str) -> str:
    """A name without accents, case, points and the order of its words: `Lovelace, Ádá` is `ada lovelace`."""
    letters = (
        c
        for c in unicodedata.normalize("NFKD", INVISIBLE.sub("", name.casefold()))
        if not unicodedata.combining(c)
    )
    words = "".join(c if c.isalnum() else " " for c in letters).split()
    return " ".join(sorted(words))


def _meant(numbers: Iterable[str]) -> frozenset[str]:
    return frozenset(number for number in numbers if not is_nobodys(number))


def _told_apart_by_a_directory(one: Person, other: Person) -> bool:
    return any(where == there and key != another for where, key in one.keys for there, another in other.keys)


def _folded(values: Iterable[str]) -> frozenset[str]:
    return frozenset(fold(value) for value in values if value)


def _local_parts(emails: Iterable[str]) -> frozenset[str]:
    return frozenset(fold(email).rpartition("@")[0] for email in emails if "@" in email) - {""}


LEAST_DIGITS = 7
"""A shorter number is an extension, which two people of two offices share."""
LAST_DIGITS = 9
"""What is before them is a country's or an exchange's, and often left out."""


def digits(phones: Iterable[str]) -> frozenset[str]:
    """As the nightly look compares numbers (`selectors.doubts`)."""
    said = ("".join(c for c in phone if c in "0123456789") for phone in phones)
    return frozenset(number[-LAST_DIGITS:] for number in said if len(number) >= LEAST_DIGITS)


def _words(names: Iterable[str]) -> frozenset[str]:
    return frozenset(word for name in names for word in name.split())
