"""Drift: what the rules and the trend say of a row of nights. Pure; how often they err is benchmarks/drift.py's to say."""

import pytest
from pydantic import ValidationError

from benchmarks import drift as simulation
from overnight import rates
from overnight.quality import drift, shift
from overnight.quality.drift import Counted, Sums
from overnight.quality.ranges import Quality, Shift, Trend, quality

SET = Quality()


def nights(*shares: tuple[int, int, int]) -> list[Counted]:
    return [Counted(f"2026-11-{n:02}", *share) for n, share in enumerate(shares, start=1)]


def kinds(*shares: tuple[int, int, int]) -> list[str]:
    return [signal.kind for signal in drift.signals(nights(*shares), SET)]


def test_a_healthy_row_of_nights_says_nothing() -> None:
    """Approval, edits and rework inside their bands."""
    assert kinds(*[(39, 8, 3)] * 20) == []
    assert drift.signals([], SET) == []


def test_one_bad_night_of_enough_items_is_said_at_once() -> None:
    """Half of fifty is below 65 %, and no chance."""
    (signal, *_) = drift.signals(nights((40, 8, 2), (25, 12, 13)), SET)
    assert signal.kind == "approval_very_low"
    assert "25 of 50 decided items were approved as they are (50 %; the alarm is below 65 %)" in signal.evidence
    assert signal.action == "Review the prompt before the next night."


def test_one_bad_night_of_few_items_is_chance_until_it_is_not() -> None:
    """Five of eight is below 65 % and happens every fourth night to a healthy workflow; one of eight does not."""
    assert drift.plain_rules(nights((5, 2, 1)), SET.rules) == ["approval_very_low"]
    assert kinds((5, 2, 1)) == []
    assert "approval_very_low" in kinds((1, 3, 4))


def test_two_nights_below_seventy_are_said_where_together_they_are_no_chance() -> None:
    """33 of 50 twice is 66 %: the pair is not sure yet; 28 of 50 twice is."""
    assert "approval_low_twice" not in kinds((33, 13, 4), (34, 12, 4))
    found = drift.signals(nights((28, 14, 8), (28, 14, 8)), SET)
    twice = next(signal for signal in found if signal.kind == "approval_low_twice")
    assert "28 of 50 on 2026-11-01, 28 of 50 on 2026-11-02" in twice.evidence


def test_edits_and_rework_have_rules_of_their_own() -> None:
    """Above 25 % edits: prompt tuning. Above 15 % rework: a full audit."""
    found = {signal.kind: signal.action for signal in drift.signals(nights((36, 3, 11), (20, 25, 5)), SET)}
    assert found["edits_high"].startswith("Tune the prompt")
    found = {signal.kind: signal.action for signal in drift.signals(nights((60, 15, 25)), SET)}
    assert found["rework_high"].startswith("Full quality audit")
    assert "rework_high" not in kinds((6, 0, 2)), "two of eight is 25 %, and may be chance"


def test_a_slow_decline_that_no_rule_sees_is_seen_by_the_trend() -> None:
    """A point a night from 78 %: after twelve nights every single night still passes every plain rule of one night."""
    row = [Counted(str(n), 50 * (78 - n) // 100, 8, 50 - 50 * (78 - n) // 100 - 8) for n in range(1, 13)]
    assert not any(drift.plain_rules([night], SET.rules) for night in row)
    found = [n for n in range(1, len(row) + 1) if any(s.kind == "approval_declines" for s in drift.signals(row[:n], SET))]
    assert found
    signal = next(s for s in drift.signals(row[: found[0]], SET) if s.kind == "approval_declines")
    assert "Each night by itself may look harmless" in signal.evidence
    assert signal.facts["decided"] == 50 * signal.facts["nights"]


def test_the_trend_forgets_after_an_alarm_and_counts_small_nights_too() -> None:
    """Three items a night are too few for any rule, and add up all the same."""
    sums = Sums(Trend())
    said = [sums.add(Counted(str(n), 1, 1, 1)) for n in range(12)]
    assert True in said
    sums.forget()
    assert (sums.sums, sums.decided) == ([0.0, 0.0], 0)
    assert kinds(*[(1, 1, 1)] * 4) == []


def test_cost_per_output_that_rises_three_nights_running_is_said() -> None:
    """All of the last three above what was usual by a quarter: one dear night is none."""
    row = [Counted(str(n), 40, 8, 2, 0.010) for n in range(14)]
    dear = [Counted(str(n), 40, 8, 2, 0.014) for n in range(14, 17)]
    assert [s.kind for s in drift.signals([*row, *dear], SET)] == ["cost_rising"]
    assert "(+40%)" in drift.signals([*row, *dear], SET)[0].evidence
    assert drift.signals([*row, *dear[:2]], SET) == []
    assert drift.signals([*row, *dear[:2], row[0]], SET) == []


def test_approval_in_seconds_is_no_review() -> None:
    """99 % at six seconds is said; the same at a minute, or of ten items, is not."""
    night = Counted("2026-11-23", 99, 1, 0)
    (signal,) = drift.too_good(night, 6.0, SET)
    assert "99 of 100 items were approved as they are, in 6 seconds each" in signal.evidence
    assert drift.too_good(night, 60.0, SET) == []
    assert drift.too_good(night, None, SET) == [], "not known on other surfaces"
    assert drift.too_good(Counted("n", 10, 0, 0), 6.0, SET) == []


def test_a_night_in_range_needs_enough_decisions_to_say_so() -> None:
    """Three of three prove nothing."""
    assert drift.in_range(Counted("n", 3, 0, 0), SET) is None
    assert drift.in_range(Counted("n", 39, 8, 3), SET) is True
    assert drift.in_range(Counted("n", 30, 12, 8), SET) is False


def test_a_shift_of_labels_is_told_from_chance_and_from_trifles() -> None:
    """Large and certain, or nothing is said."""
    past = {"overall: positive": 700, "overall: negative": 200, "overall: mixed": 100}
    (one,) = shift.shifts({"overall: positive": 30, "overall: negative": 60, "overall: mixed": 10}, past, Shift())
    assert one.field == "overall"
    assert one.psi > 0.25
    assert one.most in ("overall “positive” from 70 % to 30 %", "overall “negative” from 20 % to 60 %")
    assert shift.shifts({"overall: positive": 68, "overall: negative": 21, "overall: mixed": 11}, past, Shift()) == []
    assert shift.shifts({"overall: positive": 3, "overall: negative": 6}, past, Shift()) == [], "nine labels are too few"
    many = {"overall: positive": 6_600, "overall: negative": 2_300, "overall: mixed": 1_100}
    assert shift.shifts(many, {k: v * 10 for k, v in past.items()}, Shift()) == [], "certain, but a trifle"
    assert shift.psi(past, past) == pytest.approx(0)


def test_the_shipped_settings_are_the_documented_ones_and_a_typing_error_is_refused() -> None:
    """include/quality.yaml says what the code takes for granted; an unknown key or an impossible rate is no silence."""
    assert quality() == SET
    with pytest.raises(ValidationError, match="as_is_twice_bellow"):
        Quality.model_validate({"rules": {"as_is_twice_bellow": 0.7}})
    with pytest.raises(ValidationError, match="declines must lie between"):
        Quality.model_validate({"trend": {"declines": [0.9]}})


def test_tails_are_the_binomials() -> None:
    """Five or fewer of eight at 78 %: every fourth night (domain: .249)."""
    assert rates.at_most(5, 8, 0.78) == pytest.approx(0.249, abs=0.001)
    assert rates.at_least(6, 8, 0.78) == pytest.approx(1 - 0.249, abs=0.001)


@pytest.mark.parametrize(("size", "slow", "false"), [(8, 18, 1.5), (50, 10.5, 1.5)])
def test_the_simulation_finds_what_is_planted(size: int, slow: float, false: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small run of the benchmark: soon enough, and seldom wrong; the plain rules cry wolf at eight items."""
    monkeypatch.setattr(simulation, "RUNS", 60)
    truth = [simulation.HEALTHY - 0.01 * n for n in range(1, simulation.LONGEST)]
    assert simulation.to_first(size, truth, SET) <= slow
    assert simulation.false_alarms(size, SET) <= false
    assert size > 8 or simulation.false_alarms(size, SET, plain=True) > 50
