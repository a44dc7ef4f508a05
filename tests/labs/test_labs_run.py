"""Every lab runs from top to bottom, as a learner's notebook would who fills in nothing."""

import jupytext
import pytest
from nbclient import NotebookClient

from kubelab import course

COURSE = course.find()
SECONDS_A_CELL = 600


@pytest.mark.parametrize("lab", COURSE.labs(), ids=lambda lab: f"{lab.parent.name}/{lab.stem}")
def test_a_lab_runs_without_an_error(lab, cluster, tmp_path, monkeypatch):
    monkeypatch.setenv("KUBELAB_WORKSPACE", str(tmp_path / "workspace"))
    notebook = jupytext.read(lab)
    client = NotebookClient(
        notebook, timeout=SECONDS_A_CELL, resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()  # raises with the cell's traceback, unless the cell is tagged raises-exception
    assert not (tmp_path / "workspace" / "answers").exists(), "a blank was taken for an answer"
