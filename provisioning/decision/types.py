"""What a decision is made of: observations, what is known, what should change. Knows no Django, no clock."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from .quick import quick

Document = Mapping[str, Any]
"""A JSON object: a canonical SCIM resource, or mapped assertion attributes."""


class Channel(StrEnum):
    """How a fact arrived. `roster` is a full listing, or a run over the stored facts."""

    SCIM = "scim"
    SAML = "saml"
    ROSTER = "roster"
    ADMIN = "admin"


class Intent(StrEnum):
    CREATE = "create"
    UPDATE = "update"
    ENABLE = "enable"
    DISABLE = "disable"
    DELETE = "delete"
    AUTHENTICATE = "authenticate"
    ABSENT = "absent"
    UNLINK = "unlink"
    UNBIND = "unbind"
    MERGE = "merge"
    UNMERGE = "unmerge"
    UNDO = "undo"
    OVERRIDE = "override"
    END_OVERRIDE = "end-override"


class Situation(StrEnum):
    """Where an observation finds the hub. The first five are midPoint's words; the rest refine them."""

    LINKED = "linked"
    """A live account of this connection, tied to an enabled identity (a held one is `held` for a login)."""
    UNLINKED = "unlinked"
    """No account yet, and exactly one identity answers by a strong rule."""
    UNMATCHED = "unmatched"
    """Nobody answers."""
    DISPUTED = "disputed"
    """Several answer."""
    DELETED = "deleted"
    """Only a tombstone answers, by a key that people keep (externalId, subject; for a login the name too)."""
    ADOPTABLE = "adoptable"
    """A live account that only a login made; SCIM has not confirmed it."""
    WEAK = "weak"
    """No account yet, and one identity answers by a weak or vetoed rule only."""
    COLLISION = "collision"
    """A key that is asked for belongs to another live account here, or contradicts the one found."""
    PROTECTED = "protected"
    """The identity that answers is break-glass or a service identity."""
    INACTIVE = "inactive"
    """A POST meets an inactive account of this connection by the same externalId."""
    RECYCLED = "recycled"
    """Only a tombstone answers, and only by its userName."""
    WAITING = "waiting"
    """A live account of this connection that no identity is tied to yet."""
    HELD = "held"
    """A login whose identity has a hold, or no live account."""
    UNUSABLE = "unusable"
    """An assertion that lacks what the policy asks for (subject, required attribute, domain, group, value)."""
    STALE = "stale"
    """The account changed since the writer read it, or since the moment that the roster speaks of."""
    MISPLACED = "misplaced"
    """An administrator says that a linked account is another identity's."""


class Verdict(StrEnum):
    APPLIED = "applied"
    UNCHANGED = "unchanged"
    REFUSED = "refused"
    STALE = "stale"
    """Not a refusal: read again, then submit again. Nothing was written."""
    PENDING = "pending"
    """A first login wrote an account that waits for its link (rows 8, 9): changes apply, nobody gets in."""


class HoldKind(StrEnum):
    SCIM = "scim"
    EXPIRY = "expiry"
    ADMIN = "admin"
    SECURITY = "security"
    APPROVAL = "approval"
    MIGRATION = "migration"
    OWNER = "owner"


MISSING = "missing from rosters"
"""Why a hold was placed that being listed lifts."""


class Origin(StrEnum):
    SCIM = "scim"
    JIT = "jit"
    ROSTER = "roster"
    MIGRATION = "migration"


class Rule(StrEnum):
    """Correlation rules, strongest first (the number is the rule's rank)."""

    EXPLICIT = "0-explicit"
    EXTERNAL_ID = "1-external-id"
    SUBJECT = "2-subject"
    ASSERTED_KEY = "3-asserted-key"
    SCIM_ID = "4-scim-id"
    HR_NUMBER = "5-hr-number"
    USER_NAME = "6-user-name"
    OWNED_EMAIL = "7-owned-email"
    OTHER_EMAIL = "8-other-email"
    CREATED = "created"
    """Not a match: the account's own identity was made with it."""


class Severity(StrEnum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
TRANSIENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who acts: kind is `token`, `client`, `connection`, `identity`, `command`, `schedule` or `guard`; id names which
    one."""

    kind: str
    id: str = ""

    @property
    def is_person(self) -> bool:
        """Whether somebody can say why: a schedule's reason is that it is time."""
        return self.kind in ("identity", "command")

    @property
    def signature(self) -> str:
        """`kind:id`, as rows keep it."""
        return f"{self.kind}:{self.id}"[:100]

    @classmethod
    def who_signed(cls, signature: str) -> "Actor":
        kind, _, name = signature.partition(":")
        return cls(kind=kind, id=name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A NameID as the IdP named it. Only a persistent one is a key; other formats are names (row 22b)."""

    issuer: str
    format: str
    value: str

    @property
    def is_key(self) -> bool:
        return self.format == PERSISTENT

    @property
    def is_transient(self) -> bool:
        return self.format == TRANSIENT


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What the hub shows of a person. An empty string means: this source does not say."""

    user_name: str = ""
    email: str = ""
    given_name: str = ""
    family_name: str = ""
    display_name: str = ""
    locale: str = ""
    time_zone: str = ""
    hr_number: str = ""
    department: str = ""
    title: str = ""


PROFILE_FIELDS = tuple(one.name for one in fields(Profile))
NO_FIELDS: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """What an administrator says that an identity shows as one attribute, whatever its sources say, until a moment."""

    id: UUID
    attribute: str
    value: str
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """One merge of two identities; `accounts` are those that it had moved, `ended` what there is to say of each
    identity where none of its accounts lives: what those last said that have ended since, or with it."""

    id: UUID
    accounts: frozenset[UUID] = frozenset()
    ended: Mapping[UUID, Profile] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenBack:
    """One change that a run made, as what would take it back.

    `change` names that (`LiftHold`, `RestoreAccount`, ...), `kind` a hold's kind. Of an account that is restored
    `before` and `after` are the attributes of its resource that changed, with their values, `fields` the columns,
    `user_name` and `external_id` what they were where they changed.
    """

    change: str
    account_id: UUID | None = None
    identity_id: UUID | None = None
    kind: str = ""
    source_account_id: UUID | None = None
    finding_id: UUID | None = None
    before: Document = field(default_factory=dict)
    after: Document = field(default_factory=dict)
    fields: frozenset[str] = NO_FIELDS
    user_name: str = ""
    external_id: str | None = None
    lifecycle_owner: Origin | None = None


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One fact that arrived, with everything a decision needs to know about it.

    `account_id` is the addressed account (SCIM by id, admin acts); `new_account_id` and `new_identity_id`
    are the ids to use should one be created, so that deciding is pure. `expected_version` is the version the
    writer read; another one is STALE. `external_id` is the SCIM externalId, or for a login the value of the
    attribute configured to carry it. `login_names` are the names a login may match against userName: a
    non-transient NameID and the configured attribute, never an e-mail attribute. `emails` are all e-mail
    values, lower case; `groups` all values of the connection's group attribute, `attributes` those of assertion
    attributes that its limits name and that are no profile attributes. `resource` is the SCIM document to keep
    (without id, meta, groups), `unique_keys` what in it nobody else of the connection may have (`path=value`);
    `assertion` the mapped attributes, and `faults` those that it says in a way that is not believed, each with what
    is wrong with it (a code), and `disbelieved` what it says there.
    `as_of` is set for a row of a roster, and for what complete rosters left out: the moment the listing speaks of. Of
    a row, `says` names the compared fields (of a `Profile`) that its roster says at all, and no other is touched;
    `of_another_row` is the account that has its userName and that another row of the roster means by its key.
    `taken_back` is what an administrator takes back of a run, the last change first. A run's plan that took nobody's
    access says so when it is carried out (`may_take_access`).
    `target_identity_id` and `hold` belong to admin acts (and to runs); `reason` is what the administrator wrote.
    `former_identity_id` is the identity that an administrator takes the account from; `fold_duplicate` says that an
    account which only doubles another one of its connection may end in it. Of a merge the target is the identity that
    stays and the former one that which ends in it; `merge` names it, and what it had moved when it is to be undone.
    `override` is one to set on the target, `override_id` one of its that is to end.
    """

    channel: Channel
    intent: Intent
    tenant_id: UUID
    connection_id: UUID | None
    at: datetime
    actor: Actor
    request_id: str = ""
    account_id: UUID | None = None
    new_account_id: UUID | None = None
    new_identity_id: UUID | None = None
    expected_version: int | None = None
    user_name: str = ""
    external_id: str | None = None
    active: bool | None = None
    subject: Subject | None = None
    login_names: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    profile: Profile = Profile()
    resource: Document | None = None
    unique_keys: tuple[str, ...] = ()
    assertion: Document | None = None
    faults: Mapping[str, str] = field(default_factory=dict)
    disbelieved: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    as_of: datetime | None = None
    says: frozenset[str] = NO_FIELDS
    of_another_row: UUID | None = None
    target_identity_id: UUID | None = None
    former_identity_id: UUID | None = None
    fold_duplicate: bool = False
    merge: "Merge | None" = None
    hold: HoldKind | None = None
    finding_id: UUID | None = None
    taken_back: tuple[TakenBack, ...] = ()
    override: Override | None = None
    override_id: UUID | None = None
    may_take_access: bool = True
    reason: str = ""


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class AccountFacts:
    id: UUID
    connection_id: UUID
    identity_id: UUID | None
    origin: Origin
    confirmed: bool
    active: bool
    version: int
    user_name: str
    external_id: str | None
    asserted_key: str | None
    """What a login said the externalId would be (the configured attribute, else a persistent NameID)."""
    subject: Subject | None
    emails: tuple[str, ...]
    resource: Document
    assertion: Document
    precedence: int
    """Of its connection: the lower number is shown first."""
    created_at: datetime
    last_login_at: datetime | None
    updated_at: datetime | None = None
    """When its resource last changed."""
    as_of: datetime | None = None
    """Where a roster changed it last, the moment that the roster spoke of."""
    spoken_at: datetime | None = None
    """When SCIM last said again what it says."""
    lifecycle_owner: Origin = Origin.SCIM
    """Whose word on `active` stands: a roster opens only what a roster closed, or what only rosters speak of."""

    @property
    def speaks_of(self) -> datetime:
        """The moment of which it says what it says."""
        moment = self.as_of or self.updated_at or self.created_at
        return moment if self.spoken_at is None else max(moment, self.spoken_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldFacts:
    kind: HoldKind
    source_account_id: UUID | None
    as_missing: bool = False
    """Placed because complete rosters lacked its account (row 26)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OverrideFacts:
    """An override that nobody has ended yet."""

    id: UUID
    attribute: str
    value: str
    instead_of: str
    """What the sources said when they were last asked."""
    over: bool = False
    """Its end has come: nothing shows it any more."""


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityFacts:
    id: UUID
    protected: bool
    """Break-glass, or a service identity: never linked, overwritten or disabled by an IdP."""
    local: bool
    """Signs in with a credential of the hub's own, so it needs no account to be enabled."""
    profile: Profile
    holds: tuple[HoldFacts, ...]
    accounts: tuple[AccountFacts, ...]
    """Its live accounts, over all connections."""
    email_changed_at: datetime | None
    live_sessions: bool = False
    merged_into: UUID | None = None
    """The identity that stands for this one since the two were found to be one person."""
    kept_from_runs: bool = False
    """An administrator has said that no run may hold it."""
    overrides: tuple[OverrideFacts, ...] = ()
    said_email: str | None = None
    """Where an override shows another e-mail: the one that its sources say, in lower case."""

    @property
    def known_email(self) -> str:
        """By this it is recognised, whatever it shows."""
        return self.profile.email if self.said_email is None else self.said_email

    @property
    def spared(self) -> bool:
        return self.protected or self.kept_from_runs

    @property
    def enabled(self) -> bool:
        """No hold, and a live account (or a local identity)."""
        return self.merged_into is None and not self.holds and (self.local or bool(self.accounts))


@dataclass(frozen=True, slots=True, kw_only=True)
class TombstoneFacts:
    account_id: UUID
    connection_id: UUID
    identity_id: UUID | None
    matched: frozenset[str]
    """Which keys of the observation it answers to: `external_id`, `subject`, `user_name`."""
    deleted_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An identity that may be the same person, with the rules that say so, strongest first.

    With none it shares no key: one of its names may look like the observation's.
    """

    identity: IdentityFacts
    rules: tuple[Rule, ...]


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the hub holds about the keys of one observation, read under their locks.

    Accounts and tombstones are those of the observation's connection only; candidates are identities of the
    tenant that share an e-mail or HR number, or have a name that looks like the observation's; `identities` are
    those of every account, tombstone and candidate named here and of `target_identity_id`, and those with a hold
    whose source is an account or tombstone here. Tombstones are those that answer to a key, and those of the
    candidates' identities (`matched` is then empty). A candidate's `rules` say which key it shares; the core
    decides what an e-mail is worth. Of an account that is linked only look-alikes are candidates.
    """

    addressed: AccountFacts | None = None
    by_external_id: AccountFacts | None = None
    """Live account whose externalId equals the observation's."""
    by_asserted_key: AccountFacts | None = None
    """Live unconfirmed account whose asserted key equals the observation's externalId (SCIM), or whose
    asserted key equals the login's external_id or persistent NameID (SAML)."""
    by_subject: AccountFacts | None = None
    """Live account bound to the observation's persistent subject."""
    by_user_name: AccountFacts | None = None
    """Live account whose userName equals the observation's user_name (SCIM) or a login name (SAML)."""
    by_subject_as_external_id: AccountFacts | None = None
    """SAML: live account whose externalId equals the persistent NameID."""
    name_holder: AccountFacts | None = None
    """SAML: live account that has the userName which a new account would get. That may be a persistent NameID, which is
    compared with keys alone."""
    holders: Mapping[str, UUID] = field(default_factory=dict)
    """Unique key of the observation -> the live account that has it."""
    name_hits: int = 0
    """SAML: how many different live accounts the login_names hit."""
    tombstones: tuple[TombstoneFacts, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    identities: Mapping[UUID, IdentityFacts] = field(default_factory=dict)
    remembered: frozenset[tuple[str, UUID, str]] = frozenset()
    """(finding kind, identity id, `case_of` its evidence) that a person has already decided for this account's keys;
    where a roster speaks also those that a person is being asked, and the account's id where there is no identity."""
    apart: frozenset[UUID] = frozenset()
    """Identities that a person has said are not this account's, or not its person's: no rule links them."""
    carried: frozenset[HoldKind] = frozenset()
    """What the account held when it was unlinked: it holds whoever it is linked to next."""


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class CreateIdentity:
    identity_id: UUID
    profile: Profile


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateIdentity:
    """`profile` is the whole profile to show from now on; `said_email` what the sources say where that shows another
    e-mail by an override: by this one it is recognised. `instead_of` is what they say by now of what is overridden."""

    identity_id: UUID
    profile: Profile
    said_email: str | None = None
    instead_of: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetOverride:
    identity_id: UUID
    override: Override
    instead_of: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EndOverride:
    identity_id: UUID
    override_id: UUID
    attribute: str


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class CreateAccount:
    account_id: UUID
    connection_id: UUID
    identity_id: UUID | None
    origin: Origin
    confirmed: bool
    active: bool
    user_name: str
    external_id: str | None
    asserted_key: str | None
    subject: Subject | None
    emails: tuple[str, ...]
    resource: Document
    assertion: Document
    rule: Rule | None
    """The rule of its link; None while it is not linked."""
    evidence: Document = field(default_factory=dict)


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateAccount:
    """The whole new state of the fields a writer may change; the account's version goes up by one."""

    account_id: UUID
    active: bool
    confirmed: bool
    user_name: str
    external_id: str | None
    asserted_key: str | None
    subject: Subject | None
    emails: tuple[str, ...]
    resource: Document
    assertion: Document
    lifecycle_owner: Origin | None = None
    """None: as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteAccount:
    """Leaves a tombstone; its memberships go."""

    account_id: UUID
    identity_id: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOverGroups:
    """The account that goes on is in the groups of the one that ends in it."""

    account_id: UUID
    heir_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkAccount:
    account_id: UUID
    identity_id: UUID
    rule: Rule
    evidence: Document = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnlinkAccount:
    """The account waits for its link again."""

    account_id: UUID
    identity_id: UUID
    """Whose it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepApart:
    """A person said that this account is not this identity's; `carried` is what it held there."""

    account_id: UUID
    identity_id: UUID
    carried: tuple[HoldKind, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LiftCarried:
    """A hold that waits with its account for the next link is lifted, as it would be on an identity."""

    account_id: UUID
    kind: HoldKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """A login's account that a merge ended in the pushed one, and the holds that this lifted."""

    login_account_id: UUID
    account_id: UUID
    lifted: tuple[HoldKind, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeIdentities:
    """Everything that names the former identity names the other one from now on (`provisioning.merges` says what)."""

    merge_id: UUID
    identity_id: UUID
    former_identity_id: UUID
    folded: tuple[Folded, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class UnmergeIdentities:
    """The former identity stands for itself again, with what the merge had moved and nothing newer has touched."""

    merge_id: UUID
    identity_id: UUID
    former_identity_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveHold:
    """One hold goes with its source from one identity to another, as it was placed."""

    identity_id: UUID
    """Where it rests from now on."""
    former_identity_id: UUID
    kind: HoldKind
    source_account_id: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceHold:
    identity_id: UUID
    kind: HoldKind
    source_account_id: UUID | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LiftHold:
    identity_id: UUID
    kind: HoldKind
    source_account_id: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EndSessions:
    identity_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenFinding:
    """`kind` is `subject:what` like a reason code; `candidates` are identity ids, the likeliest first.

    `mark` tells the case from others of its kind where the nightly look asks about it, too, and `parts` are what it
    would have found.
    """

    kind: str
    severity: Severity
    account_id: UUID | None
    identity_id: UUID | None = None
    candidates: tuple[UUID, ...] = ()
    evidence: Document = field(default_factory=dict)
    said: str = ""
    """What came, where something else that comes is another case. A value of a person: only its digest is kept."""
    mark: str = ""
    parts: tuple[str, ...] = ()


_CASE = ("account", "other", "here", "by")


def case_of(evidence: Document) -> str:
    """What of a finding's evidence tells two cases of one kind apart, about whomever they are."""
    return " ".join(f"{name}={evidence[name]}" for name in _CASE if evidence.get(name))


@dataclass(frozen=True, slots=True, kw_only=True)
class AddAlias:
    """An old name or key, kept so that people can look it up; never a way to log in."""

    account_id: UUID
    identity_id: UUID | None
    kind: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordLogin:
    account_id: UUID
    identity_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseFinding:
    finding_id: UUID
    approved: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawFinding:
    """What it asked about has been taken back."""

    finding_id: UUID


Change = (
    CreateIdentity
    | UpdateIdentity
    | CreateAccount
    | UpdateAccount
    | DeleteAccount
    | HandOverGroups
    | LinkAccount
    | UnlinkAccount
    | KeepApart
    | LiftCarried
    | MoveHold
    | MergeIdentities
    | UnmergeIdentities
    | PlaceHold
    | LiftHold
    | EndSessions
    | OpenFinding
    | AddAlias
    | RecordLogin
    | CloseFinding
    | WithdrawFinding
    | SetOverride
    | EndOverride
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """What a policy expects of an attribute, and what an assertion brought: values of a person."""

    attribute: str
    expected: tuple[str, ...]
    found: tuple[str, ...]


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """`reason` is a stable code `subject:what-happened`. A refusal may carry findings, and nothing else."""

    verdict: Verdict
    situation: Situation
    reason: str
    account_id: UUID | None = None
    identity_id: UUID | None = None
    changes: tuple[Change, ...] = ()
    detail: Mapping[str, str] = field(default_factory=dict)
    """For the administrator: which attribute, which account holds the key. Ids and names, no values."""
    found: tuple[str, ...] = ()
    """What an assertion brought instead of what `detail` says was expected. For the audit's side table only."""


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A live account as a write left it: what a reader would read now."""

    version: int
    active: bool
    resource: Document
    created_at: datetime
    updated_at: datetime


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What `services.submit` answers: `created` says whether the account is new, `version` its version."""

    verdict: Verdict
    situation: Situation
    reason: str
    account_id: UUID | None = None
    identity_id: UUID | None = None
    created: bool = False
    version: int | None = None
    audit_id: int | None = None
    written: Written | None = None
    """The account of an accepted write; None where there is none any more."""
    size: int | None = None
    """Of a group: its members, counted no further than one more than services.groups.COUNTED."""
    detail: Mapping[str, str] = field(default_factory=dict)
    told: Sequence[Mapping[str, Any]] = ()
    """What the audit row says of the changes, one by one: names, ids and codes."""

    @property
    def accepted(self) -> bool:
        return self.verdict in (Verdict.APPLIED, Verdict.UNCHANGED)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupObservation:
    """What a SCIM request wants of one DirectoryGroup.

    `display_name` None leaves it; `external_id` is changed only when `set_external_id`. `add` and `remove`
    are account ids; `replace_members` means that `add` is the whole membership (remove is then ignored);
    `strangers` counts the members to add whose value can be nobody's id.
    `resource` holds further attributes of the canonical document (None leaves them; never members).
    """

    channel: Channel = Channel.SCIM
    intent: Intent
    tenant_id: UUID
    connection_id: UUID
    at: datetime
    actor: Actor
    request_id: str = ""
    group_id: UUID | None = None
    display_name: str | None = None
    external_id: str | None = None
    set_external_id: bool = False
    resource: Document | None = None
    add: tuple[UUID, ...] = ()
    remove: tuple[UUID, ...] = ()
    replace_members: bool = False
    strangers: int = 0
    expected_version: int | None = None
