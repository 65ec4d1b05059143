"""URLs of settlements."""

from django.urls import path

from settlements import api

urlpatterns = [
    path("pos/settlements", api.SettlementsView.as_view()),
    path("pos/settlements/<uuid:settlement_id>", api.SettlementView.as_view()),
    path("pos/settlements/<uuid:settlement_id>/statement.csv", api.StatementCsvView.as_view()),
    path("pos/settlements/<uuid:settlement_id>/statement.xlsx", api.StatementXlsxView.as_view()),
]
