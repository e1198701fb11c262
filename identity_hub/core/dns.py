"""The hub's questions to the DNS: which texts stand at a name. Knows no tenant, and not what the texts are for."""

from dataclasses import dataclass
from enum import StrEnum

import dns.exception
import dns.name
import dns.nameserver
import dns.resolver
from django.conf import settings

SECONDS = 5.0
"""For one question, all servers and repetitions together."""
_ONE_TRY = 2.0
_AT_MOST = 50
"""Texts of one answer that are looked at; an owner of a zone may write any number of them."""


class Outcome(StrEnum):
    TEXTS = "texts"
    NO_TEXT = "no-text"
    """The name exists, without a text."""
    NO_NAME = "no-name"
    SILENT = "silent"
    """Nobody answered in time."""
    FAILED = "failed"
    """Servers answered that they cannot say (SERVFAIL, REFUSED), or with nonsense."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    outcome: Outcome
    texts: tuple[str, ...] = ()

    @property
    def definite(self) -> bool:
        """Whether it says something about the name; else it only tells of the way there."""
        return self.outcome not in (Outcome.SILENT, Outcome.FAILED)


def texts_at(name: str) -> Answer:
    """The TXT records at `name`, which is complete: no search domain is tried. Asks anew each time."""
    try:
        found = _resolver().resolve(dns.name.from_text(name), "TXT", search=False)
    except dns.resolver.NXDOMAIN:
        return Answer(outcome=Outcome.NO_NAME)
    except dns.resolver.NoAnswer:
        return Answer(outcome=Outcome.NO_TEXT)
    except dns.exception.Timeout:
        return Answer(outcome=Outcome.SILENT)
    except dns.exception.DNSException:
        return Answer(outcome=Outcome.FAILED)
    # RFC 7208 3.3: the strings of one record are read as one, without blanks between them.
    texts = (b"".join(record.strings).decode("utf-8", "replace") for record in list(found)[:_AT_MOST])
    return Answer(outcome=Outcome.TEXTS, texts=tuple(texts))


def _resolver() -> dns.resolver.Resolver:
    servers = settings.HUB_DNS_SERVERS
    resolver = dns.resolver.Resolver(configure=not servers)
    if servers:
        resolver.nameservers = [dns.nameserver.Do53Nameserver(host, port) for host, port in servers]
    resolver.timeout, resolver.lifetime = _ONE_TRY, SECONDS
    return resolver
