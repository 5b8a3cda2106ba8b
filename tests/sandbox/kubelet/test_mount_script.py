"""The images' mount.juicefs: the driver's command line, with metrics on the Pod's own address, and no reports."""

import pytest

from jfsnb.sandbox.runtime.runtime import BindMount

CLIENT = """#!/bin/sh
[ "$1" = --version ] && echo "juicefs version 1.2.0 (a stand-in)" && exit
printf '%s\\n' "$@"
"""


@pytest.mark.parametrize(
    ("asked", "hosts", "used"),
    [
        ("0.0.0.0:9567", "127.0.0.1 localhost\n127.8.9.10\tpod1.x pod1\n", "127.8.9.10:9567"),
        ("0.0.0.0:9567", "127.0.0.1 localhost\n", "0.0.0.0:9567"),
        ("127.0.0.5:99", "127.8.9.10 pod1\n", "127.0.0.5:99"),
    ],
)
def test_the_client_is_told_the_same_with_metrics_on_the_pod_s_own_address(
    on_node, tmp_path, monkeypatch, asked, hosts, used
):
    monkeypatch.setenv("JFSNB_CACHE", str(tmp_path / "cache"))
    (tmp_path / "juicefs").write_text(CLIENT)
    (tmp_path / "juicefs").chmod(0o755)

    async def test(node):
        node.images.add("stand-in", tmp_path / "juicefs")
        (node.runtime.node_root / "srv/hosts").write_text(hosts)
        mounts = (BindMount("/srv/hosts", "/etc/hosts"),)
        words = ("mount.juicefs", "m", "/v", "-o", f"subdir=a b,metrics={asked},open-cache=300")
        process, output = await node.start(*words, image="juicedata/mount:stand-in", mounts=mounts)
        assert await process.exited == 0, output.text()
        options = ["-o", f"subdir=a b,metrics={used},open-cache=300", "-o", "no-usage-report"]
        assert output.text().splitlines() == ["m", "/v", *options]

    on_node(test)
