"""Every attack against what must hold for all, and against cases whose answer is known."""

import warnings
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import structural_similarity
from toys import flat, linear, pictures, smooth, wavy

from birqa.attacks import ATTACKS, TrainedAttack, bidirectional, create_attack
from birqa.attacks.apgd import APGD, _checkpoints
from birqa.attacks.autoattack import AutoAttack
from birqa.attacks.base import Forms, Goal, best_on_levels, round_to_levels
from birqa.attacks.cw import CW
from birqa.attacks.facpa import FACPA
from birqa.attacks.fgsm import FGSM
from birqa.attacks.pgd import IFGSM, PGD
from birqa.attacks.square import Square
from birqa.attacks.uap import UAP
from birqa.engines.torch import load_module
from birqa.registry import find_model

QUICK = {
    "ifgsm": {"steps": 3},
    "pgd": {"steps": 3},
    "cw": {"steps": 5},
    "apgd": {"steps": 8},
    "autoattack": {"apgd": APGD(steps=5), "square": create_attack("square", queries=10)},
    "zhang": {"steps": 5},
    "korhonen": {"steps": 4},
    "square": {"queries": 30},
    "parsimonious": {"queries": 60, "block": 8, "blocks_at_once": 4},
    "uap": {"side": 8},
    "facpa": {"width": 4, "depth": 2},
}
SLACK = 1e-6


def _attack(name, metric=wavy, **more):
    attack = create_attack(name, **{**QUICK.get(name, {}), **more})
    if isinstance(attack, TrainedAttack):
        for direction in (1, -1):
            attack.train(metric, [pictures(seed=7), pictures(seed=8)], direction)
    return attack


EACH = pytest.mark.parametrize("name", ATTACKS)


@EACH
@settings(max_examples=12)
@given(
    seed=st.integers(0, 10**6),
    budget=st.sampled_from([0.3 / 255, 1 / 255, 0.02, 8 / 255, 0.5]),
    eight_bit=st.booleans(),
    side=st.integers(11, 19),
)
def test_no_budget_is_exceeded(name, seed, budget, eight_bit, side):
    dist, ref = pictures(2, side, 13, seed, low=0.0, high=1.0)
    if eight_bit:
        dist = torch.round(dist * 255) / 255
    before = dist.clone(), ref.clone()
    attack = _attack(name, seed=seed, eight_bit=eight_bit)
    both = attack(wavy, dist, ref, [budget, budget / 2], torch.tensor([1.0, -1.0]))
    assert len(both) == 2
    for attacked, allowed in zip(both, [budget, budget / 2], strict=True):
        assert attacked.shape == dist.shape
        assert not attacked.requires_grad
        assert (attacked - dist).abs().max() <= allowed + SLACK
        assert attacked.min() >= 0
        assert attacked.max() <= 1
        if eight_bit:
            torch.testing.assert_close(attacked * 255, torch.round(attacked * 255), atol=1e-3, rtol=0)
    torch.testing.assert_close((dist, ref), before, rtol=0, atol=0)


@pytest.mark.parametrize("name", [name for name in ATTACKS if name not in ("honest", "uap", "facpa")])
def test_the_score_moves_as_asked(name):
    dist, ref = pictures(4)
    direction = torch.tensor([1.0, -1.0, 1.0, -1.0])
    (attacked,) = _attack(name, eight_bit=False)(wavy, dist, ref, [8 / 255], direction)
    moved = direction * (wavy(attacked, ref) - wavy(dist, ref))
    assert (moved > 0).all()


@EACH
def test_a_picture_is_attacked_the_same_alone_and_in_company(name):
    dist, ref = pictures(3)
    attack = _attack(name)
    (together,) = attack(wavy, dist, ref, [0.03])
    (alone,) = attack(wavy, dist[1:2], ref[1:2], [0.03])
    torch.testing.assert_close(alone, together[1:2], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["pgd", "apgd", "autoattack", "square", "parsimonious"])
def test_the_seed_decides(name):
    dist, ref = pictures(2)
    first, again, other = (_attack(name, seed=seed)(wavy, dist, ref, [0.03])[0] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_every_setting_is_reported():
    for name in ATTACKS:
        reported = create_attack(name).settings()
        assert reported["attack"] == name
        assert reported["seed"] == 0
    assert create_attack("autoattack").settings()["apgd"]["steps"] == 100
    assert create_attack("autoattack", apgd={"steps": 7}).settings()["apgd"]["steps"] == 7


# Cases with a known answer


def test_honest_changes_go_towards_the_reference_and_away_from_it():
    ref = torch.full((2, 3, 2, 2), 0.5)
    dist = ref.clone()
    dist[:, 0], dist[:, 1] = 0.9, 0.48
    up, down = create_attack("honest")(flat, dist, ref, [0.1], torch.tensor([1.0, -1.0]))[0]
    torch.testing.assert_close(up[0], torch.full((2, 2), 0.8))
    torch.testing.assert_close(up[1:], torch.full((2, 2, 2), 0.5))
    torch.testing.assert_close(down[0], torch.full((2, 2), 1.0))
    torch.testing.assert_close(down[1], torch.full((2, 2), 0.38))
    torch.testing.assert_close((down[2] - 0.5).abs(), torch.full((2, 2), 0.1))


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6), budget=st.floats(0.002, 0.2))
def test_no_change_within_the_budget_comes_nearer_to_the_reference_than_the_honest_one(seed, budget):
    dist, ref = pictures(2, seed=seed)
    (honest,) = create_attack("honest")(flat, dist, ref, [budget])
    other = dist + budget * (2 * torch.rand(dist.shape, generator=torch.Generator().manual_seed(seed)) - 1)
    assert ((honest - ref).abs() <= (other - ref).abs() + SLACK).all()


def _linear_case():
    dist, ref = pictures(2)
    weights = torch.randn(dist.shape[1:], generator=torch.Generator().manual_seed(3))
    return dist, ref, weights


@pytest.mark.filterwarnings("ignore:cw came as far as kappa")
@pytest.mark.parametrize("name", ["fgsm", "ifgsm", "pgd", "apgd", "autoattack", "cw"])
def test_on_a_linear_metric_the_gain_is_budget_times_the_sum_of_weights(name):
    dist, ref, weights = _linear_case()
    metric = linear(weights / 50)
    more = {"steps": 40} if name in ("ifgsm", "pgd", "apgd", "cw") else {}
    budgets = [2 / 255, 8 / 255]
    for budget, attacked in zip(budgets, _attack(name, **more)(metric, dist, ref, budgets), strict=True):
        gain = metric(attacked, ref) - metric(dist, ref)
        most = budget * weights.abs().sum() / 50
        torch.testing.assert_close(gain, most.expand(2), rtol=0.02 if name == "cw" else 1e-3, atol=0)


@pytest.mark.parametrize(("name", "more"), [("square", {"queries": 6000}), ("parsimonious", {"block": 4})])
def test_black_boxes_find_the_optimum_of_a_toy(name, more):
    dist, ref = pictures(1, 12, 12)
    # One sign for every 4 x 4 block of each channel.
    signs = torch.randint(2, (3, 3, 3), generator=torch.Generator().manual_seed(1)) * 2.0 - 1
    weights = signs.repeat_interleave(4, 1).repeat_interleave(4, 2)
    (attacked,) = create_attack(name, **more)(linear(weights), dist, ref, [0.05])
    gain = float(linear(weights)(attacked, ref) - linear(weights)(dist, ref))
    assert gain >= (0.999 if name == "parsimonious" else 0.9) * 0.05 * weights.numel()


def test_black_boxes_need_no_gradient():
    dist, ref = pictures(2)
    for name in ("square", "parsimonious"):
        with torch.no_grad():
            (attacked,) = _attack(name, queries=200)(flat, dist, ref, [0.05])
        assert (flat(attacked, ref) > flat(dist, ref)).all()
    (stuck,) = _attack("fgsm")(flat, dist, ref, [0.05])
    assert torch.equal(stuck, dist)


def test_queries_are_counted_and_kept_to():
    dist, ref = pictures(2)
    for name in ("square", "parsimonious"):
        asked = []

        def metric(pictures, references, asked=asked):
            asked.append(len(pictures))
            return wavy(pictures, references)

        create_attack(name, **{**QUICK[name], "queries": 50})(metric, dist, ref, [0.05])
        assert 2 * 40 < sum(asked) <= 2 * 51


def test_autoattack_is_at_least_as_strong_as_its_parts_on_every_picture():
    dist, ref = pictures(4)
    whole = _attack("autoattack")
    (strongest,) = whole(wavy, dist, ref, [0.04])
    for part in (whole.apgd, whole.square):
        (attacked,) = part(wavy, dist, ref, [0.04])
        assert (wavy(strongest, ref) >= wavy(attacked, ref) - 1e-6).all()


def test_checkpoints_of_apgd_are_those_of_its_paper():
    # 100 steps: .22, then gaps that shrink by .03 down to .06 (Croce and Hein 2020, section 4).
    assert sorted(_checkpoints(100)) == [22, 41, 57, 70, 80, 87, 93, 99]


def test_more_steps_and_restarts_never_hurt():
    dist, ref = pictures(3)
    one, many = (PGD(steps=5, restarts=r)(wavy, dist, ref, [0.05])[0] for r in (1, 3))
    assert (wavy(many, ref) >= wavy(one, ref)).all()
    # The last pictures are told apart by their own scores, not by those met on the way.
    one, many = (
        PGD(steps=5, step=0.04, restarts=r, keep_best=False)(wavy, dist, ref, [0.05])[0] for r in (1, 6)
    )
    assert (wavy(many, ref) >= wavy(one, ref)).all()
    short, long = (IFGSM(steps=s, step=0.02)(wavy, dist, ref, [0.05])[0] for s in (3, 12))
    assert (wavy(long, ref) >= wavy(short, ref)).all()


@pytest.mark.parametrize("name", ["ifgsm", "pgd"])
@pytest.mark.parametrize("budget", [2 / 255, 8 / 255, 20 / 255])
def test_steps_reach_the_far_side_of_every_budget(name, budget):
    """Of a linear score FGSM finds the optimum, wherever the climb began."""
    dist, ref = pictures(2)
    score = linear(torch.randn(dist.shape[1:], generator=torch.Generator().manual_seed(1)))
    (best,), (found,) = (create_attack(one)(score, dist, ref, [budget]) for one in ("fgsm", name))
    gains = [score(one, ref) - score(dist, ref) for one in (found, best)]
    torch.testing.assert_close(gains[0], gains[1], rtol=1e-4, atol=0)


def test_a_step_that_is_given_is_kept():
    dist, ref = pictures(1)
    (found,) = IFGSM(steps=2, step=1 / 255)(linear(torch.ones(dist.shape[1:])), dist, ref, [8 / 255])
    torch.testing.assert_close(found - dist, torch.full_like(dist, 2 / 255))


@pytest.mark.parametrize("name", ["ifgsm", "pgd", "apgd", "autoattack", "square", "parsimonious"])
def test_what_keeps_the_best_never_ends_below_where_it_began(name):
    """Whatever a random start or rounding to levels costs; the hill is a sample's width wide."""

    def narrow(dist, ref):
        return -(dist - ref).abs().mean((1, 2, 3))

    _, ref = pictures(2)
    ref = torch.round(255 * ref) / 255
    attack = create_attack(name, eight_bit=True, **QUICK.get(name, {}))
    (attacked,) = attack(narrow, ref, ref, [3 / 255])
    assert torch.equal(attacked, ref)


@pytest.mark.parametrize(("met", "kept"), [(5.6, 5), (5.3, 5), (4.9, 5), (4.2, 5), (9.0, 0)])
def test_rounding_to_levels_does_not_undo_an_attack(met, kept):
    """The score, that of the level, falls off a cliff beyond 5.8 of them: the nearest to 5.6 is past it, the
    nearest to 4.2 is not the best, and from 9 there is nothing but the picture itself."""

    def cliff(dist, ref):
        level = 255 * (dist - ref)
        return torch.where(level > 5.8, level - 20, level).mean((1, 2, 3))

    ref = torch.full((1, 3, 4, 4), 100 / 255)
    goal = Goal(cliff, ref, torch.ones(1))
    found = best_on_levels(goal, ref + met / 255, ref, 10 / 255)
    torch.testing.assert_close(255 * (found - ref), torch.full_like(ref, kept), atol=1e-3, rtol=0)


def test_autoattack_climbs_by_every_form_of_a_gradient():
    dist, ref = pictures(2)
    score = linear(torch.randn(dist.shape[1:], generator=torch.Generator().manual_seed(1)))

    def hidden(dist, ref):
        return score(dist.detach(), ref) + 0 * dist.sum((1, 2, 3))

    attack = AutoAttack(apgd=APGD(steps=20), square=Square(queries=1))
    (best,) = create_attack("fgsm")(score, dist, ref, [0.03])
    for forms in ((hidden, score), (score, hidden)):
        (found,) = attack(Forms(forms), dist, ref, [0.03])
        torch.testing.assert_close(score(found, ref), score(best, ref))
    (found,) = attack(Forms((hidden,)), dist, ref, [0.03])
    assert (score(found, ref) < score(best, ref) - 1).all()


def test_a_stronger_part_is_another_attack(monkeypatch):
    """Or results that were kept of the weaker one would be taken for its own."""
    before = AutoAttack().settings()
    assert before["apgd"]["steps"] == 100
    monkeypatch.setattr(APGD, "revision", APGD.revision + 1)
    assert AutoAttack().settings() != before


def test_a_pattern_comes_back_from_beyond_its_budget():
    """Trained the wrong way until it is full, it still learns the right one."""
    dist, ref = pictures(1, height=8, width=8)
    score = linear(torch.ones(dist.shape[1:]))
    attack = UAP(side=8)
    turns = [-1.0] * 60 + [1.0] * 120

    def turning(dist, ref):
        # Asked twice in each step of the training, for the changed picture and the plain one.
        way = turns[min(calls[0] // 2, len(turns) - 1)]
        calls[0] += 1
        return way * score(dist, ref)

    calls = [0]
    attack.train(turning, [(dist, ref)] * len(turns), 1)
    (found,) = attack(score, dist, ref, [0.03])
    torch.testing.assert_close(found - dist, torch.full_like(dist, 0.03))


@pytest.mark.parametrize(
    "attack",
    [
        PGD(steps=7, restarts=2),
        CW(steps=9),
        Square(queries=30),
        FGSM(),
        AutoAttack(apgd=APGD(steps=6), square=Square(queries=20)),
    ],
    ids=lambda attack: attack.name,
)
def test_calls_are_about_those_that_are_made(attack):
    dist, ref = pictures(1)
    made = []

    def counted(dist, ref):
        made.append(1)
        return wavy(dist, ref)

    attack(counted, dist, ref, [0.03])
    assert abs(len(made) - attack.calls) <= 6


def test_zhang_spares_the_looks():
    dist, ref = pictures(1, 32, 32, low=0.45, high=0.55)
    seen = []
    for weight in (1e6, 0.0):
        attack = create_attack("zhang", steps=30, weight=weight, eight_bit=False)
        (attacked,) = attack(wavy, dist, ref, [0.1])
        both = (picture[0].numpy() for picture in (attacked, dist))
        seen.append(structural_similarity(*both, channel_axis=0, data_range=1))
    assert seen[0] > seen[1] + 0.02


def test_korhonen_and_you_change_busy_places():
    dist, ref = pictures(1, 32, 32)
    dist[..., :16] = 0.5
    (attacked,) = create_attack("korhonen")(wavy, dist, ref, [0.1])
    change = (attacked - dist).abs()
    assert change[..., :15].max() == 0
    assert change[..., 20:].mean() > 1e-3


# Trained attacks


def test_one_pattern_learns_the_worst_of_a_linear_metric():
    dist, ref, _ = _linear_case()
    weights = torch.randn((3, 8, 8), generator=torch.Generator().manual_seed(3)).repeat(1, 3, 3)[
        ..., :24, :20
    ]
    attack = UAP(side=8)
    gains = []
    attack.train(
        linear(weights), [pictures(seed=s) for s in range(60)], 1, lambda step, gain: gains.append(gain)
    )
    assert len(gains) == 60
    (attacked,) = attack(linear(weights), dist, ref, [0.02])
    gain = linear(weights)(attacked, ref) - linear(weights)(dist, ref)
    assert (gain > 0.95 * 0.02 * weights.abs().sum()).all()


def test_pictures_smaller_than_the_pattern_train_all_of_it():
    """On a metric that is the same everywhere, so that parts of the pattern can be told by their gain."""
    brightness = lambda dist, ref: dist.mean((1, 2, 3))  # noqa: E731
    attack = create_attack("uap", side=24)
    attack.train(brightness, (pictures(2, 10, 8, seed=step) for step in range(200)), 1)
    dist, ref = pictures(2, 40, 50, seed=999)
    (attacked,) = attack(brightness, dist, ref, [0.02])
    gain = (attacked - dist).mean((0, 1))
    assert gain.mean() > 0.95 * 0.02
    assert gain.min() > 0.5 * 0.02


def test_cw_moves_black_and_white_samples_too():
    dist, ref = pictures(2)
    dist[:, :, :8], dist[:, :, 8:16] = 0, 1
    change = torch.zeros_like(dist)
    for sign in ("up", "down"):
        (attacked,) = create_attack("cw")(lambda d, r: d.mean((1, 2, 3)), dist, ref, [8 / 255], sign)
        change += (attacked - dist).abs()
    for rows in (slice(0, 8), slice(8, 16)):
        assert change[:, :, rows].min() > 1 / 255
        # As the docstring says.
        assert change[:, :, rows].max() < 2.6 / 255


def test_cw_tells_where_kappa_holds_it_back():
    def attack(scale, **settings):
        create_attack("cw", **settings)(lambda d, r: scale * smooth(d, r), *pictures(2), [8 / 255])

    with pytest.warns(UserWarning, match="set kappa to their whole range"):
        attack(100)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        attack(100, kappa=100.0)
        attack(1)


def test_pictures_of_cw_start_as_they_are():
    dist, ref = pictures(2, low=0.0, high=1.0)
    (attacked,) = create_attack("cw", learning_rate=1e-9)(smooth, dist, ref, [8 / 255])
    torch.testing.assert_close(attacked, dist, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", [name for name, kind in ATTACKS.items() if kind.white_box])
def test_a_metric_without_a_gradient_is_named(name):
    detached = lambda dist, ref: dist.detach().mean((1, 2, 3))  # noqa: E731
    attack, (dist, ref) = create_attack(name), pictures(2)
    with pytest.raises(ValueError, match="carry no gradient"):
        attack.train(detached, [(dist, ref)], 1) if name in ("uap", "facpa") else attack(
            detached, dist, ref, [0.03]
        )


@EACH
def test_scores_in_a_column_are_attacked_as_scores_in_a_row(name):
    dist, ref = pictures(2)
    signs = torch.tensor([1.0, -1.0])
    column = lambda dist, ref: wavy(dist, ref)[:, None]  # noqa: E731
    attacked = [_attack(name)(metric, dist, ref, [8 / 255], signs)[0] for metric in (wavy, column)]
    assert torch.equal(*attacked)


@pytest.mark.parametrize("name", ["fgsm", "square"])
def test_one_score_for_a_whole_batch_is_refused(name):
    dist, ref = pictures(2)
    with pytest.raises(ValueError, match=r"gave \(\) for \d+ pictures"):
        create_attack(name)(lambda dist, ref: wavy(dist, ref).mean(), dist, ref, [8 / 255])


def test_a_trained_network_attacks_pictures_it_has_not_seen():
    attack = FACPA(width=8, depth=2, learning_rate=0.01)
    attack.train(smooth, [pictures(seed=s) for s in range(80)], 1)
    dist, ref = pictures(4, 30, 26, seed=99)
    gain, most = (
        smooth(attacking(smooth, dist, ref, [8 / 255])[0], ref) - smooth(dist, ref)
        for attacking in (attack, create_attack("fgsm"))
    )
    assert (gain > 0.3 * most).all()


@pytest.mark.parametrize("name", ["uap", "facpa"])
def test_an_untrained_one_says_so(name):
    dist, ref = pictures(1)
    with pytest.raises(ValueError, match=r"not trained to push scores up: call train"):
        create_attack(name)(wavy, dist, ref, [0.03], "up")


def test_training_leaves_the_random_state_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    FACPA(width=4, depth=2).train(wavy, [pictures()], 1)
    assert torch.equal(torch.rand(3), expected)


# The product's own metric


def test_on_birqa_pgd_gains_more_than_fgsm_and_random_noise_nothing_like_it():
    metric = load_module(find_model("birqa"))
    ref = torch.rand((2, 3, 80, 72), generator=torch.Generator().manual_seed(0))
    ref = torch.nn.functional.avg_pool2d(ref, 5, 1, 2)
    dist = (ref + 0.05 * torch.randn(ref.shape, generator=torch.Generator().manual_seed(1))).clamp(0, 1)
    with torch.no_grad():
        clean = metric(dist, ref)
        gains = {
            name: (metric(create_attack(name)(metric, dist, ref, [8 / 255])[0], ref) - clean).mean()
            for name in ("fgsm", "pgd")
        }
        noise = 8 / 255 * torch.randn(ref.shape, generator=torch.Generator().manual_seed(2)).sign()
        by_chance = (metric((dist + noise).clamp(0, 1), ref) - clean).mean()
    assert gains["pgd"] >= gains["fgsm"]
    assert gains["pgd"] > by_chance.abs() + 0.01


# Directions, rounding, errors


def test_bidirectional_is_not_led_astray_by_scores_that_are_not_finite():
    quality = torch.tensor([30.0, 50.0, float("inf"), 20.0, float("nan")])
    assert bidirectional(quality).tolist() == [1, -1, -1, 1, 1]


def test_bidirectional_pushes_good_ones_down_and_bad_ones_up():
    assert bidirectional(torch.tensor([0.9, 0.1, 0.8, 0.3])).tolist() == [-1, 1, -1, 1]


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0.001, 0.2))
def test_rounding_stays_within_the_budget(dist, wanted, budget):
    before = torch.tensor([dist], dtype=torch.float32)
    after = torch.tensor([min(max(wanted, dist - budget), dist + budget)], dtype=torch.float32).clamp(0, 1)
    rounded = round_to_levels(after, before, budget)
    assert (rounded - before).abs() <= budget + SLACK
    assert torch.equal(rounded, before) or (rounded * 255 - (rounded * 255).round()).abs() < 1e-3


def test_wrong_input_is_told():
    dist, ref = pictures(2)
    attack = create_attack("fgsm")
    with pytest.raises(ValueError, match=r"8/255, not 8"):
        attack(wavy, dist, ref, [8])
    with pytest.raises(ValueError, match=r"divide 0..255 data by 255"):
        attack(wavy, dist * 255, ref, [0.1])
    with pytest.raises(ValueError, match=r"must be RGB"):
        attack(wavy, dist, ref[:1], [0.1])
    with pytest.raises(ValueError, match=r"'up', 'down' or signs"):
        attack(wavy, dist, ref, [0.1], "sideways")
    with pytest.raises(ValueError, match=r"a sign, 1 or -1, for each of the 2"):
        attack(wavy, dist, ref, [0.1], torch.tensor([1.0, 0.0]))
    with pytest.raises(ValueError, match=r"no attack 'deepfool'; choose from honest"):
        create_attack("deepfool")
    with pytest.raises(ValueError, match=r"pgd has no setting 'stepz'; it has seed"):
        create_attack("pgd", stepz=3)
    with pytest.raises(ValueError, match=r"pgd: steps='many' should be like 10"):
        create_attack("pgd", steps="many")
    with pytest.raises(ValueError, match=r"pgd has no setting 'name'"):
        create_attack("pgd", name="fgsm")
    with pytest.raises(ValueError, match=r"autoattack: stretches=\['a'\] should be like"):
        create_attack("autoattack", stretches=["a"])
    with pytest.raises(ValueError, match=r"1 \(up\) or -1 \(down\)"):
        UAP().train(wavy, [], 0)


@pytest.mark.parametrize(
    ("name", "setting", "value"),
    [
        *[("pgd", "step", value) for value in (-0.01, float("inf"))],
        *[("square", "p_init", value) for value in (-1.0, 1.5)],
        *[("facpa", setting, 0) for setting in ("width", "depth")],
        *[("parsimonious", setting, 0) for setting in ("block", "batch", "blocks_at_once")],
        ("pgd", "steps", True),
        ("uap", "side", 0),
        ("uap", "train_budget", -1.0),
        ("cw", "learning_rate", 0.0),
        ("pgd", "seed", 10**20),
    ],
)
def test_settings_that_cannot_be_are_told(name, setting, value):
    with pytest.raises(ValueError, match=f"{name}: {setting}={value} should"):
        create_attack(name, **{setting: value})


@pytest.mark.parametrize("setting", ["steps", "queries", "restarts"])
def test_an_attack_that_would_do_nothing_is_refused(setting):
    having = [name for name in ATTACKS if setting in create_attack(name).settings()]
    assert having
    for name in having:
        assert getattr(create_attack(name, **{setting: 1}), setting) == 1
        for value in (0, -1):
            with pytest.raises(ValueError, match=f"^{name}: {setting}={value} should be at least 1.$"):
                create_attack(name, **{setting: value})
    with pytest.raises(ValueError, match="steps=0 should be at least 1"):
        replace(PGD(), steps=0)


def test_parts_of_an_attack_are_held_to_the_same():
    with pytest.raises(ValueError, match="apgd: restarts=0 should be at least 1"):
        create_attack("autoattack", apgd={"restarts": 0})
    with pytest.raises(ValueError, match="square: queries=-5 should be at least 1"):
        create_attack("autoattack", square={"queries": -5})


# Agreement with a library


def _as_classifier(lead=0.0):
    """Logits (s + lead, -s): lowering the probability of class 0 is lowering s."""

    class Classifier(torch.nn.Module):
        def forward(self, pictures):
            score = torch.sin(30 * pictures).mean((1, 2, 3)) * 4
            return torch.stack([score + lead, -score], 1)

    return Classifier(), lambda dist, ref: torch.sin(30 * dist).mean((1, 2, 3)) * 4


@pytest.mark.parametrize("name", ["fgsm", "ifgsm"])
def test_agrees_with_torchattacks(name):
    torchattacks = pytest.importorskip("torchattacks")
    model, metric = _as_classifier()
    dist, ref = pictures(3)
    labels = torch.zeros(3, dtype=torch.long)
    if name == "fgsm":
        ours, theirs = create_attack("fgsm"), torchattacks.FGSM(model, eps=0.03)
    else:
        ours = replace(create_attack("ifgsm"), steps=7, step=0.01, keep_best=False)
        theirs = torchattacks.PGD(model, eps=0.03, alpha=0.01, steps=7, random_start=False)
    (attacked,) = ours(metric, dist, ref, [0.03], "down")
    torch.testing.assert_close(attacked, theirs(dist, labels), atol=1e-6, rtol=0)


def test_square_is_as_strong_as_that_of_torchattacks():
    torchattacks = pytest.importorskip("torchattacks")
    # Theirs stops where class 0 is lost, which the lead puts where 300 queries reach about two thirds.
    model, metric = _as_classifier(lead=1.3)
    dist, ref = pictures(12)
    theirs = torchattacks.Square(model, eps=0.05, n_queries=300, p_init=0.8, loss="margin", seed=0)
    (attacked,) = create_attack("square", queries=300)(metric, dist, ref, [0.05], "down")
    lost = int((metric(theirs(dist, torch.zeros(12, dtype=torch.long)), ref) < -0.65).sum())
    assert lost > 4
    assert int((metric(attacked, ref) < -0.65).sum()) >= lost


def test_every_restart_has_a_seed():
    with pytest.raises(ValueError, match="should lie between"):
        create_attack("pgd", seed=2**63 - 1, restarts=2)
    dist, ref = pictures(1)
    create_attack("pgd", steps=1, seed=2**63 - 2, restarts=2)(wavy, dist, ref, [0.03])
