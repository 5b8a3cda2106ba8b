"""What builders write: recorded lines of Docker 20.10 (classic, BuildKit) and buildah 1.28."""

import pytest

from jfsnb.builder.engine import BuildFailed
from jfsnb.builder.progress import StepReader, what_next

CLASSIC = """\
Sending build context to Docker daemon  89.32MB
Step 1/9 : FROM local/build-base:with-tls AS builder
 ---> 1cd50669fe40
Step 2/9 : RUN make juicefs.broken
 ---> Running in 4b5add7b76f6
echo before
\x1b[91mcmd/mount.go:12:3: undefined: mountAll
\x1b[0m\x1b[91mmake: *** [Makefile:19: juicefs.broken] Error 1
\x1b[0mRemoving intermediate container 4b5add7b76f6
The command '/bin/sh -c make juicefs.broken' returned a non-zero code: 2
"""
BUILDKIT = """\
#1 [internal] load build definition from mount.Dockerfile
#1 DONE 0.0s

#5 [stage-1 1/3] FROM docker.io/local/run-base:1
#5 CACHED

#10 [builder 4/5] RUN cp -r /assets/tls ./tls
#10 sha256:231c4332eea53b5f316819273601b92ccd4c6b08373300a33817d85eb291891b
#10 0.010 copied
#10 DONE 0.1s

#11 [builder 5/5] RUN make juicefs.broken
#11 sha256:646be01e57ae49fe15be708ef72c2b1857ed545ed93efe6d2bfca09a7c12612b
#11 0.046 echo before
#12 [stage-1 2/3] RUN true
#12 0.050 something else meanwhile
#11 0.048 cmd/mount.go:12:3: undefined: mountAll
#11 0.048 make: *** [Makefile:19: juicefs.broken] Error 1
#11 ERROR: executor failed running [/bin/sh -c make juicefs.broken]: exit code: 2
------
 > [builder 5/5] RUN make juicefs.broken:
------
executor failed running [/bin/sh -c make juicefs.broken]: exit code: 2
"""
BUILDAH = """\
[1/2] STEP 1/5: FROM local/build-base:with-tls AS builder
[1/2] STEP 2/5: WORKDIR /build
--> 288aac665b8
[1/2] STEP 5/5: RUN make juicefs.broken
echo before
cmd/mount.go:12:3: undefined: mountAll
make: *** [Makefile:19: juicefs.broken] Error 1
subprocess exited with status 2
Error: building at STEP "RUN make juicefs.broken": exit status 2
"""
OWN = ("echo before", "cmd/mount.go:12:3: undefined: mountAll", "make: *** [Makefile:19: juicefs.broken] Error 1")


@pytest.mark.parametrize("text", [CLASSIC, BUILDKIT, BUILDAH], ids=["classic", "buildkit", "buildah"])
def test_the_failed_step_and_what_it_wrote_itself(text):
    reader = StepReader()
    begun = [step for line in text.splitlines() if (step := reader.feed(line))]
    assert reader.failed is not None and reader.failed.text == "RUN make juicefs.broken"
    assert reader.failed_output == OWN
    assert begun == reader.steps and "FROM" in begun[0].text


def test_numbers_totals_and_stages():
    reader = StepReader()
    steps = [str(step) for line in (BUILDKIT + BUILDAH + CLASSIC).splitlines() if (step := reader.feed(line))]
    assert "[builder 5/5] RUN make juicefs.broken" in steps
    assert "[1 2/5] WORKDIR /build" in steps
    assert "[2/9] RUN make juicefs.broken" in steps


def test_what_only_the_builder_cares_about_is_noise():
    reader, kept = StepReader(), []
    for line in (BUILDKIT + BUILDAH + CLASSIC).splitlines():
        if not reader.feed(line) and not reader.noise:
            kept.append(line)
    assert "#10 0.010 copied" in kept and "echo before" in kept and "#11 0.046 echo before" in kept
    assert any("ERROR" in line for line in kept)
    assert not [line for line in kept if "sha256:" in line or "DONE" in line or "[internal]" in line or "--->" in line]


def test_an_error_shows_the_step_s_own_words_first_then_the_step_then_what_to_do():
    reader = StepReader()
    for line in CLASSIC.splitlines():
        reader.feed(line)
    lines = str(BuildFailed(reader.failed, reader.failed_output, "returned a non-zero code: 2")).strip().splitlines()
    assert [line.strip(" │") for line in lines[:3]] == list(OWN)
    assert lines[3].startswith("the build failed at [2/9] RUN make juicefs.broken")
    assert "does not compile" in lines[-1]


@pytest.mark.parametrize(
    ("said", "word"),
    [
        ("make: *** No rule to make target 'x'.  Stop.", "target"),
        ("cp: cannot stat '/assets/tls': No such file or directory", "tls"),
        ("/bin/sh: 1: make: not found", "tool"),
        ("dial tcp: lookup modules.example: no such host", "network"),
        ("write /x: no space left on device", "disk"),
        ("error while loading shared libraries: libdl.so.2", "library"),
        ("pull access denied for xxx/juicedata/run-base", "base image"),
        ("something nobody knows", "output"),
    ],
)
def test_what_to_do_follows_from_what_was_said(said, word):
    assert word in what_next((said,))
