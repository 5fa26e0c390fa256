"""Hashes a password with bcrypt, by the system's libcrypt: Alertmanager's configuration requires it."""

import ctypes
import secrets

from gcc_platform.local_stack.errors import StackError

_ALPHABET = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_COST = "04"
"""The least: the passwords are random, and every request is checked against the hash."""


def bcrypt(password: str) -> str:
    """The hash with a random salt. Raises StackError if libcrypt lacks bcrypt; Debian's and Ubuntu's have it."""
    salt = f"$2b${_COST}$" + "".join(secrets.choice(_ALPHABET) for _ in range(21)) + "."
    try:
        crypt = ctypes.CDLL("libcrypt.so.1").crypt
    except OSError as error:
        raise StackError(f"libcrypt.so.1 cannot be loaded ({error}); install libcrypt1") from error
    crypt.restype = ctypes.c_char_p
    hashed: bytes | None = crypt(password.encode(), salt.encode())
    if hashed is None or not hashed.startswith(salt[:7].encode()):
        raise StackError("libcrypt.so.1 does not know bcrypt ($2b$)")
    return hashed.decode()
