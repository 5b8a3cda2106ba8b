"""Before a build: will it work, and be what was meant? After it: is the image what a Mount Pod needs?"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping

from jfsnb.builder.facts import ImageFacts
from jfsnb.builder.recipe import BINARY, Recipe
from jfsnb.builder.source import Context, SourceTree
from jfsnb.checks.codes import register, result
from jfsnb.checks.model import CheckResult, Evidence, Verdict
from jfsnb.driver.client_support import supports_fuse_passing, tag_of
from jfsnb.driver.images import ClientVersion, ImageReference

SOURCE = register(
    "JFS-BLD-001",
    "The source is a JuiceFS tree",
    "Another directory was named, or only a part of the repository.",
    "Name the top directory of a JuiceFS checkout (it has go.mod and Makefile), or its git URL.",
)
TARGET = register(
    "JFS-BLD-002",
    "What is to be built or copied is there",
    "The Makefile has no such target, or the binary was not built yet.",
    "Choose one of the Makefile's targets, or build the binary first.",
)
BASES = register(
    "JFS-BLD-003",
    "The base images are here",
    "They were never pulled, or the names are the article's placeholders.",
    "Pull them, log in to their registry, or name base images that are here.",
)
CONTEXT = register(
    "JFS-BLD-004",
    "The context weighs no more than it must",
    "Archives, node_modules or earlier builds are sent to the engine with each build.",
    "Add them to .dockerignore.",
)
COMMIT = register(
    "JFS-BLD-005",
    "The client will know which commit it was built from",
    "The Makefile asks git inside the build; without .git in the context the version tells no commit.",
    "Build from a git checkout (no worktree), and keep .git out of .dockerignore; commit what you changed.",
)
PLATFORM = register(
    "JFS-BLD-006",
    "The image is for the platform of the cluster's nodes",
    "The engine builds for its own processor unless it is told another one.",
    "Give the platform of the nodes, e.g. --platform linux/arm64.",
)
TAG = register(
    "JFS-BLD-007",
    "The tag can be read without mistake, by the driver and by people",
    "The driver reads the client's abilities from the tag; a tag that may be pushed again means different images.",
    "Give each build a tag of its own, such as ce-v1.3.0-<commit>.",
)
CONTRACT = register(
    "JFS-BLD-008",
    "The image holds everything that the driver calls in it",
    "The base image lacks a program, or the client was copied to another place.",
    "Use a base image with a shell and coreutils; /bin/mount.juicefs is a link to /usr/local/bin/juicefs.",
)
STARTS = register(
    "JFS-BLD-009",
    "The client starts in its image and says which version it is",
    "A library is missing, or the client is for another processor.",
    "Run it in the image by hand: docker run --rm --entrypoint /usr/local/bin/juicefs IMAGE --version.",
)
FROM_COMMIT = register(
    "JFS-BLD-010",
    "The client was built from the commit that was meant",
    "An earlier binary was copied, or a cached layer was used.",
    "Build again with nothing cached, and look at what the target leaves.",
)
SMOKE = register(
    "JFS-BLD-011",
    "The image holds what the smoke test calls in it",
    "The base image is smaller than the article's: the smoke Pod runs bash and coreutils from the image under test.",
    "Use a base image with bash and coreutils, or judge what notebook 05 could not read for what it is.",
)
HEAVY = 500_000_000  # bytes


def source(tree: SourceTree) -> CheckResult:
    """go.mod names JuiceFS's module."""
    evidence = [Evidence(str(tree.path), "go.mod module", tree.module)]
    if tree.is_juicefs:
        return result(SOURCE, Verdict.PASS, f"its module is {tree.module}", evidence)
    return result(SOURCE, Verdict.FAIL, f"its module is {tree.module}" if tree.module else "no go.mod", evidence)


def target(tree: SourceTree, recipe: Recipe, has_binary: bool) -> CheckResult:
    """The Makefile has the target; or, without compiling, the binary is in the tree."""
    if recipe.way == BINARY:
        evidence = [Evidence(str(tree.path), recipe.binary, "there" if has_binary else "missing")]
        verdict = Verdict.PASS if has_binary else Verdict.FAIL
        return result(TARGET, verdict, f"{recipe.binary} is {evidence[0].value}", evidence)
    evidence = [Evidence("Makefile", "targets", " ".join(tree.targets))]
    if recipe.target in tree.targets:
        return result(TARGET, Verdict.PASS, f"the Makefile has {recipe.target}", evidence)
    if not tree.targets:
        return result(TARGET, Verdict.FAIL, "there is no Makefile", evidence)
    near = difflib.get_close_matches(recipe.target, tree.targets, 1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    return result(TARGET, Verdict.FAIL, f"the Makefile has no target {recipe.target}{hint}", evidence)


def bases(present: Mapping[str, bool], can_pull: bool) -> CheckResult:
    """Base images are where the engine finds them; what is not here may still be pulled."""
    evidence = [Evidence("engine", name, "here" if here else "not here") for name, here in present.items()]
    missing = [name for name, here in present.items() if not here]
    if not missing:
        return result(BASES, Verdict.PASS, "all of them", evidence)
    if can_pull:
        return result(BASES, Verdict.WARN, f"to be pulled first: {', '.join(missing)}", evidence)
    return result(BASES, Verdict.FAIL, f"not here: {', '.join(missing)}", evidence)


def context(found: Context, own_ignore: bool) -> CheckResult:
    """The context is small, or at least has a .dockerignore of its own."""
    heaviest = ", ".join(f"{name} {megabytes(size)}" for name, size in found.heaviest[:3])
    evidence = [Evidence("context", name, megabytes(size)) for name, size in found.heaviest]
    rules = "the tree's own .dockerignore" if own_ignore else "a .dockerignore of ours, as the tree has none"
    reason = f"{megabytes(found.size)} in {found.files} files, by {rules} (most: {heaviest})"
    return result(CONTEXT, Verdict.WARN if found.size > HEAVY else Verdict.PASS, reason, evidence)


def commit(tree: SourceTree, sent: Context, recipe: Recipe) -> CheckResult:
    """The commit is known here, and readable inside of the build."""
    evidence = [Evidence(str(tree.path), "HEAD", tree.commit), Evidence("context", ".git", str(sent.git))]
    if not tree.commit:
        return result(COMMIT, Verdict.WARN, "the source is no git checkout", evidence)
    if recipe.way != BINARY and not (tree.git_inside and sent.git):
        why = "its .git is ignored" if tree.git_inside else "its .git is elsewhere (a worktree)"
        return result(COMMIT, Verdict.WARN, f"{tree.commit[:12]}, but the build cannot read it: {why}", evidence)
    if tree.changed:
        reason = f"{tree.commit[:12]} and {tree.changed} changed files that no commit tells of"
        return result(COMMIT, Verdict.WARN, reason, evidence)
    return result(COMMIT, Verdict.PASS, tree.commit[:12], evidence)


def platform(image: str, nodes: Collection[str]) -> CheckResult:
    """``linux/amd64`` of the image (or of the engine) is what every node has."""
    evidence = [Evidence("image", "platform", image), Evidence("nodes", "platforms", ", ".join(sorted(nodes)))]
    if not nodes:
        return result(PLATFORM, Verdict.NA, "no cluster was asked", evidence)
    if not image:
        return result(PLATFORM, Verdict.NA, "the engine's own platform; the image will tell", evidence)
    others = sorted(p for p in nodes if not image.startswith(p))
    if not others:
        return result(PLATFORM, Verdict.PASS, image, evidence)
    verdict = Verdict.FAIL if len(others) == len(set(nodes)) else Verdict.WARN
    return result(PLATFORM, verdict, f"{image}, but there are nodes of {', '.join(others)}", evidence)


def tag(image: str) -> CheckResult:
    """Nothing follows from the tag that is not so: neither for the driver nor for a node that has it already."""
    read = tag_of(image)
    evidence = [Evidence("image", "reference", image), Evidence("driver", "tag", read)]
    if not supports_fuse_passing(image):
        reason = f"the driver reads {read} as an old client: it adds an umount preStop, and smooth upgrade is off"
        return result(TAG, Verdict.WARN, reason, evidence)
    mutable = ImageReference.parse(image).mutable_why
    if mutable:
        return result(TAG, Verdict.WARN, mutable, evidence)
    return result(TAG, Verdict.PASS, f"the driver reads {read}", evidence)


def contract(facts: ImageFacts) -> CheckResult:
    """Every program that the driver calls is in the image (O19)."""
    evidence = [Evidence(facts.reference, name, where or "missing") for name, where in facts.programs.items()]
    missing = [name for name, where in facts.programs.items() if not where]
    if missing:
        return result(CONTRACT, Verdict.FAIL, f"missing: {', '.join(missing)}", evidence)
    return result(CONTRACT, Verdict.PASS, f"all {len(facts.programs)} are there", evidence)


def smoke(facts: ImageFacts) -> CheckResult:
    """Every program that the smoke Pod and the proof call is in the image; the client serves without them, too."""
    missing = [name for name, where in facts.smoke_programs.items() if not where]
    evidence = [Evidence(facts.reference, name, "missing") for name in missing]
    if missing:
        return result(SMOKE, Verdict.WARN, f"missing: {', '.join(missing)}", evidence)
    return result(SMOKE, Verdict.PASS, f"all {len(facts.smoke_programs)} are there", evidence)


def starts(facts: ImageFacts) -> CheckResult:
    """The client ran in the image and printed its version."""
    evidence = [Evidence(facts.reference, "juicefs --version", facts.version), Evidence("asked", "how", facts.asked)]
    if not facts.version:
        return result(STARTS, Verdict.ERROR, "it could not be run here", evidence)
    version = ClientVersion.parse(facts.version)
    if version is None:
        return result(STARTS, Verdict.FAIL, f"it answers {facts.version[:100]!r}", evidence)
    return result(STARTS, Verdict.PASS, f"{version} ({facts.asked})", evidence)


def from_commit(facts: ImageFacts, tree: SourceTree) -> CheckResult:
    """The commit in the client's version is the source's."""
    version = ClientVersion.parse(facts.version)
    told = version.commit if version else ""
    evidence = [Evidence("source", "HEAD", tree.commit), Evidence(facts.reference, "commit", told)]
    if not tree.commit:
        return result(FROM_COMMIT, Verdict.NA, "the source is no git checkout", evidence)
    if not told or told == "unknown":
        return result(FROM_COMMIT, Verdict.WARN, "the client tells no commit", evidence)
    size = min(len(told), len(tree.commit))
    if told[:size] == tree.commit[:size]:
        return result(FROM_COMMIT, Verdict.PASS, told, evidence)
    reason = f"the client says {told}, the source is at {tree.commit[:12]}"
    return result(FROM_COMMIT, Verdict.WARN, reason, evidence)


def blocking(checks: Iterable[CheckResult]) -> CheckResult | None:
    """The first answer that makes a build pointless."""
    return next((c for c in checks if c.verdict is Verdict.FAIL), None)


def megabytes(size: int) -> str:
    """A size for a reader: ``65 MB``, ``12 kB``."""
    if size >= 10_000_000:
        return f"{size / 1e6:.0f} MB"
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1000:.0f} kB"
