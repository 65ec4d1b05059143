"""URLs of cards."""

from django.urls import path

from cards import api

_CARD = "me/cards/<str:card_no>"

urlpatterns = [
    path("me/cards", api.Cards.as_view(), name="cards"),
    path(_CARD, api.OneCard.as_view(), name="card"),
    path(f"{_CARD}/code", api.Code.as_view(), name="card-code"),
    path(f"{_CARD}/code.svg", api.CodeSvg.as_view(), name="card-code-svg"),
    path(f"{_CARD}/code.png", api.CodePng.as_view(), name="card-code-png"),
    path(f"{_CARD}/barcode.svg", api.BarcodeSvg.as_view(), name="card-barcode-svg"),
    path(f"{_CARD}/lock", api.Lock.as_view(), name="card-lock"),
    path(f"{_CARD}/unlock", api.Unlock.as_view(), name="card-unlock"),
    path(f"{_CARD}/binding-password", api.BindingPassword.as_view(), name="card-binding-password"),
    path(f"{_CARD}/bindings", api.Bindings.as_view(), name="card-bindings"),
    path(f"{_CARD}/bindings/<str:member_no>", api.OneBinding.as_view(), name="card-binding"),
]
