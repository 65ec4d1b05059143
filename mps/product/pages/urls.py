"""URLs of the web pages."""

from django.urls import include, path

from mps.product.pages import views

urlpatterns = [
    path("wallet/", views.wallet, name="wallet"),
    path("wallet/sw.js", views.wallet_worker, name="wallet-worker"),
    path("wallet/manifest.webmanifest", views.wallet_manifest, name="wallet-manifest"),
    path("pos/", views.till, name="till"),
    path("shop/", include("mps.product.pages.shop_urls")),
    path("i18n/", include("django.conf.urls.i18n")),
]
