"""The Dockerfile is the article's, and nothing but plain words gets into it."""

import pytest

from jfsnb.builder.dockerfile import parse
from jfsnb.builder.recipe import BINARY, Recipe
from jfsnb.errors import UsageError

ARTICLE = """\
FROM xxx/juicedata/build-base:with-tls AS builder
WORKDIR /build
COPY . .
RUN cp -r /assets/tls ./tls
RUN make juicefs.linux

FROM xxx/juicedata/run-base:latest
COPY --from=builder /build/juicefs /usr/local/bin/
RUN rm -rf /bin/mount.juicefs && ln -s /usr/local/bin/juicefs /bin/mount.juicefs && /usr/local/bin/juicefs --version
"""


def test_without_a_word_it_is_the_article_s():
    assert Recipe().dockerfile() == ARTICLE


def test_every_parameter_finds_its_place():
    recipe = Recipe(build_base="b:1", run_base="r:2", target="juicefs", tls="", arguments=("GOPROXY",))
    first, second = parse(recipe.dockerfile())
    assert (first.name, first.base, second.base) == ("builder", "b:1", "r:2")
    assert [i.text for i in first.instructions] == ["ARG GOPROXY", "WORKDIR /build", "COPY . .", "RUN make juicefs"]


@pytest.mark.parametrize(("target", "binary"), [("juicefs.linux", "juicefs"), ("juicefs.ceph", "juicefs.ceph")])
def test_the_binary_is_what_upstream_s_target_leaves(target, binary):
    copy = parse(Recipe(target=target).dockerfile())[1].instructions[0]
    assert copy.words[0] == f"/build/{binary}"
    assert copy.words[1].rstrip("/").removesuffix("/juicefs") == "/usr/local/bin"


def test_a_binary_goes_onto_the_mount_image_in_one_stage():
    recipe = Recipe(way=BINARY)
    (stage,) = parse(recipe.dockerfile())
    assert recipe.bases == (stage.base,) == ("juicedata/mount:ce-nightly",)
    assert stage.instructions[0].text == "COPY juicefs /usr/local/bin/juicefs"


@pytest.mark.parametrize(
    "wrong",
    [
        {"target": "juicefs\nRUN evil"},
        {"run_base": "a b"},
        {"tls": "/a;rm"},
        {"target": ""},
        {"way": "three"},
        {"arguments": ("A=1 B",)},
    ],
)
def test_what_is_no_plain_word_is_refused(wrong):
    with pytest.raises(UsageError):
        Recipe(**wrong)
