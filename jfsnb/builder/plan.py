"""What is to be built: source, recipe and tag; and the source made ready for it."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from jfsnb.builder.engine import BuildRequest
from jfsnb.builder.ignore import of_tree
from jfsnb.builder.process import Say
from jfsnb.builder.recipe import Recipe
from jfsnb.builder.source import SourceTree, clone, is_url, look_at

OCI = "org.opencontainers.image"


@dataclass(frozen=True)
class BuildPlan:
    """What is to be built.

    Args:
        source: directory, or git URL (``URL#branch``); empty: nothing is built.
        tag: name of the image.
        recipe: what its Dockerfile is made of.
        arguments: values for the recipe's ARGs.
        network, platform, fresh, pull: see BuildRequest.
    """

    source: str
    tag: str
    recipe: Recipe = field(default_factory=Recipe)
    arguments: Mapping[str, str] = field(default_factory=dict)
    network: str = ""
    platform: str = ""
    fresh: bool = False
    pull: bool = False

    @contextlib.contextmanager
    def tree(self, say: Say) -> Iterator[SourceTree]:
        """The source tree; one from a URL is fetched, and gone after the block. Raises UsageError, JfsnbError."""
        if not is_url(self.source):
            yield look_at(Path(self.source).expanduser())
            return
        with tempfile.TemporaryDirectory(prefix="jfsnb-source-") as folder:
            yield look_at(clone(self.source, Path(folder), say))

    def request(self, tree: SourceTree) -> BuildRequest:
        """What an engine is asked for."""
        _, text, own = of_tree(tree.path, self.recipe.dockerignore())
        return BuildRequest(
            context=tree.path,
            dockerfile=self.recipe.dockerfile(),
            ignore=text,
            own_ignore=own,
            tag=self.tag,
            labels=self._labels(tree),
            arguments=self.arguments,
            network=self.network,
            platform=self.platform,
            fresh=self.fresh,
            pull=self.pull,
        )

    def _labels(self, tree: SourceTree) -> dict[str, str]:
        """Annotations of the OCI image specification: where it comes from, and when it was made."""
        labels = {f"{OCI}.created": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")}
        if tree.commit:
            labels[f"{OCI}.revision"] = tree.commit + ("-dirty" if tree.changed else "")
        labels[f"{OCI}.title"] = "JuiceFS client for Mount Pods"
        labels[f"{OCI}.base.name"] = self.recipe.run_base
        return labels
