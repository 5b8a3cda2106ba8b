"""Log files and what kubectl logs shows of them."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from jfsnb.sandbox.runtime.logs import LONGEST_LINE, ContainerLog, LogOptions, read


async def text(path, live=None, **options):
    return b"".join([piece async for piece in read(path, LogOptions(**options), live)])


def written(tmp_path, *chunks, rotate_bytes=1 << 20):
    log = ContainerLog(tmp_path / "c" / "0.log", rotate_bytes)
    for stream, data in chunks:
        log.write(stream, data)
    return log


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, b"one\ntwo\nthree\nfour"),
        ({"tail": 2}, b"three\nfour"),
        ({"tail": 0}, b""),
        ({"tail": 99}, b"one\ntwo\nthree\nfour"),
        ({"limit": 5}, b"one\nt"),
        ({"since": datetime.now(UTC) + timedelta(hours=1)}, b""),
        ({"since": datetime.now(UTC) - timedelta(hours=1)}, b"one\ntwo\nthree\nfour"),
    ],
)
def test_options(tmp_path, options, expected):
    async def scenario():
        log = written(tmp_path, ("stdout", b"one\n"), ("stderr", b"two\n"), ("stdout", b"thr"), ("stdout", b"ee\nfour"))
        log.close()
        return await text(log.path, **options)

    assert asyncio.run(scenario()) == expected


def test_timestamps_once_a_line_even_when_it_is_stored_in_pieces(tmp_path):
    async def scenario():
        log = written(tmp_path, ("stdout", b"x" * (LONGEST_LINE + 5) + b"\nnext\n"))
        log.close()
        return await text(log.path, timestamps=True)

    lines = asyncio.run(scenario()).splitlines()
    assert len(lines) == 2
    moment, line = lines[0].split(b" ", 1)
    assert moment.startswith(b"20") and moment.endswith(b"Z") and line == b"x" * (LONGEST_LINE + 5)


def test_an_unfinished_line_waits_for_its_end_or_the_containers(tmp_path):
    async def scenario():
        log = written(tmp_path, ("stdout", b"half"))
        before = await text(log.path)
        log.close()
        return before, await text(log.path)

    assert asyncio.run(scenario()) == (b"", b"half")


def test_following_sees_everything_and_ends_with_the_container(tmp_path):
    async def scenario():
        log = written(tmp_path, ("stdout", b"before\n"))
        following = asyncio.create_task(text(log.path, log, follow=True))
        await asyncio.sleep(0)
        for number in range(50):
            log.write("stdout", f"{number}\n".encode())
            if number % 7 == 0:
                await asyncio.sleep(0)
        log.write("stdout", b"end")
        log.close()
        return await asyncio.wait_for(following, 5)

    expected = b"before\n" + b"".join(f"{n}\n".encode() for n in range(50)) + b"end"
    assert asyncio.run(scenario()) == expected


def test_following_goes_on_in_the_new_file_after_a_rotation(tmp_path):
    async def scenario():
        log = written(tmp_path, rotate_bytes=200)
        following = asyncio.create_task(text(log.path, log, follow=True))
        for number in range(30):
            log.write("stdout", f"line {number}\n".encode())
            for _ in range(3):
                await asyncio.sleep(0)
        log.close()
        return await asyncio.wait_for(following, 5), len(list(log.path.parent.iterdir()))

    got, files = asyncio.run(scenario())
    assert got == b"".join(f"line {n}\n".encode() for n in range(30))
    assert 1 < files <= 5


def test_a_log_that_was_never_written_is_empty(tmp_path):
    assert asyncio.run(text(tmp_path / "none.log", follow=True)) == b""
