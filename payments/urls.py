"""URLs of payments."""

from django.urls import path

from payments import api, consent_api, member_api, topup_api

urlpatterns = [
    path("pos/charges", api.ChargesView.as_view()),
    path("pos/charges/<str:tx_no>", api.ChargeView.as_view()),
    path("pos/charges/<str:tx_no>/refunds", api.RefundsView.as_view()),
    path("pos/orders/<str:external_order_id>/reverse", api.ReverseView.as_view()),
    path("pos/codes/validate", api.ValidateView.as_view()),
    path("pos/topups", api.TopUpsView.as_view()),
    path("pos/topups/<str:tx_no>/reverse", api.TopUpReverseView.as_view()),
    path("pos/transactions", api.TransactionsView.as_view()),
    path("pos/summary", api.SummaryView.as_view()),
    path("me/transactions", member_api.MyTransactions.as_view()),
    path("me/pin", consent_api.PinView.as_view()),
    path("me/approvals", consent_api.ApprovalsView.as_view()),
    path("me/approvals/<uuid:approval_id>/approve", consent_api.ApproveView.as_view()),
    path("me/approvals/<uuid:approval_id>/decline", consent_api.DeclineView.as_view()),
    path("me/points", member_api.MyPoints.as_view()),
    path("me/topup-providers", topup_api.TopUpProviders.as_view()),
    path("me/cards/<str:card_no>/topups", topup_api.MyTopUps.as_view()),
    path("me/cards/<str:card_no>/topups/<uuid:topup_id>", topup_api.OneTopUp.as_view()),
    path("callbacks/topups/<str:provider>", topup_api.TopUpCallback.as_view()),
]
