"""stack.json: the passwords of the stack and the ports it last used, so that a restart has the same URLs."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from gcc_platform.local_stack.errors import StackError
from gcc_platform.local_stack.private_files import write_private


@dataclass
class Record:
    """What must outlive the processes: passwords by server and user, ports by name."""

    passwords: dict[str, dict[str, str]] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> Self:
        """The record in the file; an empty one where there is none. Raises StackError where it cannot be read."""
        try:
            return cls(**json.loads(path.read_text()))
        except FileNotFoundError:
            return cls()
        except (OSError, ValueError, TypeError) as error:
            raise StackError(
                f"{path} cannot be read ({error}); repair it, or delete {path.parent} to begin with empty servers"
            ) from error

    def save(self, path: Path) -> None:
        """Write the record where only its owner can read it."""
        write_private(path, json.dumps(asdict(self), indent=2) + "\n")

    def passwords_for(self, server: str, users: tuple[str, ...]) -> Mapping[str, str]:
        """The users' passwords; those that have none yet get one."""
        known = self.passwords.setdefault(server, {})
        for user in users:
            known.setdefault(user, secrets.token_urlsafe(24))
        return known
