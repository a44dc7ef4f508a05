"""Informers: a cache that follows the API, and says what changed."""

from kubesim.apiserver import errors
from kubesim.clientgo.informer import Informer, InformerFactory


async def create(world, name, namespace="default", **labels):
    meta = {"name": name, "namespace": namespace, "labels": labels}
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"n": "1"}}
    return await world.api.create("configmaps", config_map)


class Diary:
    """An informer of ConfigMaps and the changes that it told."""

    def __init__(self, world, client=None, **scope):
        self.informer = Informer(client or world.api, "configmaps", world.clock, **scope)
        self.informer.add_handler(self.note)
        self.entries = []
        world.start("informer", self.informer.run())

    def note(self, change):
        name = change.object["metadata"]["name"]
        kind = "added" if change.old is None else "changed" if change.new else "deleted"
        self.entries.append(f"{kind} {name}")


def names(objects):
    return sorted(obj["metadata"]["name"] for obj in objects)


async def test_it_lists_first_and_follows_then(make_world):
    async with make_world(controllers=False, scheduler=False) as world:
        await create(world, "before")
        diary = Diary(world)
        await world.settle()
        assert diary.informer.synced.is_set()
        await create(world, "after")
        await world.change("configmaps", "after", {"data": {"n": "2"}})
        await world.api.delete("configmaps", "before", "default")
        await world.settle()
        assert diary.entries == ["added before", "added after", "changed after", "deleted before"]
        assert names(diary.informer.cache.list()) == ["after"]
        assert diary.informer.cache.get("after", "default")["data"] == {"n": "2"}


async def test_after_an_interruption_it_tells_the_difference(make_world):
    async with make_world(controllers=False, scheduler=False) as world:
        for name in ("stays", "changes", "goes", "is-replaced"):
            await create(world, name)
        diary = Diary(world)
        await world.settle()
        await world.stop("informer")
        diary.entries.clear()
        await world.change("configmaps", "changes", {"data": {"n": "2"}})
        for name in ("goes", "is-replaced"):
            await world.api.delete("configmaps", name, "default")
        await create(world, "is-replaced")
        await create(world, "comes")
        world.start("informer", diary.informer.run())
        await world.settle()
        assert sorted(diary.entries) == [
            "added comes",
            "added is-replaced",
            "changed changes",
            "deleted goes",
            "deleted is-replaced",
        ]


async def test_a_watch_that_has_expired_begins_with_a_new_list(make_world):
    async with make_world(controllers=False, scheduler=False) as world:

        class Forgetful:
            """A server that has compacted everything when it is asked to watch, three times."""

            expired = 0
            list = world.api.list

            async def watch(self, resource, namespace, **how):
                if self.expired < 3:
                    self.expired += 1
                    await create(world, f"missed-{self.expired}")
                    raise errors.expired("too old resource version")
                async for event in world.api.watch(resource, namespace, **how):
                    yield event

        diary = Diary(world, client=Forgetful())
        await world.settle()
        await create(world, "seen")
        await world.settle()
        assert diary.entries == ["added missed-1", "added missed-2", "added missed-3", "added seen"]


async def test_handlers_that_come_late_hear_of_everything(make_world):
    async with make_world(controllers=False, scheduler=False) as world:
        await create(world, "one")
        diary = Diary(world)
        await world.settle()
        late = []
        diary.informer.add_handler(lambda change: late.append(change.object["metadata"]["name"]))
        assert late == ["one"]


async def test_selectors_and_namespaces_narrow_it(make_world):
    async with make_world(controllers=False, scheduler=False) as world:
        await world.create_namespaces("other")
        diary = Diary(world, namespace="other", label_selector="app=web")
        await create(world, "yes", "other", app="web")
        await create(world, "no-label", "other")
        await create(world, "no-namespace", "default", app="web")
        await world.settle()
        assert names(diary.informer.cache.list()) == ["yes"]
        no_more = {"metadata": {"labels": {"app": None}}}
        await world.change("configmaps", "yes", no_more, "other")
        assert diary.entries == ["added yes", "deleted yes"]


async def test_indexes_follow_the_objects(make_world):
    async with make_world(controllers=False, scheduler=False) as world:
        await create(world, "one", app="web")
        diary = Diary(world)
        await world.settle()
        cache = diary.informer.cache
        cache.add_index("app", lambda obj: (obj["metadata"].get("labels", {}).get("app", ""),))
        await create(world, "two", app="web")
        await world.change("configmaps", "one", {"metadata": {"labels": {"app": "db"}}})
        assert names(cache.by_index("app", "web")) == ["two"]
        assert names(cache.by_index("app", "db")) == ["one"]
        await world.api.delete("configmaps", "two", "default")
        await world.settle()
        assert cache.by_index("app", "web") == []


async def test_it_survives_a_server_that_refuses_for_a_while(make_world):
    async with make_world(controllers=False, scheduler=False) as world:
        await create(world, "one")
        allowed = False

        class Doorkeeper:
            async def authorize(self, *_):
                return allowed, ""

        world.server.authorizer = Doorkeeper()
        diary = Diary(world)
        await world.advance(5)
        assert not diary.informer.synced.is_set()
        allowed = True
        await world.advance(30)
        assert diary.entries == ["added one"]


async def test_a_factory_shares_one_informer_a_resource(make_world):
    async with make_world(controllers=False, scheduler=False) as world:
        informers = InformerFactory(world.api, world.clock)
        assert informers.informer("pods") is informers.informer("pods")
        assert informers.informer("pods") is not informers.informer("nodes")
