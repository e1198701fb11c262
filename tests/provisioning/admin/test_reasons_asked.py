"""Every page of the admin that changes something asks why; one that does not is listed here, with its excuse."""

import pytest
from django import forms
from django.test import Client

from .scene import Scene
from .test_isolation import OBJECT_ADDRESSES, PAGES, filled

UNASKED = {
    "test-login/": "nothing of the hub changes: a login is tried",
    "sign-out/": "nothing of the hub changes: the sign-out is tried",
    "fetch-metadata/": "reads now what is read every hour",
    "roster-source-test/": "keeps nothing",
}


@pytest.mark.parametrize("who", ["administrator", "superuser"])
def test_whatever_a_row_is_asked_for_asks_why(admin: Client, root: Client, ours: Scene, who: str) -> None:
    browser, silent, asking = (admin if who == "administrator" else root), set(), 0
    for model, pattern in OBJECT_ADDRESSES:
        answer = browser.get(filled(model, pattern, ours))
        form = answer.context.get("form") if getattr(answer, "context", None) else None
        if answer.status_code == 405:
            # A button, and no question.
            silent.add(pattern.removeprefix("<path:object_id>/"))
        elif isinstance(form, forms.BaseForm) and not pattern.endswith("change/"):
            asking += 1
            if "reason" not in form.fields:
                silent.add(pattern.removeprefix("<path:object_id>/"))
    assert silent == UNASKED.keys()
    assert asking > 20


def test_whatever_has_a_form_of_its_own_asks_why(root: Client, ours: Scene) -> None:
    silent, asking = set(), 0
    for model, _ in PAGES:
        for address in ("<path:object_id>/change/", "add/"):
            answer = root.get(filled(model, address, ours))
            form = answer.context.get("adminform") if getattr(answer, "context", None) else None
            if form is not None and form.form.fields:
                asking += 1
                if "reason" not in form.form.fields:
                    silent.add((model.__name__, address))
    assert silent == set()
    assert asking > 5
