from celery.schedules import crontab
from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from mps.base.console.navigation import Page


class CardsConfig(AppConfig):
    name = "cards"
    verbose_name = _("Cards")
    sql_files = ("cards", "codes", "policies", "reports")
    jobs = {
        gettext_noop("rotate codes of shared cards"): {
            "task": "cards.rotate_codes",
            "schedule": 300.0,
        },
        gettext_noop("drop old code history"): {
            "task": "cards.drop_code_history",
            "schedule": crontab(hour="19", minute="20", day_of_week="sun"),
        },
    }
    staff_rights = {
        "support": {"view": "binding card codehistory paymentcode tier voucher"},
        "finance": {"view": "binding card codehistory paymentcode tier voucher", "change": "card"},
        "risk": {"view": "binding card codehistory paymentcode tier voucher", "change": "card"},
    }
    navigation = (
        Page("cards", 1, _("Cards"), "credit_card", "cards.card"),
        Page("cards", 2, _("Bindings"), "diversity_3", "cards.binding"),
        Page("cards", 3, _("Vouchers"), "redeem", "cards.voucher"),
        Page("cards", 4, _("Tiers"), "military_tech", "cards.tier"),
        Page("cards", 5, _("Payment codes"), "qr_code_2", "cards.paymentcode"),
        Page("cards", 6, _("Past payment codes"), "history", "cards.codehistory"),
    )
