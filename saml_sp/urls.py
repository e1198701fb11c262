"""Where the SAML face and the people's pages answer."""

from django.urls import path

from .views import people, protocol, testing

app_name = "saml"

urlpatterns = [
    path("", people.start, name="start"),
    path("login/", people.login, name="sign-in"),
    path("login/forget", people.forget_choice, name="forget-choice"),
    path("login/<slug:slug>/", people.tenant_login, name="tenant-sign-in"),
    path("logout/", people.logout, name="sign-out"),
    path("me/", people.me, name="me"),
    path("me/preferences", people.set_preferences, name="preferences"),
    path("me/sessions/end-others", people.end_other_sessions, name="end-other-sessions"),
    path("me/sessions/<str:handle>/end", people.end_session, name="end-session"),
    path("saml/<uuid:connection_id>/metadata", protocol.metadata, name="metadata"),
    path("saml/<uuid:connection_id>/login", protocol.login, name="login"),
    path("saml/<uuid:connection_id>/test/<str:token>", testing.begin, name="test"),
    path("saml/<uuid:connection_id>/tested", testing.ended, name="tested"),
    path("saml/<uuid:connection_id>/acs", protocol.acs, name="acs"),
    path("saml/<uuid:connection_id>/logout", protocol.single_logout, name="logout"),
]
