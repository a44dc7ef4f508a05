"""The fixtures of graders. Each is made once a grader: one answer, one namespace, many checks."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kubelab import course
from kubelab.grading import identity, manifests
from kubelab.grading.answer import Answer, Run, check_syntax, read
from kubelab.grading.checks import Check
from kubelab.grading.errors import AnswerError, NotAttempted
from kubelab.grading.exercise import Exercise
from kubelab.grading.jobs import Launcher
from kubelab.grading.launchers import launcher
from kubelab.grading.submitting import Submitter


@pytest.fixture(scope="session")
def launch() -> Iterator[Launcher]:
    """What runs Python answers, in processes of their own."""
    made = launcher()
    yield made
    made.close()


@pytest.fixture(scope="module")
def exercise(request: pytest.FixtureRequest) -> Exercise:
    """What the grader says about its exercise."""
    found: Exercise = request.module.exercise
    return found


@pytest.fixture(scope="module")
def answer_file(request: pytest.FixtureRequest) -> Path:
    """The learner's file; NotAttempted if it is missing or blank, AnswerError if not valid."""
    grader = request.path
    parts = course.of(grader)
    name = course.exercise_name(grader)
    answers = Path(request.config.getoption("answers") or parts.root / "solutions")
    path = course.find_answer(answers.absolute(), name)
    if path is None:
        raise NotAttempted(f"there is no answer in {answers / name}.*")
    if parts.is_blank(name, read(path)):
        raise NotAttempted("the answer is still the blank that the lab gives")
    check_syntax(path)
    return path


@pytest.fixture(scope="module")
def able_cluster(cluster: Any, exercise: Exercise, answer_file: Path) -> Any:
    """The cluster, if it can do what the exercise needs."""
    if not cluster.version_at_least(*exercise.needs):
        major, minor = exercise.needs
        pytest.skip(f"needs Kubernetes {major}.{minor} or newer; this cluster is {cluster.version}")
    for capability in exercise.capabilities:
        if not cluster.can(capability):
            pytest.skip(f"needs a cluster that can {capability}, which {cluster.engine} cannot")
    return cluster


@pytest.fixture(scope="module")
def workplace(able_cluster: Any, request: pytest.FixtureRequest) -> Iterator[identity.Workplace]:
    """A fresh namespace with the learner's identity, deleted afterwards."""
    made = identity.create(able_cluster, course.exercise_name(request.path))
    yield made
    made.delete()


@pytest.fixture(scope="module")
def namespace(workplace: identity.Workplace) -> str:
    """The name of the fresh namespace."""
    return workplace.namespace


@pytest.fixture(scope="module")
def core(workplace: identity.Workplace) -> Any:
    """The official client's CoreV1Api, as administrator."""
    from kubernetes.client import CoreV1Api

    return CoreV1Api(workplace.api_client)


@pytest.fixture(scope="module")
def apps(workplace: identity.Workplace) -> Any:
    """The official client's AppsV1Api, as administrator."""
    from kubernetes.client import AppsV1Api

    return AppsV1Api(workplace.api_client)


@pytest.fixture(scope="module")
def check(workplace: identity.Workplace) -> Check:
    """Checks on the fresh namespace."""
    return Check(workplace.api_client, workplace.namespace)


@pytest.fixture(scope="module")
def learner_kubeconfig(workplace: identity.Workplace) -> dict[str, Any]:
    """The learner's kubeconfig: server, certificate authority, token, namespace."""
    return workplace.kubeconfig


@pytest.fixture(scope="module")
def scene() -> None:
    """Nothing. A grader overrides it to put something into the namespace before the answer."""


@pytest.fixture(scope="module")
def answer(
    answer_file: Path, exercise: Exercise, workplace: identity.Workplace, launch: Launcher
) -> Answer:
    """The learner's answer, for a grader that runs it in its own way."""
    return Answer(answer_file, workplace.kubeconfig, launch, exercise.timeout)


@pytest.fixture(scope="module")
def submission(
    answer: Answer, able_cluster: Any, workplace: identity.Workplace, scene: object
) -> Run | list[dict[str, Any]]:
    """The answer, handed in: a YAML file's objects created, or a Python file run to its end."""
    if answer.path.suffix == ".yaml":
        submitter = Submitter(workplace.kubeconfig, workplace.namespace, able_cluster.engine)
        return submitter.create(manifests.parse(answer.text))
    run = answer.run()
    if run.exit_code != 0:
        raise AnswerError(
            f"your program ended with exit code {run.exit_code}",
            look=run.stderr.strip() or run.stdout.strip() or "it printed nothing",
        )
    return run
