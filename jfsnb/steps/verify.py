"""Step 5: find the Mount Pod, prove the client, prove the data, watch the end, put everything back."""

from __future__ import annotations

from jfsnb.steps.results import Chain, Client, DataProof, Restored, RunVerdict, Shutdown
from jfsnb.steps.run import Run


def chain(run: Run) -> Chain:
    """Follow app Pod, claim, volume and reference annotation to the Mount Pod."""
    raise NotImplementedError


def client(run: Run) -> Client:
    """Three levels of evidence for the client: spec, image id, and what really runs."""
    raise NotImplementedError


def data(run: Run) -> DataProof:
    """Read the nonce back through the Mount Pod, without the app Pod."""
    raise NotImplementedError


def shutdown(run: Run) -> Shutdown:
    """Delete the smoke Pod with its log followed since before; wait for unmount and the end of the Mount Pod."""
    raise NotImplementedError


def restore(run: Run) -> Restored:
    """Restore the configuration and remove everything the run made, unless ``keep``."""
    raise NotImplementedError


def verdict(run: Run) -> RunVerdict:
    """All checks of the run together."""
    raise NotImplementedError
