"""An app that holds on to a mount: runs in an app Pod (standard library only), and tells on stdout what it sees.

It appends one numbered, fsynced record every 5 ms through one descriptor, and holds a second file, an unlinked file, a
working directory, an flock and an fcntl lock. One JSON line for each thing worth telling: ``alive`` now and then,
``stall``, ``unacked`` (a record that may or may not be there), ``error`` (an operation on what it holds, once a kind).
"""

import errno
import fcntl
import json
import os
import time

DIRECTORY, RECORD, PAUSE = "/data/io", 64, 0.005
STALL, PROBE_EVERY, ALIVE_EVERY = 0.25, 20, 40


def say(event, **facts):
    print(json.dumps({"t": time.time(), "event": event, **facts}), flush=True)


def opened(name, flags=0):
    return os.open(name, os.O_RDWR | os.O_CREAT | flags, 0o644)


def create_here():
    os.close(opened("made"))
    os.unlink("made")


def main():
    os.makedirs(DIRECTORY, exist_ok=True)
    os.chdir(DIRECTORY)
    records = opened("records", os.O_APPEND)
    second, unlinked, flocked, region = map(opened, ("second", "unlinked", "flock", "fcntl"))
    os.unlink("unlinked")
    fcntl.flock(flocked, fcntl.LOCK_EX)
    fcntl.lockf(region, fcntl.LOCK_EX)
    probes = {
        "pwrite second": lambda: os.pwrite(second, b"x", 0),
        "pwrite unlinked": lambda: os.pwrite(unlinked, b"x", 0),
        "pread unlinked": lambda: os.pread(unlinked, 1, 0),
        "stat cwd": lambda: os.stat("."),
        "create in cwd": create_here,
    }
    told, last, sequence = set(), time.monotonic(), 0
    while True:
        try:
            os.write(records, b"%*d\n" % (RECORD - 1, sequence))
            os.fsync(records)
        except OSError as error:
            say("unacked", seq=sequence, errno=errno.errorcode[error.errno])
            time.sleep(0.05)
            try:
                records = opened(f"{DIRECTORY}/records", os.O_APPEND)
            except OSError as failed:
                say("error", op="open by path", errno=errno.errorcode[failed.errno])
        else:
            waited, last = time.monotonic() - last, time.monotonic()
            if waited > STALL:
                say("stall", seconds=round(waited, 2), seq=sequence)
        if sequence % PROBE_EVERY == 0:
            for name, probe in probes.items():
                try:
                    probe()
                except OSError as error:
                    if (name, error.errno) not in told:
                        say("error", op=name, errno=errno.errorcode[error.errno])
                    told.add((name, error.errno))
        if sequence % ALIVE_EVERY == 0:
            say("alive", seq=sequence)
        sequence += 1
        time.sleep(PAUSE)


main()
