"""Endpoints of members."""

from django.urls import path

from members import api

urlpatterns = [
    path("auth/login", api.LoginView.as_view()),
    path("auth/logout", api.LogoutView.as_view()),
    path("me", api.MeView.as_view()),
    path("me/identities", api.IdentitiesView.as_view()),
    path("me/identities/<slug:provider>", api.IdentityView.as_view()),
]
