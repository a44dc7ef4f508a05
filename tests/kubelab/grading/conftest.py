"""A course of two small exercises, to grade answers to that are good, bad and worse."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kubelab.course import Course
from kubelab.grading.runner import Runner
from kubelab.workspace import Workspace

LAB = """\
# A lab

```{code-cell} ipython3
:tags: [exercise]
%%exercise demo/greeting
apiVersion: v1
kind: ConfigMap
# TODO: the rest
```

Some text in between.

```{code-cell} ipython3
---
tags: [exercise]
---
%%exercise demo/counting
# TODO: print the number of nodes
...
```
"""
GREETING = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: greeting
data:
  word: hello
"""
COUNTING = """\
from kubernetes import client, config
config.load_kube_config()
print(len(client.CoreV1Api().list_node().items))
"""
GREETING_GRADER = '''\
import pytest
from kubelab.grading import Exercise
exercise = Exercise(title="A greeting", answer="yaml", points=10, hints=["Look up.", "Say hello."])
pytestmark = pytest.mark.usefixtures("submission")

def test_exists(check):
    """The ConfigMap is there"""
    check.exists("config_map", "greeting", within=0)

@pytest.mark.weight(3)
def test_word(check):
    """It says hello"""
    word = check.exists("config_map", "greeting", within=0).data["word"]
    check.equal(word, "hello", what="the word", look="the data of the ConfigMap")
'''
COUNTING_GRADER = '''\
from kubelab.grading import Exercise
exercise = Exercise(title="Counting", answer="py", points=5, timeout=3)

def test_count(check, core, submission):
    """It counts the nodes"""
    count = str(len(core.list_node().items))
    check.equal(submission.stdout.strip(), count, what="the printed number", look="list_node")
'''
CONFTEST = """\
import pytest
from kubelab import clusters
pytest_plugins = ["kubelab.grading.plugin"]

@pytest.fixture(scope="session")
def cluster():
    return clusters.start()
"""


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """The course."""
    root = tmp_path_factory.mktemp("course")
    real = Path(__file__).parents[2] / "grading" / "conftest.py"
    write(
        root,
        {
            "labs/demo/first.md": LAB,
            "solutions/demo/greeting.yaml": GREETING,
            "solutions/demo/counting.py": COUNTING,
            "tests/conftest.py": CONFTEST,
            "tests/grading/conftest.py": real.read_text(),
            "tests/grading/demo/test_greeting.py": GREETING_GRADER,
            "tests/grading/demo/test_counting.py": COUNTING_GRADER,
            "tests/grading/demo/near_misses/greeting/silent.yaml": "# fails: the word is\n",
        },
    )
    return Course(root)


@pytest.fixture(scope="session")
def runner(demo: Course) -> Iterator[Runner]:
    with Runner(demo) as made:
        yield made


@pytest.fixture
def home(tmp_path: Path) -> Workspace:
    """An empty workspace."""
    return Workspace(tmp_path / "workspace")
