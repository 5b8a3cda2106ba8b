"""Data as Go's JSON encoder writes it."""

import json

import pytest

from jfsnb.driver.golang.types import dumps, fields, shape


@pytest.mark.parametrize(
    ("value", "kind", "written"),
    [
        ({"mountPath": "/a", "name": "x"}, "VolumeMount", {"name": "x", "mountPath": "/a"}),
        ({"hostPath": {"path": "/a"}, "name": "x"}, "Volume", {"name": "x", "hostPath": {"path": "/a"}}),
        ({"name": "x", "emptyDir": {}}, "Volume", {"name": "x", "emptyDir": {}}),
        ({"name": "x"}, "Container", {"name": "x", "resources": {}}),
        ({"resource": "cpu"}, "ResourceFieldSelector", {"resource": "cpu", "divisor": "0"}),
        ({"periodSeconds": 0, "exec": {"command": []}}, "Probe", {"exec": {}}),
        ({"terminationGracePeriodSeconds": 0}, "Probe", {"terminationGracePeriodSeconds": 0}),
        ({"Name": "n", "ignored": 1}, "LocalObjectReference", {"name": "n"}),
        ({"PVCName": "p"}, "CachePVC", {"PVCName": "p", "Path": ""}),
        (None, "[]string", None),
        ([], "[]string", []),
        ({"b": "1", "a": None}, "map[string]string", {"a": "", "b": "1"}),
        ({"limits": {"memory": "1024Mi"}}, "ResourceRequirements", {"limits": {"memory": "1Gi"}}),
    ],
)
def test_a_value_is_written_as_its_go_type_is(value, kind, written):
    assert json.dumps(shape(value, kind)) == json.dumps(written)


def test_an_embedded_struct_s_fields_know_where_they_come_from():
    assert fields("Probe")["exec"].embedded == ("ProbeHandler",)
    assert list(fields("SecretKeySelector")) == ["name", "key", "optional"]


def test_json_is_safe_for_html():
    assert dumps({"a": "<b>&\u2028é"}) == '{"a":"\\u003cb\\u003e\\u0026\\u2028é"}'
