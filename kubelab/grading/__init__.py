"""Grading: an answer is judged by what it makes a cluster do, never by its text."""

from kubelab.grading.errors import AnswerError, CheckFailed, NotAttempted
from kubelab.grading.exercise import Exercise

__all__ = ["AnswerError", "CheckFailed", "Exercise", "NotAttempted"]
