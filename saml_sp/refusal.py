"""Why a message was turned away, as a value. Knows no sentence for people and no status code."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from identity_hub.core.text import made_keepable


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """`reason` is a stable code; `detail` tells an administrator exactly what did not match, with both values.

    The detail holds protocol values (addresses, entity IDs, times, algorithms), never a person's attributes.
    """

    reason: str
    detail: Mapping[str, str] = field(default_factory=dict)
    verdicts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """What became of each attribute, where the reading came so far: names and codes."""
    message: str = ""
    """Names the message of the IdP's that was refused, where its signature was found good."""
    wanted: str = field(default="", repr=False)
    """Where whoever asked wanted to go, an address of ours; for starting again only, and written down nowhere."""
    found: tuple[str, ...] = field(default=(), repr=False)
    """What a verified assertion said of a person that contradicts itself. For the audit's side table only."""


class Refused(Exception):
    """Carries a refusal through pysaml2, which offers no other way out of its middle."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal


def refuse(reason: str, **detail: object) -> Refusal:
    """A refusal whose details are strings that a log can hold: of its length, and without what no table keeps."""
    # Attack: a NUL in an unsigned message, at which the note of the refusal would fail.
    kept = {name: made_keepable(str(value)[:500]) for name, value in detail.items()}
    return Refusal(reason=reason, detail=kept)
