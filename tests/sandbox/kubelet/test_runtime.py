"""Containers: what a process in one sees, and how it ends."""

import asyncio
import hashlib
import os
import signal
from pathlib import Path

import pytest

from jfsnb.sandbox.runtime.runtime import BindMount, StartError

only_root = pytest.mark.skipif(os.getuid() != 0, reason="other user ids need root")


def test_exit_codes_are_exact(on_node):
    async def test(node):
        assert (await node.sh("exit 7"))[0] == 7
        assert (await node.sh("trap 'exit 9' TERM; kill -TERM $$"))[0] == 9
        process, output = await node.start("sh", "-c", "echo up; sleep 100")
        await output.line("up")
        await process.signal(signal.SIGKILL)
        assert await process.exited == 137
        await process.signal(signal.SIGKILL)  # too late: nothing happens

    on_node(test)


def test_a_first_process_without_a_trap_ignores_sigterm(on_node):
    async def test(node):
        process, output = await node.start("bash", "-c", "read -r _ < <(echo up; sleep 100); echo up; sleep 100")
        await output.line("up")
        await process.signal(signal.SIGTERM)
        assert (await node.exec("c1", "echo", "alive")) == (0, "alive\n")
        assert not process.exited.done()
        await process.signal(signal.SIGKILL)
        assert await process.exited == 137

    on_node(test)


def test_everything_written_is_there_when_the_exit_code_is(on_node):
    async def test(node):
        process, output = await node.start("sh", "-c", "seq 200000; echo problem >&2")
        assert await process.exited == 0
        assert output.text("stdout").splitlines() == [str(n) for n in range(1, 200001)]
        assert output.text("stderr") == "problem\n"

    on_node(test)


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("nope", 'exec: "nope": executable file not found in $PATH: unknown'),
        ("/no/such", 'exec: "/no/such": stat /no/such: no such file or directory: unknown'),
        ("/etc/passwd", 'exec: "/etc/passwd": permission denied: unknown'),
        ("/usr", 'exec: "/usr": is a directory: unknown'),
    ],
)
def test_a_program_that_cannot_start_is_worded_as_the_runtime_words_it(on_node, program, words):
    async def test(node):
        with pytest.raises(StartError) as raised:
            await node.start(program)
        created = "failed to create containerd task: failed to create shim task: OCI runtime create failed: "
        assert str(raised.value) == f"{created}runc create failed: unable to start container process: {words}"
        _, output = await node.start("sh", "-c", "echo up; sleep 100")
        await output.line("up")
        with pytest.raises(StartError, match="OCI runtime exec failed: exec failed: ") as raised:
            await node.exec("c2", program)
        assert str(raised.value).endswith(words)

    on_node(test)


def test_a_missing_mount_source_is_a_start_error(on_node):
    async def test(node):
        with pytest.raises(StartError, match='error mounting "/no/such" to rootfs at "/data": no such file'):
            await node.start("true", mounts=(BindMount("/no/such", "/data"),))

    on_node(test)


def test_a_container_sees_itself_only(on_node):
    async def test(node):
        _, other = await node.start("sh", "-c", "echo up; sleep 100")
        await other.line("up")
        code, text = await node.sh("ps -e -o args=; cat /etc/hostname; hostname", hostname="songlin-pod")
        lines = text.splitlines()
        assert code == 0
        assert lines[0].startswith("sh -c ps -e") and lines[1].startswith("ps -e")
        assert lines[2:] == ["songlin-pod", "songlin-pod"]

    on_node(test)


def test_environment_and_directory_come_from_image_and_spec(on_node):
    async def test(node):
        env = {"GREETING": "hello world", "PATH": "/usr/bin:/bin:/tools"}
        code, text = await node.sh('echo "$GREETING|$PATH|$HOME|$HOSTNAME"; pwd', env=env, working_dir="/work/made")
        assert (code, text) == (0, "hello world|/usr/bin:/bin:/tools|/root|pod1\n/work/made\n")

    on_node(test)


@only_root
def test_another_user_can_write_to_the_first_process_s_output(on_node):
    """What a preStop hook of the smoke Pod does: its lines must come behind those that are there, in the Pod's log."""

    async def test(node):
        process, output = await node.start("sh", "-c", "id; sleep 100", uid=1000, gid=1001, groups=(1002,))
        await output.line("groups=")
        assert "uid=1000" in output.text() and "gid=1001" in output.text() and "1002" in output.text()
        hook = "exec 1>/proc/1/fd/1 2>/proc/1/fd/2; echo from the hook; id -u"
        assert await node.exec("c1", "sh", "-c", hook) == (0, "")
        await output.line("from the hook\n1000\n")
        assert (await node.exec("c1", "id", "-u", uid=0)) == (0, "0\n")
        await process.signal(signal.SIGKILL)

    on_node(test)


def test_only_a_privileged_container_can_mount_and_has_fuse(on_node):
    async def test(node):
        script = "test -e /dev/fuse; echo $?; mount -t tmpfs none /mnt 2>/dev/null; echo $?"
        _, text = await node.sh(script)
        assert text.splitlines()[:2] == ["1", "32"]
        _, text = await node.sh(script, privileged=True)
        assert text.splitlines()[1] == "0"

    on_node(test)


def test_exec_joins_the_container(on_node):
    async def test(node):
        env = {"COLOUR": "blue"}
        _, output = await node.start(
            "sh", "-c", "echo secret >/tmp/note; echo up; sleep 100", env=env, working_dir="/tmp"
        )
        await output.line("up")
        code, text = await node.exec(
            "c1", "sh", "-c", "pwd; cat note; hostname; echo $COLOUR $EXTRA; exit 3", env={"EXTRA": "x"}
        )
        assert (code, text) == (3, "/tmp\nsecret\npod1\nblue x\n")
        assert (await node.exec("c1", "sh", "-c", "kill -9 $$"))[0] == 137

    on_node(test)


def test_exec_in_a_container_that_ended(on_node):
    async def test(node):
        await node.sh("true")
        with pytest.raises(StartError, match="container c1 is not running"):
            await node.exec("c1", "true")

    on_node(test)


def test_exec_with_input(on_node):
    async def test(node):
        _, output = await node.start("sh", "-c", "echo up; sleep 100")
        await output.line("up")
        copied = type(output)()
        process = await node.runtime.exec("c1", ["md5sum"], stdin=True, on_output=copied)
        await process.write_stdin(b"x" * 3_000_000)  # more than a pipe holds
        await process.close_stdin()
        assert await process.exited == 0
        assert copied.text() == hashlib.md5(b"x" * 3_000_000).hexdigest() + "  -\n"

    on_node(test)


def test_input_that_nobody_reads_is_a_broken_pipe(on_node):
    async def test(node):
        _, output = await node.start("sh", "-c", "echo up; sleep 100")
        await output.line("up")
        process = await node.runtime.exec("c1", ["true"], stdin=True)
        with pytest.raises(BrokenPipeError):
            await asyncio.wait_for(process.write_stdin(b"x" * 3_000_000), 10)
        assert await process.exited == 0

    on_node(test)


def test_exec_with_a_terminal(on_node):
    async def test(node):
        _, output = await node.start("sh", "-c", "echo up; sleep 100")
        await output.line("up")
        screen = type(output)()
        process = await node.runtime.exec("c1", ["sh"], stdin=True, tty=True, on_output=screen)
        process.resize(43, 121)
        await process.write_stdin(b"tty; stty size; sh -c 'echo in $TERM; exec sleep 100'\n")
        await screen.line("in xterm")
        assert "/dev/pts/0" in screen.text() and "43 121" in screen.text()
        await process.write_stdin(b"\x03")  # Ctrl-C reaches sleep, not sh
        await process.write_stdin(b"exit 5\n")
        assert await process.exited == 5

    on_node(test)


def test_a_container_with_a_terminal(on_node):
    async def test(node):
        process, output = await node.start("sh", "-c", "tty; echo problem >&2; exit 4", tty=True)
        assert await process.exited == 4
        assert output.chunks and {stream for stream, _ in output.chunks} == {"stdout"}
        assert output.text() == "/dev/pts/0\r\nproblem\r\n"

    on_node(test)


def test_when_the_node_dies_everybody_is_told(on_node):
    async def test(node):
        process, output = await node.start("sh", "-c", "echo up; sleep 100")
        await output.line("up")
        os.kill(node.runtime.agent_pid, signal.SIGKILL)
        assert await process.exited == 137
        with pytest.raises(StartError, match=r"the node is gone|Broken pipe"):
            await node.exec("c1", "true")

    on_node(test)


def test_mounts_are_read_only_when_asked_and_follow_links_inside_the_container(on_node):
    async def test(node):
        volume = node.runtime.node_root / "var/lib/kubelet/pods/uid/volumes/v"
        volume.mkdir(parents=True)
        (volume / "file.txt").write_text("from outside\n")
        source = "/var/lib/kubelet/pods/uid/volumes/v"
        mounts = (
            BindMount(f"{source}/file.txt", "/etc/updatedb.conf", read_only=True),
            BindMount(source, "/var/run/deep/er", read_only=True),
            BindMount(source, "/var/run/deep/er/inner"),
            BindMount(source, "/data"),
        )
        (volume / "inner").mkdir()
        script = "cat /etc/updatedb.conf /run/deep/er/file.txt; echo x >>/etc/updatedb.conf; touch /run/deep/er/y; "
        code, text = await node.sh(
            f"({script}) 2>&1; touch /run/deep/er/inner/inside; echo new >/data/made", mounts=mounts
        )
        assert code == 0 and text.count("from outside") == 2 and text.count("Read-only file system") == 2
        assert sorted(p.name for p in volume.iterdir()) == ["file.txt", "inner", "inside", "made"]

    on_node(test)


def test_a_read_only_root(on_node):
    async def test(node):
        node.runtime.node_root.joinpath("srv/data").mkdir()
        mounts = (BindMount("/srv/data", "/data"),)
        code, text = await node.sh("touch /x 2>&1; touch /data/y", read_only_root=True, mounts=mounts)
        assert code == 0 and "Read-only file system" in text

    on_node(test)


def test_long_arguments_and_environments(on_node):
    async def test(node):
        env = {f"VARIABLE_{n}": "v" * 10_000 for n in range(60)}
        code, text = await node.sh('echo "${#VARIABLE_59} ${#0} ${#1}"; ' + "#" * 100_000, env=env)
        assert (code, text) == (0, "10000 2 0\n")

    on_node(test)


def test_many_at_once(on_node):
    async def test(node):
        results = await asyncio.gather(*(node.sh(f"echo {n}; exit {n}", id=f"many{n}") for n in range(50)))
        assert results == [(n, f"{n}\n") for n in range(50)]
        _, output = await node.start("sh", "-c", "echo up; sleep 100", id="one")
        await output.line("up")
        results = await asyncio.gather(*(node.exec("one", "sh", "-c", f"exit {n}") for n in range(50)))
        assert [code for code, _ in results] == list(range(50))
        agent = node.runtime.agent_pid
        children = Path(f"/proc/{agent}/task/{agent}/children").read_text().split()
        assert len(children) == 1, "zombies in the node"
        assert len(os.listdir(f"/proc/{agent}/fd")) < 12, "the agent leaks file descriptors"

    on_node(test)


def test_a_start_that_nobody_waits_for_leaves_no_process(on_node):
    async def test(node):
        starts = [asyncio.ensure_future(node.start("sleep", "100", id=f"lost{n}")) for n in range(20)]
        await asyncio.sleep(0)
        for start in starts:
            start.cancel()
        await asyncio.gather(*starts, return_exceptions=True)
        await node.sh("true")  # what was asked for before has begun by now
        children = Path(f"/proc/{node.runtime.agent_pid}/task/{node.runtime.agent_pid}/children")
        async with asyncio.timeout(10):
            while children.read_text().split():
                await asyncio.sleep(0)

    on_node(test)


def test_processes_are_shared_when_asked(on_node):
    async def test(node):
        _, output = await node.start("sh", "-c", "echo up; sleep 1234")
        await output.line("up")
        code, text = await node.sh("ps -e -o args=", share_pid_with="c1")
        assert code == 0 and "sleep 1234" in text

    on_node(test)


def test_node_file_system_operations(on_node):
    async def test(node):
        runtime = node.runtime
        await runtime.tmpfs("/var/lib/kubelet/pods/u/volumes/memory", size=1 << 20, mode=0o1777)
        await runtime.make_path("/var/lib/kubelet/pods/u/volumes/memory/sub")
        await runtime.bind(
            "/var/lib/kubelet/pods/u/volumes/memory/sub", "/var/lib/kubelet/pods/u/subpath", read_only=True
        )
        found = {m.mount_point: m for m in await runtime.mounts()}
        assert found["/var/lib/kubelet/pods/u/volumes/memory"].fstype == "tmpfs"
        assert "ro" in found["/var/lib/kubelet/pods/u/subpath"].options
        await runtime.unmount("/var/lib/kubelet/pods/u/subpath")
        await runtime.unmount("/var/lib/kubelet/pods/u/volumes/memory", lazy=True)
        with pytest.raises(OSError, match="Invalid argument"):
            await runtime.unmount("/var/lib/kubelet/pods/u/subpath")
        assert not [m for m in await runtime.mounts() if "/pods/u/" in m.mount_point]

    on_node(test)
