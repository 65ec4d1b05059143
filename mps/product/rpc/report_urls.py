"""Where reports are: endpoints for trusted backends, and pages of the console."""

from django.contrib import admin
from django.urls import path

from mps.product.rpc import reports

urlpatterns = [
    path("api/v1/reports/daily", reports.DailyView.as_view()),
    path("api/v1/reports/code-usage", reports.UsageView.as_view()),
    path("api/v1/reports/failure-reasons", reports.FailureView.as_view()),
    *(
        path(f"admin/reports/{name}{form}", view, {"name": name, "form": form}, f"report-{kind}")
        for view in [admin.site.admin_view(reports.show_page)]
        for name in reports.PAGES
        for form, kind in (("", name), (".csv", f"{name}-csv"))
    ),
]
