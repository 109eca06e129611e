import pytest

from service.api.access.callers import Caller, caller_at, caller_of


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("::1", "::1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "testclient"),
        ("", ""),
    ],
)
def test_whoever_has_no_key_is_called_after_the_address(address: str, name: str) -> None:
    assert caller_at(address).name == name
    assert caller_at(address).scopes == frozenset()
    assert caller_at(address).key is None


def test_the_caller_is_whom_the_gate_has_noted_and_before_that_the_address() -> None:
    scope = {"client": ("192.0.2.7", 4711)}
    assert caller_of(scope) == Caller("192.0.2.7", address="192.0.2.7")
    noted = Caller("ci", frozenset({"infer"}), key="ci", address="192.0.2.7")
    assert caller_of({**scope, "state": {"caller": noted}}) is noted
    assert caller_of({}).name == ""
    assert caller_of({"client": None}).name == ""
