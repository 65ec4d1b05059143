from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

from mps.base.console.navigation import Page


class RpcConfig(AppConfig):
    name = "mps.product.rpc"
    label = "rpc"
    verbose_name = _("RPC")
    sql_files = ("service_keys", "policies")
    navigation = (Page("system", 2, _("Service keys"), "key", "rpc.servicekey"),)
