from django.apps import AppConfig


class PagesConfig(AppConfig):
    name = "mps.product.pages"
    label = "pages"
    verbose_name = "Pages"
