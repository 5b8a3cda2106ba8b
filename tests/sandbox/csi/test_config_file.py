"""Loading and reloading config.yaml (reference §2.7): old stays on error; the log lines word for word."""

import asyncio
import os

import pytest

from jfsnb.sandbox.csi.node.config_file import ConfigFile
from jfsnb.sandbox.csi.server import load_config

GOOD = "mountPodPatch:\n- ceMountImage: a:1\n"


def sync(directory, version, text):
    """Put a text in place as the kubelet does: a new directory, and one link that is moved."""
    (directory / f"..{version}").mkdir()
    (directory / f"..{version}" / "config.yaml").write_text(text)
    os.symlink(f"..{version}", directory / "..data_tmp")
    os.replace(directory / "..data_tmp", directory / "..data")
    if not (directory / "config.yaml").is_symlink():
        os.symlink("..data/config.yaml", directory / "config.yaml")


def image(config):
    return config.current.entries[0].fields["ceMountImage"]


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


def test_a_synced_change_is_in_force_and_a_broken_one_is_not(tmp_path, capfd):
    sync(tmp_path, 1, GOOD)
    config = ConfigFile(tmp_path / "config.yaml")
    config.load()
    log = []

    def logged(text):
        log.append(capfd.readouterr().err)
        return text in "".join(log)

    async def scenario():
        following = asyncio.ensure_future(config.follow())
        await asyncio.sleep(0)
        sync(tmp_path, 2, GOOD.replace("a:1", "b:2"))
        await until(lambda: image(config) == "b:2")
        sync(tmp_path, 3, "mountPodPatch: [")
        await until(lambda: logged("fail to reload config"))
        following.cancel()

    asyncio.run(scenario())
    assert image(config) == "b:2"
    text = "".join(log)
    assert f'"config file updated, reload config" logger="config" config file="{tmp_path}/config.yaml"' in text
    assert 'err="error converting YAML to JSON: yaml:' in text


def test_a_driver_does_not_start_with_a_broken_file(tmp_path, capfd):
    (tmp_path / "config.yaml").write_text("mountPodPatch: 3\n")
    with pytest.raises(SystemExit) as end:
        load_config(str(tmp_path / "config.yaml"))
    assert end.value.code == 1
    assert '"fail to load config"' in capfd.readouterr().err
