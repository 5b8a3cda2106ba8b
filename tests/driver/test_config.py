"""config.yaml as the driver loads, selects and merges it."""

import pytest

from jfsnb.driver.config.merging import effective_image, expand_templates, load, merge
from jfsnb.errors import ConfigInvalid
from jfsnb.sandbox import world


def pvc(name="claim", labels=None, storage_class=None, annotations=None):
    spec = {} if storage_class is None else {"storageClassName": storage_class}
    return {"metadata": {"name": name, "labels": labels or {}, "annotations": annotations or {}}, "spec": spec}


def node(**labels):
    return {"metadata": {"name": "n", "labels": labels}}


@pytest.mark.parametrize(
    "text", ["", "\n# nothing\n", "{}", "mountPodPatch:", "mountPodPatch: null", "mountPodPatch: []"]
)
def test_nothing_is_a_configuration(text):
    config = load(text)
    assert config.entries == () and not config.enable_node_selector and not config.unknown


def test_keys_are_case_folded():
    config = load(
        "EnableNodeSelector: true\nMountPodPatch:\n- CEMOUNTIMAGE: a\n  CacheDirs: [{Type: HostPath, Path: /x}]\n"
    )
    assert config.enable_node_selector
    assert config.entries[0].fields == {"ceMountImage": "a", "cacheDirs": [{"type": "HostPath", "path": "/x"}]}


@pytest.mark.parametrize(
    "written,loaded",
    [
        ("true", "true"),
        ("yes", "true"),
        ("y", "true"),
        ("off", "false"),
        ("10", "10"),
        ("010", "8"),
        ("0x1F", "31"),
        ("1_000", "1000"),
        ("0.10", "0.1"),
        ("1.0", "1"),
        ("1e3", "1000"),
        ("1e21", "1e+21"),
        ("0.00001", "1e-05"),
        ("1:30", "1:30"),
        ("2024-01-01", "2024-01-01"),
        ("'yes'", "yes"),
        ("!!str 5", "5"),
        ("30m", "30m"),
    ],
)
def test_scalars_become_strings_as_the_go_library_makes_them(written, loaded):
    assert load(f"mountPodPatch:\n- labels:\n    a: {written}\n").entries[0].fields["labels"] == {"a": loaded}


def test_the_article_s_annotation_true_becomes_a_string():
    first = load(world.config_text()).entries[0].fields
    assert first["annotations"]["juicefs-clean-cache"] == "true"
    assert first["resources"]["limits"] == {"cpu": "10", "memory": "10Gi"}
    assert first["hostNetwork"] is False


@pytest.mark.parametrize(
    "text,message",
    [
        ("a: [", r"error converting YAML to JSON: yaml: did not find expected node content\n.*\(line 1\)"),
        ("mountPodPatch: {a: b}", "cannot unmarshal object into Go struct field Config.mountPodPatch"),
        (
            "mountPodPatch:\n- {}\n- labels: [a]",
            r"mountPodPatch.labels of type map.*\n.*entry 2 .*, line 3",
        ),
        ("mountPodPatch:\n- hostPID: maybe", "cannot unmarshal string"),
        ("mountPodPatch:\n- ceMountImage: [a]", "cannot unmarshal array"),
        ("mountPodPatch:\n- terminationGracePeriodSeconds: soon", "of type int64"),
        ("mountPodPatch:\n- resources: {limits: {cpu: lots}}", "quantities must match"),
        ("mountPodPatch:\n- just text", "cannot unmarshal string"),
        ("enableNodeSelector: 1", "cannot unmarshal number"),
        ("x: &x [*x]", "anchor"),
    ],
)
def test_what_the_driver_refuses_is_refused(text, message):
    with pytest.raises(ConfigInvalid, match=message):
        load(text)


def test_ignored_keys_are_reported_with_what_was_meant():
    config = load("mountPodPatch:\n- lables: {a: b}\n  ceMountImages: x\n  hostIPC: true\nenableNodeSelectors: true\n")
    found = {u.path: (u.line, u.hint) for u in config.unknown}
    assert found["mountPodPatch[0].lables"] == (2, "labels")
    assert found["mountPodPatch[0].ceMountImages"] == (3, "ceMountImage")
    assert found["enableNodeSelectors"] == (5, "enableNodeSelector")
    assert "mountPodPatch[0].hostIPC" in found  # no field of the driver: it can never be applied
    assert config.entries[0].fields == {}


def test_keys_written_twice_are_reported_and_the_last_counts():
    config = load("mountPodPatch:\n- ceMountImage: a\n  ceMountImage: b\n")
    assert config.repeated == ("mountPodPatch[0].ceMountImage",)
    assert config.entries[0].fields["ceMountImage"] == "b"


def test_yaml_merge_keys():
    config = load("base: &b {labels: {a: b}}\nmountPodPatch:\n- <<: *b\n  ceMountImage: x\n")
    assert config.entries[0].fields == {"labels": {"a": "b"}, "ceMountImage": "x"}


def matched(selectors, claim, on=None):
    return load(f"mountPodPatch:\n- {{{selectors}}}").entries[0].selector.matches(claim, on)


@pytest.mark.parametrize(
    "selectors,claim,on,expected",
    [
        ("", None, None, True),
        ("pvcSelector: {}", pvc(), None, True),
        ("pvcSelector: {}", None, None, False),
        ("pvcSelector: {matchName: claim}", pvc(), None, True),
        ("pvcSelector: {matchName: claim}", pvc("claim-2"), None, False),
        ("pvcSelector: {matchName: claim, matchLabels: {a: b}}", pvc(), None, False),
        ("pvcSelector: {matchName: claim, matchLabels: {a: b}}", pvc(labels={"a": "b"}), None, True),
        ("pvcSelector: {matchStorageClassName: sc}", pvc(storage_class="sc"), None, True),
        ("pvcSelector: {matchStorageClassName: sc}", pvc(), None, False),
        ("pvcSelector: {matchStorageClassName: sc, matchLabels: {a: b}}", pvc(storage_class="sc"), None, True),
        ("pvcSelector: {matchStorageClassName: sc, matchName: x}", pvc(storage_class="sc"), None, False),
        ("pvcSelector: {matchLabels: {a: b}}", pvc(labels={"a": "b", "c": "d"}), None, True),
        (
            "pvcSelector: {matchExpressions: [{key: a, operator: In, values: [x, z]}]}",
            pvc(labels={"a": "z"}),
            None,
            True,
        ),
        ("pvcSelector: {matchExpressions: [{key: a, operator: NotIn, values: [x]}]}", pvc(), None, True),
        ("pvcSelector: {matchExpressions: [{key: a, operator: Exists}]}", pvc(), None, False),
        ("pvcSelector: {matchExpressions: [{key: a, operator: DoesNotExist}]}", pvc(), None, True),
        ("pvcSelector: {matchExpressions: [{key: a, operator: In}]}", pvc(labels={"a": "x"}), None, False),
        ("pvcSelector: {matchExpressions: [{key: a, operator: Near, values: [x]}]}", pvc(), None, False),
        ("nodeSelector: {matchLabels: {os: linux}}", None, node(os="linux"), True),
        ("nodeSelector: {matchLabels: {os: linux}}", None, None, False),
        ("nodeSelector: {}", None, node(), False),
        ("nodeSelector: {}", None, node(os="linux"), True),
        ("pvcSelector: {matchName: claim}, nodeSelector: {matchLabels: {os: linux}}", pvc(), node(os="x"), False),
        ("pvcSelector: {matchName: claim}, nodeSelector: {matchLabels: {os: linux}}", pvc(), node(os="linux"), True),
    ],
)
def test_selectors(selectors, claim, on, expected):
    assert matched(selectors, claim, on) is expected


def test_a_selector_that_is_null_matches_everything():
    assert matched("pvcSelector: null, ceMountImage: a", None)


MERGE = """
mountPodPatch:
- ceMountImage: one
  labels: {a: "1", b: "2"}
  env: [{name: A, value: x}]
  mountOptions: [cache-size=1, ro]
  hostNetwork: true
  volumes: [{name: v1}, {name: jfs-dir}, {name: config-1}]
  volumeMounts: [{name: v1, mountPath: /v1}, {name: elsewhere, mountPath: /e}]
  startupProbe: {exec: {command: [x]}}
- pvcSelector: {matchName: claim}
  labels: {c: "3"}
  mountOptions: [cache-size=2]
  hostNetwork: false
  volumes: [{name: v1, emptyDir: {}}, {name: v2}]
  volumeMounts: [{name: v1, mountPath: /again}, {name: v2, mountPath: /v2}]
- pvcSelector: {matchName: other}
  ceMountImage: never
"""


def test_merge_replaces_maps_and_lists_whole_and_appends_volumes():
    merged = merge(load(MERGE), pvc(), None)
    assert merged.fields == {
        "ceMountImage": "one",
        "labels": {"c": "3"},
        "env": [{"name": "A", "value": "x"}],
        "mountOptions": ["cache-size=2"],
        "hostNetwork": False,
        "volumes": [{"name": "v1"}, {"name": "v2"}],
        "volumeMounts": [{"name": "v1", "mountPath": "/v1"}, {"name": "v2", "mountPath": "/v2"}],
    }


def test_merge_tells_who_decided():
    merged = merge(load(MERGE), pvc(), None)
    assert merged.provenance("labels") == "entry 2 of mountPodPatch, pvcSelector.matchName claim"
    assert merged.provenance("ceMountImage") == "entry 1 of mountPodPatch, no selector: matches everything"
    assert merged.provenance("volumes").count("entry") == 2
    assert merged.provenance("eeMountImage") == ""
    assert [(e.number, m.matched) for e, m in merged.considered] == [(1, True), (2, True), (3, False)]
    assert merged.considered[2][1].why == "pvcSelector.matchName other: the PVC is claim"


def test_empty_values_set_nothing():
    merged = merge(
        load("mountPodPatch:\n- labels: {a: b}\n  ceMountImage: x\n- {labels: {}, ceMountImage: ''}"), None, None
    )
    assert merged.fields == {"labels": {"a": "b"}, "ceMountImage": "x"}


def test_templates_are_plain_text():
    fields = {"labels": {"v": "${VOLUME_ID}"}, "mountOptions": ["subdir=${SUB_PATH}/${MOUNT_POINT}", "${OTHER}"]}
    assert expand_templates(fields, mount_point="/jfs/x", volume_id="vol", volume_name="fs", sub_path="sub") == {
        "labels": {"v": "vol"},
        "mountOptions": ["subdir=sub//jfs/x", "${OTHER}"],
    }


CONFIG = load("mountPodPatch:\n- ceMountImage: global\n- {pvcSelector: {matchName: claim}, ceMountImage: canary}")
PV = {"spec": {"csi": {"volumeAttributes": {"juicefs/mount-image": "from-pv"}}}}
ANNOTATED = pvc("x", annotations={"juicefs/mount-image": "from-pvc"})
UNSAFE = "JUICEFS_ALLOW_UNSAFE_PVC_MOUNT_POD_ANNOTATIONS"


class TestEffectiveImage:
    def test_later_entries_win_over_everything(self):
        decision = effective_image(CONFIG, pvc(), None, pv=PV, env={"JUICEFS_CE_MOUNT_IMAGE": "env"})
        assert [c.image for c in decision.candidates] == ["canary", "global", "from-pv", "env"]
        assert decision.provenance == "entry 2 of mountPodPatch, pvcSelector.matchName claim"

    def test_pvc_annotation_only_when_the_driver_allows_it(self):
        nothing = load("")
        assert effective_image(nothing, ANNOTATED, None, pv=PV).image == "from-pv"
        assert effective_image(nothing, ANNOTATED, None, pv=PV, env={UNSAFE: "true"}).image == "from-pvc"
        assert effective_image(nothing, ANNOTATED, None, pv=PV, env={UNSAFE: "1"}).image == "from-pv"

    @pytest.mark.parametrize(
        "both,ce,ee",
        [
            ("juicedata/mount:ee-5.0", "ce", "juicedata/mount:ee-5.0"),
            ("juicedata/mount:ce-v1.0.0", "juicedata/mount:ce-v1.0.0", "ee"),
            ("juicedata/mount", "juicedata/mount", "ee"),
            ("juicedata/mount:latest", "juicedata/mount:latest", "ee"),
            ("reg:5000/mount:ce-v1.0.0", "reg:5000/mount:ce-v1.0.0", "reg:5000/mount:ce-v1.0.0"),
        ],
    )
    def test_the_variable_for_both_editions(self, both, ce, ee):
        env = {"JUICEFS_MOUNT_IMAGE": both, "JUICEFS_CE_MOUNT_IMAGE": "ce", "JUICEFS_EE_MOUNT_IMAGE": "ee"}
        assert effective_image(load(""), None, None, env=env).image == ce
        assert effective_image(load(""), None, None, env=env, is_ce=False).image == ee

    def test_an_invisible_default_is_not_certain(self):
        decision = effective_image(load(""), None, None)
        assert decision.image == "juicedata/mount:ce-nightly" and not decision.certain

    def test_editions_use_their_own_key(self):
        assert not effective_image(CONFIG, pvc(), None, is_ce=False).certain
