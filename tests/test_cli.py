"""The command line: quick help, one clear message and the right exit code when something is wrong."""

import json
import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from jfsnb.cli import main


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    """No cluster, no sandbox, an empty outputs folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "no-such-kubeconfig"))
    monkeypatch.setenv("JFSNB_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("JFSNB_OUTPUTS", raising=False)
    monkeypatch.delenv("JFSNB_SANDBOX", raising=False)


def call(*words):
    return CliRunner().invoke(main, words)


def imported(code):
    """Modules that are loaded after the code ran in a fresh interpreter."""
    script = f"import sys\n{code}\nprint(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout.split())


@pytest.mark.parametrize("code", ["import jfsnb", "import jfsnb.cli", "import jfsnb; dir(jfsnb)"])
def test_nothing_heavy_is_imported_before_it_is_used(code):
    assert not imported(code) & {"kubernetes", "pandas", "papermill", "nbclient", "IPython", "aiohttp", "ipywidgets"}


def test_every_command_has_help():
    for command in main.commands:
        result = call(command, "--help")
        assert result.exit_code == 0
        assert len(result.output) > 100


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["-p", "namspace", "x"], "did you mean namespace?"),
        (["-p", "open('x','w'); y", "1"], "there is no parameter"),
        (["-p", "keep", "perhaps"], "keep takes bool"),
        (["-p", "timeout", "2m"], "timeout takes int"),
        (["--image", "juicedata/mount:a:b"], "image"),
        (["--scope", "everything"], "canary"),
        (["--namespace", "Not_A_Name"], "namespace"),
        (["--run-id", "../escape"], "run_id"),
        (["--cluster", "prod"], "--image"),
        (["--no-such-option"], "--no-such-option"),
    ],
)
def test_wrong_usage_is_refused_before_anything_is_done(words, told, tmp_path):
    result = call("run", *words)
    assert result.exit_code == 2
    assert told in result.output
    assert not (tmp_path / "outputs").exists()


def test_a_relative_kubeconfig_holds_for_kernels_that_work_elsewhere(tmp_path):
    (tmp_path / "mine.yaml").write_text("clusters: [")
    result = call("run", "--kubeconfig", "mine.yaml", "--cluster", "prod", "--image", "a/b:c", "--run-id", "r1")
    assert result.exit_code == 3
    run = json.loads((tmp_path / "outputs" / "r1" / "run.json").read_text())
    assert run["settings"]["kubeconfig"] == str(tmp_path / "mine.yaml")
    assert "mine.yaml cannot be used" in result.output and "Traceback" not in result.output


def test_a_parameters_file_is_typed_and_checked_like_the_options(tmp_path):
    (tmp_path / "p.yaml").write_text("namespace: 0123\n")
    assert "quote it" in call("run", "-f", "p.yaml").output
    (tmp_path / "p.yaml").write_text("- a\n")
    assert call("run", "-f", "p.yaml").exit_code == 2
    (tmp_path / "p.yaml").write_text("a: [\n")
    assert "not YAML" in call("run", "-f", "p.yaml").output


@pytest.mark.parametrize("folder", ["file/below", "/proc/self"], ids=["not a folder", "nobody may write"])
def test_a_folder_that_cannot_be_written_is_told_before_anything_else(tmp_path, folder):
    (tmp_path / "file").touch()
    result = call("run", "--outputs", folder)
    assert result.exit_code == 2
    assert f"cannot write to {tmp_path / folder}" in result.output


def test_no_connection_is_an_error_with_a_report(tmp_path):
    result = call("run", "--cluster", "prod", "--image", "juicedata/mount:ce-v1.3.0", "--run-id", "r1")
    assert result.exit_code == 3
    run = json.loads((tmp_path / "outputs" / "r1" / "run.json").read_text())
    assert run["verdict"] == "ERROR"
    assert "no-such-kubeconfig" in run["reason"]
    assert (tmp_path / "outputs" / "r1" / "report.html").exists()
    assert (tmp_path / "outputs" / "index.html").exists()
    last = result.output.strip().splitlines()[-1]
    assert last.split() == ["ERROR", "outputs/r1/report.html"]


@pytest.mark.parametrize(
    "words", [["mounts"], ["doctor"], ["verify", "app"], ["explain", "claim"], ["rollback", "r1"], ["patch"]]
)
def test_questions_without_a_sandbox_say_how_to_get_one(words):
    result = call(*words)
    assert result.exit_code == 3
    assert "jfsnb sandbox up" in result.output


def test_an_unknown_context_is_named_with_the_known_ones(tmp_path):
    kubeconfig = tmp_path / "kubeconfig"
    user, server = {"name": "u", "user": {"token": "t"}}, {"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}
    context = {"name": "staging", "context": {"cluster": "c", "user": "u"}}
    config = {"clusters": [server], "users": [user], "contexts": [context], "current-context": "staging"}
    kubeconfig.write_text(json.dumps(config))
    result = call("mounts", "--cluster", "prod", "--kubeconfig", str(kubeconfig))
    assert result.exit_code == 3
    assert "staging" in result.output
    refused = call("mounts", "--cluster", "staging", "--kubeconfig", str(kubeconfig))
    assert refused.exit_code == 3


def test_shell_env_and_status_without_a_sandbox():
    assert call("sandbox", "shell-env").exit_code == 2
    assert "jfsnb sandbox up" in call("sandbox", "status").output
    assert call("sandbox", "down").exit_code == 0


def test_the_report_command_needs_a_folder(tmp_path):
    assert call("report").exit_code == 2
    (tmp_path / "outputs").mkdir()
    assert call("report", "r9").exit_code == 2
    assert call("report").exit_code == 0


def test_lab_becomes_jupyterlab_on_the_notebooks_and_asks_nobody_outside(monkeypatch, tmp_path):
    started = []
    monkeypatch.setattr(os, "execve", lambda path, words, environment: started.append((words, environment)))
    result = call("lab", "--cluster", "prod", "--no-browser", "--port", "8888")
    ((words, environment),) = started
    assert result.exit_code == 0
    assert any(word.endswith("/notebooks") for word in words)
    assert {"--no-browser", "--ServerApp.port=8888", "--ServerApp.ip=127.0.0.1", "--LabApp.news_url=None"} <= set(words)
    assert environment["JFSNB_OUTPUTS"] == str(tmp_path / "outputs")


def test_lab_in_another_language_opens_copies_beside_the_runs(monkeypatch, tmp_path):
    started = []
    monkeypatch.setenv("JFSNB_OUTPUTS", str(tmp_path))
    monkeypatch.setenv("JFSNB_LANG", "en")
    monkeypatch.setattr(os, "execve", lambda path, words, environment: started.append((words, environment)))
    assert call("lab", "--cluster", "prod", "--no-browser", "--lang", "zh").exit_code == 0
    ((words, environment),) = started
    assert f"--ServerApp.root_dir={tmp_path / 'lessons-zh'}" in words
    assert environment["JFSNB_LANG"] == "zh"
    assert "冒烟" in (tmp_path / "lessons-zh" / "01-csi-background.ipynb").read_text("utf-8")
