import pytest
from api.asking import assert_problem, connect

from service.api.access import client_of
from service.api.gate import SAFE_METHODS, Application
from service.runtime.in_process import LocalEngine

WORK = {"/classify", "/evaluate", "/explain", "/forecast", "/generate"}
"""What anybody may ask for; all other routes that are not only read change what the service holds."""


def changing(app: Application) -> list[tuple[str, str]]:
    """Method and path of every route that changes what the service holds."""
    paths = app.openapi()["paths"].items()
    found = [(method.upper(), path) for path, routes in paths if path not in WORK for method in routes]
    return [(method, path) for method, path in found if method not in SAFE_METHODS]


def test_the_routes_that_change_something_are_known(app: Application) -> None:
    assert sorted(changing(app)) == [
        ("DELETE", "/evaluations/{evaluation_id}"),
        ("DELETE", "/references/{name}"),
        ("POST", "/models/{model_id}/load"),
        ("POST", "/models/{model_id}/unload"),
        ("PUT", "/references/{name}"),
    ]


@pytest.mark.parametrize("host", ["192.0.2.7", "2001:db8::1", "testclient"])
async def test_only_this_machine_changes_what_the_service_holds(
    app: Application, engine: LocalEngine, host: str
) -> None:
    async with connect(app, host=host) as client:
        for method, path in changing(app):
            address = path.format(model_id="echo", evaluation_id="x", name="x")
            assert_problem(await client.request(method, address), 403, "only requests from this machine")
    assert "echo" not in engine.models()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"])
async def test_every_name_of_this_machine_is_this_machine(app: Application, host: str) -> None:
    async with connect(app, host=host) as client:
        for method, path in changing(app):
            address = path.format(model_id="echo", evaluation_id="x", name="x")
            assert (await client.request(method, address)).status_code != 403


@pytest.mark.parametrize("path", sorted(WORK))
async def test_anybody_may_ask_for_work(app: Application, path: str) -> None:
    async with connect(app, host="192.0.2.7") as client:
        assert (await client.post(path)).status_code not in (401, 403)


@pytest.mark.parametrize("path", ["/models", "/evaluations", "/references", "/health/live", "/metrics"])
async def test_anybody_may_look(app: Application, path: str) -> None:
    async with connect(app, host="192.0.2.7") as client:
        assert (await client.get(path)).status_code == 200


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("testclient", "testclient"),
    ],
)
def test_a_client_is_its_address_and_of_ipv6_its_network(address: str, client: str) -> None:
    assert client_of({"client": (address, 50000)}) == client


def test_where_no_address_is_known_all_are_one_client() -> None:
    assert client_of({"client": None}) == client_of({}) == ""
