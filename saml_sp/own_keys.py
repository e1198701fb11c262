"""The hub's own key pairs: which of them signs, and which is only published while they change. Knows no message."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from django.conf import settings
from prometheus_client import Gauge

from identity_hub.core import key_pairs

WARN = timedelta(days=30)
_ends = Gauge(
    "hub_saml_certificate_not_after_timestamp_seconds",
    "When a certificate of the hub's own ends: of the pair that signs, and of the other one.",
    ["pair"],
    multiprocess_mode="mostrecent",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A private key and its certificate, in PEM files that the settings have read."""

    key_file: str
    certificate_file: str


def pairs() -> tuple[Pair, ...]:
    """The pair that signs, then the other one, where there is one: both are published."""
    own = [Pair(key_file=settings.SAML_SP_KEY_FILE, certificate_file=settings.SAML_SP_CERT_FILE)]
    if settings.SAML_SP_OTHER_KEY_FILE:
        own.append(
            Pair(
                key_file=settings.SAML_SP_OTHER_KEY_FILE,
                certificate_file=settings.SAML_SP_OTHER_CERT_FILE,
            )
        )
    return tuple(own)


@lru_cache(maxsize=4)
def _end(pair: Pair) -> datetime:
    """Read once: other files come with a restart."""
    return key_pairs.read(pair.key_file, pair.certificate_file).not_valid_after_utc


def ends() -> list[tuple[str, datetime]]:
    """(`signing` or `other`, the end of its certificate)."""
    return [(name, _end(pair)) for name, pair in zip(("signing", "other"), pairs(), strict=False)]


def ending(at: datetime) -> list[tuple[str, datetime]]:
    """Those that end within thirty days, or have ended."""
    return [(name, end) for name, end in ends() if end - at <= WARN]


def measure() -> None:
    """Tells the numbers at /metrics."""
    for name, end in ends():
        _ends.labels(name).set(end.timestamp())
