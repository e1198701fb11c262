"""Whose an account is, and who is one person: what the administrators' pages show and do."""

import re

import pytest
from django.test import Client

from provisioning.models import Account, AuditRecord, Finding, Identity, Merge

from ..cast import extend, push, sign_in, user
from .scene import Scene, identity

IDENTITY = "/admin/provisioning/identity"
ACCOUNT = "/admin/provisioning/account"


@pytest.fixture
def twin(ours: Scene) -> Identity:
    """Ada again, as another connection pushed her."""
    third = extend(ours.where.tenant, name=f"Third {ours.word}")
    return identity(push(third, user(f"adal@third.{ours.where.domain}", "t1", displayName="Ada the second")))


@pytest.fixture
def waiting(ours: Scene) -> Account:
    account = ours.finding.account
    assert account is not None
    return account


def account_of(row: Identity) -> Account:
    return Account.objects.get(identity=row)


def text(response) -> str:
    return response.content.decode()


class TestLinks:
    def test_a_waiting_account_is_linked_to_whom_one_looks_for(
        self, admin: Client, ours: Scene, waiting: Account
    ) -> None:
        page = text(admin.get(f"{ACCOUNT}/{waiting.pk}/change/"))
        assert "Link to an identity" in page
        assert "Give it an identity of its own" in page
        assert "Take off its identity" not in page
        found = text(admin.get(f"{ACCOUNT}/{waiting.pk}/link/", {"q": "Hal Held"}))
        assert f"?to={ours.held.pk}" in found
        address = f"{ACCOUNT}/{waiting.pk}/link/?to={ours.held.pk}"
        assert "belongs to" in text(admin.get(address))
        assert admin.post(address, {"reason": ""}).status_code == 200
        assert admin.post(address, {"reason": "Asked her"}).status_code == 302
        waiting.refresh_from_db()
        assert (waiting.identity_id, waiting.link_rule) == (ours.held.pk, "0-explicit")
        assert Finding.objects.get(pk=ours.finding.pk).status == "approved"

    def test_an_account_is_taken_off_and_given_an_identity_of_its_own(
        self, admin: Client, twin: Identity
    ) -> None:
        account = account_of(twin)
        assert "unlink/" in text(admin.get(f"{IDENTITY}/{twin.pk}/change/"))
        assert "those of Ada the second end" in text(admin.get(f"{ACCOUNT}/{account.pk}/unlink/"))
        admin.post(f"{ACCOUNT}/{account.pk}/unlink/", {"reason": "Namesake"})
        account.refresh_from_db()
        assert account.identity_id is None
        admin.post(f"{ACCOUNT}/{account.pk}/separate/", {"reason": "Her own"})
        account.refresh_from_db()
        assert account.identity_id not in (None, twin.pk)

    def test_an_account_is_added_from_the_person_s_page(
        self, admin: Client, ours: Scene, twin: Identity
    ) -> None:
        account = account_of(twin)
        found = text(admin.get(f"{IDENTITY}/{ours.active.pk}/add-account/", {"q": "adal@third"}))
        assert f"../link-account/?account={account.pk}" in found
        response = admin.get(f"{IDENTITY}/{ours.active.pk}/link-account/", {"account": str(account.pk)})
        assert response["Location"] == f"{ACCOUNT}/{account.pk}/link/?to={ours.active.pk}"
        admin.post(response["Location"], {"reason": "One person"})
        account.refresh_from_db()
        assert account.identity_id == ours.active.pk

    def test_what_cannot_be_is_said_and_not_offered(self, admin: Client, ours: Scene) -> None:
        account = Account.objects.filter(identity=ours.active).get()
        address = f"{ACCOUNT}/{account.pk}/link/?to={ours.held.pk}"
        page = text(admin.get(address))
        assert "another live account of this connection" in page
        assert "Give to the other identity" not in page
        admin.post(address, {"reason": "x", "fold_duplicate": "on"})
        account.refresh_from_db()
        assert account.identity_id == ours.active.pk

    def test_a_duplicate_is_said_to_be_one(self, admin: Client, ours: Scene) -> None:
        login = sign_in(ours.where, "p-9", email=f"eve@{ours.where.domain}")
        pushed = push(ours.where, user(f"eve@{ours.where.domain}", "e-9"))
        address = f"{ACCOUNT}/{pushed.account_id}/link/?to={login.identity_id}"
        assert "They are one account twice" in text(admin.get(address))
        assert admin.post(address, {"reason": "x"}).status_code == 200  # the box is the statement
        admin.post(address, {"reason": "x", "fold_duplicate": "on"})
        assert Account.objects.get(pk=pushed.account_id).subject_value == "p-9"

    def test_strangers_are_neither_found_nor_linked(
        self, admin: Client, ours: Scene, theirs: Scene, waiting: Account
    ) -> None:
        address = f"{ACCOUNT}/{waiting.pk}/link/"
        assert "0 found" in text(admin.get(address, {"q": f"ada@{theirs.where.domain}"}))
        assert admin.get(address, {"to": str(theirs.active.pk)}).status_code == 404
        assert admin.post(f"{address}?to={theirs.active.pk}", {"reason": "x"}).status_code == 404
        foreign = Account.objects.filter(identity=theirs.active).get()
        for page in ("add-account", "link-account"):
            response = admin.get(
                f"{IDENTITY}/{ours.active.pk}/{page}/", {"q": str(foreign.pk), "account": str(foreign.pk)}
            )
            assert theirs.word not in text(response)


class TestMerges:
    def test_two_are_seen_side_by_side_merged_and_taken_back(
        self, admin: Client, ours: Scene, twin: Identity
    ) -> None:
        base = f"{IDENTITY}/{ours.active.pk}"
        assert f"?with={twin.pk}" in text(admin.get(f"{base}/merge/", {"q": "Ada the second"}))
        address = f"{base}/merge/?with={twin.pk}"
        page = text(admin.get(address))
        assert "Afterwards" in page
        assert f"adal@third.{ours.where.domain}" in page
        assert not Merge.objects.exists()
        assert admin.post(address, {"reason": ""}).status_code == 200
        response = admin.post(address, {"reason": "One person"}, follow=True)
        assert "Two identities turned out to be one person" in text(response)
        assert "ended here" in text(response)
        row = Merge.objects.get()
        assert (row.winner_id, row.loser_id, row.reason) == (ours.active.pk, twin.pk, "One person")
        loser = text(admin.get(f"{IDENTITY}/{twin.pk}/change/"))
        assert "Merged into" in loser
        assert "Place a hold" not in loser
        assert admin.get(f"{IDENTITY}/", {"state": "merged"}).status_code == 200
        assert admin.get(f"{IDENTITY}/{twin.pk}/unmerge/").status_code == 200
        response = admin.post(f"{IDENTITY}/{twin.pk}/unmerge/", {"reason": "Two after all"}, follow=True)
        assert "are two people again" in text(response)
        assert account_of(twin).identity_id == twin.pk

    @pytest.mark.parametrize("act", ["end-sessions", "keep-from-runs", "leave-to-runs"])
    def test_an_act_on_whoever_ended_is_refused_and_says_where_she_is_found(
        self, admin: Client, ours: Scene, twin: Identity, act: str
    ) -> None:
        admin.post(f"{IDENTITY}/{ours.active.pk}/merge/?with={twin.pk}", {"reason": "One person"})
        before = AuditRecord.objects.count()
        page = text(admin.post(f"{IDENTITY}/{twin.pk}/{act}/", {"reason": "Lost phone"}))
        assert f"merged into {ours.active}, found under the id {ours.active.pk}" in page
        assert AuditRecord.objects.count() == before

    def test_the_preview_says_that_a_protection_ends_with_whom_it_was_given_to(
        self, admin: Client, ours: Scene, twin: Identity
    ) -> None:
        address = f"{IDENTITY}/{ours.active.pk}/merge/?with={twin.pk}"
        assert "Protected from runs" not in text(admin.get(address))
        admin.post(f"{IDENTITY}/{twin.pk}/keep-from-runs/", {"reason": "On leave"})
        line = text(admin.get(address)).partition("Protected from runs</th>")[2].partition("</tr>")[0]
        assert re.findall(r">(yes|no)<", line) == ["no", "yes", "no"]

    def test_the_other_one_may_stay(self, admin: Client, ours: Scene, twin: Identity) -> None:
        address = f"{IDENTITY}/{ours.active.pk}/merge/?with={twin.pk}&stays=other"
        admin.post(address, {"reason": "x"})
        assert Merge.objects.get().winner_id == twin.pk

    def test_two_people_of_one_connection_are_not_offered(self, admin: Client, ours: Scene) -> None:
        address = f"{IDENTITY}/{ours.active.pk}/merge/?with={ours.held.pk}"
        page = text(admin.get(address))
        assert "This cannot be done" in page
        assert "stays</button>" not in page
        admin.post(address, {"reason": "x"})
        assert not Merge.objects.exists()

    def test_strangers_and_superusers_are_neither_found_nor_merged(
        self, admin: Client, root: Client, ours: Scene, theirs: Scene, superuser: Identity
    ) -> None:
        address = f"{IDENTITY}/{ours.active.pk}/merge/"
        for browser in (admin, root):
            for key in (theirs.active.pk, superuser.pk):
                assert "0 found" in text(browser.get(address, {"q": str(key)}))
                assert browser.get(address, {"with": str(key)}).status_code == 404
                assert browser.post(f"{address}?with={key}", {"reason": "x"}).status_code == 404
        assert not Merge.objects.exists()

    def test_who_is_not_merged_has_nothing_to_take_back(self, admin: Client, ours: Scene) -> None:
        assert admin.get(f"{IDENTITY}/{ours.active.pk}/unmerge/").status_code == 404
        assert "Take the merge back" not in text(admin.get(f"{IDENTITY}/{ours.active.pk}/change/"))

    @pytest.mark.parametrize("key", ["garbage", "a\x00b", "0"])
    def test_a_key_that_is_none_is_not_there(self, admin: Client, ours: Scene, key: str) -> None:
        for address, name in (
            (f"{IDENTITY}/{ours.active.pk}/merge/", "with"),
            (f"{IDENTITY}/{ours.active.pk}/link-account/", "account"),
            (f"{ACCOUNT}/{Account.objects.filter(identity=ours.active).get().pk}/link/", "to"),
        ):
            assert admin.get(address, {name: key}).status_code == 404
            assert admin.get(address, {"q": key}).status_code in (200, 404)


class TestTimeline:
    def test_it_is_narrowed_by_source_and_kind_and_read_in_pages(self, admin: Client, ours: Scene) -> None:
        address = f"{IDENTITY}/{ours.held.pk}/timeline/"
        page = text(admin.get(address))
        assert "account:disabled" in page
        assert "login:identity-held" in page
        only = text(admin.get(address, {"source": "saml", "kind": "login"}))
        assert "login:identity-held" in only
        assert "account:disabled" not in only
        assert "Nothing of this kind" in text(admin.get(address, {"kind": "finding", "source": "saml"}))
        first = text(admin.get(address, {"before": "2000-01-01T00:00:00+00:00"}))
        assert "Newest" in first
        for nonsense in (
            {"before": "soon"},
            {"before": "2026-99-01T00:00:00Z"},
            {"kind": "x", "source": "y"},
        ):
            assert admin.get(address, nonsense).status_code == 200

    def test_the_person_s_page_shows_the_newest_and_leads_to_the_rest(
        self, admin: Client, ours: Scene
    ) -> None:
        page = text(admin.get(f"{IDENTITY}/{ours.held.pk}/change/"))
        assert f"{IDENTITY}/{ours.held.pk}/timeline/" in page
        assert "account:disabled" in page
