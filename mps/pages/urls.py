"""The pages people look at."""

from django.urls import include, path

from mps.pages import views

urlpatterns = [
    path("wallet/", views.wallet, name="wallet"),
    path("pos/", views.till, name="till"),
    path("i18n/", include("django.conf.urls.i18n")),
]
