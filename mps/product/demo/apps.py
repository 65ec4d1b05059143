from django.apps import AppConfig


class DemoConfig(AppConfig):
    name = "mps.product.demo"
    label = "demo"
    verbose_name = "Demonstration"
