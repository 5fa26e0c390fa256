"""A virtual host of each test's own on the session's broker, so that its queues may be anything."""

from collections.abc import Iterator, Mapping

import pytest

from tests.harness.management import management

HOST = "doctor"


@pytest.fixture
def broker(stack: Mapping[str, str]) -> Iterator[Mapping[str, str]]:
    """The stack's environment, with AMQP_URL of an empty virtual host."""
    management(stack, "PUT", f"vhosts/{HOST}", {})
    management(stack, "PUT", f"permissions/{HOST}/gcc", dict.fromkeys(("configure", "write", "read"), ".*"))
    yield {**stack, "AMQP_URL": f"{stack['AMQP_URL'].rpartition('/')[0]}/{HOST}"}
    management(stack, "DELETE", f"vhosts/{HOST}", {})
