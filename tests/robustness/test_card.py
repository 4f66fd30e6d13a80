"""Robustness cards: figures against scores made by hand, going on after a break, subsets, the leaderboard."""

import json
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import spearmanr

from birqa.attacks import ATTACKS, create_attack
from birqa.attacks.base import Attack
from birqa.attacks.subjects import Subject
from birqa.pairing import Pair
from birqa.ratings import RatedPair
from birqa.robustness import card as cards_module
from birqa.robustness.card import _out_of_order
from birqa.robustness.leaderboard import comparable, load_card, write_page
from birqa.robustness.protocol import Protocol, load_protocol
from birqa.robustness.purification import purified
from birqa.robustness.subset import stratified

make_card = partial(cards_module.make_card, resamples=20)
BUDGETS = (4 / 255, 8 / 255)
LEVELS = (20, 50, 80, 110, 140, 170)


@pytest.fixture
def rated(tmp_path):
    """Two references with three grey pictures each; the brighter, the better rated."""
    pairs = []
    for number, level in enumerate(LEVELS):
        ref, dist = tmp_path / f"ref{number // 3}.png", tmp_path / f"dist{number}.png"
        Image.fromarray(np.full((40, 48, 3), 128, np.uint8)).save(ref)
        Image.fromarray(np.full((40, 48, 3), level, np.uint8)).save(dist)
        pairs.append(RatedPair(ref, dist, level / 200, "test", str(number % 3), "1"))
    return pairs


def _brightness(dist, ref):
    return dist.mean((1, 2, 3))


def _half(dist, ref):
    """Half as easily moved, on another scale."""
    return 3 * (0.5 * dist.mean((1, 2, 3)) + 0.5 * torch.round(255 * dist.mean((1, 2, 3)) / 30) * 30 / 255)


def _subject(metric, name="brightness"):
    return Subject(name, "1", metric, {"plain": metric}, (0.0, 1.0))


@pytest.fixture
def protocol():
    return Protocol((create_attack("fgsm", eight_bit=True),), BUDGETS, 8 / 255, pairs=0)


def test_figures_by_hand(rated, protocol, tmp_path):
    card = make_card(_subject(_brightness), "greys", rated, protocol, tmp_path / "kept.jsonl")
    assert card["clean"]["srocc"] == pytest.approx(1)
    assert card["clean"]["two_afc"] == 1
    (attack,) = card["attacks"]
    at = attack["budgets"][1]
    assert at["headline"]
    # FGSM on brightness adds or takes the budget everywhere.
    assert at["up"]["gain"] == pytest.approx(8 / 255, abs=1e-6)
    assert at["down"]["gain"] == pytest.approx(8 / 255, abs=1e-6)
    assert at["bidirectional"]["srocc"] == pytest.approx(1)
    assert at["two_afc"] == 1
    # On the scale of the ratings, level / 200, changes are 255 / 200 times those of the scores.
    mean = (0 + 4 / 255) / 2 * 4 / 8 + (4 / 255 + 8 / 255) / 2 * 4 / 8
    assert attack["integral_change"] == pytest.approx(mean * 255 / 200, rel=1e-3)
    assert card["sanity"]["scatter"] == 0
    (warning,) = card["warnings"]
    assert warning.startswith("pictures of 2 references only, where 5 are needed")


def test_ranks_and_choices_break_when_the_budget_passes_the_gaps(rated, protocol, tmp_path):
    wide = replace(protocol, budgets=(40 / 255,), headline=40 / 255)
    card = make_card(_subject(_brightness), "greys", rated, wide, tmp_path / "kept.jsonl")
    at = card["attacks"][0]["budgets"][0]
    pushed = np.array(LEVELS) + np.array([40, 40, 40, -40, -40, -40])
    assert at["bidirectional"]["srocc"] == pytest.approx(spearmanr(pushed, LEVELS).statistic)
    # 30 apart, both pushed by 40 towards each other: the wrong order; 60 apart as well.
    assert at["two_afc"] == 0
    low, high = at["bidirectional"]["srocc_interval"]
    assert low <= at["bidirectional"]["srocc"] <= high


def test_ir_score_is_that_of_the_base_on_the_scale_of_ratings(rated, protocol, tmp_path):
    base = _subject(_brightness)
    card = make_card(base, "greys", rated, protocol, tmp_path / "kept.jsonl", base)
    assert card["attacks"][0]["ir_score"] == pytest.approx(0)
    steady = Subject(
        "steady", "1", lambda dist, ref: _brightness(dist, ref).round(decimals=1), {"plain": _brightness}
    )
    card = make_card(steady, "greys", rated, protocol, tmp_path / "kept.jsonl", base)
    assert 0 < card["attacks"][0]["ir_score"] <= 1
    assert card["base"] == {"name": "brightness", "version": "1", "differentiated": "plain"}


def test_the_base_is_attacked_through_the_same_form_of_the_gradient(rated, protocol, tmp_path):
    misled = Subject(
        "brightness",
        "1",
        _brightness,
        {"plain": _brightness, "bare plain": lambda dist, ref: -_brightness(dist, ref)},
    )
    card = make_card(misled, "greys", rated, protocol, tmp_path / "kept.jsonl", misled, "bare plain")
    assert card["attacks"][0]["ir_score"] == pytest.approx(0)
    assert card["base"]["differentiated"] == "bare plain"
    bare = _subject(_brightness)
    card = make_card(misled, "greys", rated, protocol, tmp_path / "kept.jsonl", bare, "bare plain")
    assert card["base"]["differentiated"] == "plain"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda pairs: pairs[:2], "2 pairs with 2 different ratings: ranks need at least 3 pairs"),
        (lambda pairs: [replace(pair, mos=0.5) for pair in pairs], "6 pairs with 1 different ratings"),
    ],
)
def test_ratings_without_ranks_are_refused_before_any_attack(rated, protocol, tmp_path, change, message):
    def never(dist, ref):
        raise AssertionError("attacked")

    with pytest.raises(ValueError, match=message):
        make_card(_subject(never), "greys", change(rated), protocol, tmp_path / "kept.jsonl")


def test_a_purifier_that_is_drawn_anew_is_told(rated, protocol, tmp_path):
    for name, told in (("crop", True), ("blur", False)):
        subject = purified(_subject(_brightness), name)
        card = make_card(subject, "greys", rated, protocol, tmp_path / "kept.jsonl")
        found = [warning for warning in card["warnings"] if "drawn anew" in warning]
        assert bool(found) == told
        assert all(
            warning.startswith("crop is drawn anew for every picture, attacks follow the mean of 4")
            for warning in found
        )


def test_a_metric_without_gradients_has_a_card(rated, protocol, tmp_path):
    scored = Subject("brightness", "1", _brightness)
    plan = replace(protocol, attacks=(create_attack("square", queries=5),))
    card = make_card(scored, "greys", rated, plan, tmp_path / "kept.jsonl", scored)
    assert card["threat_model"]["differentiated"] == "nothing"
    assert card["sanity"]["zero_gradients"] == {}
    assert not any("gradients mislead" in warning for warning in card["warnings"])


def test_other_pictures_of_the_same_names_are_other_data(rated, protocol, tmp_path):
    first, again = (
        make_card(_subject(_brightness), "greys", rated, protocol, tmp_path / "kept.jsonl") for _ in range(2)
    )
    assert comparable([first, again]) == [[first, again]]
    Image.fromarray(np.full((40, 48, 3), 77, np.uint8)).save(rated[0].dist)
    other = make_card(_subject(_brightness), "greys", rated, protocol, tmp_path / "kept.jsonl")
    assert len(comparable([first, other])) == 2


def test_a_page_replaces_no_pictures_but_those_of_its_forerunner(rated, protocol, tmp_path):
    card = make_card(_subject(_brightness), "greys", rated, protocol, tmp_path / "kept.jsonl")
    mine = tmp_path / "page-1.png"
    mine.write_bytes(b"precious")
    with pytest.raises(ValueError, match=r"page-1\.png is there already and of no earlier page"):
        write_page([card], tmp_path / "page.md")
    assert mine.read_bytes() == b"precious"
    assert not (tmp_path / "page.md").exists()
    other = tmp_path / "other-2.png"
    other.write_bytes(b"precious")
    write_page([card], tmp_path / "other.md")
    write_page([card], tmp_path / "other.md")
    assert other.read_bytes() == b"precious"


def test_scores_outside_the_range_are_reported(rated, protocol, tmp_path):
    card = make_card(_subject(_half), "greys", rated, protocol, tmp_path / "kept.jsonl")
    assert any("outside its stated range" in warning for warning in card["warnings"])


class _Counting:
    """A metric that breaks off after so many calls."""

    def __init__(self, limit):
        self.calls, self.limit = 0, limit

    def __call__(self, dist, ref):
        self.calls += 1
        if self.calls > self.limit:
            raise KeyboardInterrupt
        return _brightness(dist, ref)


def test_a_broken_run_goes_on_where_it_was(rated, protocol, tmp_path, monkeypatch):
    monkeypatch.setattr("birqa.robustness.card.BATCH", 2)
    kept = tmp_path / "kept.jsonl"
    whole = make_card(_subject(_brightness), "greys", rated, protocol, tmp_path / "whole.jsonl")
    with pytest.raises(KeyboardInterrupt):
        make_card(_subject(_Counting(12)), "greys", rated, protocol, kept)
    assert kept.exists()
    # Half a line, as a kill may leave it.
    kept.write_text(kept.read_text() + '\n{"abc": 0.')
    counting = _Counting(10_000)
    card = make_card(_subject(counting), "greys", rated, protocol, kept)
    fresh = _Counting(10_000)
    make_card(_subject(fresh), "greys", rated, protocol, tmp_path / "other.jsonl")
    assert counting.calls < fresh.calls
    for one in (card, whole):
        del one["environment"]
    assert card == whole


def test_trained_attacks_need_pairs_and_are_trained_once_for_each_direction(
    rated, protocol, tmp_path, monkeypatch
):
    attack = create_attack("uap", eight_bit=True)
    trained = replace(protocol, attacks=(attack,), train_steps=2, train_crop=32)
    with pytest.raises(ValueError, match="uap is trained on other pictures first"):
        make_card(_subject(_brightness), "greys", rated, trained, tmp_path / "kept.jsonl")
    directions = []
    train = type(attack).train
    monkeypatch.setattr(
        type(attack), "train", lambda self, *given: directions.append(given[-1]) or train(self, *given)
    )
    pairs = [Pair(pair.ref, pair.dist) for pair in rated]
    for _ in range(2):
        make_card(_subject(_brightness), "greys", rated, trained, tmp_path / "kept.jsonl", train_pairs=pairs)
    assert directions == [1, -1]
    # Other seeds and other contents of the same files are other trainings.
    again = replace(trained, seed=5)
    make_card(_subject(_brightness), "greys", rated, again, tmp_path / "kept.jsonl", train_pairs=pairs)
    assert directions == [1, -1] * 2
    Image.fromarray(np.full((40, 48, 3), 9, np.uint8)).save(pairs[0].dist)
    rest = rated[1:]
    make_card(_subject(_brightness), "greys", rest, again, tmp_path / "kept.jsonl", train_pairs=pairs)
    assert directions == [1, -1] * 3


def test_the_crop_is_the_middle_on_the_grid_of_blocks(rated, protocol, tmp_path):
    seen = []

    def metric(dist, ref):
        seen.append(tuple(dist.shape[-2:]))
        return _brightness(dist, ref)

    make_card(_subject(metric), "greys", rated, replace(protocol, crop=32), tmp_path / "kept.jsonl")
    assert set(seen) == {(32, 32)}
    with pytest.raises(ValueError, match="48x40, smaller than the protocol's crop of 64"):
        make_card(_subject(metric), "greys", rated, replace(protocol, crop=64), tmp_path / "kept.jsonl")


def _many(refs=5, types=4, levels=3):
    return [
        RatedPair(Path(f"r{ref}"), Path(f"r{ref}_{kind}_{level}"), 0.5, "test", str(kind), str(level))
        for ref in range(refs)
        for kind in range(types)
        for level in range(levels)
    ]


@pytest.mark.parametrize("count", [5, 12, 20, 30])
def test_a_subset_is_spread_over_cells_and_references(count):
    chosen = stratified(_many(), count)
    assert len(chosen) == len(set(chosen)) == count
    cells = Counter((pair.type, pair.level) for pair in chosen)
    assert max(cells.values()) - (min(cells.values()) if len(cells) == 12 else 0) <= 1
    refs = Counter(pair.ref for pair in chosen)
    assert max(refs.values()) - min(refs.values()) <= 2
    assert chosen == stratified(_many(), count)
    assert stratified(_many(), 1000) == _many()


def test_a_protocol_from_a_file(tmp_path):
    path = tmp_path / "p.json"
    path.write_text(
        json.dumps(
            {
                "budgets": [2, 8],
                "headline": 8,
                "pairs": 9,
                "attacks": [
                    {"attack": "pgd", "steps": 3},
                    {"attack": "autoattack", "square": {"queries": 7}},
                ],
            }
        )
    )
    protocol = load_protocol(path)
    assert protocol.budgets == (2 / 255, 8 / 255)
    assert protocol.pairs == 9
    pgd, auto = protocol.attacks
    assert (pgd.steps, pgd.eight_bit, auto.square.queries) == (3, True, 7)
    assert all(isinstance(attack, Attack) for attack in Protocol().attacks)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"budgets": [2, 300]}', r"budgets=\[2, 300\] should be a list of numbers of 255ths"),
        ('{"budgets": [0.03]}', r"each from 0\.5 \(half a grey level; less changes nothing\) to 255"),
        ('{"budgets": []}', r"budgets=\[\] should be a list"),
        ('{"budgets": 5}', "budgets=5 should be a list"),
        ('{"budgets": ["2"]}', r"budgets=\['2'\] should be a list"),
        ('{"headline": "a"}', "headline='a' should be one of the budgets, such as 8 for 8/255"),
        ('{"attacks": ["fgsm"]}', r"attacks=\['fgsm'\] should be a list such as .*pgd"),
        ('{"attacks": {"attack": "fgsm"}}', "attacks={.*} should be a list such as"),
        ('{"attacks": [{"steps": 3}]}', "attacks=.* should be a list such as"),
        ('{"attacks": [{"attack": "pgd", "steps": 0}]}', "pgd: steps=0 should be at least 1"),
        ('{"pairs": "x"}', "pairs='x' should be like 75"),
        ('{"pairs": true}', "pairs=True should be like 75"),
        ('{"pairs": -1}', "pairs=-1 should not be below 0"),
        ('{"seed": -1}', "seed=-1 should not be below 0"),
        ('{"train_steps": -1}', "train_steps=-1 should not be below 0"),
        ('{"train_steps": null}', "train_steps=None should be like 200"),
        ('{"crop": -1}', "crop=-1 should be at least 32 pixels, or 0 for whole pictures"),
        ('{"crop": 31}', "crop=31 should be at least 32 pixels"),
        ('{"train_crop": 8}', "train_crop=8 should be at least 32 pixels"),
        ('{"domain": 3}', "domain=3 should be like 'quantile'"),
        ('{"headline": 3}', "one of the budgets"),
        ('{"attacks": []}', "at least one attack"),
        ('{"attacks": [{"attack": "pgd"}, {"attack": "pgd", "steps": 3}]}', "attacks has one of them twice"),
        ('{"attacks": [{"attack": "uap"}], "train_steps": 0}', "train_steps=0 would leave uap untrained"),
        ('{"budgets": [2, 8, 2]}', "budgets has one of them twice"),
        ('{"attacks": [{"attack": "magic"}]}', "no attack 'magic'"),
        ('{"pictures": 3}', "no field 'pictures'; it has attacks, budgets"),
        ("[]", "no protocol"),
        ("{", "no protocol"),
    ],
)
def test_a_wrong_protocol_is_said(tmp_path, text, complaint):
    path = tmp_path / "p.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=complaint) as caught:
        load_protocol(path)
    assert str(caught.value).startswith(str(path))


def test_what_a_protocol_in_python_cannot_be_is_said_too():
    with pytest.raises(ValueError, match="crop=16 should be at least 32"):
        replace(Protocol(), crop=16)
    smallest = replace(Protocol(), pairs=0, crop=0, train_crop=32, train_steps=0)
    assert (smallest.crop, smallest.train_crop) == (0, 32)


def test_the_leaderboard_puts_the_steadier_metric_first_and_keeps_groups_apart(rated, protocol, tmp_path):
    weak = lambda dist, ref: dist.mean((1, 2, 3)) + 8 * (dist - dist.round(decimals=1)).mean((1, 2, 3))  # noqa: E731
    cards = []
    for name, metric, plan in (
        ("weak", weak, protocol),
        ("steady", _brightness, protocol),
        ("steady", _brightness, replace(protocol, pairs=5)),
    ):
        card = make_card(
            Subject(name, "2 abc", metric, {"plain": metric}), "greys", rated, plan,
            tmp_path / "kept.jsonl", _subject(_brightness),
        )  # fmt: skip
        (tmp_path / f"{len(cards)}.json").write_text(json.dumps(card))
        cards.append(load_card(tmp_path / f"{len(cards)}.json"))
    page = tmp_path / "robustness.md"
    written = write_page(cards, page)
    text = page.read_text()
    assert [path.name for path in written] == ["robustness.md", "robustness-1.png", "robustness-2.png"]
    assert all(path.exists() for path in written)
    assert text.count("## greys: 6 pairs of 2 references, whole pictures") == 2
    assert text.index("| steady 2 |") < text.index("| weak 2 |")
    srocc = cards[0]["attacks"][0]["budgets"][1]["bidirectional"]["srocc"]
    assert f"{srocc:.3f}" in text.split("| weak 2 |")[1].split("\n")[0]
    write_page(cards[:2], page)
    assert sorted(path.name for path in tmp_path.glob("robustness-*.png")) == ["robustness-1.png"]


def test_the_yardstick_does_not_count_as_the_worst_attack(rated, protocol, tmp_path):
    fidelity = lambda dist, ref: -(dist - ref).abs().mean((1, 2, 3))  # noqa: E731
    ratings = [replace(pair, mos=-abs(level - 128) / 100) for pair, level in zip(rated, LEVELS, strict=True)]
    wide = replace(
        protocol, attacks=(create_attack("honest"), *protocol.attacks), budgets=(40 / 255,), headline=40 / 255
    )
    seeing = make_card(_subject(fidelity, "seeing"), "greys", ratings, wide, tmp_path / "kept.jsonl")
    honest, _ = seeing["attacks"]
    # Three pictures reach the reference, and the others leave it by as much: ranks turn, and rightly.
    assert honest["budgets"][0]["bidirectional"]["srocc"] < 0.5
    blind = json.loads(json.dumps(seeing))
    blind["metric"]["name"] = "blind"
    for card, seen, held in ((seeing, -1.0, 0.4), (blind, 1.0, 0.3)):
        for attack, value in zip(card["attacks"], (seen, held), strict=True):
            attack["budgets"][0]["bidirectional"]["srocc"] = value
    write_page([blind, seeing], tmp_path / "page.md")
    text = (tmp_path / "page.md").read_text()
    assert text.index("| seeing 1 |") < text.index("| blind 1 |")
    assert "honest is no attack" in text


def test_cards_of_one_set_stand_together_whatever_is_said_of_it(rated, protocol, tmp_path):
    cards = [
        make_card(_subject(_brightness, name), "greys", rated, protocol, tmp_path / "kept.jsonl", about=about)
        for name, about in (("one", ""), ("two", "Made here."), ("three", "Made  here.\n"), ("four", "Old."))
    ]
    assert len(comparable(cards)) == 1
    write_page(cards, tmp_path / "page.md")
    text = (tmp_path / "page.md").read_text()
    assert text.count("\nMade here.\n") == text.count("\nOld.\n") == 1
    (tmp_path / "damaged.json").write_text(json.dumps(cards[0] | {"about": 5}))
    with pytest.raises(ValueError, match=r"damaged\.json is no robustness card"):
        load_card(tmp_path / "damaged.json")


def test_attackers_that_know_less_have_a_table_of_their_own(rated, protocol, tmp_path):
    metric = Subject("two", "1", _brightness, {"plain": _brightness, "half": _half})
    cards = []
    for form in (None, "half"):
        cards.append(make_card(metric, "greys", rated, protocol, tmp_path / "kept.jsonl", form=form))
    write_page(cards, tmp_path / "page.md")
    text = (tmp_path / "page.md").read_text()
    assert text.count("## greys") == 2
    assert text.count("The attacker knows everything: weights and data.") == 1
    assert text.count("The attacker knows weights and data; follows the half gradient.") == 1


def test_the_sanity_check_looks_at_changed_pictures_where_there_are_some(rated, protocol, tmp_path):
    spans = lambda dist, ref: -(dist - ref).abs().mean((1, 2, 3))  # noqa: E731
    same = [replace(pair, dist=pair.ref) for pair in rated]
    card = make_card(_subject(spans), "greys", same[:3] + rated[3:], protocol, tmp_path / "kept.jsonl")
    assert card["sanity"]["pictures"] == 3
    assert card["sanity"]["zero_gradients"] == {"plain": 0}
    assert len(cards_module._changed_pictures(same, 0)[0]) == 1


def test_attacked_scores_outside_the_range_are_reported_too(rated, protocol, tmp_path):
    beyond = lambda dist, ref: 1.05 * dist.mean((1, 2, 3)) + 0.28  # noqa: E731
    bright = replace(rated[5], mos=0.9)
    card = make_card(_subject(beyond), "greys", [*rated[:5], bright], protocol, tmp_path / "kept.jsonl")
    clean = 1.05 * max(LEVELS) / 255 + 0.28
    assert clean < 1 < clean + 1.05 * 8 / 255
    assert "outside its stated range" in card["warnings"][0]


def test_what_is_no_card_is_said(tmp_path):
    path = tmp_path / "c.json"
    path.write_text("{}")
    with pytest.raises(ValueError, match="no robustness card"):
        load_card(path)
    path.write_text('{"format": 99}')
    with pytest.raises(ValueError, match="format 99, not 1"):
        load_card(path)
    path.write_text('{"format": 2, "kind": "birqa certificate: median smoothing"}')
    with pytest.raises(ValueError, match="no robustness card"):
        load_card(path)


def _without(card, *path):
    """A copy in which the field that the path leads to is missing."""
    copy = json.loads(json.dumps(card))
    part = copy
    for step in path[:-1]:
        part = part[step]
    del part[path[-1]]
    return copy


def test_a_card_that_the_page_cannot_be_made_of_is_no_card(rated, protocol, tmp_path):
    card = make_card(_subject(_brightness), "greys", rated, protocol, tmp_path / "kept.jsonl")
    path = tmp_path / "c.json"
    path.write_text(json.dumps(card))
    assert load_card(path) == json.loads(json.dumps(card))
    certificate = {"format": 1, "kind": "birqa certificate: median smoothing", "claim": {"score": 0.5}}
    incomplete = [
        *(_without(card, part) for part in ("metric", "data", "threat_model", "protocol", "clean")),
        *(_without(card, part) for part in ("attacks", "sanity", "warnings")),
        _without(card, "data", "references"),
        _without(card, "clean", "srocc_interval"),
        _without(card, "attacks", 0, "settings", "attack"),
        _without(card, "attacks", 0, "budgets", 0, "budget"),
        _without(card, "attacks", 0, "budgets", 1),
        _without(card, "attacks", 0),
        card | {"data": 3},
        card | {"attacks": None},
    ]
    for wrong in (certificate, *incomplete):
        path.write_text(json.dumps(wrong))
        with pytest.raises(
            ValueError, match=r"c.json is no robustness card: make one with birqa robustness\.$"
        ):
            load_card(path)


def _gaining(name, up, down):
    budgets = [
        {"budget": budget, "up": {"gain": gain}, "down": {"gain": other}}
        for budget, gain, other in zip((2 / 255, 8 / 255), up, down, strict=True)
    ]
    return {"settings": {"attack": name}, "budgets": budgets}


def test_attacks_that_are_weaker_than_they_should_be_are_told():
    weaker = [
        _gaining("honest", (0.1, 0.2), (0.1, 0.6)),
        _gaining("fgsm", (0.2, 0.4), (0.2, 0.4)),
        _gaining("pgd", (0.3, 0.3), (0.3, 0.5)),
        _gaining("cw", (0.1, 0.1), (0.1, 0.1)),
        _gaining("autoattack", (0.29, 0.5), (0.31, 0.5)),
    ]
    ending = ": it is not converged, and the metric holds less than it seems"
    assert _out_of_order(weaker) == [
        f"pgd gains less than fgsm at 8/255 up{ending}",
        f"every attack gains less than honest at 8/255 down{ending}",
    ]
    # Nearly as much is as much.
    assert _out_of_order(weaker[1:3])[0].startswith("pgd gains less")
    assert _out_of_order([weaker[1], weaker[4]]) == []
    weaker[4] = _gaining("autoattack", (0.2, 0.5), (0.31, 0.5))
    assert f"autoattack gains less than pgd at 2/255 up{ending}" in _out_of_order(weaker)


def test_a_page_says_that_attacks_have_become_stronger_since(rated, protocol, tmp_path):
    plan = replace(protocol, attacks=(create_attack("fgsm"), create_attack("pgd", steps=2)))
    card = make_card(_subject(_brightness), "toy", rated, plan, tmp_path / "kept.jsonl")
    for attack in card["attacks"]:
        attack["settings"].pop("revision", None)
    (tmp_path / "c.json").write_text(json.dumps(card))
    write_page([load_card(tmp_path / "c.json")], tmp_path / "robustness.md")
    page = (tmp_path / "robustness.md").read_text()
    assert ATTACKS["fgsm"].revision == 1 < ATTACKS["pgd"].revision
    assert "before these attacks became stronger: pgd." in page
