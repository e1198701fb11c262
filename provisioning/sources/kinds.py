"""Which directories can be listed, what each has to be told, and how it is asked. Knows no table.

The SCIM face adds its kind when it starts: what SCIM means is known there only.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from provisioning.decision.reasons import Flaw
from provisioning.roster import Unreadable

from . import Listing, google, graph
from .credentials import Bearer, ClientCredentials, ServiceAccount, key_file
from .wire import Credential, Wire

MakeWire = Callable[..., Wire]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How one directory is asked. Never shown: it holds the secret."""

    base: str
    secret: str
    token_address: str = ""
    client_id: str = ""
    subject: str = ""
    chosen: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    mapping: Mapping[str, str]
    """Hub attribute -> column, where an administrator says nothing else."""
    needs: tuple[str, ...]
    """Which of a source's fields cannot be empty, beside the address."""
    open: Callable[[Settings, MakeWire], Listing]
    base: str = ""
    token_address: str = ""
    """Where the directory is when nobody says otherwise."""


def by_token(settings: Settings) -> Credential:
    """The secret is the token itself, or what obtains one where a token address is named."""
    if not settings.token_address:
        return Bearer(settings.secret)
    return ClientCredentials(
        token_address=settings.token_address, client_id=settings.client_id, secret=settings.secret
    )


def _google(settings: Settings, wire: MakeWire) -> Listing:
    key = key_file(settings.secret)
    if key is None:
        raise Unreadable("The service account's key cannot be used.", Flaw.DENIED)
    account = ServiceAccount(
        token_address=settings.token_address,
        account=key["client_email"],
        key=key["private_key"],
        subject=settings.subject,
        scope=google.SCOPE,
    )
    return google.GoogleListing(wire(account, busy=google.is_busy), settings.base, chosen=settings.chosen)


def _graph(settings: Settings, wire: MakeWire) -> Listing:
    client = ClientCredentials(
        token_address=settings.token_address,
        client_id=settings.client_id,
        secret=settings.secret,
        scope=graph.SCOPE,
    )
    return graph.GraphListing(wire(client), settings.base, chosen=settings.chosen)


KINDS: dict[str, Kind] = {
    "google": Kind(
        mapping=google.MAPPING,
        needs=("subject",),
        open=_google,
        base=google.BASE,
        token_address=google.TOKEN_ADDRESS,
    ),
    "graph": Kind(mapping=graph.MAPPING, needs=("token_address", "client_id"), open=_graph, base=graph.BASE),
}
