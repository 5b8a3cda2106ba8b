"""Which client serves: three levels, none of which may stand in for another."""

import pytest
from check_builders import DIGEST, OTHER_DIGEST, mount_pod

from jfsnb.checks import client
from jfsnb.checks.codes import Unreadable
from jfsnb.checks.model import Verdict
from jfsnb.driver.config.merging import effective_image, load

IMAGE = "a/b:ce-v1.3.0"
GONE = Unreadable("not allowed")
OLD, NEW = "1.2.0 (2024-06-18T07:18:24Z 5e26ba3)", "1.2.0 (2024-06-21T07:18:24Z 03f36d6)"


@pytest.mark.parametrize(
    "pod,verdict",
    [
        (mount_pod(), Verdict.PASS),
        (mount_pod(image="docker.io/a/b:ce-v1.3.0"), Verdict.PASS),
        (mount_pod(image="a/b:ce-v1.3.0-rc1"), Verdict.FAIL),
        (mount_pod(image="a/b:ce-v1.2.0"), Verdict.FAIL),
        (mount_pod(image=""), Verdict.ERROR),
        (GONE, Verdict.ERROR),
    ],
)
def test_spec(pod, verdict):
    assert client.spec_image(pod, IMAGE).verdict is verdict


@pytest.mark.parametrize(
    "pod,expected,baseline,verdict",
    [
        (mount_pod(), DIGEST, None, Verdict.PASS),
        (mount_pod(image_id=f"x@{OTHER_DIGEST}"), DIGEST, None, Verdict.FAIL),  # stale image behind a mutable tag
        (mount_pod(image=f"a/b@{DIGEST}", image_id=f"x@{OTHER_DIGEST}"), "", None, Verdict.FAIL),
        (mount_pod(), "", mount_pod(image_id=f"x@{OTHER_DIGEST}"), Verdict.PASS),
        (mount_pod(), "", mount_pod(), Verdict.FAIL),
        (mount_pod(image="a/b:latest"), "", mount_pod(image_id=f"x@{OTHER_DIGEST}"), Verdict.WARN),
        (mount_pod(), "", None, Verdict.WARN),
        (mount_pod(image_id=""), DIGEST, None, Verdict.NOT_READY),
        (GONE, DIGEST, None, Verdict.ERROR),
    ],
)
def test_image_id(pod, expected, baseline, verdict):
    assert client.image_id(pod, expected, baseline).verdict is verdict


@pytest.mark.parametrize(
    "versions,expected,verdict",
    [
        ({".config": NEW}, NEW, Verdict.PASS),
        ({".config": NEW, "session": NEW, "on disk": NEW}, NEW, Verdict.PASS),
        ({".config": OLD}, NEW, Verdict.FAIL),  # same number, another build
        ({".config": OLD, "on disk": NEW}, OLD, Verdict.FAIL),  # exchanged on disk, the old process serves
        ({".config": NEW, "session": OLD}, NEW, Verdict.FAIL),
        ({"on disk": NEW}, NEW, Verdict.ERROR),  # only the disk was looked at
        ({".config": NEW}, None, Verdict.WARN),
        ({".config": "1.2.0"}, NEW, Verdict.WARN),
        ({".config": NEW}, GONE, Verdict.ERROR),
        ({".config": GONE}, NEW, Verdict.ERROR),
        ({".config": GONE, "on disk": NEW}, NEW, Verdict.ERROR),
        ({".config": "no such file"}, NEW, Verdict.ERROR),
        ({}, NEW, Verdict.ERROR),
    ],
)
def test_running_client(versions, expected, verdict):
    assert client.running_client(versions, expected, "mp").verdict is verdict


@pytest.mark.parametrize(
    "image,running,verdict",
    [
        ("a:ce-v1.3.0", "1.3.0", Verdict.PASS),
        ("a:ce-v1.3.0", OLD, Verdict.FAIL),
        ("a:mine", OLD, Verdict.NA),
        ("a:ce-v1.3.0", "what?", Verdict.ERROR),
        ("a:ce-v1.3.0", GONE, Verdict.ERROR),
    ],
)
def test_honest_tag(image, running, verdict):
    assert client.honest_tag(image, running).verdict is verdict


def test_a_client_that_was_exchanged_in_its_container_is_no_lie_of_the_tag():
    found = client.honest_tag("a:ce-v1.3.0", NEW, "1.3.0+2025-07-07.pypi")
    assert found.verdict is Verdict.WARN and "exchanged" in found.reason and "--recreate" in found.next_action
    assert client.honest_tag("a:ce-v1.3.0", NEW, NEW).verdict is Verdict.FAIL
    versions = {".config": NEW, "executable": NEW, "supervisor": OLD, "on disk": NEW}
    running = client.running_client(versions, NEW, "mp")
    assert running.verdict is Verdict.WARN and "its supervisor is still" in running.reason


def test_build_metadata_is_no_commit_but_tells_one_build_from_another():
    one, other = "1.4.1+2026-08-02.pypi", "1.4.1+2026-08-03.pypi"
    assert client.running_client({".config": one}, one, "mp").verdict is Verdict.PASS
    assert client.running_client({".config": one}, other, "mp").verdict is Verdict.WARN
    assert client.running_client({".config": one}, "1.4.1+2026-08-02.30190ca", "mp").verdict is Verdict.WARN


@pytest.mark.parametrize(
    "baseline,running,before,verdict",
    [
        ("a/b:ce-v1.2.0", NEW, OLD, Verdict.PASS),
        ("a/b:ce-v1.2.0", "", "", Verdict.PASS),
        (IMAGE, NEW, OLD, Verdict.FAIL),
        (f"docker.io/{IMAGE}", "", "", Verdict.FAIL),
        ("a/b:other-tag", NEW, NEW, Verdict.WARN),
    ],
)
def test_another_than_the_baseline(baseline, running, before, verdict):
    assert client.another_than_baseline(IMAGE, baseline, running, before).verdict is verdict


@pytest.mark.parametrize(
    "text,pod,verdict",
    [
        (f"mountPodPatch: [{{ceMountImage: '{IMAGE}'}}]", mount_pod(), Verdict.PASS),
        ("mountPodPatch: [{ceMountImage: 'x:y'}]", mount_pod(), Verdict.WARN),
        ("", mount_pod(), Verdict.NA),
        ("", GONE, Verdict.ERROR),
    ],
)
def test_desired_image(text, pod, verdict):
    assert client.desired_image(pod, effective_image(load(text), None, None)).verdict is verdict
