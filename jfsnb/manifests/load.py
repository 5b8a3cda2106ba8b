"""The load of an upgrade, inside its own app Pod: python3 load.py DIRECTORY MOUNT; one JSON line a fact on stdout.

Appends numbered, fsynced records, and holds what an app may hold: an open file, an unlinked open file, a working
directory, an flock, a record lock, a mapped file. Says every stall, every error, what is still held, and which client
answers from the mount's own .config. Ends on SIGTERM and takes its directory with it. Standard library only.
"""

import errno
import fcntl
import json
import mmap
import os
import re
import shutil
import signal
import sys
import threading
import time

TOP, MOUNT = sys.argv[1:3]
PACE, STALL, LOOK = 0.005, 0.1, 0.02
ended = threading.Event()
speaking = threading.Lock()
state = {"acked": 0, "reads": 0, "unacked": 0, "errors": 0}
held = dict.fromkeys(("file", "unlinked file", "directory", "flock", "record lock", "mapping"), "held")


def say(**fact):
    with speaking:
        print(json.dumps({"at": round(time.time(), 4), **fact}), flush=True)


def watched(what, call):
    """Call it; say a stall and an error; whether it went well."""
    began = time.time()
    try:
        call()
        return True
    except OSError as error:
        state["errors"] += 1
        if state["errors"] <= 200:
            say(error=what, errno=errno.errorcode.get(error.errno, str(error.errno)))
        return False
    finally:
        took = time.time() - began
        if took > STALL:
            say(stall=what, began=round(began, 4), seconds=round(took, 4))


def open_records():
    return os.open(f"{TOP}/records", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o644)


def write_records():
    records, number = open_records(), 0
    while not ended.is_set():
        number += 1
        line = f"{number:010d} {time.time():.4f} ".encode().ljust(63, b".") + b"\n"

        def put(line=line):
            if os.write(records, line) != len(line):
                raise OSError(errno.EIO, "short write")
            os.fsync(records)

        if watched("append", put):
            state["acked"] = number
        else:
            state["unacked"] += 1
            say(unacked=number)
            held["file"] = "the descriptor that was written through answers no more" if number > 1 else held["file"]
            ended.wait(0.05)
            try:
                os.close(records)
            except OSError:
                pass
            try:
                records = open_records()
            except OSError:
                pass
        ended.wait(PACE)


def refused(name, call):
    """Whether another process is refused the lock; the child never returns."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            call(os.open(f"{TOP}/{name}", os.O_RDWR))
        except BlockingIOError:
            code = 0
        except OSError:
            code = 2
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def look():
    kept, gone = (os.open(f"{TOP}/{name}", os.O_RDWR | os.O_CREAT, 0o644) for name in ("kept", "gone"))
    os.write(kept, b"kept"), os.write(gone, b"gone")
    os.unlink(f"{TOP}/gone")
    page = os.open(f"{TOP}/mapped", os.O_RDWR | os.O_CREAT, 0o644)
    os.ftruncate(page, 4096)
    mapping = mmap.mmap(page, 4096)
    mapping[:6] = b"mapped"
    flocked, recorded = (os.open(f"{TOP}/{name}", os.O_RDWR | os.O_CREAT, 0o644) for name in ("flocked", "recorded"))
    fcntl.flock(flocked, fcntl.LOCK_EX)
    fcntl.lockf(recorded, fcntl.LOCK_EX)
    say(ready=True)

    def same(fd, text):
        if os.pread(fd, 4, 0) != text:
            raise OSError(errno.EIO, "other bytes")

    def flush():
        mapping[6] = (mapping[6] + 1) % 256
        mapping.flush()
        if mapping[:6] != b"mapped":
            raise OSError(errno.EIO, "other bytes")

    checks = {
        "file": lambda: same(kept, b"kept"),
        "unlinked file": lambda: same(gone, b"gone"),
        "directory": lambda: os.stat("records"),
        "mapping": flush,
    }
    spoken = locked = 0.0
    client = ""
    while not ended.is_set():
        for what, check in checks.items():
            if not watched(what, check):
                held[what] = "answers no more"
            state["reads"] += 1
        seen = client_now()
        if seen and seen != client:
            client = seen
            say(client=client)
        if time.time() - locked > 0.5:
            locked = time.time()
            if not refused("flocked", lambda fd: fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)):
                held["flock"] = "another process could take it"
            if not refused("recorded", lambda fd: fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)):
                held["record lock"] = "another process could take it"
        if time.time() - spoken > 1:
            spoken = time.time()
            say(**state, held=held)
        ended.wait(LOOK)
    say(**state, held=held, last=True)


def client_now():
    try:
        with open(f"{MOUNT}/.config", encoding="utf-8") as file:
            found = re.search(r'"Version":\s*"([^"]+)"', file.read())
        return found[1] if found else ""
    except OSError:
        return ""


signal.signal(signal.SIGTERM, lambda *_: ended.set())
os.makedirs(TOP)
os.chdir(TOP)
os.close(open_records())  # it is there before anybody looks
writer = threading.Thread(target=write_records)
writer.start()
try:
    look()
except OSError as error:
    say(error="set up", errno=errno.errorcode.get(error.errno, str(error.errno)))
    ended.set()
writer.join()
shutil.rmtree(TOP, ignore_errors=True)
