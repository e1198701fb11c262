"""The stable codes of what happened and of what waits for a person. Knows no rule that leads to them."""

from enum import StrEnum


class _Code(StrEnum):
    """A code that never changes once released, with its meaning in one line."""

    meaning: str

    def __new__(cls, code: str, meaning: str) -> "_Code":
        member = str.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member


def in_short(code: str) -> str:
    """`account:weak-match` as "Account, weak match": a name where a whole sentence has no room."""
    subject, _, happened = code.partition(":")
    return f"{subject}, {happened.replace('-', ' ')}".removesuffix(", ").capitalize()


class Reason(_Code):
    """Why an observation ended as it did: `Decision.reason`. `docs/reasons.md` says what to do about each."""

    ACCOUNT_CREATED = "account:created", "A new account with an identity of its own."
    ACCOUNT_UPDATED = "account:updated", "The account says something else now."
    ACCOUNT_UNCHANGED = "account:unchanged", "The account already says this."
    ACCOUNT_ADOPTED = "account:adopted", "SCIM or a roster confirmed an account that a login had made."
    ACCOUNT_REACTIVATED = "account:reactivated", "A POST with the same externalId woke the inactive account."
    ACCOUNT_LINKED = "account:linked", "The account was tied to an identity that was there already."
    ACCOUNT_LINK_PENDING = "account:link-pending", "The account exists, but a person must say whose it is."
    ACCOUNT_DISABLED = "account:disabled", "SCIM or a roster said active=false: held, sessions ended."
    ACCOUNT_ENABLED = (
        "account:enabled",
        "SCIM said active=true, or a roster lists again whom rosters closed: this account's own hold is lifted.",
    )
    ACCOUNT_DELETED = "account:deleted", "SCIM deleted the account: tombstone, held, sessions ended."
    ACCOUNT_RETURNED = (
        "account:returned",
        "A POST after DELETE with the same externalId met the same identity.",
    )
    ACCOUNT_EXPIRED = "account:expired", "A login's account was not confirmed within its grace: held."
    ACCOUNT_MISSING = "account:missing", "The account is missing from complete rosters: held."
    ACCOUNT_NEWER = (
        "account:newer-than-roster",
        "The IdP spoke of the account after the moment of the roster: it stays as it is.",
    )
    ACCOUNT_STATE_CONFLICT = (
        "account:state-conflict",
        "A roster lists somebody as active who was closed or deleted otherwise: nothing is revived.",
    )
    ACCOUNT_IDENTITY_CREATED = "account:identity-created", "A waiting account was given its own identity."
    ACCOUNT_UNKNOWN = "account:unknown", "No live account of this connection has this id."
    ACCOUNT_USER_NAME_TAKEN = (
        "account:user-name-taken",
        "Another live account of the connection has this userName.",
    )
    ACCOUNT_EXTERNAL_ID_TAKEN = (
        "account:external-id-taken",
        "Another live account of the connection has this externalId.",
    )
    ACCOUNT_VALUE_TAKEN = (
        "account:value-taken",
        "Another live account of the connection has a value that is unique by its schema.",
    )
    ACCOUNT_STALE = "account:stale", "The account changed since the writer read it."
    ACCOUNT_DEACTIVATION_STOPPED = (
        "account:deactivation-stopped",
        "Deactivations by SCIM are stopped; this one was not obeyed.",
    )
    ACCOUNT_ALREADY_LINKED = "account:already-linked", "The account belongs to another identity already."
    ACCOUNT_UNLINKED = "account:unlinked", "An administrator took the account off its identity."
    ACCOUNT_UNBOUND = "account:unbound", "An administrator freed the account of its NameID: sessions ended."
    ACCOUNT_ENDED = (
        "account:ended",
        "An administrator ended an inactive account whose name or key was asked for: tombstone, held.",
    )
    ACCOUNT_NOT_INACTIVE = (
        "account:not-inactive",
        "The account is active: only its IdP ends it.",
    )
    ACCOUNT_RELINKED = "account:relinked", "An administrator gave the account to another identity."
    ACCOUNT_FOLDED = (
        "account:folded",
        "An account that a login had made ended in the one that SCIM had delivered for the same person.",
    )
    ACCOUNT_SAME_CONNECTION = (
        "account:same-connection",
        "The identity has another live account of this connection.",
    )
    ACCOUNT_OF_HELD = (
        "account:of-held-identity",
        "The account's identity is held by an administrator: it is not taken off before that hold is lifted.",
    )

    IDENTITY_HELD = "identity:held", "An administrator placed a hold: sessions ended."
    IDENTITY_RELEASED = "identity:released", "An administrator lifted a hold."
    IDENTITY_UNCHANGED = "identity:unchanged", "The identity is already so."
    IDENTITY_SESSION_OF_HELD = (
        "identity:session-of-held",
        "A run ended the sessions of somebody who is not enabled.",
    )
    IDENTITY_SPARED = (
        "identity:spared",
        "A run would have taken the access of a protected identity: only reported.",
    )
    IDENTITY_UNKNOWN = "identity:unknown", "No identity of the tenant has this id."
    IDENTITY_PROTECTED = "identity:protected", "A break-glass or service identity is never linked or merged."
    IDENTITY_MERGED = (
        "identity:merged",
        "Two identities turned out to be one person, and are one from now on.",
    )
    IDENTITY_UNMERGED = "identity:unmerged", "Two identities that had been merged are two people again."
    IDENTITY_MERGED_AWAY = (
        "identity:merged-away",
        "The identity was merged into another one, which stands for it now.",
    )
    IDENTITY_NOT_MERGED = "identity:not-merged", "The two identities are not merged, or no longer."
    IDENTITY_ITSELF = "identity:itself", "An identity is not merged into itself."
    IDENTITY_SIGNS_IN_HERE = (
        "identity:signs-in-here",
        "An identity with a password of the hub's own does not end in another one.",
    )
    IDENTITY_ACCOUNTS_COLLIDE = (
        "identity:accounts-collide",
        "Both identities have a live account of one connection, and neither is a login's duplicate of the other.",
    )
    IDENTITY_OVERRIDDEN = (
        "identity:overridden",
        "An administrator said what an identity shows, until a day, whatever its sources say.",
    )
    IDENTITY_OVERRIDE_ENDED = (
        "identity:override-ended",
        "An override ended: the identity shows again what its sources say.",
    )
    IDENTITY_OVERRIDE_REFUSED = (
        "identity:override-refused",
        "This attribute is not an administrator's to override.",
    )
    IDENTITY_HOLD_REFUSED = (
        "identity:hold-refused",
        "This kind of hold is not an administrator's to place or lift.",
    )

    FINDING_ASSIGNED = "finding:assigned", "A finding has an owner, or none any more."
    FINDING_POSTPONED = "finding:postponed", "A finding is due on another day."
    ITEM_UNDONE = "item:undone", "An administrator took back what a run did to somebody."
    ITEM_TOUCHED_SINCE = (
        "item:touched-since",
        "Something newer has changed the account or the person: not taken back.",
    )
    ITEM_DESTRUCTIVE_NOW = (
        "item:destructive-now",
        "When it was planned nobody lost access by it, and now somebody would: not done.",
    )
    ITEM_TOO_OLD = "item:too-old", "A run's item is taken back within 30 days only."
    ITEM_NOT_DONE = "item:not-done", "The run did nothing there, or it has been taken back already."
    ITEM_NOTHING_LEFT = "item:nothing-left", "Nothing of it can be taken back; ended sessions cannot."
    ITEM_VALUES_GONE = "item:values-gone", "The values from before have been purged."

    FINDING_CLOSED = "finding:closed", "An administrator has seen the finding; nothing else changed."

    LOGIN_ADMITTED = "login:admitted", "A linked, enabled person signed in."
    LOGIN_ACCOUNT_CREATED = "login:account-created", "A first login made an account and an identity."
    LOGIN_ACCOUNT_BOUND = "login:account-bound", "A first login met the account that SCIM had delivered."
    LOGIN_ACCOUNT_LINKED = (
        "login:account-linked",
        "A first login made an account of an identity that was there.",
    )
    LOGIN_NO_ACCOUNT = "login:no-account", "Nobody is known, and a login may not create here."
    LOGIN_CREATION_STOPPED = (
        "login:creation-stopped",
        "Nobody is known, and an administrator has stopped the making of accounts by logins.",
    )
    LOGIN_PROFILE_INCOMPLETE = "login:profile-incomplete", "A required attribute is missing or malformed."
    LOGIN_DOMAIN_NOT_ALLOWED = (
        "login:domain-not-allowed",
        "There is no e-mail, or its domain is not granted to the connection.",
    )
    LOGIN_GROUP_NOT_ALLOWED = (
        "login:group-not-allowed",
        "Nobody is known, and the assertion brings no group for which a login may create.",
    )
    LOGIN_ATTRIBUTE_NOT_ALLOWED = (
        "login:attribute-not-allowed",
        "Nobody is known, and an attribute has no value for which a login may create.",
    )
    LOGIN_SUBJECT_TRANSIENT = (
        "login:subject-transient",
        "The assertion carries nothing to recognise a person by.",
    )
    LOGIN_IDENTITY_HELD = "login:identity-held", "The identity is held; a login never lifts a hold."
    LOGIN_ACCOUNT_DELETED = "login:account-deleted", "The account was deleted; a login never revives it."
    LOGIN_LINK_PENDING = "login:link-pending", "The account waits for a person to say whose it is."
    LOGIN_APPROVAL_PENDING = (
        "login:approval-pending",
        "The account was made by a login, and an administrator has not approved of it yet.",
    )
    LOGIN_DISPUTED = "login:disputed", "The assertion's keys belong to different accounts."
    LOGIN_NAME_ID_CHANGED = "login:name-id-changed", "The account is bound to another persistent NameID."
    LOGIN_NAME_ID_RECYCLED = "login:name-id-recycled", "The NameID or name now comes with another externalId."
    LOGIN_PROTECTED = "login:protected", "A break-glass or service identity answers; no IdP may speak for it."

    GROUP_CREATED = "group:created", "A new directory group."
    GROUP_UPDATED = "group:updated", "The group or its membership changed."
    GROUP_UNCHANGED = "group:unchanged", "The group already is so."
    GROUP_DELETED = "group:deleted", "The group and its memberships are gone."
    GROUP_UNKNOWN = "group:unknown", "No group of this connection has this id."
    GROUP_EXTERNAL_ID_TAKEN = (
        "group:external-id-taken",
        "Another group of the connection has this externalId.",
    )
    GROUP_MEMBER_UNKNOWN = "group:member-unknown", "A member is no live account of this connection."
    GROUP_STALE = "group:stale", "The group changed since the writer read it."

    DECISION_CANNOT_OCCUR = "decision:cannot-occur", "No rule exists for this channel, intent and situation."


DEACTIVATIONS = (Reason.ACCOUNT_DISABLED, Reason.ACCOUNT_DELETED, Reason.ACCOUNT_MISSING)
"""A source took somebody's access away."""


class FindingKind(_Code):
    """What waits for a person: `OpenFinding.kind`."""

    WEAK_MATCH = "account:weak-match", "One identity may be the same person, by a weak or vetoed rule."
    DISPUTED = "account:disputed", "Several identities may be the same person."
    LOOK_ALIKE = (
        "account:look-alike",
        "Two names are equal only after compatibility folding, or but for letters that nobody sees.",
    )
    PROTECTED_MATCH = "account:protected-match", "An IdP speaks of a break-glass or service identity."
    NAME_RECYCLED = "account:name-recycled", "A new account took the userName of a deleted one."
    NAME_HELD_BY_INACTIVE = (
        "account:name-held-by-inactive",
        "An inactive account keeps a name that is asked for.",
    )
    KEY_CONTRADICTS = "account:key-contradicts", "A name matches a login's account, its key contradicts."
    DUPLICATE = "account:duplicate", "Two accounts of one connection seem to be one person."
    STATE_CONFLICT = (
        "account:state-conflict",
        "A roster lists somebody as active who was closed or deleted otherwise.",
    )
    DUPLICATE_IDENTITIES = "identity:duplicate", "Two identities seem to be one person."
    ORPHAN_IDENTITY = "identity:orphan", "No live source vouches for a person who may sign in."
    ORPHAN_ACCOUNT = "account:orphan", "An account belongs to nobody, and nothing asks whose it is."
    DORMANT = "account:dormant", "Somebody who might sign in has not done so for long."
    STATES_DIFFER = (
        "identity:state-conflict",
        "One connection says that a person is active, another one that the person is not: the stricter one wins.",
    )
    ATTRIBUTE_CONFLICT = "identity:attribute-conflict", "The sources of one person contradict each other."
    HELD_KEEPS_GROUPS = (
        "identity:held-keeps-groups",
        "Somebody held for long is still in groups that give something.",
    )
    GROUPS_DIFFER = (
        "account:groups-differ",
        "The groups that logins bring are not those that SCIM pushed; SCIM's count.",
    )
    ENTITLEMENT_UNREACHABLE = (
        "entitlement:unreachable",
        "Nobody has an entitlement: its groups are gone or empty.",
    )
    OWNERLESS = (
        "credential:ownerless",
        "A token, a client or an identity in use belongs to nobody who may sign in.",
    )
    CONNECTION_STALE = "connection:stale", "An IdP that pushed has not pushed for long."
    LISTING_OVERDUE = "roster:overdue", "A nightly listing of an IdP's people has not been complete for days."
    PRIVILEGED_UNMAPPED = (
        "connection:privileged-unmapped",
        "An IdP sends what looks like privilege, and nothing here is mapped to it.",
    )
    PLACEHOLDER_KEYS = (
        "connection:placeholder-keys",
        "An IdP sends a placeholder where a person's key belongs, and nobody is recognised by it.",
    )
    LEFT_OUT = "connection:left-out", "What somebody left out of a run is left out of the newest one as well."
    KEPT_APART = "account:kept-apart", "An administrator said that an account is not this identity's."
    DISABLED_UNLINKED = (
        "account:disabled-unlinked",
        "An unlinked account was disabled; its candidates still sign in.",
    )
    EMAIL_DOMAIN_CHANGED = "account:email-domain-changed", "The e-mail moved to another domain."
    EXTERNAL_ID_CHANGED = "account:external-id-changed", "The key of an account with a bound subject changed."
    UNCONFIRMED = "account:unconfirmed", "A login's account was never confirmed by SCIM."
    APPROVAL_REQUESTED = (
        "account:approval-requested",
        "A login made an account, and somebody has to say whether the person may come in.",
    )
    MEMBER_UNKNOWN = (
        "group:member-unknown",
        "A group push named a member that does not exist; it was skipped.",
    )
    TOKEN_EXPIRES = "token:expires", "A SCIM token ends soon, and no successor of it is in use."
    DOMAIN_RECORD_GONE = (
        "domain:record-gone",
        "The DNS record that proved a domain has not been seen for a week.",
    )
    DEACTIVATION_BURST = (
        "connection:deactivation-burst",
        "SCIM switched off very many people in a short time.",
    )
    RUN_OVERDUE = (
        "connection:run-overdue",
        "No reconciliation run of a connection has finished within two periods.",
    )
    CREATION_BURST = "connection:creation-burst", "Logins made very many accounts in a short time."
    REFUSAL_BURST = "connection:refusal-burst", "Very many logins were refused in a short time."
    IDP_REPLACED = (
        "connection:idp-replaced",
        "New metadata names another entityID, or only keys that were not known: nobody signs in until it is confirmed.",
    )
    METADATA_NOT_REFRESHED = (
        "metadata:not-refreshed",
        "An IdP's metadata could not be read from its address for three days.",
    )
    METADATA_EXPIRES = (
        "metadata:expires",
        "An IdP's metadata is valid only a little longer, and nobody signs in by it afterwards.",
    )
    CERTIFICATE_EXPIRES = "certificate:expires", "A signing certificate of an IdP ends soon."
    CERTIFICATE_ENDED = "certificate:ended", "A signing certificate in an IdP's metadata has ended."
    LOGIN_DISPUTED = "login:disputed", "A login's keys belong to different accounts."
    NAME_ID_CHANGED = "login:name-id-changed", "A login came with another persistent NameID."
    NAME_ID_RECYCLED = "login:name-id-recycled", "A login came with a known name and another externalId."
    LAW_BROKEN = "hub:law-broken", "Stored rows contradict a law of the decision core."


class Act(_Code):
    """What was done without a decision about a person: configuration, sessions, runs, retention."""

    TENANT_CREATED = "tenant:created", "A tenant was set up."
    TENANT_CHANGED = "tenant:changed", "A tenant's name changed."
    TENANT_DOMAIN_ADDED = "tenant:domain-added", "A tenant claims a domain; nothing has proved it yet."
    TENANT_DOMAIN_VERIFIED = "tenant:domain-verified", "A domain counts as the tenant's from now on."
    TENANT_DOMAIN_REMOVED = (
        "tenant:domain-removed",
        "A domain is the tenant's no longer, nor any connection's.",
    )
    CONNECTION_CREATED = "connection:created", "An identity provider was registered."
    CONNECTION_CHANGED = "connection:changed", "A connection's settings changed."
    CONNECTION_TESTED = "connection:tested", "A test login showed what the IdP sends; nobody was signed in."
    CONNECTION_PROVEN = "connection:proven", "An item of a connection's readiness list was shown to hold."
    CONNECTION_ACCEPTED = (
        "connection:accepted",
        "A person accepted in writing that an item of a connection's readiness list is not met.",
    )
    CONNECTION_ACTIVATED = "connection:activated", "A connection admits people from now on."
    CONNECTION_STOPPED = (
        "connection:stopped",
        "A kill switch of a connection is on: something of it is stopped.",
    )
    CONNECTION_RESUMED = "connection:resumed", "A kill switch of a connection is off again."
    CONNECTION_DISABLED = "connection:disabled", "A connection admits nobody and takes no pushes from now on."
    METADATA_TAKEN = "metadata:taken", "A connection goes by new metadata of its IdP from now on."
    CONNECTION_FROZEN = (
        "connection:frozen",
        "Nobody signs in through a connection until somebody has looked at the new metadata of its IdP.",
    )
    METADATA_CONFIRMED = (
        "metadata:confirmed",
        "A person confirmed the metadata that had frozen a connection; it is in use.",
    )
    METADATA_REJECTED = (
        "metadata:rejected",
        "A person rejected the metadata that had frozen a connection; the old one stays in use.",
    )
    ENCRYPTION_KEY_MADE = (
        "connection:encryption-key-made",
        "The IdP of a connection is told another key to encrypt for; the one before opens on.",
    )
    ENCRYPTION_KEY_ENDED = (
        "connection:encryption-key-ended",
        "What an IdP encrypts for an older key of a connection opens no longer.",
    )
    TOKEN_ISSUED = "token:issued", "A SCIM token was made; its secret was shown once."
    TOKEN_ROTATED = "token:rotated", "A SCIM token got a successor; both live until the old one's end."
    TOKEN_REVOKED = "token:revoked", "A SCIM token is unknown from now on."
    TOKEN_OBTAINED = "token:obtained", "An OAuth client exchanged its secret for a token of an hour."
    OWNER_CHANGED = "credential:owner-changed", "Somebody else answers for a credential or a non-human."
    CLIENT_CREATED = "client:created", "An OAuth client was made; its secret was shown once."
    CLIENT_REVOKED = (
        "client:revoked",
        "An OAuth client and the tokens that it obtained are unknown from now on.",
    )
    ENTITLEMENT_CREATED = "entitlement:created", "A role or group of the hub was made."
    ENTITLEMENT_MAPPED = "entitlement:mapped", "A directory group gives an entitlement to its members."
    ENTITLEMENT_UNMAPPED = "entitlement:unmapped", "A directory group gives an entitlement no longer."
    ENTITLEMENT_GROUP_ALLOWED = (
        "entitlement:group-allowed",
        "A group that logins bring gives an entitlement.",
    )
    ENTITLEMENT_GROUP_DISALLOWED = (
        "entitlement:group-disallowed",
        "A group that logins bring gives an entitlement no longer.",
    )
    SCHEMA_DEFINED = "schema:defined", "A schema extension of the tenant's own was defined."
    SCHEMA_CHANGED = "schema:changed", "A schema extension changed; what removed attributes held is erased."
    SCHEMA_REMOVED = "schema:removed", "A schema extension is gone, with all that resources held of it."
    RESOURCE_CREATED = "resource:created", "A resource of a type that is nothing but its schema was made."
    RESOURCE_CHANGED = "resource:changed", "A resource of a type that is nothing but its schema changed."
    RESOURCE_DELETED = "resource:deleted", "A resource of a type that is nothing but its schema is gone."
    LOCAL_CREATED = "identity:local-created", "An identity with a password of the hub's own was made."
    SPARED = "identity:kept-from-runs", "An identity is protected from runs from now on."
    NOT_SPARED = "identity:left-to-runs", "An identity is protected from runs no longer."
    PASSWORD_SET = "identity:password-set", "A local identity has a new password; its sessions ended."
    LOCAL_SIGNED_IN = "identity:local-signed-in", "Somebody signed in with a password of the hub's own."
    SESSIONS_ENDED = "identity:sessions-ended", "All sessions of an identity were ended, without a hold."
    OTHER_SESSIONS_ENDED = "identity:other-sessions-ended", "A person ended all sessions but the one in use."
    SESSION_ENDED = "identity:session-ended", "One session was ended."
    PREFERENCES_SET = (
        "identity:preferences-set",
        "A person chose a language or a time zone of their own, or gave it back.",
    )
    MERGED_INTO = "identity:merged-into", "This identity ended in another one, which stands for it."
    STANDS_AGAIN = "identity:stands-again", "This identity stands for itself again."
    ACCOUNT_PURGED = "account:purged", "A deleted account's data is gone; keyed digests stay."
    FINDING_OPENED = "finding:opened", "The hub itself asks about cases from now on."
    FINDING_GONE = "finding:gone", "The hub itself closed findings: their cases have gone."
    RUN_STARTED = "run:started", "A reconciliation run looks at what is stored."
    RUN_TAKEN_UP = "run:taken-up", "A person asked for a run, and got the one that occupies the connection."
    RUN_SIMULATED = "run:simulated", "The run's plan is complete; nothing was changed."
    RUN_QUARANTINED = "run:quarantined", "The run would destroy too much: it waits for a person."
    RUN_HALF_RELEASED = "run:half-released", "One of two people let a quarantined run go on."
    RUN_RELEASED = "run:released", "A person let a quarantined run go on."
    RUN_REJECTED = "run:rejected", "A person stopped a quarantined run."
    RUN_CHOSEN = "run:chosen", "A person left items out of a run, or took them in again."
    RUN_ORDERED = "run:ordered", "A person asked for a simulated run to be executed."
    RUN_UNDO_ORDERED = "run:undo-ordered", "A person asked that a run, or items of it, be taken back."
    RUN_UNDONE = "run:undone", "What was asked for of a run was taken back, each item decided again."
    RUN_EXECUTED = "run:executed", "The run's plan was carried out, each item decided again."
    RUN_VERIFIED = "run:verified", "Looked at again after the execution: nothing was left to do."
    RUN_NOT_VERIFIED = "run:not-verified", "Looked at again after the execution: something was left to do."
    RUN_CANCEL_ORDERED = "run:cancel-ordered", "A person asked for a run to stop after the batch in hand."
    RUN_CANCELLED = "run:cancelled", "A run stopped because a person asked for it; what was done stays done."
    RUN_OVERTAKEN = (
        "run:overtaken",
        "A newer roster is complete, or a newer run has looked, so the run ended.",
    )
    RUN_FAILED = "run:failed", "The run ended early; the next one starts over or goes on."
    ROSTER_UPLOADED = "roster:uploaded", "A file was uploaded; it waits for its mapping."
    ROSTER_ORDERED = "roster:ordered", "A person asked for a connection's people to be listed now."
    ROSTER_BEGUN = "roster:begun", "The loading of a roster began."
    ROSTER_GIVEN_AGAIN = (
        "roster:given-again",
        "A person gave a file again whose loading had not ended; it goes on.",
    )
    ROSTER_COMPLETED = "roster:completed", "A roster was read to its end, and its proof holds."
    ROSTER_REFUSED = "roster:refused", "A roster was refused: nothing is concluded from it."
    ROSTER_ACCEPTED = (
        "roster:accepted",
        "A person accepted in writing that a roster is much shorter than the last one.",
    )
    ROSTER_DISCARDED = (
        "roster:discarded",
        "An uploaded file was thrown away before anything was read from it.",
    )
    ROSTER_SUPERSEDED = (
        "roster:superseded",
        "Two newer rosters are complete, or it is half a year old: its rows are gone.",
    )
    ROSTER_SOURCE_SET = (
        "roster:source-set",
        "Where the hub lists a connection's people, or its credential, was set.",
    )
    ROSTER_SOURCE_REMOVED = (
        "roster:source-removed",
        "The hub lists a connection's people no longer; the credential is gone.",
    )


class Report(_Code):
    """What a run reports and does not change."""

    NEVER_SIGNED_IN = "account:never-signed-in", "SCIM delivered a person who never signed in."
    MISSING_ONCE = (
        "account:missing-once",
        "An account is missing from the newest roster, and from none of twelve hours before yet.",
    )
    LISTED_AMBIGUOUSLY = (
        "account:listed-ambiguously",
        "A row of a roster answers to two accounts, or to one that has another key.",
    )
    LISTED_WITHOUT_NAME = (
        "account:listed-without-name",
        "A roster without userNames lists a key that nobody here has.",
    )
    UNASKED = "account:unasked", "An account waits for its link and no finding asks about it."


class Flaw(_Code):
    """Why a roster counts for nothing: `Roster.code`."""

    UNREADABLE = "roster:unreadable", "The listing cannot be read at all."
    TRUNCATED = (
        "roster:truncated",
        "The listing ends before its end: rows are missing, or its last line is cut.",
    )
    INCOMPLETE = "roster:incomplete", "Lines of the listing cannot be used, so somebody may be missing."
    DUPLICATE_ROWS = (
        "roster:duplicate-rows",
        "An externalId or a userName stands in the listing more than once.",
    )
    EMPTY = "roster:empty", "The listing names nobody."
    OLDER = "roster:older", "A complete roster speaks of the same moment, or of a later one."
    SHRUNK = "roster:shrunk", "The listing names far fewer people than the last complete one."
    DENIED = "roster:denied", "The server refuses the credential, or what it is to be used for."
    UNSTABLE = (
        "roster:unstable",
        "The listing changed while it was read: somebody may be missing, or stand in it twice.",
    )
    EXPIRED = "roster:expired", "The server forgot where the listing had stopped; it was begun anew."
    ABANDONED = "roster:abandoned", "The upload or its loading stopped, and nobody went on within a day."


class RowFault(_Code):
    """What is wrong with one line of a roster."""

    COLUMNS = "row:columns", "The line has more or fewer columns than the header."
    QUOTING = (
        "row:quoting",
        "A quoted value is followed by something else, too long to be one, or has rows in it.",
    )
    JSON = "row:json", "The line is no JSON object."
    CUT = "row:cut", "The file ends in the middle of the line."
    AFTER_COUNT = "row:after-count", "The line stands after the one that counts the rows."
    CHARACTERS = "row:characters", "The line holds characters that the file's encoding does not know, or NUL."
    KEY_MISSING = "row:key-missing", "The line has no externalId or userName to recognise the person by."
    KEY_MALFORMED = "row:key-malformed", "A key is one that nobody can have, like zeros or hidden characters."
    VALUE_MALFORMED = "row:value-malformed", "A value is no e-mail address, or holds hidden characters."
    VALUE_TOO_LONG = "row:value-too-long", "A value is longer than there is room for."
    ACTIVE_UNCLEAR = "row:active-unclear", "The column that says who is active says neither yes nor no."
    DUPLICATE_EXTERNAL_ID = "row:duplicate-external-id", "Another line has the same externalId."
    DUPLICATE_USER_NAME = "row:duplicate-user-name", "Another line has the same userName."
