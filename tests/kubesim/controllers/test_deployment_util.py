"""The arithmetic of Deployments."""

import pytest

from kubesim.controllers import deployment_util as util


def deployment(replicas, surge="25%", unavailable="25%", kind="RollingUpdate"):
    limits = {"maxSurge": surge, "maxUnavailable": unavailable}
    strategy = (
        {"type": kind, "rollingUpdate": limits} if kind == "RollingUpdate" else {"type": kind}
    )
    return {"metadata": {"name": "web"}, "spec": {"replicas": replicas, "strategy": strategy}}


def replica_set(name, replicas, *, maximum, created=0):
    return {
        "metadata": {
            "name": name,
            "creationTimestamp": f"2026-11-23T12:00:{created:02}Z",
            "annotations": {util.MAXIMUM: str(maximum)},
        },
        "spec": {"replicas": replicas},
    }


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "expected"),
    [
        (3, "25%", "25%", (1, 0)),
        (4, "25%", "25%", (1, 1)),
        (10, "25%", "25%", (3, 2)),
        (10, 3, 2, (3, 2)),
        (10, "100%", 0, (10, 0)),
        (5, 0, "10%", (0, 1)),  # both would be 0, and nothing could move
        (3, 0, 5, (0, 3)),  # no more can be missing than there are
    ],
)
def test_surge_rounds_up_and_unavailable_down(replicas, surge, unavailable, expected):
    assert util.fenceposts(deployment(replicas, surge, unavailable)) == expected


def test_recreate_has_neither():
    assert util.fenceposts(deployment(3, kind="Recreate")) == (0, 0)


@pytest.mark.parametrize(
    ("before", "after", "sizes", "expected"),
    [
        (10, 12, [5, 5], [6, 6]),
        (10, 5, [5, 5], [2, 3]),  # 2.5 rounds up, and the first pays for it
        (5, 10, [2, 2, 1], [4, 4, 2]),
        (5, 8, [1, 1, 1, 1, 1], [2, 2, 2, 1, 1]),
        (15, 20, [5, 5, 5], [7, 7, 6]),
        (5, 6, [1, 1, 1, 1, 1], [2, 1, 1, 1, 1]),
        (10, 3, [4, 3, 3], [1, 1, 1]),
        (5, 0, [3, 2], [0, 0]),
    ],
)
def test_scaling_in_a_rollout_keeps_the_proportions(before, after, sizes, expected):
    wanted = deployment(after, surge=0)
    ages = range(len(sizes)) if after < before else range(len(sizes), 0, -1)
    sets = [
        replica_set(f"rs-{number}", size, maximum=before, created=age)
        for number, (size, age) in enumerate(zip(sizes, ages, strict=True))
    ]
    assert [*util.proportions(wanted, sets).values()] == expected


def test_the_hash_follows_the_template_and_the_collisions():
    one = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"image": "a"}]}}
    other = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"image": "b"}]}}
    assert util.template_hash(one, 0) == util.template_hash(dict(reversed(one.items())), 0)
    assert len({util.template_hash(one, 0), util.template_hash(other, 0)}) == 2
    assert util.template_hash(one, 0) != util.template_hash(one, 1)
    assert util.same_template(util.with_hash(one, "abc"), one)
    assert not util.same_template(one, other)


def test_revisions_grow_and_remember():
    def annotated(**annotations):
        return {"metadata": {"annotations": annotations}}

    plain = annotated(team="a", **{util.LAST_APPLIED: "{}"})
    first = util.new_annotations(plain, annotated(), 1)
    assert first == {"team": "a", util.REVISION: "1"}
    third = util.new_annotations(plain, annotated(**first), 3)
    assert (third[util.REVISION], third[util.REVISION_HISTORY]) == ("3", "1")
    fifth = util.new_annotations(plain, annotated(**third), 5)
    assert fifth[util.REVISION_HISTORY] == "1,3"
    assert util.new_annotations(plain, annotated(**fifth), 4) == fifth
