"""The store's memory of the past is short."""

import asyncio

from kubesim.apiserver.registry import compactor

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


async def test_what_is_more_than_ten_minutes_old_is_gone(api):
    forgetting = asyncio.create_task(compactor.run(api.store, api.clock))
    old = await api.make(CONFIG_MAPS, {"metadata": {"name": "a"}})
    await api.clock.advance(299)
    await api.make(CONFIG_MAPS, {"metadata": {"name": "b"}})
    version = old["metadata"]["resourceVersion"]
    exact = f"{CONFIG_MAPS}?resourceVersionMatch=Exact&resourceVersion={version}"
    assert (await api.get(exact))[0] == 200
    await api.clock.advance(302)
    status, answer = await api.get(exact)
    assert (status, answer["reason"]) == (410, "Expired")
    _, event = await api.get(f"{CONFIG_MAPS}?watch=1&resourceVersion={version}")
    assert event["type"] == "ERROR"
    assert event["object"]["message"].startswith(f"too old resource version: {version} (")
    forgetting.cancel()
