"""Work, counted by what is called: a time on a shared machine says little, and nothing about why."""

import gc
import sys
from collections import Counter
from collections.abc import Callable
from types import BuiltinMethodType, FrameType, MethodDescriptorType
from typing import Any


def calls(act: Callable[[], Any]) -> Counter[str]:
    """How often each function was called, those written in C too."""
    counted: Counter[str] = Counter()

    def note(frame: FrameType, event: str, called: Any) -> None:
        if event == "call":
            counted[frame.f_code.co_name] += 1
        elif event == "c_call":
            counted[_name(called)] += 1

    before, collecting = sys.getprofile(), gc.isenabled()
    gc.disable()  # whoever listens to it would be counted
    sys.setprofile(note)
    try:
        act()
    finally:
        sys.setprofile(before)
        if collecting:
            gc.enable()
    return counted - Counter({"sys.setprofile": 1})


def _name(called: BuiltinMethodType | MethodDescriptorType) -> str:
    owner = getattr(called, "__self__", None)
    place = getattr(owner, "__name__", None) or type(owner).__name__
    return f"{place}.{called.__name__}"
