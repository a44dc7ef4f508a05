"""What is wrong with an EndpointSlice, and what it gets when it says nothing."""

import pytest

PATH = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"


def endpoint_slice(**content):
    base = {"metadata": {"name": "one"}, "addressType": "IPv4"}
    return base | {"endpoints": [{"addresses": ["10.0.0.1"]}], "ports": [{"port": 80}]} | content


@pytest.mark.parametrize(
    ("content", "field", "message"),
    [
        ({"addressType": ""}, "addressType", "Required value"),
        (
            {"addressType": "IPX"},
            "addressType",
            'Unsupported value: "IPX": supported values: "FQDN", "IPv4", "IPv6"',
        ),
        (
            {"endpoints": [{"addresses": []}]},
            "endpoints[0].addresses",
            "Required value: must contain at least 1 address",
        ),
        (
            {"endpoints": [{"addresses": ["127.0.0.1"]}]},
            "endpoints[0].addresses[0]",
            'Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)',
        ),
        (
            {"endpoints": [{"addresses": ["10.0.0.1", "10.0.0.1"]}]},
            "endpoints[0].addresses[1]",
            'Duplicate value: "10.0.0.1"',
        ),
        (
            {"endpoints": [{"addresses": ["10.0.0.1"]}] * 1001},
            "endpoints",
            "Too many: 1001: must have at most 1000 items",
        ),
        (
            {"ports": [{"port": 80}, {"port": 81}]},
            "ports[1].name",
            'Duplicate value: ""',
        ),
        (
            {"ports": [{"port": 0}]},
            "ports[0].port",
            "Invalid value: 0: must be between 1 and 65535, inclusive",
        ),
    ],
)
async def test_what_is_refused(make_api, content, field, message):
    status, answer = await make_api().post(PATH, endpoint_slice(**content))
    assert status == 422
    assert (field, message) in [(c["field"], c["message"]) for c in answer["details"]["causes"]]


async def test_ports_have_a_name_and_a_protocol_and_the_kind_of_address_stays(make_api):
    api = make_api()
    made = await api.make(PATH, endpoint_slice())
    assert made["ports"] == [{"name": "", "port": 80, "protocol": "TCP"}]
    assert made["metadata"]["generation"] == 1
    status, answer = await api.patch(f"{PATH}/one", {"addressType": "FQDN"})
    assert status == 422
    assert answer["details"]["causes"][-1]["message"] == 'Invalid value: "FQDN": field is immutable'


async def test_who_asks_for_endpoints_is_warned(make_api):
    api = make_api()
    path = "/api/v1/namespaces/default/endpoints"
    told = "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"
    for method, target, body in (
        ("POST", path, {"metadata": {"name": "one"}}),
        ("GET", path, None),
        ("GET", f"{path}/one", None),
        ("DELETE", f"{path}/one", None),
    ):
        response = await api.respond(method, target, body)
        assert response.headers["warning"] == f'299 - "{told}"'
    assert "warning" not in (await api.respond("GET", PATH)).headers
