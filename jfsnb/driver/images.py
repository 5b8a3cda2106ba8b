"""Image references, what a tag says about the client, and client versions (reference/csi-driver.md §1.6, §2.6)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from jfsnb.errors import UsageError

COMPILED_IN = {True: "juicedata/mount:ce-nightly", False: "juicedata/mount:ee-nightly"}
_DOMAIN = r"(?:\[[0-9a-fA-F:]+\]|[A-Za-z0-9](?:[-A-Za-z0-9.]*[A-Za-z0-9])?)(?::[0-9]+)?"
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"^(?:(?P<registry>{_DOMAIN})/)?(?P<path>{_PART}(?:/{_PART})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][-A-Za-z0-9_.]{0,127}))?(?:@(?P<digest>[A-Za-z0-9+._-]+:[0-9a-fA-F]{32,}))?$"
)
_CE_TAG = re.compile(r"^ce-v([0-9]+)\.([0-9]+)\.([0-9]+)")
_EE_TAG = re.compile(r"^ee-([0-9]+)\.([0-9]+)\.([0-9]+)")
_EXACT_TAG = re.compile(r"^(ce-v?|ee-|v)?[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.]+)?$")
_VERSION = re.compile(
    r"(?P<number>[0-9]+\.[0-9]+\.[0-9]+(?:-[0-9A-Za-z.]+)?)"
    r"(?:\+(?P<build>[0-9A-Za-z.-]+))?"
    r"(?:\s*\((?P<date>[0-9][-0-9T:Z]*)\s+(?P<commit>[0-9a-f]{7,40})\))?"
)


@dataclass(frozen=True)
class ImageReference:
    """An image reference, taken apart.

    Args:
        registry: host and port; empty for the default registry.
        repository: path without registry.
        tag: empty when there is none (then the runtime takes ``latest``, unless there is a digest).
        digest: ``sha256:…`` or empty.
    """

    registry: str
    repository: str
    tag: str = ""
    digest: str = ""

    @classmethod
    def parse(cls, text: str) -> ImageReference:
        """Take a reference apart as container runtimes do.

        Raises:
            UsageError: not an image reference.
        """
        match = _REFERENCE.match(text)
        if match is None or len(text) > 512:
            raise UsageError(
                f"{text!r} is not an image reference", "Write it as [registry/]repository[:tag][@sha256:digest]."
            )
        registry, path = match["registry"] or "", match["path"]
        if registry and not (set(registry) & set(".:[") or registry == "localhost"):
            if registry != registry.lower():
                raise UsageError(f"{text!r} is not an image reference", "Repository names are in lower case.")
            registry, path = "", f"{registry}/{path}"
        return cls(registry, path, match["tag"] or "", match["digest"] or "")

    @classmethod
    def find(cls, text: str) -> ImageReference | None:
        """The same for what stands in a cluster, where anything may stand: None when it is no reference."""
        try:
            return cls.parse(text)
        except UsageError:
            return None

    def __str__(self) -> str:
        name = f"{self.registry}/{self.repository}" if self.registry else self.repository
        return name + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    @property
    def mutable_why(self) -> str:
        """Why the image behind this reference may change without its name changing; empty for a digest."""
        if self.digest:
            return ""
        if not self.tag or self.tag == "latest":
            return "latest is whatever was pushed last"
        if "nightly" in self.tag:
            return f"{self.tag} is rebuilt every night"
        if not _EXACT_TAG.match(self.tag):
            return f"{self.tag} names no exact version, so it may be pushed again"
        return ""

    def version_claim(self) -> tuple[int, int, int] | None:
        """The client version that the tag claims (``ce-v1.2.3``, ``ee-5.1.2-abc``); None for other tags."""
        match = _CE_TAG.match(self.tag) or _EE_TAG.match(self.tag)
        return (int(match[1]), int(match[2]), int(match[3])) if match else None


def canonical_name(image: str) -> str:
    """A reference as the kubelet reports it in a status: default registry and tag written out.

    Raises:
        UsageError: not an image reference.
    """
    ref = ImageReference.parse(image)
    registry = "docker.io" if ref.registry in ("", "index.docker.io") else ref.registry
    repository = ref.repository if "/" in ref.repository or ref.registry else f"library/{ref.repository}"
    tag = ref.tag or ("" if ref.digest else "latest")
    return str(ImageReference(registry, repository, tag, ref.digest))


def same_image(one: str, other: str) -> bool:
    """Whether two references name the same image: by digest when both have one, else by full name.

    What is no reference is only the same as itself.
    """
    first, second = ImageReference.find(one), ImageReference.find(other)
    if first is None or second is None:
        return one == other
    if first.digest and second.digest:
        return first.digest == second.digest
    return canonical_name(one) == canonical_name(other)


def digest_of(image_id: str) -> str:
    """The digest in a container's imageID (``repo@sha256:…``, ``sha256:…``, ``docker-pullable://…``); empty if none."""
    found = re.search(r"[a-z0-9]+:[0-9a-f]{32,}", image_id)
    return found[0] if found else ""


def env_image(env: Mapping[str, str], is_ce: bool) -> tuple[str, str]:
    """(image, variable) that the driver's environment names as default; empty when it names none (§2.6, 4 and 5)."""
    both = env.get("JUICEFS_MOUNT_IMAGE", "")
    if both and is_ce in editions_of(both):
        return both, "JUICEFS_MOUNT_IMAGE"
    name = "JUICEFS_CE_MOUNT_IMAGE" if is_ce else "JUICEFS_EE_MOUNT_IMAGE"
    return (env[name], name) if env.get(name) else ("", "")


def editions_of(image: str) -> tuple[bool, ...]:
    """For which editions (True: CE) JUICEFS_MOUNT_IMAGE counts; the driver looks between the first two colons."""
    parts = image.split(":")
    if len(parts) < 2 or parts[1] == "latest":
        return (True,)
    if parts[1].startswith("ee-"):
        return (False,)
    return (True,) if parts[1].startswith("ce-") else (True, False)


@dataclass(frozen=True)
class ClientVersion:
    """What a client says of itself: ``5.1.2 (2024-08-09T07:18:24Z 5e26ba3)``, ``1.3.0+2025-07-03.30190ca``.

    Args:
        build: what stands there instead of a commit, as packagers write it: ``pypi`` of ``1.3.0+2025-07-07.pypi``.
    """

    number: str
    commit: str = ""
    date: str = ""
    build: str = ""

    def __str__(self) -> str:
        details = " ".join(filter(None, (self.date, self.commit, self.build)))
        return f"{self.number} ({details})" if details else self.number

    @classmethod
    def parse(cls, text: str) -> ClientVersion | None:
        """Find a version in a client's output; None when there is none."""
        match = _VERSION.search(text)
        if match is None:
            return None
        date, commit = match["date"] or "", match["commit"] or ""
        if match["build"] and not commit:
            date, _, last = match["build"].rpartition(".")
            if not re.fullmatch(r"[0-9a-f]{7,40}", last):
                return cls(match["number"], "", date, last)
            commit = last
        return cls(match["number"], commit, date)

    def same_as(self, other: ClientVersion) -> bool:
        """Same number, and same commit as far as both tell it (one may be shortened)."""
        if self.number != other.number:
            return False
        size = min(len(self.commit), len(other.commit))
        return self.commit[:size] == other.commit[:size]

    def is_surely(self, other: ClientVersion) -> bool:
        """The same by more than the number: by commit or, of a packager's builds, by date and build."""
        if not self.same_as(other):
            return False
        if self.commit and other.commit:
            return True
        return bool(self.build and self.date) and (self.date, self.build) == (other.date, other.build)


def same_version(one: str, other: str) -> bool:
    """Whether two clients say the same of themselves, in whatever form; False where one says no version."""
    first, second = ClientVersion.parse(one), ClientVersion.parse(other)
    return first is not None and second is not None and first.same_as(second)


def version_claim(image: str) -> tuple[int, int, int] | None:
    """The client version that an image's tag claims; None when it claims none or is no reference."""
    reference = ImageReference.find(image)
    return reference.version_claim() if reference else None


def tag_contradicts(image: str, version: ClientVersion) -> bool:
    """Whether the tag claims a version number that the client does not have."""
    claim = version_claim(image)
    return claim is not None and ".".join(map(str, claim)) != version.number.partition("-")[0]
