"""Which client serves, on three levels of evidence: spec, image id, and the client that really runs (O15, O16)."""

from __future__ import annotations

from collections.abc import Mapping

from jfsnb.checks.codes import Unreadable, register, result, unreadable
from jfsnb.checks.model import CheckResult, Evidence, Verdict
from jfsnb.driver.config.merging import ImageDecision
from jfsnb.driver.images import ClientVersion, ImageReference, digest_of, same_image, tag_contradicts, version_claim
from jfsnb.driver.mountpods.mount_pods import MountPod

SPEC = register(
    "JFS-IMG-001",
    "Level 1, spec: the Mount Pod was asked to run the image under test",
    "The Mount Pod was made before the configuration was in force, or another entry of mountPodPatch wins.",
    "Look at who decides (JFS-CFG-002) and when the Mount Pod was made; re-create the app Pod.",
)
IMAGE_ID = register(
    "JFS-IMG-002",
    "Level 2, image id: the node runs the digest that was given or, without one, not the baseline's image",
    "The tag was pushed again and the node kept an older image (IfNotPresent), or a mirror serves another one.",
    "Name the image by digest or by a tag of its own, or set imagePullPolicy: Always (driver 0.32 and later).",
)
RUNNING = register(
    "JFS-IMG-003",
    "Level 3, client: the version that really serves is the one expected",
    "An older process kept serving, the binary was exchanged inside the container, or the image holds another client.",
    "Re-create the app Pod, so that a new Mount Pod starts, and look again.",
)
TAG = register(
    "JFS-IMG-004",
    "The tag does not claim another version than the client has",
    "The image was tagged with a version that its client does not have.",
    "Tag the image with the version that its client reports.",
)
NOT_BASELINE = register(
    "JFS-IMG-005",
    "The image under test is another one than the baseline's",
    "The image that was given is the one that already serves, so nothing new was tested.",
    "Give the new image; if its tag was pushed again, give it by digest.",
)
DESIRED = register(
    "JFS-IMG-006",
    "The Mount Pod runs the image that the configuration asks for now",
    "Running Mount Pods never change: this one was made under an earlier configuration (stale by design).",
    "Re-create the app Pod, or use the driver's smooth upgrade.",
)

BUILT = register(
    "JFS-IMG-007",
    "The client that was built is the client that serves, byte for byte",
    "The node has another image under this tag, or the binary was exchanged inside the container.",
    "Give the build a tag of its own and build again; or name the image by digest.",
)

#: Where a version was read, best evidence first. The last two say nothing about what serves.
CONFIG_FILE, SESSIONS, EXECUTABLE, ON_DISK = ".config", "session", "executable", "on disk"
#: What a client wrote when it was started: for files, where nobody can be asked.
LOG = "log"
SUPERVISOR = "supervisor"
_NOT_SERVING = (ON_DISK, SUPERVISOR)
_EXCHANGED = (
    "Re-create the app Pod, or upgrade with --recreate, so that the Mount Pod's own image is the one that runs."
)


def spec_image(mount_pod: MountPod | Unreadable, image: str) -> CheckResult:
    """``spec.containers[jfs-mount].image`` names the image under test. Proves what was asked for, not what runs."""
    if isinstance(mount_pod, Unreadable):
        return unreadable(SPEC, mount_pod)
    evidence = [Evidence(f"pod/{mount_pod.name}", "spec.containers[jfs-mount].image", mount_pod.image)]
    if not mount_pod.image:
        return result(SPEC, Verdict.ERROR, "the Mount Pod names no image", evidence)
    if same_image(mount_pod.image, image):
        return result(SPEC, Verdict.PASS, f"it names {image}", evidence)
    return result(SPEC, Verdict.FAIL, f"it names {mount_pod.image}, not {image}", evidence)


def image_id(
    mount_pod: MountPod | Unreadable, expected_digest: str = "", baseline: MountPod | None = None
) -> CheckResult:
    """The image id that the runtime reports has the expected digest.

    Args:
        mount_pod: that serves the Pod under test.
        expected_digest: digest of the image under test, when known; one in the reference itself counts too.
        baseline: the baseline's Mount Pod: without an expected digest it can only be said that the image is another.
    """
    if isinstance(mount_pod, Unreadable):
        return unreadable(IMAGE_ID, mount_pod)
    digest = mount_pod.digest
    evidence = [Evidence(f"pod/{mount_pod.name}", "status.containerStatuses[].imageID", mount_pod.image_id)]
    if not digest:
        return result(IMAGE_ID, Verdict.NOT_READY, "the runtime reports no image id (yet)", evidence)
    reference = ImageReference.find(mount_pod.image)
    expected = digest_of(expected_digest) or (reference.digest if reference else "")
    if expected:
        if digest == expected:
            return result(IMAGE_ID, Verdict.PASS, f"the node runs {_short(digest)}, as expected", evidence)
        return result(IMAGE_ID, Verdict.FAIL, f"the node runs {_short(digest)}, expected {_short(expected)}", evidence)
    if baseline is not None and baseline.digest:
        evidence.append(Evidence(f"pod/{baseline.name}", "imageID (baseline)", baseline.image_id))
        if baseline.digest == digest:
            return result(IMAGE_ID, Verdict.FAIL, f"it is the baseline's image ({_short(digest)})", evidence)
        reason = f"the node runs {_short(digest)}, not the baseline's {_short(baseline.digest)}"
        if reference and reference.mutable_why:
            return result(IMAGE_ID, Verdict.WARN, f"{reason}; but {reference.mutable_why}", evidence)
        return result(IMAGE_ID, Verdict.PASS, f"{reason} (no digest was given to compare with)", evidence)
    reason = f"the node runs {_short(digest)}; there is nothing to compare it with"
    return result(IMAGE_ID, Verdict.WARN, reason, evidence, "Give the image by digest.")


def running_client(
    versions: Mapping[str, str | Unreadable], expected: str | Unreadable | None, mount_pod: str
) -> CheckResult:
    """What runs says that it is the expected version.

    Args:
        versions: source (``.config``, ``session``, ``executable``, ``on disk``) → what it says there.
        expected: version of the client in the image under test, read independently of the Mount Pod; None: not known.
        mount_pod: its name.
    """
    readable = {source: text for source, text in versions.items() if isinstance(text, str)}
    evidence = [Evidence(f"pod/{mount_pod}", f"version ({s})", v) for s, v in readable.items()]
    living = {s: v for s, v in readable.items() if s not in _NOT_SERVING}
    if not living:
        return unreadable(RUNNING, _why_not(versions))
    parsed = {source: ClientVersion.parse(text) for source, text in readable.items()}
    nonsense = [source for source, version in parsed.items() if version is None]
    if nonsense:
        return result(RUNNING, Verdict.ERROR, f"no version to be found in {nonsense[0]}", evidence)
    found = {s: v for s, v in parsed.items() if v is not None}
    runs = next(found[s] for s in (CONFIG_FILE, SESSIONS, EXECUTABLE, *living) if s in found)
    other = [s for s, v in found.items() if s in living and not v.same_as(runs)]
    if other:
        return result(RUNNING, Verdict.FAIL, f"{other[0]} says {found[other[0]]}, others say {runs}", evidence)
    if ON_DISK in found and not found[ON_DISK].same_as(runs):
        reason = f"{runs} runs, but {found[ON_DISK]} is on disk: a restart would change the client"
        return result(RUNNING, Verdict.FAIL, reason, evidence)
    judged = _against_expected(runs, expected, evidence)
    if judged.verdict in (Verdict.PASS, Verdict.WARN) and SUPERVISOR in found:
        before = found[SUPERVISOR]
        reason = f"{judged.reason}; it was exchanged inside the container: its supervisor is still {before}"
        return result(RUNNING, Verdict.WARN, reason, evidence, _EXCHANGED)
    return judged


def _against_expected(runs: ClientVersion, expected: str | Unreadable | None, evidence: list[Evidence]) -> CheckResult:
    if isinstance(expected, Unreadable):
        return result(RUNNING, Verdict.ERROR, f"{runs} runs; what to expect is not known: {expected.why}", evidence)
    wanted = ClientVersion.parse(expected) if expected else None
    if wanted is None:
        reason = f"{runs} runs; nothing independent says which version the image should hold"
        return result(RUNNING, Verdict.WARN, reason, evidence, "Ask the image itself: juicefs version.")
    if not runs.same_as(wanted):
        return result(RUNNING, Verdict.FAIL, f"{runs} runs, expected {wanted}", evidence)
    if not runs.is_surely(wanted):
        return result(RUNNING, Verdict.WARN, f"{runs} runs; only the number could be compared, no commit", evidence)
    return result(RUNNING, Verdict.PASS, f"{runs} runs, as expected", evidence)


def _why_not(versions: Mapping[str, str | Unreadable]) -> Unreadable:
    reasons = [f"{source}: {v.why}" for source, v in versions.items() if isinstance(v, Unreadable)]
    if reasons:
        return Unreadable("; ".join(reasons))
    return Unreadable("only the version on disk is known, which need not be the one that runs")


def built_client(running_sha256: str | Unreadable, built_sha256: str, mount_pod: str, built: str) -> CheckResult:
    """The running process's executable has the hash of the binary in the image that was built.

    Args:
        running_sha256: of /proc/<pid>/exe in the Mount Pod.
        built_sha256: of the client in the image.
        built: a few words about the build (engine, commit).
    """
    if isinstance(running_sha256, Unreadable):
        return unreadable(BUILT, running_sha256)
    evidence = [
        Evidence(f"pod/{mount_pod}", "sha256 of /proc/<pid>/exe", running_sha256),
        Evidence("image that was built", "sha256 of /usr/local/bin/juicefs", built_sha256),
        Evidence("build", "by", built),
    ]
    if running_sha256 == built_sha256:
        return result(BUILT, Verdict.PASS, f"both are sha256:{built_sha256[:12]}… ({built})", evidence)
    reason = f"sha256:{running_sha256[:12]}… runs, sha256:{built_sha256[:12]}… was built"
    return result(BUILT, Verdict.FAIL, reason, evidence)


def honest_tag(image: str, running: str | Unreadable, supervisor: str | Unreadable | None = None) -> CheckResult:
    """A tag like ``ce-v1.2.3`` is the version that the client reports.

    Args:
        supervisor: version of the supervisor, where that is another file: then the client was exchanged inside the
            container, and it is the supervisor's version that tells what the image holds.
    """
    if isinstance(running, Unreadable):
        return unreadable(TAG, running)
    version = ClientVersion.parse(running)
    evidence = [Evidence("image", "reference", image), Evidence("client", "version", running)]
    if version is None:
        return result(TAG, Verdict.ERROR, f"no version to be found in {running!r}", evidence)
    if version_claim(image) is None:
        return result(TAG, Verdict.NA, "the tag claims no version", evidence)
    if tag_contradicts(image, version):
        held = ClientVersion.parse(supervisor) if isinstance(supervisor, str) else None
        if held is not None and not tag_contradicts(image, held):
            evidence.append(Evidence("supervisor", "version", str(supervisor)))
            reason = f"the client is {version}: it was exchanged inside the container, whose image holds {held}"
            return result(TAG, Verdict.WARN, reason, evidence, _EXCHANGED)
        return result(
            TAG, Verdict.FAIL, f"the tag of {image} claims another version: the client is {version}", evidence
        )
    return result(TAG, Verdict.PASS, f"the client is {version}", evidence)


def another_than_baseline(
    image: str, baseline_image: str, running: str = "", baseline_running: str = ""
) -> CheckResult:
    """The image under test is not the one that served before; nor, under another tag, the same client.

    Args:
        image: under test. baseline_image: of the baseline's Mount Pod.
        running, baseline_running: client versions, as far as known.
    """
    evidence = [Evidence("image under test", "reference", image), Evidence("baseline", "image", baseline_image)]
    if same_image(image, baseline_image):
        return result(NOT_BASELINE, Verdict.FAIL, f"the baseline already runs {baseline_image}", evidence)
    one, two = ClientVersion.parse(running), ClientVersion.parse(baseline_running)
    if one and two:
        evidence += [Evidence("image under test", "client", str(one)), Evidence("baseline", "client", str(two))]
        if one.same_as(two):
            return result(NOT_BASELINE, Verdict.WARN, f"another image, but the same client: {one}", evidence)
        return result(NOT_BASELINE, Verdict.PASS, f"{one} under test, {two} before", evidence)
    return result(NOT_BASELINE, Verdict.PASS, f"{image} under test, {baseline_image} before", evidence)


def desired_image(mount_pod: MountPod | Unreadable, decision: ImageDecision | Unreadable) -> CheckResult:
    """The Mount Pod's image is what the configuration would give a new one."""
    for facts in (mount_pod, decision):
        if isinstance(facts, Unreadable):
            return unreadable(DESIRED, facts)
    assert isinstance(mount_pod, MountPod) and isinstance(decision, ImageDecision)
    evidence = [
        Evidence(f"pod/{mount_pod.name}", "spec.containers[jfs-mount].image", mount_pod.image),
        Evidence("configuration", decision.provenance, decision.image),
    ]
    if not decision.certain:
        reason = f"it runs {mount_pod.image}; nothing but the driver's own default is left, and that cannot be seen"
        return result(DESIRED, Verdict.NA, reason, evidence)
    if same_image(mount_pod.image, decision.image):
        return result(DESIRED, Verdict.PASS, f"both are {decision.image}", evidence)
    reason = f"it runs {mount_pod.image}; a new one would get {decision.image} ({decision.provenance})"
    return result(DESIRED, Verdict.WARN, reason, evidence)


def _short(digest: str) -> str:
    kind, _, value = digest.partition(":")
    return f"{kind}:{value[:12]}"
