"""The product's story, played over real HTTP: `make demo`, or `python -m identity_hub.demo.story`.

It plays against the hub that `make run` started. Where none runs it starts one of its own under `var/story`,
and ends it afterwards. Each run uses names of its own, so it can be played any number of times.
"""

import argparse
import csv
import os
import re
import secrets
import string
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import NamedTemporaryFile
from typing import Any
from uuid import uuid4

import requests

from identity_hub.demo import files, stack
from identity_hub.demo.dialects import Client, Entra, Okta, Unexpected, over_http
from identity_hub.demo.files import Person, new_person
from identity_hub.demo.stack import CommandFailed, Stack
from identity_hub.demo.visitor import NoForm, Visitor
from identity_hub.local.places import LocalServiceError
from identity_hub.settings import HUB_VAR

_ITEMS_SHOWN = 6
_WHY = ("--reason", "The demo shows it.")
_COLOURS = {"✓": "\033[32m", "✗": "\033[31m", "·": "\033[90m"}


class Wrong(Exception):
    """A step is not what it should be; the text says what was found instead."""


def expect(holds: object, otherwise: str) -> None:
    if not holds:
        raise Wrong(otherwise)


def _word() -> str:
    """A family name of this run's own."""
    return "".join(secrets.choice(string.ascii_lowercase) for _ in range(7)).capitalize()


class Story:
    """What the steps share. Every step says in one line what it saw, or raises Wrong."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.word = _word()
        self.entra = Entra(send=self._sender(files.IDP_CONNECTION, Entra.agent))
        self.okta = Okta(send=self._sender(files.OKTA_CONNECTION, Okta.agent))
        self.elena, self.emil, self.nina, self.olga, self.oscar = (
            new_person(given, self.word, title="Engineer", department="Engineering")
            for given in ("Elena", "Emil", "Nina", "Olga", "Oscar")
        )
        self.ids: dict[Person, str] = {}
        self.elenas, self.ninas = Visitor(self.stack), Visitor(self.stack)
        self.run: dict[str, Any] = {}
        self.trail: list[dict[str, Any]] = []

    def _sender(self, connection: str, agent: str) -> Any:
        return over_http(self.stack.hub.scim, self.stack.hub.tokens[connection], agent)

    @contextmanager
    def people(self) -> Iterator[None]:
        """This run's people work at the demo organisation while the story is played."""
        for person in (self.elena, self.emil, self.nina):
            self.stack.directory.add(person)
        try:
            yield
        finally:
            for person in (self.elena, self.emil, self.nina):
                self.stack.directory.remove(person.object_id)

    def entra_pushes(self) -> str:
        """Entra ID tests the connection, then pushes two people and a group"""
        expect(self.entra.find("Users", "userName", str(uuid4())) is None, "a random name was found")
        for person in (self.elena, self.emil):
            self.ids[person] = self._pushed(self.entra, person)
        group = self.entra.push_group(f"Entra {self.word}", [self.ids[self.elena], self.ids[self.emil]])
        return self._members(self.entra, group["id"], 2)

    def okta_pushes(self) -> str:
        """Okta pushes two people and a group, then renames one by PUT"""
        for person in (self.olga, self.oscar):
            self.ids[person] = self._pushed(self.okta, person)
        married = new_person("Olga", self.word, title="Team lead")
        known = self.okta.push(married)
        expect(known["id"] == self.ids[self.olga], "the PUT answered another id")
        group = self.okta.push_group(f"Okta {self.word}", [self.ids[self.olga], self.ids[self.oscar]])
        return self._members(self.okta, group["id"], 2)

    def okta_reads_a_role(self) -> str:
        """An administrator maps a pushed group to a role: Okta reads it, until the group is withdrawn"""
        name, role = f"Tools {self.word}", "Engineering tools"
        group = self.okta.push_group(name, [self.ids[self.olga]])
        connection = self.stack.hub.connections[files.OKTA_CONNECTION]
        where = ("--tenant", files.TENANT, "--connection", connection)
        self.stack.manage("map_entitlement", *where, "--group", name, "--entitlement", role, *_WHY)
        found = self.okta.find("Roles", "displayName", role)
        expect(found is not None, "the role is not there")
        status, _ = self.okta.call("DELETE", f"/Roles/{(found or {}).get('id')}")
        expect(status == 405, f"its DELETE answered {status}")
        self.okta.expect([204], "DELETE", f"/Groups/{group['id']}")
        expect(self.okta.find("Roles", "displayName", role) is None, "the role has outlived its group")
        return f"“{role}”, read-only"

    def connections_are_apart(self) -> str:
        """Neither sees the other's people, and a wrong token sees nobody"""
        status, _ = self.okta.call("GET", f"/Users/{self.ids[self.elena]}")
        expect(status == 404, f"Okta's token got {status} for a person of Entra's")
        stranger = Client(send=over_http(self.stack.hub.scim, "hub_" + "0" * 43, Okta.agent))
        status, _ = stranger.call("GET", "/Users")
        expect(status == 401, f"a made-up token got {status}")
        return "404 and 401"

    def nina_signs_in_first(self) -> str:
        """Nina signs in by SAML before SCIM has delivered her, and gets an account"""
        expect(self.entra.find("Users", "userName", self.nina.user_name) is None, "she was known before")
        page = self.ninas.log_in(self.nina)
        status, me = self.ninas.me()
        expect(status == 200, f"after the login {page.url.partition('?')[0]} and /me/ answered {status}")
        expect(me.get("userName") == self.nina.user_name, f"/me/ names {me.get('userName')}")
        account = self.entra.find("Users", "userName", self.nina.user_name)
        expect(account is not None, "her account is invisible to her own IdP")
        self.ids[self.nina] = str((account or {}).get("id"))
        return f"account {self.ids[self.nina]}"

    def scim_adopts_her(self) -> str:
        """SCIM delivers Nina and adopts the same account"""
        delivered = self.entra.push(self.nina)
        expect(delivered["id"] == self.ids[self.nina], f"another account was made: {delivered['id']}")
        found = self.entra.find("Users", "externalId", self.nina.object_id) or {}
        expect(found.get("id") == self.ids[self.nina], "her key leads elsewhere")
        expect(self.ninas.me()[0] == 200, "her session ended")
        return f"the same id, now with Entra's key {self.nina.object_id[:8]}…"

    def group_reaches_her(self) -> str:
        """A pushed group is on her account page at once"""
        name = f"Entra {self.word}"
        self.entra.push_group(name, [self.ids[self.nina]])
        _, me = self.ninas.me()
        expect(name in str(me.get("groups")), f"groups are {me.get('groups')}")
        return name

    def disabled_while_signed_in(self) -> str:
        """SCIM disables Elena while she is signed in: her next request is refused"""
        self.elenas.log_in(self.elena)
        status, _ = self.elenas.me()
        expect(status == 200, f"she could not sign in: /me/ answered {status}")
        self.entra.set_active(self.ids[self.elena], False)
        status, _ = self.elenas.me()
        expect(status == 401, f"/me/ answered {status}")
        return "200, then 401"

    def next_login_refused(self) -> str:
        """Her next login is refused, with a reference for the administrator"""
        page = Visitor(self.stack).log_in(self.elena)
        expect(page.status_code == 403, f"the login ended with {page.status_code} at {page.url}")
        reference = re.search(r"\b([0-9A-Z]{5}-[0-9A-Z]{5})\b", page.text)
        expect(reference, "the page shows no reference")
        assert reference is not None
        return f"403, reference {reference[1]}"

    def scim_lets_her_back(self) -> str:
        """Only SCIM lets her back in: enabled again, she signs in"""
        self.entra.set_active(self.ids[self.elena], True)
        again = Visitor(self.stack)
        again.log_in(self.elena)
        status, _ = again.me()
        expect(status == 200, f"/me/ answered {status}")
        return "200"

    def roster_lists_everybody(self) -> str:
        """A complete roster is loaded: in it Emil has a title that no push brought"""
        listed = self._everybody()
        with NamedTemporaryFile("w", suffix=".csv", newline="", encoding="utf-8") as file:
            lines = csv.writer(file)
            lines.writerow(("userName", "externalId", "active", "title"))
            lines.writerows(
                (
                    one["userName"],
                    one.get("externalId", ""),
                    str(one["active"]).lower(),
                    "Architect" if one["id"] == self.ids[self.emil] else one.get("title", ""),
                )
                for one in listed
            )
            file.flush()
            connection = self.stack.hub.connections[files.IDP_CONNECTION]
            proof = ("--expected", str(len(listed)), "--reason", "The story's listing")
            answer = self.stack.manage("import_roster", file.name, "--connection", connection, *proof)
        status = answer["roster"]["status"]
        expect(status == "complete", f"the roster is {status}")
        return f"{len(listed)} people, complete"

    def _everybody(self) -> list[dict[str, Any]]:
        """What the connection has of everybody: a listing that leaves somebody out would call them gone."""
        listed: list[dict[str, Any]] = []
        cursor: str | None = ""
        while cursor is not None:
            page = self.entra.expect([200], "GET", f"/Users?cursor={cursor}&count=100")
            listed += page.get("Resources", [])
            cursor = page.get("nextCursor")
        return listed

    def simulate(self) -> str:
        """A reconciliation is simulated: it says what it would do, and does nothing"""
        connection = self.stack.hub.connections[files.IDP_CONNECTION]
        self.run = self.stack.manage("reconcile", "--connection", connection, *_WHY)
        expect(self.run.get("status") == "simulated", f"the run is {self.run.get('status')}")
        expect("account:updated" in self.run.get("counts", {}), "it does not see the title of the roster")
        return self._counted()

    def execute(self) -> str:
        """The reconciliation is executed: every item is decided again and has its reason"""
        connection = self.stack.hub.connections[files.IDP_CONNECTION]
        self.run = self.stack.manage("reconcile", "--connection", connection, "--execute", *_WHY)
        expect(self.run.get("status") == "done", f"the run is {self.run.get('status')}")
        title = self.entra.expect([200], "GET", f"/Users/{self.ids[self.emil]}").get("title")
        expect(title == "Architect", f"Emil's title is {title}")
        return self._counted()

    def audited(self) -> str:
        """The audit tells Nina's life, in order"""
        self.trail = self.stack.manage("audit", "--identity", self.nina.user_name)["records"]
        reasons = [record["reason"] for record in self.trail]
        for reason in ("login:account-created", "account:adopted"):
            expect(reason in reasons, f"{reason} is missing; found {', '.join(reasons)}")
        return f"{len(reasons)} records"

    def _pushed(self, client: Entra | Okta, person: Person) -> str:
        created = client.push(person)
        status, found = client.call("GET", f"/Users/{created['id']}")
        expect(status == 200 and found["userName"] == person.user_name, f"GET answered {status}")
        return str(created["id"])

    @staticmethod
    def _members(client: Entra | Okta, group_id: str, count: int) -> str:
        group = client.expect([200], "GET", f"/Groups/{group_id}")
        found = len(group.get("members", []))
        expect(found == count, f"the group has {found} members")
        return f"{count} people, group “{group['displayName']}”"

    def _counted(self) -> str:
        counts = Counter(self.run.get("counts") or {})
        found = ", ".join(f"{reason} {count}" for reason, count in sorted(counts.items()))
        return f"{self.run.get('population', 0)} accounts; {found or 'nothing to do'}"


STEPS: list[Callable[[Story], str]] = [
    Story.entra_pushes,
    Story.okta_pushes,
    Story.okta_reads_a_role,
    Story.connections_are_apart,
    Story.nina_signs_in_first,
    Story.scim_adopts_her,
    Story.group_reaches_her,
    Story.disabled_while_signed_in,
    Story.next_login_refused,
    Story.scim_lets_her_back,
    Story.roster_lists_everybody,
    Story.simulate,
    Story.execute,
    Story.audited,
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    title: str
    mark: str
    milliseconds: int
    saw: str


def play(story: Story) -> list[Played]:
    """Plays the steps in order. What follows a wrong step cannot be judged, so it is not played."""
    played: list[Played] = []
    wrong = False
    for step in STEPS:
        title = (step.__doc__ or "").strip()
        started = time.monotonic()
        if wrong:
            mark, saw = "·", "not played"
        else:
            try:
                mark, saw = "✓", step(story)
            except (Wrong, Unexpected, NoForm, CommandFailed, requests.RequestException) as error:
                mark, saw, wrong = "✗", str(error), True
        milliseconds = round(1000 * (time.monotonic() - started))
        played.append(Played(title=title, mark=mark, milliseconds=milliseconds, saw=saw))
        if mark != "·":
            _say(f"{_coloured(mark)} {title}: {saw}")
    return played


def _table(played: list[Played]) -> str:
    width = max(len(step.title) for step in played)
    lines = [
        f"{_coloured(step.mark)}  {step.title.ljust(width)}  {step.milliseconds:>6} ms" for step in played
    ]
    return "\n".join([f"   {'Step'.ljust(width)}  {'Time':>9}", *lines])


def _trail(records: list[dict[str, Any]]) -> str:
    return "\n".join(
        f"   {record['at'][:19]}  {record['channel']:<6}  {record['reason']}" for record in records
    )


def _shown(run: dict[str, Any]) -> str:
    items = run["items"][:_ITEMS_SHOWN]
    lines = [f"   {item['status']:<10}  {item['check']:<24}  {item['reason']}" for item in items]
    more = len(run["items"]) - len(items)
    return "\n".join(lines + ([f"   and {more} more"] if more else []))


def _coloured(mark: str) -> str:
    return f"{_COLOURS[mark]}{mark}\033[0m" if sys.stdout.isatty() else mark


def _say(line: str) -> None:
    print(line, flush=True)


@contextmanager
def _some_hub() -> Iterator[Stack]:
    found = stack.present()
    if found is not None:
        _say(f"Playing against {found.hub.url}\n")
        yield found
        return
    _say("No hub with a demo runs here; starting one for the story (`make run` keeps one running) ...")
    with stack.started(HUB_VAR / "story") as own:
        _say(f"Playing against {own.hub.url}\n")
        yield own


def main() -> int:
    files.refuse_production()
    argparse.ArgumentParser(prog="python -m identity_hub.demo.story", description=__doc__).parse_args()
    try:
        with _some_hub() as found:
            story = Story(found)
            with story.people():
                played = play(story)
    except LocalServiceError as error:
        print(error, file=sys.stderr)
        return 1
    if story.run.get("items"):
        _say(f"\nThe reconciliation, {story.run['status']}:\n{_shown(story.run)}")
    if story.trail:
        _say(f"\nThe audit of {story.nina.name}:\n{_trail(story.trail)}")
    _say(f"\n{_table(played)}\n")
    return 0 if all(step.mark == "✓" for step in played) else 1


if __name__ == "__main__":
    os.umask(0o077)
    raise SystemExit(main())
