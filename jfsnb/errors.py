"""The exceptions that a user can meet: what happened, to which object, and what to do next.

JfsnbError (exit 3)
├── UsageError (2)            a parameter, option or name that cannot be used
├── ConnectionFailed (3)      no context, no connection, token refused
│   └── UnexpectedAnswer (3)  something answered, but not as the API that was asked
├── PermissionMissing (3)     the API said 403, or the preflight found that it would
├── NotInCluster (3)          CSI driver, ConfigMap, PVC or Pod that is needed is not there
├── ConfigInvalid (3)         config.yaml cannot be used as it is
├── BundleInvalid (3)         a file or folder that was collected is damaged, or is none
├── Expired (3)               the version of a list or watch is too old (HTTP 410)
├── ConflictError (3)         somebody else changed the object in between
├── WaitTimeout (3)           a deadline passed; says what was waited for and what was seen last
├── SandboxError (3)          the sandbox could not start, or a part of it died
└── CheckFailed (1)           a check looked and found it wrong
"""

from __future__ import annotations


class JfsnbError(Exception):
    """Base of all errors that jfsnb raises on purpose.

    Args:
        what: what happened, to which object (one sentence).
        next_step: what the reader can do about it (one sentence, imperative).
    """

    exit_code = 3

    def __init__(self, what: str, next_step: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.what}\n  -> {self.next_step}" if self.next_step else self.what


class UsageError(JfsnbError):
    exit_code = 2


class ConnectionFailed(JfsnbError):
    """No usable context, no connection, or credentials refused."""


class UnexpectedAnswer(ConnectionFailed):
    """Something answered, but not as the API that was asked would: no JSON, or another kind of object."""


class PermissionMissing(JfsnbError):
    """The cluster refuses something that the step needs."""


class NotInCluster(JfsnbError):
    """Something that the step needs is not in the cluster."""


class ConfigInvalid(JfsnbError):
    """The driver's config.yaml cannot be used as it is."""


class BundleInvalid(JfsnbError):
    """A file or folder with what was read of a cluster cannot be used."""


class Expired(JfsnbError):
    """The resourceVersion of a watch or list is too old (HTTP 410)."""


class ConflictError(JfsnbError):
    """Somebody else changed the object in between."""


class WaitTimeout(JfsnbError):
    """A deadline passed before what was waited for came true."""


class SandboxError(JfsnbError):
    """The sandbox could not start, or a part of it died."""


class CheckFailed(JfsnbError):
    """A check looked and found it wrong."""

    exit_code = 1
