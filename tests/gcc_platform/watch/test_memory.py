from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from gcc_platform.watch.alerts import Alert, Kind, Severity
from gcc_platform.watch.memory import ENDED_SECONDS, Memory
from gcc_platform.watch.seen import Seen


@dataclass
class Clock:
    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


def alert(looks: int = 1, summary: str = "", keep: float = 0.0, **about: str) -> Alert:
    kind = Kind("Broken", Severity.PAGE, "platform", "repair it", looks, keep)
    return Alert.of(kind, summary, about=about)


def test_an_alert_fires_when_it_was_seen_in_as_many_consecutive_looks_as_its_kind_asks_for() -> None:
    memory = Memory(Clock())
    memory.update({"probe": Seen((alert(looks=2),))})
    assert memory.firing() == []
    memory.update({"probe": Seen()})
    memory.update({"probe": Seen((alert(looks=2),))})
    assert memory.firing() == []
    memory.update({"probe": Seen((alert(looks=2),))})
    assert [each.alert for each in memory.firing()] == [alert(looks=2)]


def test_a_single_look_confirms_at_once() -> None:
    memory = Memory(Clock(), is_patient=False)
    memory.update({"probe": Seen((alert(looks=3),))})
    assert len(memory.firing()) == 1


def test_since_is_when_it_was_seen_first_although_its_text_changes() -> None:
    clock = Clock()
    memory = Memory(clock)
    memory.update({"probe": Seen((alert(summary="1 message"),))})
    clock.now += 60
    memory.update({"probe": Seen((alert(summary="2 messages"),))})
    [firing] = memory.firing()
    assert (firing.since, firing.alert.summary) == (1_000.0, "2 messages")


def test_what_a_probe_cannot_see_at_present_stays_as_it_was() -> None:
    memory = Memory(Clock())
    late, down = alert(asset="raw/post_log_events"), alert(server="dagster")
    memory.update({"dagster": Seen((late,))})
    memory.update({"dagster": Seen((down,), complete=False)})
    assert {each.alert.identity for each in memory.firing()} == {late.identity, down.identity}
    memory.update({"dagster": Seen()})
    assert memory.firing() == []


def test_an_alert_that_mutes_others_fires_on_for_a_while_if_it_was_confirmed() -> None:
    clock = Clock()
    memory = Memory(clock)
    memory.update({"probe": Seen((alert(looks=2, keep=45),))})
    memory.update({"probe": Seen()})
    memory.update({"probe": Seen((alert(looks=2, keep=45),))})
    assert memory.firing() == []
    memory.update({"probe": Seen((alert(looks=2, keep=45),))})
    clock.now += 44
    memory.update({"probe": Seen()})
    assert len(memory.firing()) == 1
    assert memory.ended() == []
    clock.now += 1
    memory.update({"probe": Seen()})
    assert memory.firing() == []
    assert len(memory.ended()) == 1


def test_an_end_is_repeated_for_15_minutes_and_no_longer() -> None:
    clock = Clock()
    memory = Memory(clock)
    memory.update({"probe": Seen((alert(),))})
    clock.now += 30
    memory.update({"probe": Seen()})
    [ended] = memory.ended()
    assert (ended.started_at, ended.ended_at) == (1_000.0, 1_030.0)
    clock.now += ENDED_SECONDS - 1
    memory.update({"probe": Seen()})
    assert memory.ended() == [ended]
    clock.now += 1
    memory.update({"probe": Seen()})
    assert memory.ended() == []


def test_what_fires_again_is_not_reported_as_ended() -> None:
    memory = Memory(Clock())
    for seen in (Seen((alert(),)), Seen(), Seen((alert(),))):
        memory.update({"probe": seen})
    assert memory.ended() == []
    assert len(memory.firing()) == 1


def test_what_was_never_confirmed_never_ends() -> None:
    memory = Memory(Clock())
    memory.update({"probe": Seen((alert(looks=2),))})
    memory.update({"probe": Seen()})
    assert memory.ended() == []


@given(st.lists(st.tuples(st.sets(st.sampled_from("abcd")), st.booleans()), max_size=30))
def test_nothing_fires_and_ends_at_once_and_what_is_seen_fires(looks: list[tuple[set[str], bool]]) -> None:
    memory = Memory(Clock())
    for names, complete in looks:
        memory.update({"probe": Seen(tuple(alert(asset=name) for name in sorted(names)), complete=complete)})
        firing = {each.alert.about["asset"] for each in memory.firing()}
        ended = {each.alert.about["asset"] for each in memory.ended()}
        assert not firing & ended
        assert firing >= names if not complete else firing == names
