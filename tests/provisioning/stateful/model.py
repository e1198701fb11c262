"""A hub in a few dictionaries: who exists, which ids were issued, who may sign in. Knows no table and no decision.

It says what must come of an event, or, where the hub may choose (whose a new account is), what must not: an account
is tied to nobody with whom it shares no key, and waits for nobody when there is nobody to wait for.
"""

from collections.abc import Collection
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import product
from unicodedata import normalize
from uuid import UUID

RETENTION = timedelta(days=90)
GRACE = timedelta(days=14)
IDLE_GRACE = timedelta(days=90)
APART = timedelta(hours=12)
"""Two listings: who is missing from both is missing twice."""

Hold = tuple[UUID, str, UUID | None]
"""Identity, kind, the account that placed it."""
OF_ACCOUNTS = {"scim", "expiry"}
"""Kinds that go with the account that placed them; every other one is a person's word about a person."""
Trait = tuple[str, ...]


def alike(name: str) -> str:
    return normalize("NFKC", normalize("NFKC", name).casefold())


@dataclass(frozen=True, kw_only=True)
class Source:
    """A connection: what its policy says of logins, and whether anything could confirm an account."""

    id: UUID
    tenant: UUID
    domain: str
    jit: str
    approval: bool
    pushes: bool
    emails: bool
    """Its e-mails in its domain are trusted to say who is whom; `numbers`: its HR numbers."""
    numbers: bool


@dataclass(kw_only=True)
class Account:
    id: UUID
    source: Source
    identity: UUID | None
    name: str
    key: str | None = None
    asserted: str | None = None
    subject: str | None = None
    active: bool = True
    confirmed: bool
    made: datetime
    spoken: datetime
    """When its IdP last said so: an older listing knows less."""
    seen: datetime | None = None
    gone: datetime | None = None
    purged: bool = False
    listed: bool = False
    """A roster made or closed it, and SCIM has not written it since: a roster may open it again."""
    strong: set[Trait] = field(default_factory=set)
    """Every e-mail, number and key that it ever said."""
    weak: set[Trait] = field(default_factory=set)
    """Its names, as a reader sees them."""
    emails: set[str] = field(default_factory=set)
    """Those that it says now."""

    def says(self, emails: set[str], hr_number: str = "") -> None:
        self.strong |= {("email", email.lower()) for email in emails}
        self.strong |= {("hr", hr_number)} if hr_number else set()
        self.emails = set(emails) or self.emails
        for key in (self.key, self.asserted, self.subject):
            self.strong |= {("key", str(self.source.id), key)} if key else set()
        self.weak |= {("name", alike(self.name)), *(("name", alike(email)) for email in emails)}

    @property
    def looks(self) -> tuple[object, ...]:
        """All that anybody sees of it."""
        known = self.identity, self.name.lower(), self.key, self.subject
        return *known, self.active, self.confirmed, self.gone

    @property
    def keys(self) -> set[str]:
        return {key for key in (self.key, self.asserted, self.subject) if key}

    def resembles(self, other: "Account") -> bool:
        """To a reader they have one name, or one e-mail, and to the hub two."""
        return any(
            one.lower() != another.lower() and alike(one) == alike(another)
            for one, another in ((self.name, other.name), *product(self.emails, other.emails))
        )

    def contradicts(self, key: str | None) -> bool:
        """It is known under another key than this one. A NameID is often not the externalId."""
        if not key:
            return False
        known = self.key or (self.asserted if self.asserted != self.subject else None)
        return known is not None and known != key


def double(one: Account, other: Account) -> bool:
    """A login made one of the two, SCIM delivered the other, and no key of theirs speaks against it."""
    login, pushed = (other, one) if one.confirmed else (one, other)
    if login.confirmed or not pushed.confirmed:
        return False
    bound = login.subject and pushed.subject
    return not login.contradicts(pushed.key) and (not bound or login.subject == pushed.subject)


@dataclass(kw_only=True)
class Push:
    """What a SCIM request says of somebody; None and empty: nothing."""

    name: str
    key: str | None = None
    active: bool | None = None
    emails: set[str] = field(default_factory=set)
    hr_number: str = ""


@dataclass(kw_only=True)
class Login:
    name: str
    email: str
    subject: str | None = None
    """A persistent NameID; one of another format is among the names."""
    key: str | None = None
    names: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Row:
    """What a complete listing says of somebody."""

    name: str
    key: str | None
    active: bool
    email: str


@dataclass(frozen=True, kw_only=True)
class Listing:
    """Everybody, as of a moment."""

    made: datetime
    rows: tuple[Row, ...]

    def names(self, account: Account) -> bool:
        """By name or key."""
        said = {row.name.lower() for row in self.rows} | {row.key for row in self.rows if row.key}
        return bool({account.name.lower(), account.key} & said)


@dataclass(frozen=True, kw_only=True)
class Fold:
    """A login's account that ended in the pushed one which it only doubled."""

    login: Account
    pushed: Account
    lifted: set[str]
    """What it held: kinds."""


@dataclass(kw_only=True)
class Union:
    """Two who are said to be one person: the loser ended in the winner."""

    winner: UUID
    loser: UUID
    came: set[UUID]
    """The loser's accounts."""
    held: set[Hold]
    """What held the two before, and holds without a break since."""
    folds: list[Fold]


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Everybody at one moment."""

    accounts: dict[UUID, Account]
    holds: frozenset[Hold]
    carried: dict[UUID, set[str]]

    def held_by(self, account_id: UUID) -> set[Hold]:
        return {one for one in self.holds if one[2] == account_id}


class Model:
    def __init__(self) -> None:
        self.accounts: dict[UUID, Account] = {}
        self.holds: set[Hold] = set()
        self.members: dict[UUID, set[UUID]] = {}
        self.strangers: dict[UUID, tuple[UUID, set[Trait]]] = {}
        """Local identities: their tenant and what they would be found by. No account is ever theirs."""
        self.alone: set[UUID] = set()
        """Accounts that were held once for never being confirmed."""
        self.strong: dict[UUID, set[Trait]] = {}
        self.weak: dict[UUID, set[Trait]] = {}
        """What an identity was ever known by, whatever became of its accounts."""
        self.tenant_of: dict[UUID, UUID] = {}
        self.carried: dict[UUID, set[str]] = {}
        """Waiting account -> kinds that it held the one by whom it was taken off from."""
        self.unions: dict[UUID, Union] = {}
        self.apart: set[tuple[UUID, UUID]] = set()
        """Accounts and whose they are not, as a person said."""
        self.let_in: dict[UUID, datetime] = {}
        """When an administrator last lifted what held somebody."""
        self.requests: dict[UUID, datetime | None] = {}
        """Accounts of whom somebody must approve, and when that was decided."""
        self.runs: dict[UUID, tuple[Scene, Scene]] = {}
        """What was before a run, and after it."""
        self.overrides: dict[tuple[UUID, str], tuple[str, datetime]] = {}
        """(identity, attribute) -> what it shows, and until when."""
        self.listings: dict[UUID, list[Listing]] = {}
        """Connection -> its complete listings, the newest last."""

    def remember(self) -> None:
        for account in self.accounts.values():
            if account.identity:
                self.strong.setdefault(account.identity, set()).update(account.strong)
                self.weak.setdefault(account.identity, set()).update(account.weak)
                self.tenant_of[account.identity] = account.source.tenant
        for union in self.unions.values():
            now = {one[1:] for one in self.holds_of(self.standing(union.winner))}
            union.held = {one for one in union.held if one[1:] in now}

    def enabled(self, identity: UUID) -> bool:
        local = identity in self.strangers
        lives = any(a.identity == identity for a in self.living())
        return not any(whom == identity for whom, _, _ in self.holds) and (local or lives)

    def identities(self) -> set[UUID]:
        now = {a.identity for a in self.accounts.values() if a.identity}
        return now | set(self.strong) | set(self.strangers)

    def living(self, source: Source | None = None) -> list[Account]:
        return [a for a in self.accounts.values() if not a.gone and source in (None, a.source)]

    # What must come of an event.

    def answer_to_post(self, source: Source, push: Push) -> Account | str:
        """Rows 1, 6, 10, 16: the account that answers, or `new`, or `refused`."""
        here = self.living(source)
        named = next((a for a in here if a.name.lower() == push.name.lower()), None)
        keyed = next((a for a in here if push.key and a.key == push.key), None)
        promised = next((a for a in here if push.key and not a.confirmed and a.asserted == push.key), None)
        if keyed:
            wakes = not keyed.active and push.active is not False
            return keyed if wakes and named in (None, keyed) else "refused"
        if named and (named.confirmed or promised not in (None, named) or named.contradicts(push.key)):
            return "refused"
        return promised or named or "new"

    def answer_to_write(self, account: Account, push: Push) -> Account | str:
        """Rows 10, 11, 13, 15, 21: somebody else's key or name is refused, and so is a first key that contradicts."""
        others = [a for a in self.living(account.source) if a is not account]
        if account.gone or any(
            a.name.lower() == push.name.lower() or (push.key and a.key == push.key) for a in others
        ):
            return "refused"
        disables = push.active is False and account.active
        if not account.key and not disables and account.contradicts(push.key):
            return "refused"
        return account

    def answer_to_login(self, source: Source, login: Login) -> Account | str:
        """Rows 5, 12, 14, 22: keys first, and they must agree; a name only where no key speaks."""
        here = self.living(source)
        said = {key for key in (login.subject, login.key) if key}
        bound = next((a for a in here if login.subject and a.subject == login.subject), None)
        keyed = [a for a in here if a.key in said or (not a.confirmed and a.asserted in said) or a is bound]
        names = {name.lower() for name in login.names}
        named = [a for a in here if a.name.lower() in names]
        if (bound and bound.contradicts(login.key)) or len(keyed) > 1:
            return "refused"
        if keyed:
            if not bound and any(a is not keyed[0] for a in named):
                return "refused"
            if keyed[0].subject and login.subject and keyed[0].subject != login.subject:
                return "refused"
            return keyed[0]
        if named:
            clear = len(named) == 1 and not named[0].contradicts(login.key) and not named[0].subject
            return named[0] if clear else "refused"
        if any(
            self.was(gone, login) for gone in self.accounts.values() if gone.source == source and gone.gone
        ):
            return "refused"
        # A persistent NameID is compared with keys alone, and may be the name of somebody all the same.
        if any(a.name.lower() == login.name.lower() for a in here):
            return "refused"
        if source.jit == "off" or not login.email.endswith(f"@{source.domain}"):
            return "refused"
        return "new"

    @staticmethod
    def was(gone: Account, login: Login) -> bool:
        """A deleted account answers to its key, its NameID and its name, and is never revived by a login."""
        said = {key for key in (login.subject, login.key) if key}
        names = {name.lower() for name in (login.name, *login.names)}
        return (
            (gone.key or gone.asserted) in said
            or (gone.subject is not None and gone.subject == login.subject)
            or gone.name.lower() in names
        )

    # What an event does.

    def issue(self, account: Account, returning: bool) -> None:
        """A new account, tied as the hub says: to whom it may be, or to nobody else."""
        assert account.id not in self.accounts, "an id is issued once"
        self.check_tie(account)
        self.accounts[account.id] = account
        if returning and (account.active or account.identity):
            # Row 19: a key that returns lifts what its DELETE placed, where it is still the same person.
            for gone in [a for a in self.accounts.values() if a.source == account.source and a.gone]:
                same = account.key and (gone.key or gone.asserted) == account.key
                if (
                    same
                    and gone.identity in (None, account.identity)
                    and account.made - gone.gone <= RETENTION
                ):
                    self.lift("scim", gone.id)
        if not account.active and account.identity:
            self.holds.add((account.identity, "scim", account.id))

    def check_tie(self, account: Account) -> None:
        tenant, everything = account.source.tenant, account.strong | account.weak
        here = [one for one, where in self.tenant_of.items() if where == tenant]
        resembling = {one for one in here if (self.strong[one] | self.weak[one]) & everything}
        protected = any(where == tenant and traits & everything for where, traits in self.strangers.values())
        if account.identity is None:
            assert resembling or protected, "an account waits, and there is nobody whose it might be"
            return
        assert account.identity not in self.strangers, "an account is tied to somebody whom no IdP may touch"
        former = [a.id for a in self.accounts.values() if a is account or self.returns(a, account)]
        told = {self.standing(whom) for one, whom in self.apart if one in former}
        assert account.identity not in told, "a rule ties what a person has told apart"
        if account.identity not in self.strong:
            return
        assert self.may_tie(account, account.identity), (
            "an account is tied by what says too little, or past a veto"
        )

    def may_tie(self, account: Account, whom: UUID) -> bool:
        """A key that comes back; else a number, or an e-mail of the domain, of a connection that is trusted for it.

        Attack: whoever writes somebody else's e-mail or number into an own profile would become her (row 8).
        """
        gone = [a for a in self.accounts.values() if a.gone and a.identity == whom]
        if any(self.returns(a, account) for a in gone):
            return True
        lives = [a for a in self.living() if a.identity == whom and a is not account]
        others = [
            a for a in gone if a.source == account.source and not a.purged and not a.keys & account.keys
        ]
        if others or any(a.resembles(account) for a in lives):
            return False
        shared, source = self.strong[whom] & account.strong, account.source
        numbers = {trait for trait in shared if trait[0] == "hr"}
        emails = {trait for trait in shared if trait[0] == "email" and trait[1].endswith(f"@{source.domain}")}
        signs_in = any(a.subject or a.seen for a in lives)
        return bool((source.numbers and numbers) or (source.emails and emails and not signs_in))

    def returns(self, gone: Account, account: Account) -> bool:
        """Under the same key."""
        keys = gone.key or gone.asserted, account.key or account.asserted
        return bool(gone.source == account.source and gone.gone and keys[0] and keys[0] == keys[1])

    def write(self, account: Account, push: Push, at: datetime, *, keeps_key: bool) -> None:
        was_active, account.spoken = account.active, at
        if not account.confirmed:
            self.lift("expiry", account.id)
        account.confirmed, account.listed = True, False
        account.name = push.name or account.name
        account.key = push.key or (account.key if keeps_key else None)
        account.active = account.active if push.active is None else push.active
        account.says(push.emails, push.hr_number)
        if account.active and (push.active or not was_active):
            self.open(account)
        elif was_active and not account.active and account.identity:
            self.holds.add((account.identity, "scim", account.id))

    def delete(self, account: Account, at: datetime) -> None:
        self.end(account, at)
        if account.identity:
            self.holds.add((account.identity, "scim", account.id))

    def suspect(self, account: Account, whom: set[UUID]) -> None:
        """Row 13b: whom an account holds that is nobody's yet: such as have an account there, too, and share a key."""
        for identity in whom:
            assert (account.id, identity) not in self.apart, "a person has said that it is not theirs"
            assert any(a.identity == identity for a in self.living(account.source))
            assert (self.strong[identity] | self.weak[identity]) & (account.strong | account.weak)
        self.holds |= {(identity, "scim", account.id) for identity in whom}

    def admit(self, account: Account, login: Login, at: datetime) -> None:
        account.subject = login.subject or account.subject
        if not account.confirmed:
            account.asserted = login.key or account.asserted
        account.says({login.email})
        account.seen = at

    def expire(self, source: Source, at: datetime, *, but: Collection[UUID] = ()) -> None:
        """Row 24: who was never confirmed is held after the grace, once; where an approval is needed it begins then."""
        listings = [listing.made for listing in self.listings.get(source.id, ())]
        listed = len(listings) > 1 and at - max(listings) < GRACE
        confirms = source.pushes or listed
        for account in self.living(source):
            made = account.made if source.pushes or not listed else max(account.made, min(listings))
            last = at - (made if confirms else account.seen or account.made)
            grace = GRACE if confirms else IDLE_GRACE
            over = last > grace and account.id not in but and not self.asks(account, at - grace)
            if account.identity and not account.confirmed and over and account.id not in self.alone:
                self.alone.add(account.id)
                self.holds.add((account.identity, "expiry", account.id))

    def asks(self, account: Account, since: datetime) -> bool:
        """Somebody has yet to approve of it, or of its person, or has decided no earlier."""
        decided = self.requests.get(account.id, datetime.min.replace(tzinfo=since.tzinfo))
        waits = any(one[:2] == (account.identity, "approval") for one in self.holds)
        return waits or decided is None or decided >= since

    # What a complete listing does.

    def meant(self, source: Source) -> set[UUID]:
        """Whom the rows of the newest listing mean, whatever becomes of them."""
        newest = self.listings.get(source.id, ())[-1:]
        rows = [row for listing in newest for row in listing.rows]
        return {a.id for row in rows if (a := next(filter(None, self.answers(source, row)), None))}

    def answers(self, source: Source, row: Row) -> tuple[Account | None, Account | None, Account | None]:
        """By its key, by the key that a login brought, by its name."""
        here = self.living(source)
        keyed = next((a for a in here if row.key and a.key == row.key), None)
        promised = next((a for a in here if row.key and not a.confirmed and a.asserted == row.key), None)
        return keyed, promised, next((a for a in here if a.name.lower() == row.name.lower()), None)

    def independent(self, source: Source, rows: Collection[Row]) -> bool:
        """Of no two rows does one concern whom the other concerns, or look like the other."""
        concerned = [{a.id for a in self.answers(source, row) if a} for row in rows]
        looks = {alike(row.name) for row in rows}
        return len(looks) == len(rows) and sum(map(len, concerned)) == len(set().union(*concerned))

    def list_row(self, source: Source, row: Row, at: datetime) -> Account | str | None:
        """The account that says what the row says from now on, or `new`; None where nothing follows."""
        keyed, promised, named = self.answers(source, row)
        account = keyed or promised or named
        if account is None:
            return None if self.ended(source, row, at) else "new"
        if account.confirmed and account.spoken > self.listings[source.id][-1].made:
            return None
        closes = account.active and not row.active
        if named not in (None, account):
            # Two accounts answer: a key tells for certain whom to close, and nothing else is certain.
            if not keyed or row.active:
                return None
        elif account.contradicts(row.key) or (
            account.confirmed and row.active and not account.active and not account.listed
        ):
            return None
        else:
            account.listed |= not account.confirmed
            account.confirmed, account.name, account.key = True, row.name, row.key or account.key
            account.says({row.email})
            self.lift("expiry", account.id)
        account.active, account.listed = row.active, account.listed or closes
        if row.active:
            self.open(account)
        elif closes and account.identity:
            self.holds.add((account.identity, "scim", account.id))
        return account

    def ended(self, source: Source, row: Row, at: datetime) -> bool:
        """A deleted account answers to its key, and where the row has none to its name, as long as it is kept."""
        gone = [
            a for a in self.accounts.values() if a.source == source and a.gone and at - a.gone <= RETENTION
        ]
        if row.key:
            return any((a.key or a.asserted) == row.key for a in gone)
        return any(a.name.lower() == row.name.lower() for a in gone)

    def miss(self, source: Source) -> None:
        """Row 26."""
        for account_id in self.missing(source):
            self.holds.add((self.accounts[account_id].identity, "scim", account_id))  # type: ignore[arg-type]

    def missing(self, source: Source) -> set[UUID]:
        """Who is in neither of two listings, nor in one between them, and of whom SCIM has said nothing since the
        first; nor has an administrator let in whom the newest does not know."""
        *earlier, newest = self.listings[source.id]
        before = [listing for listing in earlier if newest.made - listing.made >= APART][-1:]
        if not before:
            return set()
        since = [listing for listing in (*earlier, newest) if listing.made >= before[0].made]
        found = set()
        for account in self.living(source):
            listed = any(listing.names(account) for listing in since)
            known = account.confirmed and max(account.made, account.spoken) < before[0].made
            held = any(one[1:] == ("scim", account.id) for one in self.holds)
            let_in = account.identity and self.let_in.get(account.identity, before[0].made) > newest.made
            if account.identity and account.active and known and not (listed or held or let_in):
                found.add(account.id)
        return found

    # What an undo does.

    def scene(self) -> Scene:
        return Scene(
            accounts={account.id: copy(account) for account in self.accounts.values()},
            holds=frozenset(self.holds),
            carried={key: set(kinds) for key, kinds in self.carried.items()},
        )

    def may_undo(self, run: UUID, account_id: UUID) -> bool:
        """Only what is still as the run left it, about people who are still who they were."""
        before, after = self.runs[run]
        account, then = self.accounts[account_id], after.accounts[account_id]
        held = {one for one in self.holds if one[2] == account_id}
        moved = before.held_by(account_id) ^ after.held_by(account_id)
        return (
            account.looks == then.looks
            and held == after.held_by(account_id)
            and all(self.standing(whom) == whom for whom, _, _ in moved)
            and (account_id in before.accounts or not any(account_id in of for of in self.members.values()))
        )

    def undo(self, run: UUID, account_id: UUID, at: datetime) -> None:
        """What the run changed is what it was before. Whom it made is deleted, and not held for that."""
        before, after = self.runs[run]
        account, then = self.accounts[account_id], after.accounts[account_id]
        self.holds -= after.held_by(account_id)
        self.holds |= before.held_by(account_id)
        if account_id not in before.accounts:
            self.end(account, at)
            return
        was = before.accounts[account_id]
        if then.identity and not was.identity:
            self.apart.add((account_id, then.identity))
            self.carried[account_id] = set(before.carried.get(account_id, set()))
        for name in ("identity", "name", "key", "active", "confirmed", "listed"):
            if getattr(was, name) != getattr(then, name):
                setattr(account, name, getattr(was, name))

    def purge(self, at: datetime) -> None:
        last = set()
        for account in self.accounts.values():
            if account.gone is not None and not account.purged and at - account.gone >= RETENTION:
                account.purged = True
                last.add(account.identity)
        forgotten = last - {a.identity for a in self.accounts.values() if a.gone is None or not a.purged}
        # With whoever is forgotten those go who had ended in that person.
        self.overrides = {
            key: said for key, said in self.overrides.items() if self.standing(key[0]) not in forgotten
        }

    def end_overrides(self, at: datetime) -> None:
        self.overrides = {key: said for key, said in self.overrides.items() if said[1] > at}

    def open(self, account: Account) -> None:
        """Its own hold is lifted, wherever it is, or if it waits."""
        self.lift("scim", account.id)
        self.carried.get(account.id, set()).discard("scim")

    def lift(self, kind: str, source: UUID) -> None:
        self.holds = {one for one in self.holds if one[1:] != (kind, source)}

    def release(self, identity: UUID, kind: str, at: datetime) -> None:
        """An administrator lifts every hold of a kind."""
        if any(one[:2] == (identity, kind) for one in self.holds):
            self.let_in[identity] = at
        self.holds = {one for one in self.holds if one[:2] != (identity, kind)}

    def state(self, identity: UUID) -> tuple[set[Hold], set[tuple[UUID, bool, bool]]]:
        """All that a person is: what must not change by an act that is about somebody else."""
        holds = {one for one in self.holds if one[0] == identity}
        mine = [a for a in self.accounts.values() if a.identity == identity]
        return holds, {(a.id, a.active, a.gone is None) for a in mine}

    def holds_of(self, identity: UUID) -> set[Hold]:
        return {one for one in self.holds if one[0] == identity}

    # Whose an account is, and who is whom.

    def standing(self, identity: UUID) -> UUID:
        """Who stands for whoever ended in somebody else, and for that one."""
        into = {union.loser: union.winner for union in self.unions.values()}
        while identity in into:
            identity = into[identity]
        return identity

    def may_leave(self, account: Account) -> bool:
        """Attack: whoever is held by a person's word would shed it by tying the account to somebody who is not."""
        return not account.identity or all(
            kind in OF_ACCOUNTS for _, kind, _ in self.holds_of(account.identity)
        )

    def twins(self, account: Account, whom: UUID) -> list[Account]:
        """What the account's own connection says of this person already."""
        return [a for a in self.living(account.source) if a.identity == whom and a is not account]

    def may_link(self, account: Account, whom: UUID, *, fold: bool = False) -> bool:
        if account.gone or whom in self.strangers or self.standing(whom) != whom:
            return False
        twins = self.twins(account, whom)
        doubled = fold and len(twins) == 1 and double(account, twins[0])
        return account.identity == whom or (self.may_leave(account) and (not twins or doubled))

    def link(self, account: Account, whom: UUID, at: datetime) -> None:
        """What an account holds goes with it, off everybody else; of two that are one twice the pushed one is left."""
        if account.identity == whom:
            return
        kinds = self.leave(account)
        self.carried.pop(account.id, None)
        self.apart.discard((account.id, whom))
        account.identity = whom
        self.holds |= {(whom, kind, account.id) for kind in kinds}
        if twins := self.twins(account, whom):
            self.fold(account, twins[0], at)

    def unlink(self, account: Account) -> None:
        """The account waits, and what it held waits with it; that it is inactive it says itself."""
        kinds = self.leave(account)
        account.identity = None
        self.carried[account.id] = kinds if account.active else kinds - {"scim"}

    def leave(self, account: Account) -> set[str]:
        """Takes an account off whoever has it, and off whom it suspected; answers what it goes on holding by."""
        own = {one for one in self.holds if one[2] == account.id and one[1] in OF_ACCOUNTS}
        kinds = {kind for whom, kind, _ in own if whom == account.identity}
        kinds |= self.carried.get(account.id, set())
        kinds |= set() if account.active else {"scim"}
        self.holds -= own
        if account.identity:
            self.apart.add((account.id, account.identity))
        return kinds - {"expiry"} if account.confirmed else kinds

    def fold(self, one: Account, other: Account, at: datetime) -> Fold:
        """Row 36: the pushed account takes over the subject, and what the login's held is answered."""
        login, pushed = (other, one) if one.confirmed else (one, other)
        own = {hold for hold in self.holds if hold[2] == login.id and hold[1] in OF_ACCOUNTS}
        self.holds -= own
        self.end(login, at)
        pushed.subject = pushed.subject or login.subject
        pushed.says(set())
        return Fold(login=login, pushed=pushed, lifted={kind for _, kind, _ in own})

    def end(self, account: Account, at: datetime) -> None:
        account.gone, account.active = at, False
        for members in self.members.values():
            members.discard(account.id)

    def may_merge(self, winner: UUID, loser: UUID) -> bool:
        """One connection says of two live accounts that they are two people, unless one only doubles the other."""
        ours, theirs = ([a for a in self.living() if a.identity == whom] for whom in (winner, loser))
        shared = {a.source.id for a in ours} & {a.source.id for a in theirs}
        return all(
            len(here) == 2 and double(*here)
            for here in ([a for a in (*ours, *theirs) if a.source.id == source] for source in shared)
        )

    def merge(self, union_id: UUID, winner: UUID, loser: UUID, at: datetime) -> None:
        """All that the one had the other has from now on; the stricter wins."""
        held = self.holds_of(winner) | self.holds_of(loser)
        came = [a for a in self.accounts.values() if a.identity == loser]
        folds = [
            self.fold(account, twins[0], at)
            for account in came
            if not account.gone and (twins := self.twins(account, winner))
        ]
        for account in came:
            account.identity = winner
        self.holds = {(winner if one[0] == loser else one[0], *one[1:]) for one in self.holds}
        self.unions[union_id] = Union(
            winner=winner, loser=loser, came={a.id for a in came}, held=held, folds=folds
        )

    def may_unmerge(self, union_id: UUID) -> bool:
        """The later merge has moved what the earlier one had."""
        winner = self.unions[union_id].winner
        return self.standing(winner) == winner

    def unmerge(self, union_id: UUID) -> None:
        """What came returns, unless it is somebody else's by now; what an account holds is whose the account is."""
        union = self.unions.pop(union_id)
        loose = self.loose(union.winner)
        divided = self.divided(union, loose)
        for account in [a for a in self.accounts.values() if a.id in union.came]:
            if account.identity == union.winner:
                account.identity = union.loser
        self.holds -= loose
        for one in self.holds_of(union.winner):
            if one[2] in union.came and self.accounts[one[2]].identity == union.loser:  # type: ignore[index]
                self.holds = self.holds - {one} | {(union.loser, *one[1:])}
        self.holds |= divided
        for fold in union.folds:
            self.unfold(fold, union)

    def unfold(self, fold: Fold, union: Union) -> None:
        """A login's account wakes, unless its data is gone, its name or subject is somebody else's, or its connection
        says something else of the person by now."""
        login, pushed = fold.login, fold.pushed
        here = self.living(login.source)
        subjects = [a.subject for a in here if a is not pushed]
        if (
            login.gone is None
            or login.purged
            or login.identity not in (union.winner, union.loser)
            or any(a.name.lower() == login.name.lower() or a.identity == login.identity for a in here)
            or (login.subject and login.subject in subjects)
        ):
            return
        if pushed.subject == login.subject:
            pushed.subject = None
        login.gone, login.active = None, True
        self.holds |= {(login.identity, kind, login.id) for kind in fold.lifted}

    def loose(self, whom: UUID) -> set[Hold]:
        """What holds this one and goes with no account that is somebody's: a person's word, or one that waits."""
        return {
            one for one in self.holds_of(whom) if one[2] is None or self.accounts[one[2]].identity is None
        }

    def divided(self, union: Union, loose: set[Hold]) -> set[Hold]:
        """Where `loose` goes when two are two again: back to whom it held before; what came since holds both.

        It stays with the winner for others, too, who ended in the same one and had brought the same.
        """
        winner, loser = union.winner, union.loser
        thirds = [other for other in self.unions.values() if other.winner == winner]
        expected = set()
        for _, kind, source in loose:
            here, there = (winner, kind, source), (loser, kind, source)
            before = union.held & {here, there}
            brought = [(here in other.held, (other.loser, kind, source) in other.held) for other in thirds]
            expected |= before or ({here} if (False, True) in brought else {here, there})
            if (True, True) in brought:
                expected.add(here)
        return expected

    def lasting(self) -> set[tuple[UUID, str]]:
        """What an administrator holds: no IdP and no run lifts or moves it."""
        return {(whom, kind) for whom, kind, _ in self.holds if kind in ("admin", "security")}
