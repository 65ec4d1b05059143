"""URLs of the shop pages."""

from django.urls import path

from mps.product.pages import shop

urlpatterns = [
    path("", shop.transactions, name="shop"),
    path("sign-in/", shop.sign_in, name="shop-sign-in"),
    path("sign-out/", shop.sign_out, name="shop-sign-out"),
    path("choose/", shop.choose, name="shop-choose"),
    path("takings/", shop.takings, name="shop-takings"),
    path("settlements/", shop.settled, name="shop-settlements"),
    path("settlements/<uuid:settlement_id>.<str:form>", shop.statement, name="shop-statement"),
    path("terminals/", shop.terminals, name="shop-terminals"),
    path("terminals/<uuid:terminal_id>/rotate", shop.rotate_terminal, name="shop-rotate"),
    path("terminals/<uuid:terminal_id>/revoke", shop.revoke_terminal, name="shop-revoke"),
    path("webhooks/", shop.endpoints, name="shop-webhooks"),
    path("webhooks/<uuid:endpoint_id>/", shop.deliveries, name="shop-deliveries"),
    path("webhooks/<uuid:endpoint_id>/<str:act>", shop.change_endpoint, name="shop-webhook"),
]
