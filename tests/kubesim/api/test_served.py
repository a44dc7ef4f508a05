"""What a server serves, as definitions come and go."""

import pytest

from kubesim.api.resources import Resource
from kubesim.api.served import Resources, version_priority


def crontab(version):
    return Resource("crontabs", "CronTab", "stable.example.com", version)


def test_versions_are_preferred_by_stability_then_number():
    given = ["foo", "v1alpha1", "v2", "v10", "v1beta2", "v1beta10", "v1", "bar"]
    ordered = ["v10", "v2", "v1", "v1beta10", "v1beta2", "v1alpha1", "bar", "foo"]
    assert sorted(given, key=version_priority) == ordered


def test_a_defined_resource_is_found_until_it_is_withdrawn():
    served = Resources()
    before = served.generation
    served.define("crontabs.stable.example.com", [crontab("v1beta1"), crontab("v1")])
    assert served.find("stable.example.com", "v1beta1", "crontabs") == crontab("v1beta1")
    assert served.named("crontabs.stable.example.com") == crontab("v1")
    assert list(served.by_group()["stable.example.com"]) == ["v1", "v1beta1"]
    assert list(served)[-2:] == [crontab("v1"), crontab("v1beta1")]
    assert served.generation > before
    served.withdraw("crontabs.stable.example.com")
    assert served.find("stable.example.com", "v1", "crontabs") is None
    assert "stable.example.com" not in served.by_group()
    with pytest.raises(KeyError):
        served.named("crontabs.stable.example.com")


def test_built_in_groups_come_first():
    served = Resources()
    served.define("pods.a.io", [Resource("pods", "Pod", "a.io")])
    assert served.group_versions()[0] == ("", "v1")
    assert served.group_versions()[-1] == ("a.io", "v1")
