"""The private Alertmanager's configuration: deploy/alertmanager's routes, with the receivers of the environment."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml
from pydantic import SecretStr

from gcc_platform import project
from gcc_platform.local_stack.errors import StackError
from gcc_platform.local_stack.settings import AlertSettings

_ROUTES = "deploy/alertmanager/alertmanager.yml"
_TEMPLATE = "deploy/alertmanager/gcc.tmpl"
_DEADMAN = "deadman"
_TITLE, _TEXT = '{{ template "gcc.title" . }}', '{{ template "gcc.text" . }}'
_SMTP_PORTS = {"smtp": 25, "smtps": 465}
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


def alertmanager_yml(settings: AlertSettings) -> str:
    """The configuration as JSON, which YAML includes. It holds secrets. Raises NotAProject and StackError."""
    configuration: dict[str, Any] = yaml.safe_load(project.file(_ROUTES).read_text())
    receivers = [_receiver(each["name"], settings) for each in configuration["receivers"]]
    template: Path = project.file(_TEMPLATE)
    return json.dumps({**configuration, "receivers": receivers, "templates": [str(template)]}, indent=2)


def _receiver(name: str, settings: AlertSettings) -> Mapping[str, Any]:
    if name == _DEADMAN:
        return {"name": name, **_webhook(settings.deadman_url, resolved=False)}
    return {
        "name": name,
        **_webhook(settings.webhook_url, resolved=True),
        **_slack(settings.slack_url),
        **_email(settings),
    }


def _webhook(url: SecretStr | None, *, resolved: bool) -> Mapping[str, Any]:
    if url is None:
        return {}
    return {"webhook_configs": [{"url": url.get_secret_value(), "send_resolved": resolved}]}


def _slack(url: SecretStr | None) -> Mapping[str, Any]:
    if url is None:
        return {}
    sent = {"api_url": url.get_secret_value(), "send_resolved": True, "title": _TITLE, "text": _TEXT}
    return {"slack_configs": [sent]}


def _email(settings: AlertSettings) -> Mapping[str, Any]:
    if settings.email_to is None:
        return {}
    server = urlsplit(settings.smtp_url.get_secret_value())
    if server.scheme not in _SMTP_PORTS or not server.hostname:
        raise StackError("GCC_ALERT_SMTP_URL is not a URL of the form smtp://user:password@host:587")
    email: dict[str, Any] = {
        "to": settings.email_to,
        "from": settings.email_from,
        "smarthost": f"{server.hostname}:{server.port or _SMTP_PORTS[server.scheme]}",
        "require_tls": server.scheme == "smtp" and server.hostname not in _LOOPBACK,
        "send_resolved": True,
        "headers": {"Subject": _TITLE},
        "text": _TEXT,
        "html": "",
    }
    if server.username:
        email |= {"auth_username": unquote(server.username), "auth_password": unquote(server.password or "")}
    return {"email_configs": [email]}
