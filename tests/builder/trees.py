"""A source tree that passes for JuiceFS, whose Makefile puts a client in place that was made before."""

import os
import shutil
import subprocess
from pathlib import Path

MAKEFILE = """\
export GO111MODULE=on

all: juicefs

VERSION := $(shell cat version)
LDFLAGS = -X a=b

.PHONY: test

juicefs: Makefile prebuilt/*
\tcp prebuilt/juicefs juicefs && chmod 755 juicefs

juicefs.linux:
\ttest -f tls/ca.pem
\ttest ! -e docs
\techo building $(VERSION)
\t$(MAKE) juicefs

juicefs.broken:
\techo cmd/mount.go:12:3: undefined: mountAll >&2 && exit 1

juicefs.slow:
\techo compiling; sleep 31007

test:
\ttrue
"""
#: stands in for a client where no real one is needed: answers as one does
SCRIPT = '#!/bin/sh\necho "juicefs version 1.3.0+2025-07-03.abcdef1"\n'


def make_tree(folder: Path, client: Path | None = None) -> Path:
    """The tree, with a commit of its own; ``client`` is a real binary, else a script that answers like one."""
    (folder / "prebuilt").mkdir(parents=True)
    (folder / "cmd").mkdir()
    (folder / "docs/big").mkdir(parents=True)
    (folder / "docs/big/picture.bin").write_bytes(b"x" * 100_000)
    (folder / "go.mod").write_text("module github.com/juicedata/juicefs\n\ngo 1.21\n")
    (folder / "main.go").write_text("package main\n")
    (folder / "cmd/mount.go").write_text("package cmd\n")
    (folder / "version").write_text("1.3.0\n")
    (folder / "Makefile").write_text(MAKEFILE)
    if client is None:
        (folder / "prebuilt/juicefs").write_text(SCRIPT)
    else:
        shutil.copyfile(client, folder / "prebuilt/juicefs")
    (folder / "prebuilt/juicefs").chmod(0o755)
    return folder


def commit(folder: Path) -> str:
    """Make it a git checkout; its commit."""
    env = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
    git = ["git", "-C", str(folder), "-c", "user.name=test", "-c", "user.email=test@example.com"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "a client"]):
        subprocess.run([*git, *words], check=True, env=env, capture_output=True)
    done = subprocess.run([*git, "rev-parse", "HEAD"], check=True, env=env, capture_output=True, text=True)
    return done.stdout.strip()
