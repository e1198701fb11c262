"""What programs write for want of a value, and which keys are nobody's. Knows no attribute and no format."""

import re

NOTHING = frozenset(
    {
        *("null", "(null)", "<null>", "[null]", "{null}", "nil", "undefined", "[object object]"),
        *("none", "(none)", "n/a", "#n/a", "n.a.", "not set", "(not set)", "not available", "unset", "empty"),
    }
)
# The name of a field where its value belongs: an expression in quotes, at Okta or Entra.
_UNEVALUATED = frozenset(
    f"user.{field}"
    for field in (
        *(
            "id",
            "login",
            "email",
            "mail",
            "username",
            "objectid",
            "userprincipalname",
            "localuserprincipalname",
        ),
        *("firstname", "lastname", "givenname", "surname", "displayname", "employeeid", "employeenumber"),
        *("department", "title", "jobtitle", "onpremisessamaccountname"),
    )
)
WORDS_OF_NOTHING = NOTHING | _UNEVALUATED
"""In lower case. Not all that says nothing: a text without a letter or digit, and a template, do not either."""
# A template that nobody filled in. Each alternative stops at the next bracket, so the search is linear.
_TEMPLATE = re.compile(r"[$%#]\{[^{}]*\}|\{\{[^{}]*\}\}|\$\([^()]*\)|<%[^<>]*%>|%[A-Za-z_.]+%")
_NO_LETTER_OR_DIGIT = re.compile(r"[\W_]*")
_ZEROS = re.compile(r"[\W_0]*")


def says_nothing(value: str) -> bool:
    """Whether a program wrote this for want of a value."""
    return (
        _NO_LETTER_OR_DIGIT.fullmatch(value) is not None
        or value.strip().lower() in WORDS_OF_NOTHING
        or _TEMPLATE.search(value) is not None
    )


def is_zeros(value: str) -> bool:
    """Zeros and punctuation are nobody's number."""
    return _ZEROS.fullmatch(value) is not None


def is_nobodys(key: str) -> bool:
    """Whether nobody is recognised by this key. Attack: whoever has the key that many have would be all of them."""
    return is_zeros(key) or says_nothing(key)
