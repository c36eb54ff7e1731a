"""Django: a project with one application."""

from orchestrator.spi import Ask, Launch, Scaffold, hookimpl
from orchestrator_scaffolds.fixed import Fixed

_MANAGE = '''"""Django's commands for this project."""

import os
import sys

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "$name.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
'''

_SETTINGS = '''"""The settings; what is secret or differs from place to place comes from the environment."""

import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_KEY = os.environ.get("SECRET_KEY", "only for development")
DEBUG = os.environ.get("DEBUG", "1") == "1"
ALLOWED_HOSTS = os.environ.get("ALLOWED_HOSTS", "127.0.0.1,localhost").split(",")
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "$name",
]
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
ROOT_URLCONF = "$name.urls"
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("DATABASE", str(BASE_DIR / "db.sqlite3")),
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
'''

_URLS = '''"""Which view answers which address."""

from django.http import HttpRequest, JsonResponse
from django.urls import path


def health(request: HttpRequest) -> JsonResponse:
    """Say that the application is up."""
    return JsonResponse({"status": "ok"})


urlpatterns = [path("health", health)]
'''

_WSGI = '''"""The entry for servers."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "$name.settings")
application = get_wsgi_application()
'''

SCAFFOLD = Fixed(
    files={
        "manage.py": _MANAGE,
        "$name/__init__.py": "",
        "$name/settings.py": _SETTINGS,
        "$name/urls.py": _URLS,
        "$name/wsgi.py": _WSGI,
    },
    guidance=(
        "A Django project whose only application is the package `$name`: `$name/models.py`, `$name/views.py`, "
        "`$name/urls.py` (defines `urlpatterns`), templates in `$name/templates/`, migrations in "
        "`$name/migrations/`, tests in `tests/`. `manage.py` and `$name/settings.py` exist; SQLite is the "
        "database."
    ),
    dependencies=("django",),
    launches=(
        Launch(
            ("python", "manage.py", "runserver", "--noreload", "127.0.0.1:8000"),
            port=8000,
            asks=(Ask("/", 500),),
            modules=("django",),
        ),
    ),
)


@hookimpl
def orchestrator_scaffold() -> Scaffold:
    """Return the scaffold."""
    return SCAFFOLD
