from dataclasses import dataclass

from gcc_platform.watch.window import Window


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def window_of(values: list[int], seconds: float = 100, step: float = 10) -> Window:
    clock = Clock()
    window = Window(seconds, clock)
    for value in values:
        window.add(value)
        clock.now += step
    clock.now -= step
    return window


def test_the_increase_of_a_counter_is_the_sum_of_its_steps_and_survives_a_restart_from_zero() -> None:
    assert window_of([5, 5, 9]).increase == 4
    assert window_of([5, 9, 2, 3]).increase == 4 + 2 + 1
    assert window_of([7]).increase == 0


def test_an_increase_is_forgotten_after_the_window() -> None:
    assert window_of([0, 3] + [3] * 9).increase == 3
    assert window_of([0, 3] + [3] * 10).increase == 0


def test_a_window_is_full_when_its_oldest_value_is_as_old_as_it_is_long() -> None:
    assert not window_of([1] * 10).is_full
    full = window_of([9, *[5] * 10])
    assert full.is_full
    assert (full.first, full.least) == (9, 5)
