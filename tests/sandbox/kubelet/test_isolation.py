"""What a Pod cannot do to the machine, whoever started the sandbox.

Nothing is written anywhere: that a file of the kernel cannot even be opened for writing is the whole test.
"""

import os
import stat
import subprocess
import sys
import tempfile

import pytest

from jfsnb.sandbox.runtime.isolation import FIRST_ID, HIDDEN, READ_ONLY, ids, own_ids
from jfsnb.sandbox.runtime.noderoot import DEVICES

KERNEL_STATE = (
    *("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/vm/drop_caches", "/proc/sysrq-trigger"),
    *("/proc/sys/kernel/hostname", "/sys/kernel/uevent_helper", "/sys/power/state", "/sys/module/fuse/uevent"),
)
#: Opens for writing, and closes; prints what could be opened. exec 3<> would make a file that is not there.
OPEN = 'for f in "$@"; do [ -e "$f" ] && (: 3<>"$f") 2>/dev/null && echo "$f"; done; true'


def opened(node, *paths, before="", **more):
    return node.sh(f"{before}\nset -- {' '.join(paths)}\n{OPEN}", **more)


@pytest.mark.parametrize("privileged", [True, False])
def test_the_kernels_own_state_cannot_be_opened_for_writing(on_node, privileged):
    async def test(node):
        assert await opened(node, "/dev/null", "/etc/hostname") == (0, "/dev/null\n/etc/hostname\n"), "the test itself"
        assert await opened(node, *KERNEL_STATE, privileged=privileged) == (0, "")
        writable = f"find /proc/{' /proc/'.join(READ_ONLY)} /sys -maxdepth 3 -type f -writable 2>/dev/null | head"
        assert await node.sh(writable, privileged=privileged) == (0, "")
        hidden = [name for name in HIDDEN if os.path.isfile(f"/proc/{name}")]
        for name in hidden:
            assert await node.sh(f"head -c 8 /proc/{name}", privileged=privileged) == (0, "")

    on_node(test)


def test_nor_by_a_privileged_pod_that_takes_the_protection_away_first(on_node):
    """Read-only mounts can be undone by whoever may mount; ids cannot. So it is the ids that count."""

    async def test(node):
        undone = (
            "for m in /proc/sys /proc/sysrq-trigger /sys; do umount -l $m; mount -o remount,rw $m; done 2>/dev/null\n"
        )
        fresh = "mkdir /p && mount -t proc proc /p 2>/dev/null\n"
        shown = await opened(
            node, *KERNEL_STATE, *(f"/p{p[5:]}" for p in KERNEL_STATE if p.startswith("/proc")), before=undone + fresh,
            privileged=True,
        )  # fmt: skip
        names = {"/proc/sys/kernel/hostname", "/p/sys/kernel/hostname"}  # the Pod's own name, not the machine's
        assert set(shown[1].split()) <= names

    on_node(test)


def test_there_are_no_devices_but_harmless_ones_and_none_can_be_made(on_node):
    async def test(node):
        _, listed = await node.sh("find /dev -xdev -type b -o -xdev -type c", privileged=True)
        assert {os.path.basename(path) for path in listed.split()} <= {*DEVICES, "ptmx"}
        _, listed = await node.sh("ls -l /dev/fuse 2>&1")
        assert "No such file" in listed, "only a privileged container has it"
        for kind, major, minor in (("b", 254, 0), ("c", 1, 1), ("c", 5, 1)):
            made = f"mknod /tmp/d {kind} {major} {minor} 2>/dev/null && cat /tmp/d >/dev/null 2>&1 && echo opened"
            assert (await node.sh(made, privileged=True))[1] == ""

    on_node(test)


@pytest.mark.skipif(os.getuid() != 0, reason="an ordinary user's node has that user's id")
def test_no_process_of_a_node_has_the_id_of_the_machines_root(on_node):
    async def test(node):
        process, output = await node.start("sh", "-c", "echo up; sleep 100", privileged=True)
        await output.line("up")
        assert os.stat(f"/proc/{process.pid}").st_uid == ids().first != 0
        assert os.stat(f"/proc/{node.runtime.agent_pid}").st_uid == ids().first
        await process.signal(9)

    on_node(test)


@pytest.mark.skipif(os.getuid() != 0, reason="other user ids need root")
def test_files_have_the_same_owner_outside_and_inside(on_node):
    async def test(node):
        script = "echo x >/mnt/of-root; echo x >/mnt/of-1000; chown 1000:1000 /mnt/of-1000; stat -c %u:%g /mnt/*"
        from jfsnb.sandbox.runtime.runtime import BindMount

        shared = node.runtime.node_root / "srv"
        code, text = await node.sh(script, mounts=(BindMount("/srv", "/mnt"),))
        assert (code, text.split()) == (0, ["1000:1000", "0:0"])
        assert [(shared / name).stat().st_uid for name in ("of-root", "of-1000")] == [0, 1000]
        (shared / "of-root").chmod(stat.S_IRUSR)
        assert await node.sh("cat /mnt/of-root", mounts=(BindMount("/srv", "/mnt"),)) == (0, "x\n")

    on_node(test)


def test_which_ids_a_node_gets():
    assert own_ids("         0          0 4294967295", 0).mapping == f"0 {FIRST_ID} 65536"
    assert own_ids("0 0 4294967295", 1000).mapping == "0 1000 1"
    assert own_ids("0 0 65536", 0) == own_ids("0 0 65536\n", 0)
    few = own_ids("0 0 65536", 0)
    assert (few.first, few.mapping, few.translated) == (1, "0 1 65535", True), "not even there is root's own among them"
    rootless = own_ids("0 1000 1\n1 100000 65536", 0)
    assert (rootless.mapping, rootless.translated) == ("0 0 1\n1 1 65535", False), "that root is nobody's root"


def python_for_everybody():
    """An interpreter that another user can start, with what this one imports; None without one."""
    for path in dict.fromkeys((sys.executable, f"/usr/bin/python3.{sys.version_info.minor}")):
        as_nobody = {"user": 65534, "group": 65534, "extra_groups": [], "capture_output": True}
        try:
            if subprocess.run([path, "-c", ""], cwd="/", **as_nobody).returncode == 0:
                return path
        except OSError:
            continue
    return None


@pytest.mark.skipif(os.getuid() != 0, reason="it takes root to become somebody else")
def test_an_ordinary_users_node_cannot_either(tmp_path_factory):
    """The tests above once more, by nobody in particular."""
    python = python_for_everybody()
    if python is None:
        pytest.skip("no Python that another user can start")
    with tempfile.TemporaryDirectory(prefix="jfsnb-nobody-", dir="/tmp") as home:
        os.chown(home, 65534, 65534)
        environment = {"PATH": os.environ["PATH"], "TMPDIR": home, "HOME": home, "JFSNB_CACHE": f"{home}/cache"}
        environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if "lib/python3" not in path[-14:])
        command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
        command += ["-k", "kernel or protection or devices", f"--basetemp={home}/t"]
        as_nobody = {"user": 65534, "group": 65534, "extra_groups": []}
        done = subprocess.run(command, env=environment, cwd=home, capture_output=True, text=True, **as_nobody)
    assert done.returncode == 0 and "4 passed" in done.stdout, done.stdout[-3000:] + done.stderr[-3000:]
