"""The tests' own S3 server and the proxy that fails requests: that they do what tests build on."""

import httpx
import pytest

from tests.object_store import FAULTS, LOGIN, Request, Store, failing, one_in


def test_the_same_requests_fail_in_any_order() -> None:
    choose = one_in(10, seed=1)
    requests = [Request("GET", f"/bucket/{number}", 0) for number in range(1000)]
    faults = [choose(request) for request in requests]
    assert faults[::-1] == [choose(request) for request in requests[::-1]]
    assert 70 < sum(fault is not None for fault in faults) < 130
    assert set(faults) == {None, *FAULTS}


def test_a_fault_is_seen_by_the_client_and_by_the_server_as_it_says(s3_server: Store) -> None:
    s3_server.make_bucket("proxied")
    with failing(s3_server, lambda request: None) as proxy:
        proxy.store.put("proxied", "whole", b"0123456789")
        for fault in FAULTS:
            proxy.choose = lambda request, fault=fault: fault
            with pytest.raises(httpx.HTTPError):
                proxy.store.put("proxied", fault.replace(" ", "-"), b"0123456789")
        assert s3_server.keys("proxied") == ["cut-answer", "whole"]
        arrived = b""
        with (
            pytest.raises(httpx.RemoteProtocolError),
            httpx.stream("GET", f"{proxy.store.url}/proxied/whole", headers=LOGIN) as answer,
        ):
            for chunk in answer.iter_bytes():
                arrived += chunk
        assert arrived == b"01234"
