"""The work queue that drives every loop."""

import asyncio

from jfsnb.sandbox.apimachinery.queue import WorkQueue


def test_a_key_waits_once_and_comes_back_when_it_changes_while_worked_on():
    async def scenario():
        queue = WorkQueue()
        for key in "aab":
            queue.add(key)
        assert [await queue.get(), await queue.get()] == ["a", "b"]
        queue.add("a")  # while it is worked on
        waiting = asyncio.ensure_future(queue.get())
        await asyncio.sleep(0)
        assert not waiting.done()
        queue.done("a")
        assert await waiting == "a"

    asyncio.run(scenario())


def test_later_keys_come_later_and_the_earliest_wish_counts():
    async def scenario():
        queue = WorkQueue()
        queue.add_after("slow", 60)
        queue.add_after("slow", 0.01)
        queue.add_after("slow", 60)
        assert await asyncio.wait_for(queue.get(), 5) == "slow"
        queue.close()

    asyncio.run(scenario())


def test_retries_pause_longer_and_longer_until_success():
    async def scenario():
        loop, pauses, queue = asyncio.get_running_loop(), [], WorkQueue()
        for _ in range(4):
            queue.retry("k")
            pauses.append(queue._timers.pop("k").when() - loop.time())
        queue.succeeded("k")
        queue.retry("k")
        pauses.append(queue._timers.pop("k").when() - loop.time())
        assert pauses[0] < pauses[1] < pauses[2] < pauses[3] > pauses[4]

    asyncio.run(scenario())
