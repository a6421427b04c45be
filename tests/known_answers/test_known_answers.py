"""The simulator gives the numbers that the literature and exact recursions give, from files that users could write."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.estimates import EXPERIMENTS, plan_of, sharpened
from benchmarks.known_answers import KnownAnswer, Verdict, known_answers
from orchestrator.shard import Shard

ANSWERS = known_answers()


@pytest.mark.parametrize("known", ANSWERS, ids=lambda known: known.name)
def test_the_simulator_knows_the_answer(known: KnownAnswer):
    verdict = known.check()
    assert verdict.passed, f"found {verdict.found} +- {verdict.error}, not {verdict.answer}"


def test_every_answer_has_a_name_of_its_own():
    assert len({known.name for known in ANSWERS}) == len(ANSWERS)


def test_every_known_experiment_has_an_answer():
    stems = {path.stem for path in (EXPERIMENTS / "known").glob("*.yaml")}
    assert {stem for stem in stems if not any(known.name.startswith(stem) for known in ANSWERS)} == set()


@pytest.mark.parametrize(
    ("found", "error", "answer", "passed"),
    [
        (1.0, 0.0, 1.0, True),
        (1.0 + 5e-6, 0.0, 1.0, False),  # exact ones have no room
        (1.0025, 0.0009, 1.0, True),
        (1.0035, 0.0009, 1.0, False),  # more than 3 standard errors away
        (1.0, 0.002, 1.0, False),  # known too badly to say
        (float("nan"), 0.0, 1.0, False),
    ],
)
def test_a_verdict_is_strict(found: float, error: float, answer: float, passed: bool):
    one = Verdict(found=np.array([found]), error=np.array([error]), answer=np.array([answer]))
    assert one.passed is passed


def test_a_lead_time_too_long_is_found():
    """The mutant: an order that takes one period more covers one demand more."""
    plan = plan_of("known/newsvendor_normal.yaml")
    network = plan.suite.network
    assert not isinstance(network, str)
    lanes = tuple(replace(lane, lead=lane.lead + (lane.lead > 0)) for lane in network.lanes)
    slow = replace(plan.suite, network=replace(network, lanes=lanes), scored=240)
    values = (
        Shard(slow).trace(plan.score_cells(plan.fixed["optimum"])[:64], ("cost",))["cost"][slow.warm_up :].mean(axis=0)
    )
    assert abs(values.mean() - 1.997605) > 10.0 * values.std() / 8.0


def test_controls_take_their_noise_out_and_leave_the_mean():
    draw = np.random.default_rng(1)
    control = draw.normal(size=(4000, 1)) + 0.05  # drawn a little high; its expectation of 0 is known
    value, error = sharpened(3.0 + 2.0 * control[:, 0] + 0.1 * draw.normal(size=4000), control)
    assert value == pytest.approx(3.0, abs=4 * error)
    assert error == pytest.approx(0.1 / np.sqrt(4000), rel=0.1)
