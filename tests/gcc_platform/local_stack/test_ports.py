import socket

import pytest

from gcc_platform.local_stack.errors import StackError
from gcc_platform.local_stack.ports import LOOPBACK, Ports, is_free, pick_free


def test_a_port_somebody_listens_on_is_not_free_and_is_again_afterwards() -> None:
    with socket.create_server((LOOPBACK, 0)) as listener:
        port = listener.getsockname()[1]
        assert not is_free(port)
    assert is_free(port)


def test_picked_ports_differ_and_are_free() -> None:
    ports = pick_free(20)
    assert len(set(ports)) == 20
    assert all(map(is_free, ports))


def test_ports_are_picked_where_the_setting_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GCC_LOCAL_FREE_PORTS", "20000-20999")
    assert all(20000 <= port <= 20999 for port in pick_free(20))


def test_ports_that_others_are_about_to_take_are_not_picked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GCC_LOCAL_FREE_PORTS", "20000-20003")
    free = list(filter(is_free, range(20000, 20004)))
    assert pick_free(1, excluding=free[1:]) == free[:1]


@pytest.mark.parametrize("setting", ["many", "20000", "20999-20000", "1-65536"])
def test_a_setting_that_is_not_a_range_of_ports_is_named(monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    monkeypatch.setenv("GCC_LOCAL_FREE_PORTS", setting)
    with pytest.raises(StackError, match=f"GCC_LOCAL_FREE_PORTS={setting} is not a range of ports"):
        pick_free(1)


def test_two_servers_on_one_port_are_named_with_both_variables() -> None:
    with pytest.raises(StackError, match=r"GCC_LOCAL_AMQP_PORT and GCC_LOCAL_POSTGRES_PORT are both 7000"):
        Ports(7000, 7001, 7002, 7003, 7000, 7005)


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_number_that_is_not_a_port_is_named_with_its_variable(port: int) -> None:
    with pytest.raises(StackError, match=f"GCC_LOCAL_MANAGEMENT_PORT={port}"):
        Ports(7000, port, 7002, 7003, 7004, 7005)
