"""From a reason code to what a person reads: one sentence that says what to do, and a status. Knows no detail.

The sentence never tells which check failed where that would help an attacker: everything that is wrong with a
signature or an encryption reads the same (and so closes the padding oracle of CBC). The administrator finds the
exact reason under the reference.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """`again`: whether starting once more may help, so that the page offers it."""

    status: int
    title: str
    sentence: str
    again: bool = False


_SIGN_IN_FAILED = "You could not be signed in"
_NOT_BELIEVED = Message(
    status=403,
    title=_SIGN_IN_FAILED,
    sentence="The answer of your organisation's sign-in could not be verified. Start again; if this page comes back, "
    "give your administrator the reference below.",
    again=True,
)
_UNREADABLE = Message(
    status=400,
    title=_SIGN_IN_FAILED,
    sentence="The answer of your organisation's sign-in arrived damaged. Start again; if this page comes back, give "
    "your administrator the reference below.",
    again=True,
)
_NOT_FOR_US = Message(
    status=403,
    title=_SIGN_IN_FAILED,
    sentence="Your organisation's sign-in sent an answer that is not meant for this service. Give your administrator "
    "the reference below: the set-up of the connection needs a look.",
    again=True,
)
_LATE = Message(
    status=403,
    title="That took too long",
    sentence="The sign-in was not finished in time. Please start again.",
    again=True,
)
_CLOCK = Message(
    status=403,
    title=_SIGN_IN_FAILED,
    sentence="The clocks of your organisation's sign-in and of this service disagree. Start again; if this page comes "
    "back, give your administrator the reference below.",
    again=True,
)
_OTHER_BROWSER = Message(
    status=403,
    title="Please start here",
    sentence="This sign-in was started somewhere else, or your browser did not keep its cookie. Start again in this "
    "browser, with cookies allowed.",
    again=True,
)
_PROFILE = Message(
    status=403,
    title="Your profile is incomplete",
    sentence="Your organisation did not send everything this service needs to know about you. Ask your administrator "
    "to complete your profile, and give the reference below.",
)
_WAITING = Message(
    status=403,
    title="Almost there",
    sentence="An administrator has to confirm that this account is yours. Give your administrator the reference "
    "below, and sign in again afterwards.",
)
_NO_ACCOUNT = Message(
    status=403,
    title="You have no account here yet",
    sentence="Your organisation knows you, but nobody has given you access to this service. Ask your administrator "
    "for an account, and give the reference below.",
)
_NOT_FOR_EVERYBODY = Message(
    status=403,
    title="You have no access here yet",
    sentence="Your organisation gives access to this service to some of its people, and your profile does not say that "
    "you are one of them. Ask your administrator for access, and give the reference below.",
)
_CHANGED_KEY = Message(
    status=403,
    title=_SIGN_IN_FAILED,
    sentence="Your organisation's sign-in describes you differently than before, so an administrator has to look at it "
    "first. Give your administrator the reference below.",
)

MESSAGES: dict[str, Message] = {
    "connection:unknown": Message(
        status=404,
        title="There is no sign-in at this address",
        sentence="The link is incomplete or out of date. Go to the sign-in page and enter your e-mail address.",
        again=True,
    ),
    "connection:not-active": Message(
        status=403,
        title="This sign-in is not in use",
        sentence="Your organisation's connection to this service is not switched on at the moment. Ask your "
        "administrator, and give the reference below.",
    ),
    "connection:frozen": Message(
        status=403,
        title="This sign-in is paused",
        sentence="Something about your organisation's sign-in has changed, and an administrator has to confirm it "
        "first. Your account is as it was; try again later, or give your administrator the reference below.",
    ),
    "connection:not-configured": Message(
        status=403,
        title="This sign-in is not ready yet",
        sentence="Your organisation's connection to this service has not been set up completely. Ask your "
        "administrator, and give the reference below.",
    ),
    "saml:method": Message(
        status=405,
        title="Nothing to see here",
        sentence="This address only receives answers of your organisation's sign-in. Please start again.",
        again=True,
    ),
    "saml:message-too-large": Message(
        status=413,
        title=_SIGN_IN_FAILED,
        sentence="The answer of your organisation's sign-in is larger than this service accepts. Give your "
        "administrator the reference below; too many groups are the usual cause.",
    ),
    "saml:idp-refused": Message(
        status=403,
        title="The sign-in was not completed",
        sentence="Your organisation's sign-in was cancelled, or it did not let you in. Start again, or ask your "
        "administrator for access.",
        again=True,
    ),
    "saml:test-over": Message(
        status=403,
        title="This test is over",
        sentence="The address of a test login is good once, and for an hour. Start another test.",
    ),
    "saml:unsolicited": Message(
        status=403,
        title="Please start here",
        sentence="This service does not accept sign-ins that were started on your organisation's side. Start again "
        "from here.",
        again=True,
    ),
    "saml:replayed": Message(
        status=403,
        title="This sign-in was already used",
        sentence="Each sign-in works once. Continue to your account, or start again.",
        again=True,
    ),
    "saml:authentication-weak": Message(
        status=403,
        title="Please sign in more strongly",
        sentence="This service asks for a stronger sign-in than your organisation's sign-in used, for instance with a "
        "second factor. Start again; if this page comes back, give your administrator the reference below.",
        again=True,
    ),
    "saml:authentication-old": Message(
        status=403,
        title="Please sign in anew",
        sentence="This service asks your organisation's sign-in to check who you are each time, and it did not. Start "
        "again; if this page comes back, give your administrator the reference below.",
        again=True,
    ),
    "saml:too-many": Message(
        status=429,
        title="Very many people are signing in",
        sentence="So many sign-ins were started from your network that this one has to wait. Try again in a minute.",
        again=True,
    ),
    "saml:emails-disagree": Message(
        status=403,
        title="Your profile is ambiguous",
        sentence="Your organisation sent more than one e-mail address for you. Ask your administrator to send only "
        "one, and give the reference below.",
    ),
    "saml:attribute-ambiguous": _PROFILE,
    "saml:attribute-too-long": _PROFILE,
    "saml:attributes-too-many": _PROFILE,
    "saml:subject-missing": _PROFILE,
    "saml:malformed": _UNREADABLE,
    "saml:doctype": _UNREADABLE,
    "saml:comment": _UNREADABLE,
    "saml:version": _UNREADABLE,
    "saml:unsigned": _NOT_BELIEVED,
    "saml:signature-invalid": _NOT_BELIEVED,
    "saml:signature-shape": _NOT_BELIEVED,
    "saml:signature-reference": _NOT_BELIEVED,
    "saml:signature-object": _NOT_BELIEVED,
    "saml:algorithm": _NOT_BELIEVED,
    "saml:duplicate-id": _NOT_BELIEVED,
    "saml:wrapped": _NOT_BELIEVED,
    "saml:several-assertions": _NOT_BELIEVED,
    "saml:cipher-reference": _NOT_BELIEVED,
    "saml:decryption-failed": _NOT_BELIEVED,
    "saml:not-verified": _NOT_BELIEVED,
    "saml:issuer-missing": _NOT_FOR_US,
    "saml:issuer-foreign": _NOT_FOR_US,
    "saml:destination-missing": _NOT_FOR_US,
    "saml:destination-foreign": _NOT_FOR_US,
    "saml:recipient-foreign": _NOT_FOR_US,
    "saml:audience-missing": _NOT_FOR_US,
    "saml:audience-foreign": _NOT_FOR_US,
    "saml:conditions-missing": _NOT_FOR_US,
    "saml:condition-unknown": _NOT_FOR_US,
    "saml:confirmation-missing": _NOT_FOR_US,
    "saml:confirmation-endless": _NOT_FOR_US,
    "saml:authentication-missing": _NOT_FOR_US,
    "saml:several-authentications": _NOT_FOR_US,
    "saml:window-too-long": _NOT_FOR_US,
    "saml:request-unknown": _LATE,
    "saml:request-expired": _LATE,
    "saml:request-used": _LATE,
    "saml:request-foreign": _NOT_BELIEVED,
    "saml:browser-foreign": _OTHER_BROWSER,
    "saml:too-old": _LATE,
    "saml:expired": _LATE,
    "saml:session-over": _LATE,
    "saml:not-yet-valid": _CLOCK,
    "login:no-account": _NO_ACCOUNT,
    "login:creation-stopped": _NO_ACCOUNT,
    "login:profile-incomplete": _PROFILE,
    "login:domain-not-allowed": Message(
        status=403,
        title="Your e-mail address is not known here",
        sentence="Your e-mail address is not in a domain that belongs to your organisation here. Ask your "
        "administrator, and give the reference below.",
    ),
    "login:group-not-allowed": _NOT_FOR_EVERYBODY,
    "login:attribute-not-allowed": _NOT_FOR_EVERYBODY,
    "login:subject-transient": Message(
        status=403,
        title=_SIGN_IN_FAILED,
        sentence="Your organisation's sign-in sends nothing lasting to recognise you by. Give your administrator the "
        "reference below: the connection needs another name identifier.",
    ),
    "login:identity-held": Message(
        status=403,
        title="Your account is disabled",
        sentence="Your account here is switched off: by your organisation, or because nobody there has confirmed it in "
        "time. Ask your administrator, and give the reference below.",
    ),
    "login:account-deleted": Message(
        status=403,
        title="Your account was removed",
        sentence="Your organisation removed your account. Ask your administrator if you need it again, and give the "
        "reference below.",
    ),
    "login:approval-pending": Message(
        status=403,
        title="Your account waits for approval",
        sentence="An administrator of your organisation has to approve of your account before you can use it. Give "
        "your administrator the reference below, and sign in again afterwards.",
    ),
    "login:link-pending": _WAITING,
    "login:disputed": _WAITING,
    "login:name-id-changed": _CHANGED_KEY,
    "login:name-id-recycled": _CHANGED_KEY,
    "login:protected": Message(
        status=403,
        title="This account has its own sign-in",
        sentence="This account does not sign in through your organisation. Use the administrator sign-in instead.",
    ),
}
OTHER = Message(
    status=403,
    title=_SIGN_IN_FAILED,
    sentence="You could not be signed in. Give your administrator the reference below.",
    again=True,
)


def message_for(reason: str) -> Message:
    return MESSAGES.get(reason, OTHER)
