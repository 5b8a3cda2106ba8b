"""The command line. Heavy imports happen inside the commands, so that `jfsnb --help` is quick."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

import jfsnb
from jfsnb.errors import JfsnbError
from jfsnb.i18n import LANGUAGES, VARIABLE
from jfsnb.settings import COMPARISON
from jfsnb.terminal import SIGINT_CODE, SIGPIPE_CODE


def _told(command: Callable[..., Any]) -> Callable[..., None]:
    """Errors raised on purpose become one message and their exit code; a returned number is the exit code."""

    @functools.wraps(command)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        try:
            code = command(*args, **kwargs)
        except JfsnbError as error:
            from jfsnb.redact import redact_text

            click.echo(redact_text(f"{type(error).__name__}: {error}"), err=True)  # also where no terminal.Door is
            code = error.exit_code
        except KeyboardInterrupt:
            click.echo("stopped", err=True)
            code = SIGINT_CODE
        except BrokenPipeError as gone:
            raise SystemExit(SIGPIPE_CODE) from gone
        except click.ClickException:
            raise
        except Exception as error:  # 1 would say: looked, and it is wrong
            if os.environ.get("JFSNB_DEBUG"):
                raise
            from jfsnb.redact import redact_text

            click.echo(redact_text(f"{type(error).__name__}: {error}"), err=True)
            click.echo("  -> not one of jfsnb's own errors; JFSNB_DEBUG=1 shows where it comes from", err=True)
            code = JfsnbError.exit_code
        sys.exit(code or 0)

    return wrapper


def _options(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Options by name from the table below."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for name in reversed(names):
            flags = (f"--{name}", *filter(None, [_SHORT.get(name)]))
            command = click.option(*flags, **_OPTIONS[name])(command)
        return command

    return add


def _speak(context: click.Context, option: click.Parameter, lang: str | None) -> None:
    """From here on everything that is shown, also by kernels, is in this language."""
    if lang:
        os.environ[VARIABLE] = lang


_OPTIONS: dict[str, dict[str, Any]] = {
    "cluster": {"help": "A context of the kubeconfig, or 'sandbox' (the default)."},
    "from": {
        "metavar": "FILE",
        "help": "Ask a file of 'jfsnb collect', or a folder of kubectl's output, in place of a cluster.",
    },
    "at": {"metavar": "TIME", "help": "Of a history (collect --every): the last moment that is not later."},
    "kubeconfig": {"type": click.Path(exists=True, dir_okay=False), "help": "Default: $KUBECONFIG or ~/.kube/config."},
    "driver-namespace": {"help": "Where the CSI driver runs; found when not given."},
    "namespace": {"help": "Where the smoke Pods go."},
    "image": {"help": "The client image under test; the sandbox has a default."},
    "scope": {
        "type": click.Choice(["canary", "global"]),
        "help": "canary: patch for the smoke claim only (default); global: for everybody.",
    },
    "pvc": {"help": "The claim to use."},
    "storage-class": {"help": "Make a claim of this class instead."},
    "profile": {"type": click.Choice(["fast", "article"]), "help": "The smoke manifest."},
    "timeout": {"type": int, "help": "Seconds that any one wait may take."},
    "suite": {"type": click.Choice(["quick", "full"]), "help": "quick: the metrics with little noise; full: all."},
    "pairs": {"type": int, "help": "Old-new pairs that are measured at the most (24)."},
    "precision": {"type": int, "help": "Percent: stop early when all intervals are that narrow."},
    "at-most": {"type": int, "help": "Seconds that measuring may take (600)."},
    "tolerance": {"type": int, "help": "Percent that the new client may be slower (10)."},
    "how": {
        "type": click.Choice(["recreate", "binary"]),
        "help": "recreate: a new Mount Pod takes over (default); binary: a new client in the same one.",
    },
    "stall-budget": {"type": int, "help": "Seconds that an app may have to wait (15)."},
    "app-image": {"help": "Of the app Pod that writes meanwhile; needs python3. Default: the client image."},
    "keep": {"is_flag": True, "default": None, "help": "Leave Pods and configuration in place at the end."},
    "run-id": {"help": "Made when not given."},
    "outputs": {"type": click.Path(file_okay=False), "help": "Folder of the run folders (default: ./outputs)."},
    "output": {
        "type": click.Choice(["table", "wide", "json"]),
        "default": "table",
        "show_default": True,
        "help": "For people, with all columns, or for programs.",
    },
    "strict": {"is_flag": True, "help": "WARN ends with exit code 1, too."},
    "lang": {
        "type": click.Choice(list(LANGUAGES)),
        "callback": _speak,
        "expose_value": False,
        "help": f"Of lessons, answers and reports (default: ${VARIABLE}, or English).",
    },
}
_SHORT = {"output": "-o", "namespace": "-n"}
_CLUSTER = ("cluster", "kubeconfig", "driver-namespace")
_PLACE = ("from", "at", *_CLUSTER)
_UPGRADE = ("how", "stall-budget", "app-image")
_COMPARISON = tuple(name.replace("_", "-") for name in COMPARISON)
_ELSEWHERE = ("from", "at", "outputs", "output", "strict", "lang")
_EVERYTHING = tuple(name for name in _OPTIONS if name not in (*_ELSEWHERE, *_COMPARISON, *_UPGRADE))
_EVERYONE = click.option(
    "--all", "--deep", "everyone", is_flag=True, help="Ask every Mount Pod for its client, however many there are."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "JFSNB"})
@click.version_option(jfsnb.__version__)
def main() -> None:
    """Prove which JuiceFS client serves a Pod: on a real cluster, or in a sandbox of real processes."""


@main.command()
@_options(*_EVERYTHING, "outputs", "strict", "lang")
@click.option("-p", "--parameter", "pairs", nargs=2, multiple=True, metavar="NAME VALUE", help="As in papermill.")
@click.option("-f", "--parameters-file", type=click.Path(exists=True, dir_okay=False), help="YAML, as in papermill.")
@click.option("--baseline", default="", metavar="TAG", help="Of the sandbox: the client image that serves everybody.")
@click.option("--upgrade", "and_upgrade", is_flag=True, help="Afterwards also exchange a running client (notebook 07).")
@_told
def run(
    pairs: tuple[tuple[str, str], ...],
    parameters_file: str | None,
    baseline: str,
    and_upgrade: bool,
    strict: bool,
    outputs: str | None,
    **options: Any,
) -> Any:
    """Run the five notebooks, then write report, run.json and junit.xml.

    Without --cluster it works in a sandbox: the running one ('jfsnb sandbox up'), or one that is taken away at the end.

    Exit codes: 0 PASS (and WARN without --strict), 1 FAIL, 2 wrong usage, 3 not judged, 130/143 after a signal.
    """
    if outputs:
        os.environ["JFSNB_OUTPUTS"] = str(Path(outputs).absolute())
    from jfsnb.commands.run import IN_A_RUN, IN_AN_UPGRADE
    from jfsnb.commands.run import run as run_notebooks

    values = {**_from_file(parameters_file), **dict(pairs)}
    values |= {name: value for name, value in options.items() if value is not None}
    notebooks = (*IN_A_RUN, *IN_AN_UPGRADE) if and_upgrade else IN_A_RUN
    return run_notebooks(values, strict, baseline=baseline, notebooks=notebooks)


@main.command()
@click.argument("target", required=False, default="")
@_options(*_EVERYTHING, *_UPGRADE, "outputs", "strict", "lang")
@click.option("--baseline", default="", metavar="TAG", help="Of the sandbox: the client image that serves everybody.")
@_told
def upgrade(target: str, baseline: str, strict: bool, outputs: str | None, **options: Any) -> Any:
    """Exchange the client of running Mount Pods under load, prove that it happened, and put it back (or --keep it).

    TARGET is pod/NAME, pvc/NAME, mountpod/NAME or node/NAME (each Mount Pod there, until the first that does not pass);
    without one: the Mount Pod of --pvc. An app Pod of the run's own writes meanwhile on the same volume and node.

    Exit codes: as 'jfsnb run'.
    """
    if outputs:
        os.environ["JFSNB_OUTPUTS"] = str(Path(outputs).absolute())
    from jfsnb.commands.upgrade import upgrade as upgrade_in_place

    values = {name: value for name, value in options.items() if value is not None}
    return upgrade_in_place(target, values, strict, baseline)


@main.command()
@_options(*_EVERYTHING, *_COMPARISON, "outputs", "strict", "lang")
@click.option("--against", "baseline", default="", metavar="IMAGE", help="Of the sandbox: the old client image.")
@_told
def compare(baseline: str, strict: bool, outputs: str | None, **options: Any) -> Any:
    """Is the new client as fast, as frugal and as correct as the one that serves everybody now?

    A run in whose middle both clients serve a Pod each, of one volume and on one node, and are measured in turn. On a
    cluster the old client is the one that its configuration names.

    Exit codes: as 'jfsnb run'; 1 only where the new client is slower or needs more than --tolerance, or is wrong where
    the old one is right.
    """
    if outputs:
        os.environ["JFSNB_OUTPUTS"] = str(Path(outputs).absolute())
    from jfsnb.commands.run import IN_A_COMPARISON
    from jfsnb.commands.run import run as run_notebooks

    values = {name: value for name, value in options.items() if value is not None}
    return run_notebooks(values, strict, baseline=baseline, notebooks=IN_A_COMPARISON)


def _from_file(path: str | None) -> dict[str, Any]:
    if path is None:
        return {}
    import yaml

    from jfsnb.errors import UsageError

    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise UsageError(f"{path} is not YAML: {error}") from error
    if not isinstance(values, dict):
        raise UsageError(f"{path} holds no mapping", "write one parameter per line, name: value")
    return values


@main.command()
@_options(*_CLUSTER, "lang")
@click.option("--port", type=int, help="Of JupyterLab; a free one when not given.")
@click.option("--no-browser", is_flag=True, help="Only print the address.")
@_told
def lab(port: int | None, no_browser: bool, **options: Any) -> Any:
    """Open the notebooks in JupyterLab, with a sandbox beside it that goes when JupyterLab ends."""
    from jfsnb.commands.lab import lab as open_lab

    return open_lab(_given(options), port, no_browser)


@main.command()
@click.option("--source", default="", metavar="DIR|URL", help="A JuiceFS checkout, or a git URL (URL#branch).")
@click.option("-t", "--tag", default="", metavar="IMAGE", help="Name of the image.")
@click.option("--way", type=click.Choice(["two-stage", "binary"]), default="two-stage", show_default=True)
@click.option("--target", default="juicefs.linux", show_default=True, help="Of the Makefile.")
@click.option("--build-base", default="", help="Image with the compiler.  [default: the article's]")
@click.option("--run-base", default="", help="Image that the client is put on.  [default: the article's]")
@click.option("--tls", default="/assets/tls", show_default=True, help="TLS assets in the build base; '' for none.")
@click.option("--binary", default="", help="The client in the build directory, where it is not called juicefs.")
@click.option(
    "--engine", type=click.Choice(["docker", "podman", "buildah", "daemonless"]), help="Default: what answers."
)
@click.option("--base", "bases", multiple=True, metavar="NAME=FILE", help="Base image of the daemonless engine.")
@click.option("--build-arg", "arguments", multiple=True, metavar="NAME=VALUE")
@click.option("--network", default="", help="Of the build: host or none.")
@click.option("--platform", default="", help="Of the image, e.g. linux/arm64.")
@click.option("--no-cache", is_flag=True, help="Use nothing of earlier builds.")
@click.option("--pull", is_flag=True, help="Look for newer base images.")
@click.option(
    "--to",
    default="",
    metavar="WHERE",
    help="sandbox[:whole], registry, kind[:NAME], minikube, k3d, containerd, archive:FILE.",
)
@click.option("--dockerfile", "only_dockerfile", is_flag=True, help="Only print the Dockerfile.")
@click.option("--keep-dockerfile", metavar="FILE", help="Keep the Dockerfile, and build nothing.")
@click.option("-q", "--quiet", is_flag=True, help="Steps only.")
@_options("outputs", "strict")
@_told
def build(
    source: str,
    tag: str,
    engine: str | None,
    bases: tuple[str, ...],
    to: str,
    only_dockerfile: bool,
    keep_dockerfile: str | None,
    outputs: str | None,
    strict: bool,
    quiet: bool,
    **options: Any,
) -> Any:
    """Build a Mount Pod image from a JuiceFS source tree, and look at what came out.

    The article's two-stage Dockerfile, or (--way binary) a binary that is in the tree put on a base image. Without
    Docker, podman or buildah a small builder of our own does it; its bases local/machine:toolchain and
    local/machine:minimal are made of this machine's programs.
    """
    from jfsnb.commands import build as building

    return building.from_options(
        {"source": source, "tag": tag, **options},
        engine or "",
        bases,
        to,
        dockerfile="" if only_dockerfile else keep_dockerfile,
        outputs=Path(outputs or os.environ.get("JFSNB_OUTPUTS") or "outputs").absolute(),
        strict=strict,
        quiet=quiet,
    )


@main.group()
def sandbox() -> None:
    """A small Kubernetes on this machine whose containers are real processes."""


@sandbox.command()
@click.option("--name", default="default", show_default=True)
@click.option("--tier", type=click.Choice(["full", "namespaces", "recorded"]), help="At most this tier.")
@click.option("--node", "nodes", multiple=True, help="A live node; may be repeated.")
@click.option("--baseline", default="", metavar="TAG", help="The client image that serves everybody.")
@click.option("--metadata", default="", metavar="ENGINE", help="sqlite (default), or redis where its server is there.")
@click.option("--scenario", default="", metavar="NAME", help="Break it at once, as 'break' does.")
@click.option(
    "--like", "file", default="", metavar="FILE", help="With nodes, volumes and configuration of a collection."
)
@_told
def up(
    name: str, tier: str | None, nodes: tuple[str, ...], baseline: str, metadata: str, scenario: str, file: str
) -> None:
    """Start one and keep it until 'down'."""
    from jfsnb.commands.collect import like, not_the_same
    from jfsnb.commands.drills import break_sandbox
    from jfsnb.commands.sandbox import describe
    from jfsnb.sandbox import drills as scenarios
    from jfsnb.sandbox import lifecycle

    if scenario:
        scenarios.find(scenario)
    told = like(file) if file else None
    started = lifecycle.up(name, tier=tier, nodes=nodes, baseline=baseline, metadata=metadata, like=told)
    click.echo(describe(started))
    if told:
        click.echo(not_the_same(told))
    if scenario:
        click.echo(break_sandbox(scenario, name))


@sandbox.command()
@click.option("--probe", is_flag=True, help="Also show what this machine can do.")
@_told
def status(probe: bool) -> Any:
    """Show the running ones."""
    from jfsnb.commands.sandbox import show_status

    return show_status(probe)


@sandbox.command()
@click.option("--name", default="default", show_default=True)
@_told
def down(name: str) -> Any:
    """Stop one and remove everything it left."""
    from jfsnb.sandbox import lifecycle

    stopped = lifecycle.down(name)
    click.echo(f"sandbox {name} is stopped" if stopped else f"no sandbox {name!r} was running")
    return 0


@sandbox.command("scenarios")
@click.argument("scenario", required=False, default="")
@click.option("--name", default="default", show_default=True)
@_told
def list_scenarios(scenario: str, name: str) -> Any:
    """List the failure drills, or tell about one."""
    from jfsnb.commands.drills import show_scenarios

    return show_scenarios(scenario, name)


@sandbox.command("break")
@click.argument("scenario")
@click.option("--name", default="default", show_default=True)
@_told
def break_(scenario: str, name: str) -> None:
    """Put a running sandbox into trouble, to see how that looks."""
    from jfsnb.commands.drills import break_sandbox

    click.echo(break_sandbox(scenario, name))


@sandbox.command()
@click.argument("scenario", required=False, default="")
@click.option("--name", default="default", show_default=True)
@_told
def mend(scenario: str, name: str) -> None:
    """Take a failure drill back; all of them when none is named."""
    from jfsnb.commands.drills import mend_sandbox

    click.echo(mend_sandbox(scenario, name))


@sandbox.command("shell-env")
@click.option("--name", default="default", show_default=True)
@_told
def shell_env(name: str) -> None:
    """Print what a shell needs for kubectl: eval "$(jfsnb sandbox shell-env)"."""
    from jfsnb.commands.sandbox import exports

    click.echo(exports(name))


@sandbox.group()
def images() -> None:
    """Client images that the sandbox knows."""


@images.command("add")
@click.argument("tag")
@click.option("--client", required=True, type=click.Path(exists=True, dir_okay=False), help="A juicefs binary.")
@_told
def images_add(tag: str, client: str) -> None:
    """Add a client binary under TAG; its version must not contradict the tag."""
    from jfsnb.commands import images as commands

    click.echo(commands.add(tag, Path(client)))


@images.command("fetch")
@click.argument("version")
@click.option("--from", "page", envvar="JFSNB_RELEASES", default="", help="Release page, or a mirror of its layout.")
@_told
def images_fetch(version: str, page: str) -> None:
    """Fetch the client of a JuiceFS release: from the catalogue, or else from JuiceFS's release page."""
    from jfsnb.commands import images as commands

    click.echo(commands.fetch(version, page))


@images.command("list")
@_told
def images_list() -> None:
    """List what there is and what could be fetched, with sizes."""
    from jfsnb.commands import images as commands

    click.echo(commands.list_all())


@images.command("rm")
@click.argument("tag")
@_told
def images_rm(tag: str) -> None:
    """Take a client that was fetched or added from this machine."""
    from jfsnb.commands import images as commands

    click.echo(commands.remove(tag))


@main.command()
@_options(*_PLACE, "output", "strict", "lang")
@click.option("--node", default="", help="Only those on this node.")
@_EVERYONE
@_told
def mounts(output: str, node: str, everyone: bool, strict: bool, **options: Any) -> Any:
    """List the Mount Pods: whom each serves, with which client, and what the next mount would get.

    Reads only. Exit codes: 0 all is well (and WARN without --strict), 1 FAIL, 3 something could not be judged.
    """
    from jfsnb.commands.questions import mounts as list_mounts

    return list_mounts(_given(options), output, node, everyone, strict)


@main.command()
@click.argument("target", metavar="POD|PVC")
@_options(*_PLACE, "namespace", "image", "output", "strict", "lang")
@_told
def verify(target: str, output: str, strict: bool, **options: Any) -> Any:
    """Which client serves POD (or every user of PVC), and is it the one that is asked for?

    A name, namespace/name, pod/name or pvc/name. Reads only. Exit codes: 0 PASS (and WARN without --strict), 1 FAIL,
    2 wrong usage, 3 not judged.
    """
    from jfsnb.commands.questions import verify as verify_target

    return verify_target(target, _given(options), output, strict)


@main.command()
@click.argument("pvc", metavar="PVC")
@_options(*_PLACE, "namespace", "output", "lang")
@click.option("--node", default="", help="On this node; else on every node that can mount it.")
@_told
def explain(pvc: str, output: str, node: str, **options: Any) -> Any:
    """What PVC's next Mount Pod gets, field by field, and which line of which object decided it. Reads only."""
    from jfsnb.commands.questions import explain as explain_claim

    return explain_claim(pvc, _given(options), output, node)


@main.command()
@_options(*_PLACE, "output", "strict", "lang")
@_EVERYONE
@_told
def doctor(output: str, strict: bool, everyone: bool, **options: Any) -> Any:
    """Look at the whole cluster: what is wrong with the driver, its configuration and its Mount Pods? Reads only.

    Exit codes: 0 nothing is (and WARN without --strict), 1 FAIL, 3 something could not be looked at.
    """
    from jfsnb.commands.questions import doctor as look

    return look(_given(options), output, strict, everyone)


@main.command()
@_options(*_CLUSTER, "lang")
@click.option("-o", "--output", "file", metavar="FILE", help="[default: jfsnb-CONTEXT-TIME.zip]")
@click.option("--dry-run", is_flag=True, help="Only say what would be read.")
@click.option("--every", default="", metavar="5m", help="Again and again, as a history in one file.")
@click.option("--for", "duration", default="", metavar="2h", help="How long; else until Ctrl-C.")
@_EVERYONE
@_told
def collect(file: str | None, dry_run: bool, every: str, duration: str, everyone: bool, **options: Any) -> Any:
    """Read what the questions need of a cluster into one file, to ask it elsewhere, at another time, with --from.

    Reads only; secrets are left out. Exit codes: 0, or 3 when something could not be read (the file says what).
    """
    from jfsnb.commands.collect import collect as collect_it

    times = (every, duration) if every or duration else None
    return collect_it(_given(options), Path(file) if file else None, dry_run, everyone, times)


@main.command()
@click.argument("before", metavar="FILE[#TIME]")
@click.argument("after", metavar="FILE[#TIME]")
@_options("output", "lang")
@_told
def diff(before: str, after: str, output: str) -> Any:
    """What changed between two collections: Mount Pods, clients, configuration, findings."""
    from jfsnb.commands.collect import diff as compare

    return compare(before, after, output)


@main.command()
@_options(*_PLACE, "namespace", "image", "scope", "pvc", "run-id", "outputs")
@click.option("--yes", is_flag=True, help="Apply it; without this only the plan is shown.")
@_told
def patch(yes: bool, outputs: str | None, **options: Any) -> Any:
    """Show (and with --yes apply) the patch that puts an image in place; undo it with 'rollback'."""
    if outputs:
        os.environ["JFSNB_OUTPUTS"] = str(Path(outputs).absolute())
    from jfsnb.commands.changes import patch as patch_config

    return patch_config(_given(options), yes)


@main.command()
@click.argument("run_id")
@_options(*_CLUSTER, "namespace", "outputs")
@_told
def rollback(run_id: str, outputs: str | None, **options: Any) -> Any:
    """Undo what is left of a run, also of one that died, also from another machine than the run's."""
    from jfsnb.commands.changes import rollback as roll_back

    return roll_back(run_id, Path(outputs) if outputs else None, _given(options))


@main.command()
@_options("outputs", "lang")
@click.argument("run_id", required=False)
@_told
def report(run_id: str | None, outputs: str | None) -> None:
    """Make outputs/index.html anew, and the report of RUN_ID."""
    from jfsnb.commands.reports import report as make_report

    click.echo(make_report(Path(outputs or os.environ.get("JFSNB_OUTPUTS") or "outputs").absolute(), run_id))


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """The options that were given; a file takes the place of the cluster."""
    found = {name: value for name, value in options.items() if value is not None}
    file, at = found.pop("from", None), found.pop("at", None)
    if file or at:
        from jfsnb.errors import UsageError
        from jfsnb.settings import FILE

        if not file:
            raise UsageError("--at goes with a file", "name it: --from FILE")
        found["cluster"] = FILE + file + (f"#{at}" if at else "")
    return found
