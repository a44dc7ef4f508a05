"""The magics of the labs: `%%exercise`, `%exercise_hint` and `%progress`."""

import atexit
from typing import Any

from IPython.display import display

from kubelab import clusters, course, show, workspace
from kubelab.clusters import ClusterError
from kubelab.course import Course
from kubelab.grading import verdict
from kubelab.grading.answer import check_syntax
from kubelab.grading.errors import AnswerError
from kubelab.grading.exercise import load
from kubelab.grading.runner import Runner
from kubelab.grading.verdict import Verdict
from kubelab.workspace import Workspace


class Desk:
    """Where exercises are answered: a course, a learner's workspace, and a grader."""

    def __init__(self, parts: Course, home: Workspace, runner: Runner) -> None:
        self.course = parts
        self.workspace = home
        self.runner = runner

    def submit(self, name: str, text: str) -> Verdict:
        """Save an answer and grade it. A blank is neither saved nor graded."""
        suffix = self.course.solution(name).suffix
        if self.course.is_blank(name, text):
            return Verdict(name, "", verdict.NOT_ATTEMPTED, self._blank_message(name))
        path = self.workspace.save_answer(name, text, suffix)
        try:
            check_syntax(path)
            _cluster_runs()
            result = self.runner.grade(name, self.workspace.answers)
        except AnswerError as error:
            result = Verdict(name, "", verdict.ERROR, str(error))
        except ClusterError as error:
            message = f"Your answer is saved in {path}, but there is no cluster to grade it on.\n"
            return Verdict(name, "", verdict.BROKEN, f"{message}{error}")
        self.workspace.record(result)
        return result

    def _blank_message(self, name: str) -> str:
        saved = course.find_answer(self.workspace.answers, name)
        kept = f"\nThe answer that you gave before is kept in {saved}." if saved else ""
        return f"Fill in the cell above and run it again. %exercise_hint {name} helps.{kept}"

    def hint(self, name: str) -> str:
        """Return the next hint of an exercise."""
        hints = load(self.course.grader(name)).hints
        if not hints:
            return f"{name} has no hints."
        number = self.workspace.next_hint(name, len(hints))
        return f"Hint {number + 1} of {len(hints)}: {hints[number]}"

    def progress(self) -> show.Text:
        """Show the last result of every exercise of the course."""
        rows = [self._progress_row(name) for name in self.course.exercises()]
        return show.table(["exercise", "points", "state"], rows)

    def _progress_row(self, name: str) -> tuple[str, str, str]:
        result, current = self.workspace.verdict(name)
        if result is None:
            return name, "-", verdict.NOT_ATTEMPTED
        changed = "" if current else " (your answer has changed since)"
        points = f"{result.points:g} of {result.max:g}" if result.max else "-"
        return name, points, result.state + changed


def _cluster_runs() -> None:
    """Start the labs' cluster if it does not run: here, where progress is seen and no time runs."""
    cluster = clusters.find()
    if cluster is None or not cluster.alive():
        clusters.start()


def register(shell: Any) -> None:
    """Add the magics to an IPython shell, and let the grader warm up meanwhile."""
    parts = course.find()
    runner = Runner(parts)
    atexit.register(runner.close)
    runner.warm_up()
    desk = Desk(parts, workspace.find(), runner)

    def exercise(line: str, cell: str) -> None:
        """Save the cell as the answer to an exercise, and grade it."""
        display(desk.submit(line.strip(), cell))

    def exercise_hint(line: str) -> None:
        """Show the next hint of an exercise."""
        print(desk.hint(line.strip()))

    def progress(line: str) -> None:
        """Show how far you are."""
        display(desk.progress())

    shell.register_magic_function(exercise, magic_kind="cell")
    shell.register_magic_function(exercise_hint, magic_kind="line")
    shell.register_magic_function(progress, magic_kind="line")
