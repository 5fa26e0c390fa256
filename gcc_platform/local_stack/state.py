"""stack.json: the stack's passwords and last ports, so that its URLs survive a restart."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from gcc_platform.local_stack.errors import StackError
from gcc_platform.local_stack.private_files import write_private


@dataclass
class State:
    """Passwords by server and user, ports by name."""

    passwords: dict[str, dict[str, str]] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the file; the state is empty if it does not exist. Raises StackError if it cannot be read."""
        try:
            return cls(**json.loads(path.read_text()))
        except FileNotFoundError:
            return cls()
        except (OSError, ValueError, TypeError) as error:
            raise StackError(
                f"{path} cannot be read ({error}); repair it, or delete {path.parent} to start with empty servers"
            ) from error

    def save(self, path: Path) -> None:
        """Write the file, readable by its owner only."""
        write_private(path, json.dumps(asdict(self), indent=2) + "\n")

    def passwords_for(self, server: str, users: tuple[str, ...]) -> Mapping[str, str]:
        """The users' passwords; creates those that are missing."""
        known = self.passwords.setdefault(server, {})
        for user in users:
            known.setdefault(user, secrets.token_urlsafe(24))
        return known
