from django.apps import AppConfig


class PagesConfig(AppConfig):
    name = "mps.pages"
    label = "pages"
    verbose_name = "Pages"
