"""A private Alertmanager: the distribution's program, with the routes of deploy/alertmanager."""

import base64
import json
import os
import shutil
import urllib.error
import urllib.request
from typing import ClassVar

from gcc_platform.local_stack.alertmanager_configuration import alertmanager_yml
from gcc_platform.local_stack.bcrypt import bcrypt
from gcc_platform.local_stack.errors import StackError
from gcc_platform.local_stack.ports import LOOPBACK
from gcc_platform.local_stack.private_files import write_private
from gcc_platform.local_stack.process import Command
from gcc_platform.local_stack.server import Server
from gcc_platform.local_stack.settings import AlertSettings

USER = "watch"
_NOT_INSTALLED = (
    "prometheus-alertmanager is not installed, so nobody is notified of alerts. Install it (Debian, Ubuntu: "
    "apt-get install prometheus-alertmanager), or set ALERTMANAGER_URL to one you have"
)
_PROGRAMS = ("prometheus-alertmanager", "alertmanager")  # Debian's name, upstream's


class Alertmanager(Server):
    """A single instance without a cluster. Its only user is `watch`."""

    name: ClassVar[str] = "Alertmanager"
    variable: ClassVar[str] = "ALERTMANAGER_URL"
    users: ClassVar[tuple[str, ...]] = (USER,)
    port_names: ClassVar[tuple[str, ...]] = ("alertmanager",)

    def absent(self) -> str:
        """The platform works without it; but nobody is notified then."""
        return "" if _installed() else _NOT_INSTALLED

    def prepare(self) -> None:
        """Write the configuration, from the settings of this start, and the user's password."""
        write_private(self.directory / "alertmanager.yml", alertmanager_yml(AlertSettings()))
        users = {"basic_auth_users": {USER: bcrypt(self.passwords[USER])}}
        write_private(self.directory / "web.yml", json.dumps(users))

    def command(self) -> Command:
        """The program in the foreground."""
        return Command(
            [
                _program(),
                f"--config.file={self.directory / 'alertmanager.yml'}",
                f"--web.config.file={self.directory / 'web.yml'}",
                f"--storage.path={self.directory / 'data'}",
                f"--web.listen-address={LOOPBACK}:{self.ports.alertmanager}",
                f"--web.external-url=http://{LOOPBACK}:{self.ports.alertmanager}",
                "--cluster.listen-address=",
            ],
            {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.directory), "LANG": "C.UTF-8"},
        )

    def healthy(self) -> bool:
        """Whether the user can log in."""
        credentials = base64.b64encode(f"{USER}:{self.passwords[USER]}".encode()).decode()
        query = urllib.request.Request(
            f"http://{LOOPBACK}:{self.ports.alertmanager}/-/ready", headers={"Authorization": f"Basic {credentials}"}
        )
        try:
            with _DIRECT.open(query, timeout=5) as answer:
                return bool(answer.status == 200)
        except urllib.error.HTTPError as error:
            if error.code == 401:
                raise StackError(
                    f"it refuses the password of {USER} in stack.json; stop it, and start it again"
                ) from error
            return False
        except OSError:
            return False

    def environment(self) -> dict[str, str]:
        """Its URL."""
        return {"ALERTMANAGER_URL": self.url("http", USER, self.ports.alertmanager)}

    @property
    def stop_seconds(self) -> float:
        """It writes its silences and notifications to disk within a second."""
        return 5


def _installed() -> str | None:
    """The program, or None."""
    return next(filter(None, map(shutil.which, _PROGRAMS)), None)


def _program() -> str:
    found = _installed()
    if found is None:
        raise StackError(_NOT_INSTALLED)
    return found


# Otherwise urllib sends requests to 127.0.0.1 through the environment's proxy.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
