"""Keeping a descriptor: the exchanges of fuse-handover §5 and §6, with a pipe in the place of a FUSE session."""

import asyncio
import os
import socket
from contextlib import asynccontextmanager

import pytest

from jfsnb.sandbox.csi.node import fd_socket, passfd
from jfsnb.sandbox.csi.node.passfd import FuseDescriptors, TakeFailed

SETTINGS = b"s" * 104
UUID = "8d355609-ae7f-49a0-8409-4b17bb649d3e"


@pytest.fixture
def base(tmp_path, monkeypatch):
    """Short enough for the path of a unix socket, wherever pytest keeps its files."""
    monkeypatch.chdir(tmp_path)
    return type(tmp_path)(".")


def session():
    """(its identity, a descriptor of it): something that can be recognised after it went over a socket."""
    reading, writing = os.pipe()
    os.close(writing)
    return os.fstat(reading).st_ino, reading


def identities(fds):
    found = [os.fstat(fd).st_ino for fd in fds]
    fd_socket.close(fds)
    return found


async def ask(keeper, *answer):
    """What a client gets of the driver: text, and what came with it beside the dummy; its answer is a (text, fd)."""
    with await fd_socket.connect(str(keeper.base / UUID / passfd.DRIVER_SOCKET)) as connection:
        text, (dummy, *fds) = await fd_socket.receive(connection)
        os.close(dummy)
        if answer:
            fd_socket.give(connection, *answer)
            os.close(answer[1])
        else:
            fd_socket.keep(connection)
        assert await fd_socket.receive(connection) == (b"", [])  # the driver has dealt with the answer, and closes
    return text, identities(fds)


@asynccontextmanager
async def client(path, *messages):
    """A client's own listener, which offers one message after the other; yields what it was answered."""
    path.parent.mkdir(exist_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.setblocking(False)
    listener.bind(str(path))
    listener.listen()
    answers = []

    async def serve():
        for text, fd in messages:
            connection, _ = await asyncio.get_running_loop().sock_accept(listener)
            connection.setblocking(False)
            with connection:
                fd_socket.offer(connection, text, fd)
                said, fds = await fd_socket.receive(connection)
                answers.append((said, identities(fds)))

    task = asyncio.ensure_future(serve())
    try:
        yield answers
    finally:
        task.cancel()
        listener.close()


def run(work):
    asyncio.run(asyncio.wait_for(work, 30))


def test_a_session_goes_from_client_to_driver_to_the_next_client(base):
    async def life():
        keeper, (mine, fd) = FuseDescriptors(base), session()
        keeper.listen(UUID)
        assert await ask(keeper) == (b"FUSE", [])  # the first client: there is no session yet
        assert await ask(keeper, SETTINGS, fd) == (b"FUSE", [])  # its supervisor leaves a copy
        assert await ask(keeper) == (SETTINGS, [mine])  # the next client takes it and gives nothing back
        assert await ask(keeper) == (SETTINGS, [])  # it is given away
        assert keeper.kept[UUID].fd is None

    run(life())


def test_a_copy_that_is_there_is_not_replaced(base):
    async def life():
        keeper, (mine, first), (_, second) = FuseDescriptors(base), session(), session()
        keeper.listen(UUID)
        with await fd_socket.connect(str(base / UUID / passfd.DRIVER_SOCKET)) as slow:
            await fd_socket.receive(slow)  # connected while there was nothing …
            await ask(keeper, SETTINGS, first)
            fd_socket.give(slow, b"other", second)  # … and answers when there is something
            os.close(second)
            assert (await fd_socket.receive(slow))[0] == b""
        assert await ask(keeper) == (SETTINGS, [mine])

    run(life())


def test_a_session_that_ended_is_never_offered_again(base):
    async def life():
        keeper, (_, fd) = FuseDescriptors(base), session()
        keeper.listen(UUID)
        await ask(keeper, SETTINGS, fd)
        keeper.close_copy(UUID)
        assert await ask(keeper) == (b"FUSE", [])
        keeper.stop(UUID)
        assert not (base / UUID).exists()
        assert keeper.kept == {}

    run(life())


def test_a_session_whose_end_nobody_told_is_not_offered_either(base):
    async def life():
        keeper, (reading, writing) = FuseDescriptors(base), os.pipe()
        keeper.listen(UUID)
        os.close(reading)  # what the kernel says of this descriptor is what it says of an unmounted file system's
        await ask(keeper, SETTINGS, writing)
        assert await ask(keeper) == (b"FUSE", [])

    run(life())


def test_what_the_driver_holds_is_not_inherited_by_its_children(base):
    async def life():
        keeper, (_, fd) = FuseDescriptors(base), session()
        keeper.listen(UUID)
        await ask(keeper, SETTINGS, fd)
        assert not os.get_inheritable(keeper.kept[UUID].fd)
        keeper.stop(UUID)

    run(life())


def test_a_client_is_told_to_keep_nothing_when_its_descriptor_is_taken(base, monkeypatch):
    async def life():
        keeper, (_, fd) = FuseDescriptors(base), session()
        async with client(base / UUID / "fuse_fd_comm.1", (SETTINGS, fd)) as answers:
            await keeper.take(UUID, "fuse_fd_comm.1")
            while not answers:
                await asyncio.sleep(0)
        assert [text for text, _ in answers] == [b"CLOSE"]
        monkeypatch.setattr(passfd, "TAKE_PAUSE", 0)
        with pytest.raises(TakeFailed, match=f"fail to recv FUSE fd from {UUID}/fuse_fd_comm.1"):
            await keeper.take(UUID, "fuse_fd_comm.1")

    run(life())


def test_a_new_driver_asks_the_clients_and_clears_away_what_is_left_of_others(base):
    async def life():
        keeper, (mine, fd) = FuseDescriptors(base), session()
        (base / "left-over").mkdir()
        (base / "left-over" / "state1.json").write_text("{}")
        (base / "starting").mkdir()  # its client does not listen yet
        async with client(base / UUID / "fuse_fd_comm.1", (SETTINGS, fd)) as answers:
            await keeper.recover({UUID, "starting"})
            while not answers:
                await asyncio.sleep(0)
        assert answers == [(SETTINGS, [mine])]  # the client has it back
        assert await ask(keeper) == (SETTINGS, [mine])  # and so has the driver
        assert sorted(d.name for d in base.iterdir()) == sorted([UUID, "starting"])
        assert set(keeper.kept) == {UUID}

    run(life())


def test_a_client_without_a_session_leaves_the_new_driver_with_nothing(base):
    async def life():
        keeper = FuseDescriptors(base)
        async with client(base / UUID / "fuse_fd_comm.1", (b"FUSE", None)):
            await keeper.recover({UUID})
        assert keeper.kept == {}

    run(life())
