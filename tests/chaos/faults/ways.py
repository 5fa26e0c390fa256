"""What happens between the service and its servers, and what a front before ClickHouse may answer."""

from collections.abc import Sequence

from tests.chaos.faults.fault import Fault
from tests.harness import lying_front

_TO_THE_BROKER, _TO_CLICKHOUSE = "way to the broker", "way to ClickHouse"
_NO_ANSWER = "transient/no_answer"


def _lie(name: str, lie: lying_front.Lie, noticed_as: str | None = _NO_ANSWER) -> Fault:
    return Fault(
        name,
        _TO_CLICKHOUSE,
        lambda field: field.put_a_front_before_clickhouse(lie),
        lambda field: field.take_the_front_away(),
        noticed_as=noticed_as,
        seen=lambda field: field.front.lies,
    )


FAULTS: Sequence[Fault] = (
    Fault(
        "broker cut off",
        _TO_THE_BROKER,
        lambda field: field.broker_way.close(),
        lambda field: field.broker_way.open(),
        redelivers=True,
    ),
    Fault(
        "broker out of reach",
        _TO_THE_BROKER,
        lambda field: field.broker_way.stall(),
        lambda field: field.broker_way.resume(),
        5.0,  # long enough for heartbeats of 2 s to be missed
        redelivers=True,
    ),
    Fault(
        "broker slow",
        _TO_THE_BROKER,
        lambda field: field.broker_way.delay(0.05),
        lambda field: field.broker_way.delay(0),
        2.0,
        redelivers=True,
    ),
    Fault(
        "ClickHouse cut off",
        _TO_CLICKHOUSE,
        lambda field: field.clickhouse_way.close(),
        lambda field: field.clickhouse_way.open(),
        noticed_as=_NO_ANSWER,
    ),
    Fault(
        "ClickHouse out of reach",
        _TO_CLICKHOUSE,
        lambda field: field.clickhouse_way.stall(),
        lambda field: field.clickhouse_way.resume(),
        3.0,
    ),
    Fault(
        "ClickHouse slow",
        _TO_CLICKHOUSE,
        lambda field: field.clickhouse_way.delay(0.2),
        lambda field: field.clickhouse_way.delay(0),
        2.0,
    ),
    _lie("a front answers with a page", lying_front.maintenance_page),
    _lie("a front answers nothing, with 204", lying_front.no_content),
    _lie("a front sends to its login", lying_front.login_page),
    _lie("a front has kept a success", lying_front.AnswersFromItsCache(200)),
    _lie("a front has kept a refusal", lying_front.AnswersFromItsCache(400)),
    _lie("a front takes 4 KiB at most", lying_front.passes_on_up_to(4096), noticed_as=None),
    _lie("a front cuts answers in their first line", lying_front.cuts_the_answer_after(9)),
    _lie("a front cuts answers in their headers", lying_front.cuts_the_answer_after(300)),
    _lie("a front hangs up after the insert", lying_front.hangs_up_after_it_landed),
    _lie("a front repeats every insert", lying_front.repeats, noticed_as=None),
)
