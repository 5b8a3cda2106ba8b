"""Writes wait until the cache has seen them; indexes follow the cache."""

import asyncio

from jfsnb.sandbox.controllers.cluster import Cluster, Index


def pod(name, version, **labels):
    meta = {"name": name, "namespace": "ns", "uid": name, "resourceVersion": str(version), "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta}


class Api:
    """Answers as an API server would, at once; its watch is what the test feeds the informer."""

    async def create(self, _path, body):
        return pod(body["metadata"]["name"], 7)

    async def delete(self, _path, _options):
        return {"status": "Success"}


def test_a_write_returns_when_the_cache_has_seen_it():
    async def scenario():
        cluster = Cluster(Api())
        informer = cluster.informer("pods")
        await informer._apply("ADDED", pod("earlier", 6))
        writing = asyncio.ensure_future(cluster.create("pods", {"metadata": {"name": "new", "namespace": "ns"}}))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not writing.done()
        await informer._apply("ADDED", pod("new", 7))
        await asyncio.wait_for(writing, 1)
        assert [p["metadata"]["name"] for p in cluster.all("pods", "ns")] == ["earlier", "new"]

    asyncio.run(scenario())


def test_a_deletion_returns_when_the_object_is_gone_from_the_cache_or_on_its_way():
    async def scenario():
        cluster = Cluster(Api())
        informer = cluster.informer("pods")
        await informer._apply("ADDED", pod("old", 6))
        deleting = asyncio.ensure_future(cluster.delete("pods", pod("old", 6)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not deleting.done()
        await informer._apply("DELETED", pod("old", 8))
        await asyncio.wait_for(deleting, 1)
        assert cluster.get("pods", ("ns", "old")) is None

    asyncio.run(scenario())


def test_an_index_follows_changes_of_the_value():
    async def scenario():
        informer = Cluster(Api()).informer("pods")
        index = Index(informer, lambda o: o["metadata"]["labels"].values())
        await informer._apply("ADDED", pod("p", 1, a="x", b="y"))
        await informer._apply("MODIFIED", pod("p", 2, a="z"))
        assert (index.get("x"), index.get("y")) == ([], [])
        assert [o["metadata"]["resourceVersion"] for o in index.get("z")] == ["2"]
        await informer._apply("DELETED", pod("p", 3, a="z"))
        assert index.get("z") == []

    asyncio.run(scenario())
