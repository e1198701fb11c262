"""How many sign-ins one address may start, and how many of its failures are written down. Knows no message."""

from identity_hub.core.allowance import Allowance

STARTS_A_MINUTE = 1200
"""From one address: an office of thousands may have only one, and all of them come on Monday at nine. A request waits
ten minutes for its answer, so twelve thousand of an address wait at most."""

NOTED_A_MINUTE = 300
"""Refusals of one address in the log of attempts. More of them are refused all the same, without a reference."""

_starts = Allowance("saml-starts")
_noted = Allowance("saml-noted")


def start(address: str) -> int:
    """Takes a start. The seconds until there is one again; 0 where there was."""
    return _starts.take(address, STARTS_A_MINUTE)


def may_note(address: str) -> bool:
    return _noted.take(address, NOTED_A_MINUTE) == 0
