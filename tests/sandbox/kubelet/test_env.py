"""Environment and command line of a container."""

import base64

import pytest

from jfsnb.sandbox.kubelet.containers import downward, env

POD = {
    "metadata": {"name": "p", "namespace": "n", "uid": "u", "labels": {"app": "x", "b": 'say "hi"'}},
    "spec": {"nodeName": "node1", "containers": [{"name": "c", "resources": {"limits": {"memory": "1Gi"}}}]},
    "status": {"podIP": "127.1.2.3", "hostIP": "127.9.9.9"},
}


def variables(container, base=None, **sources):
    return env.environment(POD, {"name": "c", **container}, env.Sources(**sources), base or {})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$(A)-$(NONE)-$$(A)", "one-$(NONE)-$(A)"),
        ("pid:$$", "pid:$"),
        ("$$$(A)", "$one"),
        ("$A ${A} $(", "$A ${A} $("),
        ("$(A", "$(A"),
    ],
)
def test_expansion(text, expected):
    assert env.expand(text, {"A": "one"}) == expected


def test_a_variable_may_use_those_before_it_and_the_service_ones():
    got = variables(
        {"env": [{"name": "A", "value": "$(HOST):$(B)"}, {"name": "B", "value": "2"}, {"name": "C", "value": "$(B)"}]},
        base={"HOST": "api"},
    )
    assert (got["A"], got["C"], got["HOST"]) == ("api:$(B)", "2", "api")


def test_env_wins_over_env_from_and_later_sources_over_earlier():
    maps = {"one": {"data": {"A": "1", "B": "1"}}, "two": {"data": {"B": "2", "C": "2"}}}
    sources = [{"configMapRef": {"name": "one"}}, {"configMapRef": {"name": "two"}}]
    got = variables({"envFrom": sources, "env": [{"name": "C", "value": "own"}]}, config_maps=maps)
    assert got == {"A": "1", "B": "2", "C": "own"}


def test_secret_values_are_decoded():
    secrets = {"s": {"data": {"pw": base64.b64encode(b"hush").decode()}}}
    ref = {"name": "PW", "valueFrom": {"secretKeyRef": {"name": "s", "key": "pw"}}}
    assert variables({"env": [ref]}, secrets=secrets) == {"PW": "hush"}


@pytest.mark.parametrize(
    ("container", "message"),
    [
        (
            {"env": [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "missing", "key": "k"}}}]},
            'secret "missing" not found',
        ),
        (
            {"env": [{"name": "X", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "k"}}}]},
            "couldn't find key k in ConfigMap n/cm",
        ),
        ({"envFrom": [{"configMapRef": {"name": "late"}}]}, 'configmap "late" not found'),
    ],
)
def test_what_is_missing_is_told_in_kubelets_words(container, message):
    with pytest.raises(env.ConfigError, match=message):
        variables(container, config_maps={"cm": {"data": {}}})


def test_optional_references_may_be_missing():
    ref = {"name": "none", "key": "x", "optional": True}
    container = {
        "env": [{"name": "X", "valueFrom": {"configMapKeyRef": ref}}],
        "envFrom": [{"secretRef": {"name": "none", "optional": True}}],
    }
    assert variables(container) == {}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("metadata.labels['app']", "x"),
        ("metadata.labels['none']", ""),
        ("status.podIP", "127.1.2.3"),
        ("spec.nodeName", "node1"),
        ("metadata.labels", 'app="x"\nb="say \\"hi\\""'),
    ],
)
def test_downward_fields(path, expected):
    assert downward.field(POD, path) == expected


@pytest.mark.parametrize(
    ("ref", "expected"),
    [
        ({"resource": "limits.memory"}, "1073741824"),
        ({"resource": "limits.memory", "divisor": "1Mi"}, "1024"),
        ({"resource": "requests.cpu"}, "0"),
        ({"resource": "limits.cpu"}, "4"),
        ({"resource": "limits.cpu", "divisor": "1m"}, "4000"),
    ],
)
def test_downward_resources(ref, expected):
    assert downward.resource(POD["spec"]["containers"][0], ref, {"cpu": "4"}) == expected


@pytest.mark.parametrize(
    ("container", "expected"),
    [
        ({}, ("entry", "default")),
        ({"args": ["a"]}, ("entry", "a")),
        ({"command": ["c"]}, ("c",)),
        ({"command": ["c"], "args": ["$(A)"]}, ("c", "one")),
    ],
)
def test_command_and_args_against_the_images(container, expected):
    assert env.command_line(container, {"A": "one"}, ["entry"], ["default"]) == expected
