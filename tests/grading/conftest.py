"""The graders' fixtures: one answer, one fresh namespace for all checks of a grader."""

from kubelab.grading.fixtures import (  # noqa: F401 - fixtures are used by their names
    able_cluster,
    answer,
    answer_file,
    apps,
    check,
    core,
    exercise,
    launch,
    learner_kubeconfig,
    namespace,
    scene,
    submission,
    workplace,
)
