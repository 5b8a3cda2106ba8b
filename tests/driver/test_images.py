"""Image references and client versions."""

import pytest

from jfsnb.driver import client_support, images
from jfsnb.driver.images import ClientVersion, ImageReference
from jfsnb.errors import UsageError

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    "text,parts",
    [
        ("juicedata/mount:ce-v1.2.0", ("", "juicedata/mount", "ce-v1.2.0", "")),
        ("reg.example.com:5000/a/b:t", ("reg.example.com:5000", "a/b", "t", "")),
        ("localhost/a", ("localhost", "a", "", "")),
        (f"a/b@{DIGEST}", ("", "a/b", "", DIGEST)),
        (f"a/b:t@{DIGEST}", ("", "a/b", "t", DIGEST)),
        ("busybox", ("", "busybox", "", "")),
    ],
)
def test_references_are_taken_apart_and_put_together(text, parts):
    ref = ImageReference.parse(text)
    assert (ref.registry, ref.repository, ref.tag, ref.digest) == parts
    assert str(ref) == text


@pytest.mark.parametrize("text", ["", "A/b", "a b", "a:b:c", "a:", "a@sha256:12", "http://a/b", "a//b", "-a", "a:t#x"])
def test_malformed_references_are_refused(text):
    with pytest.raises(UsageError, match="not an image reference"):
        ImageReference.parse(text)


@pytest.mark.parametrize(
    "one,other,same",
    [
        ("a/b:t", "docker.io/a/b:t", True),
        ("busybox", "docker.io/library/busybox:latest", True),
        ("a/b:t", "a/b:t2", False),
        ("a/b:t", "reg.io/a/b:t", False),
        (f"a/b:t@{DIGEST}", f"mirror.io/a/b@{DIGEST}", True),
        (f"a/b@{DIGEST}", "a/b@sha256:" + "b" * 64, False),
        ("a/b:ce-v1.2.0", "a/b:ce-v1.2.0-rc1", False),
        ("No Reference", "No Reference", True),
        ("No Reference", "a/b", False),
    ],
)
def test_same_image(one, other, same):
    assert images.same_image(one, other) is same


@pytest.mark.parametrize("tag", ["", ":latest", ":ce-nightly", ":ce-latest", ":stable", ":1.3"])
def test_mutable_tags(tag):
    assert ImageReference.parse(f"a/b{tag}").mutable_why


@pytest.mark.parametrize("tag", [":ce-v1.2.0", ":ee-5.3.8-fc708b6", ":v1.3.0", f"@{DIGEST}", f":latest@{DIGEST}"])
def test_tags_that_name_one_thing(tag):
    assert not ImageReference.parse(f"a/b{tag}").mutable_why


@pytest.mark.parametrize(
    "image,expected",
    [
        ("juicedata/mount:ce-v1.2.0", False),
        ("juicedata/mount:ce-v1.2.1", True),
        ("juicedata/mount:ce-v1.10.0", True),
        ("juicedata/mount:ee-5.0.9-abc", False),
        ("juicedata/mount:ee-5.1.0", True),
        ("juicedata/mount:ce-nightly", True),
        ("juicedata/mount:ee-5.0.0-nightly", True),
        ("reg:5000/mount", True),
        ("reg:5000/mount:ce-v1.1.0-5e26ba3", False),
        (f"juicedata/mount:ce-v1.1.0@{DIGEST}", False),
        ("xxx/mount:mine", True),
    ],
)
def test_supports_fuse_passing(image, expected):
    assert client_support.supports_fuse_passing(image) is expected


def test_fuse_passing_can_be_switched_off():
    assert not client_support.supports_fuse_passing("a:ce-v1.3.0", grace_upgrade_disabled=True)
    assert not client_support.supports_fuse_passing("a:ce-v1.3.0", pre_stop="umount /jfs")


@pytest.mark.parametrize(
    "text,version",
    [
        ("5.1.2 (2024-08-09T07:18:24Z 5e26ba3)", ClientVersion("5.1.2", "5e26ba3", "2024-08-09T07:18:24Z")),
        ("juicefs version 5.1.2 (2024-08-09 5e26ba3)", ClientVersion("5.1.2", "5e26ba3", "2024-08-09")),
        ("juicefs version 1.3.0+2025-07-03.30190ca", ClientVersion("1.3.0", "30190ca", "2025-07-03")),
        ("juicefs version 1.3.0-rc1+2025-06-01.abcdef0", ClientVersion("1.3.0-rc1", "abcdef0", "2025-06-01")),
        ("1.2.3", ClientVersion("1.2.3")),
        ("JuiceFS version 5.1.2", ClientVersion("5.1.2")),
    ],
)
def test_client_versions(text, version):
    assert ClientVersion.parse(text) == version


def test_no_version():
    assert ClientVersion.parse("command not found") is None


def test_builds_of_one_number_are_told_apart_by_commit():
    one = ClientVersion("1.3.0", "5e26ba3")
    assert one.same_as(ClientVersion("1.3.0", "5e26ba3f00"))
    assert not one.same_as(ClientVersion("1.3.0", "03f36d6"))
    assert not one.same_as(ClientVersion("1.3.1", "5e26ba3"))


@pytest.mark.parametrize("image,number,lies", [("a:ce-v1.3.0", "1.2.0", True), ("a:ce-v1.2.0-x", "1.2.0", False)])
def test_a_tag_that_claims_another_version(image, number, lies):
    assert images.tag_contradicts(image, ClientVersion(number)) is lies


@pytest.mark.parametrize("image_id", [f"docker-pullable://a/b@{DIGEST}", f"a/b@{DIGEST}", DIGEST])
def test_digest_of_an_image_id(image_id):
    assert images.digest_of(image_id) == DIGEST
