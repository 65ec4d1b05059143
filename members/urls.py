"""URLs of members."""

from django.urls import path

from members import access_api, api

urlpatterns = [
    path("auth/login", api.LoginView.as_view()),
    path("auth/provider", access_api.ProviderLoginView.as_view()),
    path("auth/code", access_api.LoginCodeView.as_view()),
    path("auth/code/confirm", access_api.CodeLoginView.as_view()),
    path("auth/password/reset", access_api.PasswordResetView.as_view()),
    path("auth/password/reset/confirm", access_api.PasswordResetConfirmView.as_view()),
    path("auth/logout", api.LogoutView.as_view()),
    path("me", api.MeView.as_view()),
    path("me/password", access_api.PasswordView.as_view()),
    path("me/sessions", access_api.SessionsView.as_view()),
    path("me/sessions/<uuid:session_id>", access_api.SessionView.as_view()),
    path("me/verifications", access_api.VerificationsView.as_view()),
    path("me/verifications/confirm", access_api.VerificationConfirmView.as_view()),
    path("me/identities", api.IdentitiesView.as_view()),
    path("me/identities/<slug:provider>", api.IdentityView.as_view()),
]
