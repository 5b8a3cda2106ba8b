"""The images' mount.juicefs: the driver's command line in the client's words."""

import pytest

from jfsnb.sandbox.runtime.runtime import BindMount

CLIENT = """#!/bin/sh
[ "$1" = --version ] && echo "juicefs version 0.14.2 (a stand-in)" && exit
printf '%s\\n' "$@"
"""
ALWAYS = ["--no-agent", "mount", "--no-usage-report", "--no-syslog"]


@pytest.fixture
def told(on_node, tmp_path, monkeypatch):
    """What the client is told, and what the script says, for one command line."""
    monkeypatch.setenv("JFSNB_CACHE", str(tmp_path / "cache"))

    def run(*words, hosts="", version="0.14.2", foreground="1"):
        (tmp_path / "juicefs").write_text(CLIENT.replace("0.14.2", version))
        (tmp_path / "juicefs").chmod(0o755)
        result = []

        async def test(node):
            node.images.add("stand-in", tmp_path / "juicefs")
            mounts = ()
            if hosts:
                (node.runtime.node_root / "srv/hosts").write_text(hosts)
                mounts = (BindMount("/srv/hosts", "/etc/hosts"),)
            more = {"image": "juicedata/mount:stand-in", "mounts": mounts, "env": {"JFS_FOREGROUND": foreground}}
            process, output = await node.start("mount.juicefs", *words, **more)
            assert await process.exited == 0, output.text()
            result.extend((output.text("stdout").splitlines(), output.text("stderr").splitlines()))

        on_node(test)
        return result

    return run


def test_nothing_asked(told):
    words, said = told("sqlite3:///m", "/jfs/v")
    assert words == [*ALWAYS, "--buffer-size", "32", "--metrics", "127.0.0.1:0", "sqlite3:///m", "/jfs/v"]
    assert said == []


def test_sizes_become_mebibytes(told):
    words, _ = told("m", "/v", "-o", "cache-size=10G,buffer-size=2G,cache-dir=/a:/b")
    assert words[4:-4] == ["--cache-size", "10240", "--cache-dir", "/a:/b", "--buffer-size", "2048"]
    words, _ = told("m", "/v", "-o", "cache-size=0G,buffer-size=512M", "-ocache-size=300")
    assert words[4:-4] == ["--cache-size", "0", "--cache-size", "300", "--buffer-size", "512"]


def test_switches_and_times(told):
    words, _ = told(
        "m", "/v", "-o", "writeback=true,cache-partial-only,enable-xattr=false,attr-cache=300,max-uploads=100"
    )
    assert words[4:-6] == ["--writeback", "--cache-partial-only", "--attr-cache", "300", "--max-uploads", "100"]


def test_unknown_options_are_named_and_dropped(told):
    words, said = told("m", "/v", "-o", "open-cache=300,subdir=a b,allow_other,ro,foreground")
    assert words[4:-6] == ["-o", "allow_other,ro"]
    assert said == [f"mount.juicefs: not supported by this client: {o}" for o in ("open-cache=300", "subdir=a b")]


@pytest.mark.parametrize(
    ("asked", "hosts", "used"),
    [
        ("0.0.0.0:9567", "127.0.0.1 localhost\n127.8.9.10\tpod1.x pod1\n", "127.8.9.10:9567"),
        ("0.0.0.0:9567", "127.0.0.1 localhost\n", "127.0.0.1:0"),
        ("0.0.0.0:0", "127.8.9.10 pod1\n", "127.0.0.1:0"),
        ("127.0.0.5:99", "127.8.9.10 pod1\n", "127.0.0.5:99"),
    ],
)
def test_metrics_are_served_on_the_pod_s_own_address(told, asked, hosts, used):
    words, _ = told("m", "/v", "-o", f"metrics={asked}", hosts=hosts)
    assert words[words.index("--metrics") + 1] == used


@pytest.mark.parametrize(
    ("options", "foreground", "background"), [("ro", "", True), ("ro,foreground", "", False), ("ro", "1", False)]
)
def test_it_goes_into_the_background_unless_told_otherwise(told, options, foreground, background):
    words, _ = told("m", "/v", "-o", options, foreground=foreground)
    assert ("--background" in words) is background


def test_version(told):
    assert told("--version")[0] == ["juicefs version 0.14.2 (a stand-in)"]


@pytest.mark.parametrize(
    ("hosts", "used"),
    [("127.8.9.10\tpod1.x pod1\n", "127.8.9.10:9567"), ("127.0.0.1 localhost\n", "0.0.0.0:9567")],
)
def test_a_1_x_client_is_told_the_same_with_metrics_on_the_pod_s_own_address(told, hosts, used):
    words, said = told("m", "/v", "-o", "subdir=a b,metrics=0.0.0.0:9567,open-cache=300", hosts=hosts, version="1.3.0")
    assert (words, said) == (["m", "/v", "-o", f"subdir=a b,metrics={used},open-cache=300"], [])
