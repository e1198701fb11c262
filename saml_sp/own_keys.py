"""The hub's own key pairs: which of them signs, and which only opens what was encrypted. Knows no message."""

from dataclasses import dataclass

from django.conf import settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A private key and its certificate, in PEM files that the settings have read."""

    key_file: str
    certificate_file: str


def pairs() -> tuple[Pair, ...]:
    """The pair that signs, then the other one, where there is one: both are published, and both decrypt."""
    own = [Pair(key_file=settings.SAML_SP_KEY_FILE, certificate_file=settings.SAML_SP_CERT_FILE)]
    if settings.SAML_SP_OTHER_KEY_FILE:
        own.append(
            Pair(
                key_file=settings.SAML_SP_OTHER_KEY_FILE,
                certificate_file=settings.SAML_SP_OTHER_CERT_FILE,
            )
        )
    return tuple(own)
