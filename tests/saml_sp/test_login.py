"""Logins that have to succeed, whatever a real IdP signs, encrypts and names."""

import pytest
import xmlsec

from saml_sp.models import LoginAttempt

from .parties import Browser

SIGNED = {
    "the assertion": lambda idp, facts, cert: idp.signed_assertion(facts),
    "the Response": lambda idp, facts, cert: idp.signed_response(facts),
    "both": lambda idp, facts, cert: idp.signed_both(facts),
    "the assertion, encrypted": lambda idp, facts, cert: idp.encrypted(facts, cert),
    "the Response around an encrypted assertion": lambda idp, facts, cert: idp.encrypted_in_signed_response(
        facts, cert
    ),
    "the assertion, encrypted with AES-128-CBC": lambda idp, facts, cert: idp.encrypted(
        facts, cert, cipher=xmlsec.constants.TransformAes128Cbc
    ),
}


@pytest.mark.parametrize("how", SIGNED, ids=lambda how: f"signed: {how}")
def test_a_first_login_makes_an_account(browser: Browser, sp_certificate: bytes, how: str) -> None:
    answer = browser.post(SIGNED[how](browser.idp, browser.facts(), sp_certificate))
    assert answer.status_code == 302, LoginAttempt.objects.values_list("reason", "detail")
    assert answer["Location"] == "/me/"
    me = browser.me().json()
    assert me["userName"] == "p-4711"
    assert me["tenant"] == "corp"
    attempt = LoginAttempt.objects.get()
    assert (attempt.outcome, attempt.reason) == ("admitted", "login:account-created")
