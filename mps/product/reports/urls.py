"""URLs of the reports: API endpoints for trusted backends and pages of the console."""

from django.contrib import admin
from django.urls import path

from mps.product.reports import api, pages

urlpatterns = [
    path("api/v1/reports/daily", api.DailyView.as_view()),
    path("api/v1/reports/code-usage", api.UsageView.as_view()),
    path("api/v1/reports/failure-reasons", api.FailureView.as_view()),
    *(
        path(f"admin/reports/{name}{form}", view, {"name": name, "form": form}, f"report-{kind}")
        for view in [admin.site.admin_view(pages.show_page)]
        for name in pages.PAGES
        for form, kind in (("", name), (".csv", f"{name}-csv"))
    ),
]
