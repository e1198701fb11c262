"""Which names are equal, and which keys an observation speaks of. Knows no account and no lock."""

import re
import unicodedata

import idna

from .types import Channel, Observation


def fold(name: str) -> str:
    """The form in which names and e-mails are compared and stored."""
    return name.lower()


def domain_of(email: str) -> str:
    """The domain of an e-mail as the DNS knows it, folded; empty when the e-mail is malformed."""
    local, at, domain = fold(email).rpartition("@")
    if not (local and at and domain) or "@" in local:
        return ""
    return domain if email.isascii() else _in_the_dns(email.rpartition("@")[2])


# Attack: in lower case the Kelvin sign is a k, so whoever may write his own name is somebody else. These are all signs
# (theta, ohm, kelvin, angstrom) that become an ordinary letter so; other look-alikes stay different.
TURNED_BY_LOWER = frozenset("\u03f4\u2126\u212a\u212b")


def _in_the_dns(domain: str) -> str:
    if not TURNED_BY_LOWER.isdisjoint(domain):
        return ""
    # RFC 5891 5: nothing is mapped. Attack: wide letters and full stops, by which what is no domain would be ours.
    try:
        labels = [
            label if label.isascii() else idna.alabel(label).decode() for label in fold(domain).split(".")
        ]
    except idna.IDNAError:
        return ""
    return ".".join(labels)


# Default_Ignorable_Code_Point of Unicode's DerivedCoreProperties, and the marks of annotations: no font shows them.
INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_BLANK_LETTER = "\u2800"
"""No blank to Unicode, and nothing to see: the pattern of Braille without a dot."""


def has_something_to_see(text: str) -> bool:
    """Whether it is more than blanks and what no font shows."""
    return INVISIBLE.sub("", text).replace(_BLANK_LETTER, "").strip() != ""


def look_alike(one: str, other: str) -> bool:
    """Equal only after NFKC, full casefolding and without what nobody sees: to a reader the same name, to the hub
    another one."""
    return fold(one) != fold(other) and _skeleton(one) == _skeleton(other)


LONGEST_KEY = 512
"""Letters of a stored name. A few letters stand for eighteen others, and a key of an index has its limit."""


def skeleton(name: str) -> str:
    """The key under which names that look alike are looked for; `look_alike` says whether two of them do."""
    return fold(name) if name.isascii() else _skeleton(name)[:LONGEST_KEY]


def other_skeleton(name: str) -> str:
    """The skeleton where it is not the folded name itself, which nearly everybody's is; else nothing."""
    if name.isascii():
        return ""
    found = skeleton(name)
    return found if found != fold(name) else ""


def differing(one: str, other: str) -> tuple[str, str]:
    """What is left of each of two folded names without what they begin and end with alike."""
    mine, theirs = fold(one), fold(other)
    shorter = min(len(mine), len(theirs))
    start = next((n for n in range(shorter) if mine[n] != theirs[n]), shorter)
    most = shorter - start
    end = next((n for n in range(most) if mine[-1 - n] != theirs[-1 - n]), most)
    return mine[start : len(mine) - end], theirs[start : len(theirs) - end]


def _skeleton(name: str) -> str:
    # As NFKC_Casefold (The Unicode Standard, 5.18.4): what is ignorable goes, and may have kept letters apart.
    seen = INVISIBLE.sub("", unicodedata.normalize("NFKC", name).casefold())
    return INVISIBLE.sub("", unicodedata.normalize("NFKC", seen))


def name_key(name: str) -> tuple[str, ...]:
    """Of all connections, and of all names that look alike: whoever comes second is asked about."""
    return "user_name", skeleton(name)


def lock_keys(observation: Observation) -> frozenset[tuple[str, ...]]:
    """Every correlation key the observation speaks of, for advisory locks scoped to its tenant.

    Two observations of one person share at least one of them: the key by which the second one finds what the
    first one wrote.
    """
    connection = str(observation.connection_id or "")
    keys: set[tuple[str, ...]] = set()
    subject = observation.subject
    if observation.external_id:
        keys.add(("external_id", connection, observation.external_id))
    if subject and not subject.is_transient:
        keys.add(("subject", connection, subject.issuer, subject.value))
        if subject.is_key:
            # A POST may carry the persistent NameID as its externalId (row 6), so both meet in one family.
            keys.add(("external_id", connection, subject.value))
    for name in (observation.user_name, *observation.login_names):
        if name:
            keys.add(name_key(name))
    if observation.channel is Channel.SAML and observation.profile.user_name:
        keys.add(name_key(observation.profile.user_name))
    for email in (observation.profile.email, *observation.emails):
        if email:
            keys.add(("email", fold(email)))
    for key in observation.unique_keys:
        keys.add(("unique", connection, key))
    if observation.profile.hr_number:
        keys.add(("hr", observation.profile.hr_number))
    if observation.account_id:
        keys.add(("account", str(observation.account_id)))
    taken_back = [line.identity_id for line in observation.taken_back]
    for identity_id in (observation.target_identity_id, observation.former_identity_id, *taken_back):
        if identity_id:
            keys.add(("identity", str(identity_id)))
    return frozenset(keys)
