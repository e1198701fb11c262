"""How two people are weighed: each kind of evidence by itself, and what it comes to with others."""

import pytest

from provisioning.decision.score import ASKED_FROM, LIKELY_FROM, Evidence, Person, plain, weigh

OWN = frozenset({"example.org", "xn--bcher-kva.example"})


def person(**said) -> Person:
    return Person(
        **{
            name: frozenset({value}) if isinstance(value, str | tuple) else value
            for name, value in said.items()
        }
    )


E = Evidence


@pytest.mark.parametrize(
    ("one", "other", "evidence"),
    [
        pytest.param({"hr_numbers": "7"}, {"hr_numbers": "7"}, {E.SAME_HR_NUMBER}, id="one HR number"),
        pytest.param({"hr_numbers": "7"}, {"hr_numbers": "8"}, {E.OTHER_HR_NUMBER}, id="two HR numbers"),
        pytest.param({"hr_numbers": "7"}, {}, set(), id="an HR number of one alone"),
        pytest.param(
            {"emails": "Ada@example.org"},
            {"emails": "ada@example.org"},
            {E.SAME_OWNED_EMAIL},
            id="an e-mail of the organisation, whatever its case",
        ),
        pytest.param(
            {"emails": "ada@b\u00fccher.example"},
            {"emails": "ada@B\u00dcCHER.example"},
            {E.SAME_OWNED_EMAIL},
            id="an e-mail of the organisation in letters beyond ASCII",
        ),
        pytest.param(
            {"emails": "ada@mail.example"},
            {"emails": "ada@mail.example"},
            {E.SAME_OTHER_EMAIL},
            id="an e-mail of a mail provider",
        ),
        pytest.param(
            {"emails": "ada@example.org"},
            {"emails": "ada@other.example"},
            {E.SAME_LOCAL_PART},
            id="e-mails that are equal before the @",
        ),
        pytest.param({"user_names": "ada"}, {"user_names": "ADA"}, {E.SAME_USER_NAME}, id="one userName"),
        pytest.param(
            {"user_names": "ﬁona"}, {"user_names": "fiona"}, {E.LOOK_ALIKE}, id="names that look the same"
        ),
        pytest.param(
            {"phones": "+43 1 234 56 78"},
            {"phones": "0043-1-2345678"},
            {E.SAME_PHONE},
            id="a telephone number, however it is written",
        ),
        pytest.param({"phones": "4711"}, {"phones": "4711"}, set(), id="an extension says nothing"),
        pytest.param(
            {"phones": "+49 (0)30 1234567 \u00b9"},
            {"phones": "030/1234567"},
            {E.SAME_PHONE},
            id="a footnote is no digit",
        ),
        pytest.param(
            {"names": "Ada Lovelace"}, {"names": "LOVELACE, Ádá"}, {E.SAME_NAME}, id="one name, turned round"
        ),
        pytest.param(
            {"names": "Ada Lovelace"}, {"names": "Ada King"}, set(), id="a name after a marriage says nothing"
        ),
        pytest.param({"names": "Ada King"}, {"names": "Bob Lee"}, {E.OTHER_NAME}, id="two names"),
        pytest.param({"names": "..."}, {"names": "Bob Lee"}, set(), id="a name without letters says nothing"),
        pytest.param(
            {"keys": ("a", "1")}, {"keys": ("a", "2")}, {E.OTHER_KEY}, id="two keys of one directory"
        ),
        pytest.param({"keys": ("a", "1")}, {"keys": ("b", "2")}, set(), id="keys of two directories"),
        pytest.param({"signs_in": True}, {"signs_in": True}, {E.BOTH_SIGN_IN}, id="both sign in"),
        pytest.param({"signs_in": True}, {}, set(), id="one signs in"),
    ],
)
def test_each_kind_of_evidence(one, other, evidence):
    one, other = person(**one), person(**other)
    score = weigh(one, other, OWN)
    assert set(score.evidence) == evidence
    assert weigh(other, one, OWN) == score
    assert score.value == max(0, sum(each.weight for each in evidence))


ADA = {"emails": "ada@example.org", "names": "Ada Lovelace"}


@pytest.mark.parametrize(
    ("one", "other", "least", "most"),
    [
        pytest.param(ADA, ADA, LIKELY_FROM, 100, id="an owned e-mail and a name make it likely"),
        pytest.param(
            ADA | {"hr_numbers": "7", "user_names": "ada"},
            ADA | {"hr_numbers": "7", "user_names": "ada"},
            100,
            100,
            id="nothing is more than certain",
        ),
        pytest.param(
            ADA | {"hr_numbers": "7"},
            ADA | {"hr_numbers": "8"},
            0,
            ASKED_FROM - 1,
            id="two HR numbers outweigh an e-mail and a name: a namesake with a shared mailbox",
        ),
        pytest.param(
            {"names": "Ada Lovelace"},
            {"names": "Ada Lovelace"},
            1,
            ASKED_FROM - 1,
            id="a name alone never asks",
        ),
        pytest.param(
            ADA,
            {"emails": "ada@other.example", "names": "Ada Lovelace"},
            ASKED_FROM,
            LIKELY_FROM - 1,
            id="a name and a local part are worth a question",
        ),
        pytest.param(
            ADA | {"keys": ("a", "1"), "signs_in": True},
            ADA | {"keys": ("a", "2"), "signs_in": True},
            1,
            ASKED_FROM - 1,
            id="two whom one directory keeps apart and who both sign in are two",
        ),
    ],
)
def test_evidence_adds_up(one, other, least, most):
    assert least <= weigh(person(**one), person(**other), OWN).value <= most


def test_the_weightiest_comes_first_and_no_value_is_kept():
    score = weigh(person(**ADA, hr_numbers="7"), person(**ADA, hr_numbers="8"), OWN)
    assert score.as_document() == {
        "score": 5,
        "evidence": ["other-hr-number", "same-owned-email", "same-name"],
    }


@pytest.mark.parametrize(
    ("name", "becomes"),
    [
        ("Lovelace, Ádá", "ada lovelace"),
        ("O'Neill-Straße", "neill o strasse"),
        ("  ", ""),
        ("李小龍", "李小龍"),
    ],
)
def test_a_plain_name(name, becomes):
    assert plain(name) == becomes
