import subprocess
import sys

_STUCK = """
import asyncio, time
from ingest_service.observability.watchdog import watched

async def main():
    async with watched(0.3):
        await asyncio.sleep({idle})
        blocks()
    await asyncio.sleep(0.5)

def blocks():
    time.sleep({blocked})

asyncio.run(main())
"""


def stderr(idle: float, blocked: float) -> str:
    code = _STUCK.format(idle=idle, blocked=blocked)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stderr


def test_a_loop_that_does_not_turn_shows_where_it_is_stuck() -> None:
    assert "in blocks" in stderr(idle=0, blocked=2)


def test_a_loop_that_turns_shows_nothing() -> None:
    assert stderr(idle=1, blocked=0) == ""
