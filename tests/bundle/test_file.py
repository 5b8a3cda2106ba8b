"""A snapshot written down and read again: the same answers, the same bytes, no secrets."""

import io
import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from check_builders import NOW, healthy

from jfsnb.bundle.read import read
from jfsnb.bundle.write import HIDDEN_DIFFERENCE, as_zip, write
from jfsnb.checks.codes import Unreadable
from jfsnb.checks.snapshot import PARTS, LogLine
from jfsnb.queries import investigate

CSI = "juicefs-csi-node-live"


def line(text):
    made = LogLine(text)
    made.at = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)
    return made


def answers(known):
    asked = [
        investigate.mounts(known),
        investigate.doctor(known),
        investigate.explain(known, "juicefs-system", "songlin-test-pvc"),
        investigate.verify(known, "juicefs-system", "pvc/songlin-test-pvc"),
    ]
    return [json.loads(json.dumps(found.to_dict(), default=str)) for found in asked]


@pytest.fixture
def world():
    log = [line('"config file updated, reload config"'), LogLine("a line without a time")]
    return healthy(
        csi_logs={CSI: log},
        csi_file_times={CSI: NOW},
        next_hashes={"x": {"pv": "hash"}},
        secret_keys={"juicefs-system/a": ("metaurl", "name"), "juicefs-system/b": None, "c/d": Unreadable("403")},
        source="prod",
        account="system:serviceaccount:juicefs-system:reader",
        clock_offset=-3.0,
        version="v1.36.3",
    )


def test_what_is_read_back_answers_as_before(world, tmp_path):
    write(world, tmp_path / "a.zip")
    again = read(tmp_path / "a.zip")
    assert answers(again) == answers(world)
    assert (again.now, again.source, again.account, again.clock_offset) == (
        *(world.now, world.source, world.account, world.clock_offset),
    )
    assert again.csi_logs[CSI][0].at == world.csi_logs[CSI][0].at and again.csi_logs[CSI][1].at is None
    assert again.secret_keys.of("c/d") == Unreadable("403") and again.secret_keys["juicefs-system/b"] is None
    assert again.context == "file:a.zip"


def test_the_same_content_gives_the_same_bytes_and_written_again_it_is_the_same(world, tmp_path):
    one, _ = as_zip(world, {"log.txt": "x"})
    shuffled = world.but(mount_pods=list(reversed(world.mount_pods)), csi_files=dict(world.csi_files))
    assert as_zip(shuffled, {"log.txt": "x"})[0] == one
    write(world, tmp_path / "a.zip")
    write(read(tmp_path / "a.zip"), tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.zip", "b.zip"]


@pytest.mark.parametrize("name", PARTS)
def test_what_could_not_be_read_is_not_readable_in_the_file_either(name, world, tmp_path):
    blind = world.but(**{name: Unreadable("Forbidden: 403")})
    manifest = write(blind, tmp_path / "a.zip")
    assert manifest["unreadable"][name] == "Forbidden: 403"
    again = read(tmp_path / "a.zip")
    assert again.part(name) == Unreadable("Forbidden: 403")
    assert investigate.doctor(again).to_dict() == investigate.doctor(blind).to_dict()


def test_what_one_pod_did_not_tell_is_said_for_that_pod(world, tmp_path):
    write(world.but(mount_logs={"a": ["x"], "b": Unreadable("timeout")}), tmp_path / "a.zip")
    again = read(tmp_path / "a.zip")
    assert list(again.mount_logs) == ["a"] and again.mount_logs.of("b") == Unreadable("timeout")


def test_secrets_stay_out_and_a_difference_in_one_is_still_a_difference(world):
    secret = "hunter2-planted-4711"
    config = world.config_text + f"\n# redis://:{secret}@10.0.0.1:6379/1\n"
    world.config_map["data"]["config.yaml"] = config
    pod = world.mount_pods[0]
    pod["metadata"]["annotations"]["note"] = f"password={secret}"
    pod["spec"]["containers"][0]["command"] = ["sh", "-c", f"juicefs mount redis://:{secret}@10.0.0.1/1 /jfs/x"]
    known = world.but(
        csi_files={CSI: config.replace(secret, f"other-{secret}")},
        csi_logs={CSI: [line(f"metaurl redis://u:{secret}@h/1")]},
        mount_logs={"mp": [f"token={secret}"]},
        events=[{"metadata": {"name": "e"}, "message": f"secretkey={secret}"}],
    )
    data, manifest = as_zip(known, {"log.txt": f"passwd: {secret}"})
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        content = {name: archive.read(name).decode() for name in archive.namelist()}
    assert [name for name, text in content.items() if secret in text] == []
    assert sum(told["hidden"] for told in manifest["members"].values()) >= 7
    assert content[f"csi-nodes/{CSI}/config.yaml"].endswith(HIDDEN_DIFFERENCE)
    assert content["more/log.txt"].startswith("passwd: ")


def test_hundreds_of_planted_secrets_in_every_corner_stay_out(world):
    """Each form of tests/redact/forms.txt, in a log, a configuration, an event, annotations, environments, answers."""
    forms = (Path(__file__).parents[1] / "redact" / "forms.txt").read_text(encoding="utf-8").splitlines()
    texts = [form.replace("\\n", "\n") for form in forms]
    lines = [LogLine(piece) for text in texts for piece in text.split("\n")]
    pods = [
        {
            "metadata": {"name": f"p{number}", "namespace": "x", "annotations": {"note": text}},
            "spec": {"containers": [{"name": "jfs-mount", "command": ["sh", "-c", text]}]},
            "status": {"message": text},
        }
        for number, text in enumerate(texts)
    ]
    events = [{"metadata": {"name": f"e{number}"}, "message": text} for number, text in enumerate(texts)]
    told = {f"p{number}": {"executable": text} for number, text in enumerate(texts)}
    known = world.but(mount_pods=pods, events=events, clients=told, mount_logs={"p": lines}, csi_logs={CSI: lines})
    data, manifest = as_zip(known, {"log.txt": "\n".join(texts)})
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        found = [n for n in archive.namelist() for line in archive.read(n).decode().splitlines() if "S3cr3t9" in line]
    assert len(texts) * 6 > 600 and found == []
    assert sum(told["hidden"] for told in manifest["members"].values()) > 600
