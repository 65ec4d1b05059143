"""Root URLs. Each app defines its own endpoints; this module adds their prefixes."""

from django.contrib import admin
from django.urls import include, path
from django.views.decorators.gzip import gzip_page
from django.views.generic import RedirectView
from drf_spectacular.renderers import (
    OpenApiJsonRenderer,
    OpenApiJsonRenderer2,
    OpenApiYamlRenderer,
)
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from mps.base.core import error_pages, health
from mps.base.core.read_only import read_only
from mps.product.monitoring.views import show_metrics
from mps.product.pages.landing import landing
from payments import sandbox_pages

# JSON first: it is what most programs ask for, and every YAML reader reads it.
SCHEMA_RENDERERS = [OpenApiJsonRenderer2, OpenApiJsonRenderer, OpenApiYamlRenderer]

# What people type. Endpoints have one address each: what is sent to another is not sent on.
PAGES = ("wallet", "pos", "shop", "admin", "api/docs", "api/schema")

urlpatterns = [
    # First: tills ask most.
    path("api/v1/", include("payments.urls")),
    path("api/v1/", include("cards.urls")),
    path("api/v1/", include("members.urls")),
    path("api/v1/", include("merchants.urls")),
    path("api/v1/", include("settlements.urls")),
    path("api/v1/", include("mps.product.accounts.urls")),
    path("", landing),
    path(
        "api/schema/",
        gzip_page(SpectacularAPIView.as_view(renderer_classes=SCHEMA_RENDERERS)),
        name="schema",
    ),
    path("api/docs/", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="docs"),
    path("rest/v1/", include("mps.product.rpc.urls")),
    path("_allauth/", include("members.allauth_urls")),
    path("sandbox/pay/<str:order_id>", sandbox_pages.pay, name="sandbox-pay"),
    path("", include("mps.product.reports.urls")),
    # Where alerts pointed before the room was called monitoring.
    path("admin/watch/<path:rest>", RedirectView.as_view(url="/admin/monitoring/%(rest)s")),
    path("admin/", admin.site.urls),
    path("", include("mps.product.pages.urls")),
    *(path(page, error_pages.add_slash) for page in PAGES),
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path("metrics", read_only(show_metrics), name="metrics"),
]
handler400 = "mps.base.core.error_pages.bad_request"
handler403 = "mps.base.core.error_pages.permission_denied"
handler404 = "mps.base.core.error_pages.not_found"
handler500 = "mps.base.core.error_pages.server_error"
