from celery.schedules import crontab
from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from mps.base.console.navigation import Page


class MerchantsConfig(AppConfig):
    name = "merchants"
    verbose_name = _("Merchants")
    sql_files = ("terminals", "webhooks", "policies")
    jobs = {
        gettext_noop("deliver webhooks"): {"task": "merchants.deliver_webhooks", "schedule": 10.0},
        gettext_noop("purge webhook events"): {
            "task": "merchants.purge_webhooks",
            "schedule": crontab(hour="18", minute="50"),
        },
    }
    staff_rights = {
        "support": {
            "view": "merchant merchantuser terminal webhookdelivery webhookendpoint webhookevent",
            "change": "webhookdelivery",
        },
        "finance": {"view": "merchant merchantuser terminal", "change": "merchant"},
        "risk": {"view": "merchant merchantuser terminal", "change": "terminal"},
    }
    navigation = (
        Page("merchants", 1, _("Merchants"), "storefront", "merchants.merchant"),
        Page("merchants", 2, _("Tills"), "point_of_sale", "merchants.terminal"),
        Page("merchants", 3, _("Merchant users"), "badge", "merchants.merchantuser"),
        Page("merchants", 4, _("Webhook endpoints"), "webhook", "merchants.webhookendpoint"),
        Page("merchants", 5, _("Webhook events"), "outbox", "merchants.webhookevent"),
        Page("merchants", 6, _("Webhook deliveries"), "outgoing_mail", "merchants.webhookdelivery"),
    )
