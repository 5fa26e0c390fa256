"""One row of figures per fault."""

from dataclasses import asdict, fields

from tests.chaos.accounting import Account

_COLUMNS = tuple(field.name for field in fields(Account))
HEADER = f"{'fault':44} {'injected':>8} " + " ".join(f"{name:>13}" for name in _COLUMNS) + f" {'seconds':>8}"


def row(fault: str, injected: int, before: Account, after: Account, seconds: float) -> str:
    """What one fault, or several at once, did to the messages sent meanwhile."""
    was, now = asdict(before), asdict(after)
    figures = " ".join(f"{now[name] - was[name]:>13}" for name in _COLUMNS)
    return f"{fault:44} {injected:>8} {figures} {seconds:>8.1f}"
