"""Which names are equal, and which keys an observation speaks of. Knows no account and no lock."""

import unicodedata

from .types import Channel, Observation


def fold(name: str) -> str:
    """The form in which names and e-mails are compared and stored."""
    return name.lower()


def domain_of(email: str) -> str:
    """The domain of an e-mail, folded; empty when the e-mail is malformed."""
    local, at, domain = fold(email).rpartition("@")
    return domain if local and at and domain and "@" not in local else ""


def look_alike(one: str, other: str) -> bool:
    """Equal only after NFKC and full casefolding: to a reader the same name, to the hub another one."""
    return fold(one) != fold(other) and _skeleton(one) == _skeleton(other)


def _skeleton(name: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


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
            keys.add(("user_name", connection, fold(name)))
    if observation.channel is Channel.SAML and observation.profile.user_name:
        keys.add(("user_name", connection, fold(observation.profile.user_name)))
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
