"""What a connection's administrator chose. Knows no situation and no database."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum


class Jit(StrEnum):
    """What a login may do when SCIM has not delivered the person yet."""

    OFF = "off"
    EXISTING = "existing"
    CREATE = "create"


class Switch(StrEnum):
    """What an administrator may stop of one connection, whatever its other options say."""

    SCIM_WRITES = "scim-writes"
    DEACTIVATIONS = "scim-deactivations"
    JIT_CREATE = "jit-create"
    JIT_UPDATE = "jit-update"
    RUNS = "runs"


NOTHING: frozenset[Switch] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The options of one connection, complete: no decision reads a setting from anywhere else."""

    jit: Jit = Jit.OFF
    required_attributes: tuple[str, ...] = ("email",)
    """Names of profile attributes (`Profile` fields) that an assertion must carry to create an account."""
    domains: frozenset[str] = field(default_factory=frozenset)
    """E-mail domains verified for the tenant and granted to this connection (lower case, exact)."""
    jit_groups: frozenset[str] = field(default_factory=frozenset)
    """A first login must bring one of these groups (exact); empty means that none is asked for."""
    jit_attributes: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """What a first login must say: a profile attribute, or else an assertion attribute, and the values that will do."""
    jit_approval: bool = False
    """Whether an administrator has to approve of an account that a login made, before anybody gets in by it."""
    trusted_hr_number: bool = False
    """They may link across connections: an administrator vouches for them."""
    trusted_email: bool = False
    """One that vouches for its owner links instead of opening a finding, for e-mails inside `domains`."""
    asserted_groups: frozenset[str] = field(default_factory=frozenset)
    """The allow-list: the values of the group attribute that give something (exact). No other one is kept."""
    precedence: int = 100
    """Of this connection against others, where they disagree: the lower number is shown first."""
    retention: timedelta = timedelta(days=90)
    jit_grace: timedelta = timedelta(days=14)
    """How long a JIT account may stay unconfirmed where SCIM or rosters could confirm it."""
    jit_idle_grace: timedelta = timedelta(days=90)
    """How long one may stay without a login where nothing could confirm it."""
    has_lifecycle_source: bool = True
    """SCIM has pushed and still may, or there are two complete rosters and the newest came within the grace."""
    source_since: datetime | None = None
    """Its first push, else its first complete roster; None: before everybody."""
    stopped: frozenset[Switch] = NOTHING
    deactivations_left: int | None = None
    """How many people SCIM may switch off for now; None: any number (row 29)."""
    email_quarantine: timedelta = timedelta(days=7)
    """An identity whose e-mail changed this recently is never linked by it."""

    def confirmed_by(self, at: datetime) -> datetime | None:
        """Whoever was made before this moment should be confirmed by `at`; None: nobody, its source is too new."""
        limit = at - self.jit_grace
        return None if self.source_since is not None and self.source_since >= limit else limit
