"""How fast an autoscaler may move: stabilization windows and scaling policies.

pkg/controller/podautoscaler/horizontal.go (stabilizeRecommendationWithBehaviors and
convertDesiredReplicasWithBehaviorRate); the defaults are those of autoscaling/v2.
"""

import math
from dataclasses import dataclass, field

from kubesim.api.autoscaling import DEFAULT_DOWN, DEFAULT_UP
from kubesim.apimachinery.objects import Object

DOWN_STABILIZATION = 300
MAX_AGE = 3600.0


@dataclass
class History:
    """What one autoscaler has recommended and done, by time."""

    recommendations: list[tuple[float, int]] = field(default_factory=list)
    moves: list[tuple[float, int]] = field(default_factory=list)

    def moved(self, now: float, change: int) -> None:
        """Remember a change of scale."""
        self.moves = [each for each in self.moves if each[0] > now - MAX_AGE]
        self.moves.append((now, change))


@dataclass(frozen=True)
class Limit:
    """A condition that says what held the autoscaler back, or that nothing did."""

    kind: str
    status: str
    reason: str
    message: str


class Behavior:
    """The rules of one autoscaler at one moment."""

    def __init__(self, spec: Object, now: float, history: History) -> None:
        self._least, self._most = spec.get("minReplicas", 1), spec["maxReplicas"]
        behavior = spec.get("behavior") or {}
        self._up, self._down = behavior.get("scaleUp") or {}, behavior.get("scaleDown") or {}
        self._now = now
        self._history = history

    def settle(self, current: int, wanted: int) -> tuple[int, list[Limit]]:
        """Return the number to move to, and the conditions to set."""
        stable = self._stabilized(current, wanted)
        limits = [_stabilization(stable, wanted)]
        if stable > current:
            bound, why = self._up_bound(current)
            desired, limit = _limited_up(stable, bound, self._most, why)
        elif stable < current:
            bound, why = self._down_bound(current)
            desired, limit = _limited_down(stable, bound, self._least, why)
        else:
            desired, limit = stable, _within()
        return desired, [*limits, limit]

    def _stabilized(self, current: int, wanted: int) -> int:
        """The recommendation nearest to the present that held within the windows."""
        up = self._up.get("stabilizationWindowSeconds", 0)
        down = self._down.get("stabilizationWindowSeconds", DOWN_STABILIZATION)
        past = self._history.recommendations
        kept = [each for each in past if each[0] > self._now - max(up, down)]
        lowest = min([wanted, *(n for at, n in kept if at > self._now - up)])
        highest = max([wanted, *(n for at, n in kept if at > self._now - down)])
        self._history.recommendations = [*kept, (self._now, wanted)]
        return highest if highest < current else lowest if lowest > current else current

    def _up_bound(self, current: int) -> tuple[int, str]:
        bounds = []
        for policy in self._policies(self._up, DEFAULT_UP):
            start = current - self._change(policy["periodSeconds"], up=True)
            step = policy["value"]
            grown = (
                start + step if policy["type"] == "Pods" else math.ceil(start * (1 + step / 100))
            )
            bounds.append(grown)
        return self._chosen(self._up, bounds, current), "ScaleUpLimit"

    def _down_bound(self, current: int) -> tuple[int, str]:
        bounds = []
        for policy in self._policies(self._down, DEFAULT_DOWN):
            start = current + self._change(policy["periodSeconds"], up=False)
            step = policy["value"]
            shrunk = start - step if policy["type"] == "Pods" else int(start * (1 - step / 100))
            bounds.append(-shrunk)
        return -self._chosen(self._down, bounds, -current), "ScaleDownLimit"

    @staticmethod
    def _policies(rules: Object, defaults: tuple[Object, ...]) -> tuple[Object, ...]:
        return tuple(rules.get("policies") or defaults)

    @staticmethod
    def _chosen(rules: Object, bounds: list[int], current: int) -> int:
        """The bound that the rules select; for shrinking, bounds are negative."""
        select = rules.get("selectPolicy", "Max")
        if select == "Disabled":
            return current
        return min(bounds) if select == "Min" else max(bounds)

    def _change(self, seconds: int, *, up: bool) -> int:
        """How far the last moves within a period have gone in one direction."""
        recent = [change for at, change in self._history.moves if at > self._now - seconds]
        return sum(abs(change) for change in recent if (change > 0) == up)


def _stabilization(stable: int, wanted: int) -> Limit:
    told = "recent recommendations were {} than current one, applying the {} recent recommendation"
    if stable > wanted:
        message = told.format("higher", "highest")
        return Limit("AbleToScale", "True", "ScaleDownStabilized", message)
    if stable < wanted:
        message = told.format("lower", "lowest")
        return Limit("AbleToScale", "True", "ScaleUpStabilized", message)
    told = "recommended size matches current size"
    return Limit("AbleToScale", "True", "ReadyForNewScale", told)


def _within() -> Limit:
    told = "the desired count is within the acceptable range"
    return Limit("ScalingLimited", "False", "DesiredWithinRange", told)


def _limited_up(wanted: int, bound: int, most: int, why: str) -> tuple[int, Limit]:
    allowed = min(bound, most)
    if wanted <= allowed:
        return wanted, _within()
    if most <= bound:
        told = "the desired replica count is more than the maximum replica count"
        return most, Limit("ScalingLimited", "True", "TooManyReplicas", told)
    told = "the desired replica count is increasing faster than the maximum scale rate"
    return bound, Limit("ScalingLimited", "True", why, told)


def _limited_down(wanted: int, bound: int, least: int, why: str) -> tuple[int, Limit]:
    allowed = max(bound, least)
    if wanted >= allowed:
        return wanted, _within()
    if least >= bound:
        told = "the desired replica count is less than the minimum replica count"
        return least, Limit("ScalingLimited", "True", "TooFewReplicas", told)
    told = "the desired replica count is decreasing faster than the maximum scale rate"
    return bound, Limit("ScalingLimited", "True", why, told)
