"""`jfsnb run` from end to end against a sandbox, and what it leaves when it is stopped in the middle."""

import base64
import json
import os
import re
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

pytestmark = [pytest.mark.sandbox, pytest.mark.full, pytest.mark.slow]
GIVE_UP_SECONDS = 150


@pytest.fixture
def cluster(sandbox):
    from jfsnb.cluster.connect import connect

    return connect(kubeconfig=str(sandbox.kubeconfig), context=sandbox.context)


class Running:
    """A `jfsnb run` in a process of its own."""

    def __init__(self, outputs: Path, *words: str, sandbox: str = "tested") -> None:
        environment = {**os.environ, "JFSNB_SANDBOX": sandbox, "PYTHONUNBUFFERED": "1"}
        self.folder = outputs / "r1"
        command = [sys.executable, "-m", "jfsnb", "run", "--outputs", str(outputs), "--run-id", "r1", *words]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.process = subprocess.Popen(command, env=environment, text=True, **pipes)
        self.guard = threading.Timer(GIVE_UP_SECONDS, self.process.kill)
        self.guard.start()
        self.told: list[str] = []

    def until(self, pattern: str) -> None:
        """Read its progress up to a line that matches."""
        for line in self.process.stderr:
            self.told.append(line)
            if re.search(pattern, line):
                return
        raise AssertionError(f"{pattern} never came:\n{''.join(self.told)}")

    def end(self) -> tuple[int, dict, str]:
        """Exit code, run.json, standard output."""
        out, rest = self.process.communicate()
        self.guard.cancel()
        self.told.append(rest)
        return self.process.returncode, json.loads((self.folder / "run.json").read_text()), out

    def kernels(self) -> list[int]:
        """Its kernels, the present one and those that wait."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(pid) for pid in children if b"ipykernel_launcher" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def config_of(cluster):
    return cluster.get("configmaps", "juicefs-system", "juicefs-csi-driver-config")["data"]


def left_behind(cluster):
    kinds = ("pods", "configmaps", "persistentvolumeclaims")
    return [
        o["metadata"]["name"] for kind in kinds for o in cluster.list(kind, "juicefs-system", labels="jfsnb.io/run=r1")
    ]


def mount_pods(cluster):
    found = cluster.list("pods", "juicefs-system", labels="app.kubernetes.io/name=juicefs-mount")
    return {pod["metadata"]["name"] for pod in found}


PLANTED = {
    name: f"planted-{name}-8zk3vq"
    for name in (
        "secretkey",
        "passphrase",
        "token",
        "envs",
        "applied",
        "metaurl",
        "environment",
        "bearer",
        "annotation",
    )
}
JWT = "eyJhbGciOiJSUzI1NiIsImtpZCI6IngifQ.eyJzdWIiOiJwbGFudGVkIn0.cGxhbnRlZC1qd3Q"
APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
EVENT = (
    f"mount redis://:{PLANTED['metaurl']}@10.0.0.1:6379/1 failed; mysql://root:{PLANTED['metaurl']}@(h:3306)/jfs; "
    f"Authorization: Bearer {PLANTED['bearer']}; token={JWT}"
)


@pytest.fixture
def planted(cluster):
    """Known secrets wherever a cluster keeps some: Secrets, addresses, configuration, annotations, events."""
    secret = ("secrets", "juicefs-system", "juicefs-secret")
    data = {
        "secret-key": PLANTED["secretkey"],
        "passphrase": PLANTED["passphrase"],
        "token": PLANTED["token"],
        "envs": json.dumps({"AWS_SECRET_ACCESS_KEY": PLANTED["envs"]}),
    }
    applied = json.dumps({"kind": "Secret", "stringData": {"metaurl": f"redis://:{PLANTED['applied']}@h/1"}})
    cluster.patch(*secret, {"stringData": data, "metadata": {"annotations": {APPLIED: applied}}})
    config_map = ("configmaps", "juicefs-system", "juicefs-csi-driver-config")
    before = config_of(cluster)["config.yaml"]
    entries = {"AWS_SECRET_ACCESS_KEY": PLANTED["environment"], "DB": f"mysql://u:{PLANTED['metaurl']}@h/db"}
    env = "".join(f"      - name: {name}\n        value: {value}\n" for name, value in entries.items())
    text = before.replace("    env:\n", "    env:\n" + env, 1)
    assert text != before
    cluster.patch(*config_map, {"data": {"config.yaml": text}})
    claim = ("persistentvolumeclaims", "juicefs-system", "songlin-test-pvc")
    note = {"example.com/metaurl": f"redis://u:{PLANTED['annotation']}@h:1/1"}
    cluster.patch(*claim, {"metadata": {"annotations": note}})
    for number, (kind, name) in enumerate((("Pod", "smoke-juicefs-r1"), ("PersistentVolumeClaim", "songlin-test-pvc"))):
        about = {"kind": kind, "namespace": "juicefs-system", "name": name}
        meta = {"name": f"planted-{number}", "namespace": "juicefs-system"}
        event = {"type": "Warning", "reason": "Planted", "message": EVENT, "involvedObject": about, "metadata": meta}
        cluster.create({"apiVersion": "v1", "kind": "Event", **event})
    yield [*PLANTED.values(), JWT.rsplit(".", 1)[1], *(base64.b64encode(v.encode()).decode() for v in PLANTED.values())]
    cluster.patch(*claim, {"metadata": {"annotations": {"example.com/metaurl": None}}})
    cluster.patch(*config_map, {"data": {"config.yaml": before}})
    cluster.patch(*secret, {"data": dict.fromkeys(data), "metadata": {"annotations": {APPLIED: None}}})
    for number in range(2):
        cluster.delete("events", "juicefs-system", f"planted-{number}")


def questions(outputs):
    """What the commands of every day print, errors included."""
    from click.testing import CliRunner

    from jfsnb.cli import main

    words = [["mounts"], ["doctor"], ["verify", "songlin-test-pvc"], ["explain", "songlin-test-pvc"], ["verify", "no"]]
    calls = [[*w, "-o", form] for w in words for form in ("table", "wide", "json")]
    calls += [["patch", "--scope", scope] for scope in ("canary", "global")]
    env = {"JFSNB_SANDBOX": "tested", "JFSNB_OUTPUTS": str(outputs)}
    return "".join(CliRunner().invoke(main, c, env=env).output for c in calls)


def test_no_planted_secret_shows_anywhere(cluster, planted, tmp_path):
    code, run, out = (running := Running(tmp_path)).end()
    assert (code, run["verdict"]) == (0, "PASS"), "".join(running.told)
    left = {"stdout": out, "stderr": "".join(running.told), "questions": questions(tmp_path)}
    left |= {str(path): path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    assert "mounts" in left["questions"] and "redis://" in "".join(left.values())  # the plants were met, and masked
    assert [(where, secret) for where, text in left.items() for secret in planted if secret in text] == []


def test_the_five_notebooks_pass_and_leave_the_cluster_as_it_was(sandbox, cluster, tmp_path):
    config, before = config_of(cluster), mount_pods(cluster)
    code, run, out = (running := Running(tmp_path)).end()
    assert (code, run["verdict"]) == (0, "PASS"), "".join(running.told)
    assert out.strip().splitlines()[-1].split()[0] == "PASS"
    assert run["cluster"]["tier"] == "full"
    assert [book["verdict"] for book in run["notebooks"]] == ["PASS"] * 5
    assert (config_of(cluster), left_behind(cluster), mount_pods(cluster)) == (config, [], before)
    for name in ("report.html", "junit.xml", "journal.jsonl", "05-verify-mount-pod.ipynb"):
        assert (running.folder / name).stat().st_size > 0
    text = "".join(path.read_text() for path in running.folder.rglob("*") if path.is_file())
    tokens = [line.partition(",")[0] for line in (sandbox.state_dir / "tokens.csv").read_text().splitlines()]
    assert tokens
    assert not [token for token in tokens if token in text]


@pytest.mark.parametrize(
    ("number", "where", "code"),
    [(signal.SIGINT, r"\[1/5\]|smoke-baseline", 130), (signal.SIGTERM, r"… smoke-juicefs", 143)],
)
def test_a_signal_ends_the_run_and_nothing_stays(cluster, tmp_path, number, where, code):
    config, before = config_of(cluster), mount_pods(cluster)
    running = Running(tmp_path)
    running.until(where)
    running.process.send_signal(number)
    found, run, _ = running.end()
    assert (found, run["verdict"], run["exit_code"]) == (code, "ERROR", code), "".join(running.told)
    assert (config_of(cluster), left_behind(cluster), mount_pods(cluster)) == (config, [], before)


def test_a_kernel_that_dies_in_the_fourth_notebook_is_an_error_and_nothing_stays(cluster, tmp_path):
    config, before = config_of(cluster), mount_pods(cluster)
    running = Running(tmp_path)
    running.until(r"… smoke-juicefs")
    for pid in running.kernels():
        os.kill(pid, signal.SIGKILL)
    code, run, _ = running.end()
    assert (code, run["verdict"]) == (3, "ERROR"), "".join(running.told)
    assert "kernel died" in run["reason"]
    assert run["clean_up"]["complete"]
    assert (config_of(cluster), left_behind(cluster), mount_pods(cluster)) == (config, [], before)


@pytest.mark.parametrize("image", ["juicedata/mount:ce-v1.3.0", "juicedata/mount:no-such-tag"])
def test_the_baseline_s_own_image_and_an_unknown_one_do_not_pass(cluster, tmp_path, image):
    config = config_of(cluster)
    code, run, _ = Running(tmp_path, "--image", image, "--timeout", "15").end()
    assert code != 0
    assert run["verdict"] not in ("PASS", "WARN")
    assert run["reason"]
    assert (config_of(cluster), left_behind(cluster)) == (config, [])


def test_the_investigation_runs_without_a_front_end(sandbox, tmp_path):
    from jfsnb.commands.run import NOTEBOOKS
    from jfsnb.report.kernels import Kernels
    from jfsnb.report.runner import run_notebook

    kernels = Kernels({"JFSNB_HEADLESS": "1", "JFSNB_SANDBOX": "tested"}, NOTEBOOKS, warm_up="")
    outcome = run_notebook(NOTEBOOKS / "06-investigate.ipynb", tmp_path / "06.ipynb", {}, kernels.take())
    assert outcome.verdict == "PASS", outcome
    executed = (tmp_path / "06.ipynb").read_text()
    assert "songlin-test-pv-wslvif" in executed.replace("<wbr>", "")
    assert "application/vnd.jupyter.widget-view" not in executed


def test_the_investigation_of_a_file_needs_no_cluster(tmp_path):
    from jfsnb.commands.run import NOTEBOOKS
    from jfsnb.report.kernels import Kernels
    from jfsnb.report.runner import run_notebook

    moment = Path(__file__).parent / "recorded" / "real" / "2-config-patched-before-upgrade"
    nowhere = {"JFSNB_HEADLESS": "1", "KUBECONFIG": str(tmp_path / "none"), "PATH": "/nowhere"}
    kernels = Kernels(nowhere, NOTEBOOKS, warm_up="")
    parameters = {"cluster": f"file:{moment}", "namespace": "demo"}
    outcome = run_notebook(NOTEBOOKS / "06-investigate.ipynb", tmp_path / "06.ipynb", parameters, kernels.take())
    assert outcome.verdict == "PASS", outcome
    executed = (tmp_path / "06.ipynb").read_text().replace("<wbr>", "")
    assert "web-8649995bdb-97j5q" in executed and "ce-v1.4.1" in executed


def test_a_run_that_is_killed_takes_its_sandbox_and_kernels_with_it(sandbox, tmp_path):
    from jfsnb.sandbox import lifecycle

    running = Running(tmp_path, sandbox="none")
    running.until(r"… smoke-baseline")
    (own,) = [found for found in lifecycle.running() if found.name.startswith("run-")]
    handles = [os.pidfd_open(pid) for pid in (own.pid, *running.kernels())]
    running.process.kill()
    running.process.communicate()
    running.guard.cancel()
    for handle in handles:
        assert select.select([handle], [], [], 60)[0], "a process outlived the run"
        os.close(handle)
    assert not own.state_dir.exists()


def test_a_run_without_a_sandbox_brings_its_own_and_takes_it_away(sandbox, tmp_path):
    from jfsnb.sandbox import lifecycle

    before = {path.name for path in lifecycle.home().iterdir()}
    code, run, _ = (running := Running(tmp_path, sandbox="none")).end()
    assert (code, run["verdict"]) == (0, "PASS"), "".join(running.told)
    assert {path.name for path in lifecycle.home().iterdir()} == before


def test_a_baseline_of_one_s_own_choice(sandbox, tmp_path):
    code, run, _ = (running := Running(tmp_path, "--baseline", "ce-v1.4.2", sandbox="none")).end()
    assert (code, run["verdict"]) == (0, "PASS"), run["reason"] + "".join(running.told)
    assert run["settings"]["image"] == "juicedata/mount:ce-v1.4.1"
    evidence = [e for check in run["checks"] for e in check["evidence"] if e["field"] == "version (.config)"]
    assert "1.4.1+2026-08-02.pypi" in [e["value"] for e in evidence]


def test_a_running_sandbox_with_another_baseline_is_not_used(sandbox):
    from click.testing import CliRunner

    from jfsnb.cli import main

    found = CliRunner().invoke(main, ["run", "--baseline", "ce-v9.9.9"], env={"JFSNB_SANDBOX": "tested"})
    assert found.exit_code == 2 and "jfsnb sandbox down --name tested" in found.output
