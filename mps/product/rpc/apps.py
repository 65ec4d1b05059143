from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class RpcConfig(AppConfig):
    name = "mps.product.rpc"
    label = "rpc"
    verbose_name = _("RPC")
    sql_files = ("service_keys", "policies")
