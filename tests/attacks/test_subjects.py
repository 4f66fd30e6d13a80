"""Metrics under attack by their specs."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch

import birqa
from birqa.attacks import create_attack
from birqa.attacks.fgsm import FGSM
from birqa.attacks.pgd import PGD
from birqa.attacks.square import Square
from birqa.attacks.subjects import EVERY_GRID, EXACT, GRADIENTS, Subject, load_subject
from birqa.engines.torch import load_module
from birqa.export import save_model
from birqa.network.birqa import BiRQA
from birqa.registry import find_model


@pytest.fixture(scope="module")
def tensors(photographs, damage):
    pictures = [damage("noise", photographs[0], 15), photographs[0]]
    return tuple(torch.from_numpy(x.copy()).permute(2, 0, 1)[None] / 255 for x in pictures)


def test_our_own_metric_has_its_scores_and_three_gradients(tensors, metric_of):
    subject = load_subject("birqa")
    assert subject.metric(*tensors).item() == pytest.approx(float(metric_of()(*tensors)), abs=1e-4)
    assert tuple(subject.surrogates) == (*GRADIENTS, EVERY_GRID)
    attack = create_attack("fgsm")
    assert subject.surrogate(attack) is subject.surrogates["straight-through"]
    assert subject.surrogate(attack, "soft") is subject.surrogates["soft"]
    assert subject.surrogate(create_attack("square"), "soft") is subject.metric
    with pytest.raises(ValueError, match="no bare gradient, only straight-through, soft, hard"):
        subject.surrogate(attack, "bare")


def test_a_worst_case_attack_follows_every_form_whose_scores_are_the_metrics_own(tensors):
    subject = load_subject("birqa")
    attack = create_attack("autoattack")
    assert subject.surrogate(attack).forms == tuple(subject.surrogates[form] for form in EXACT)
    assert subject.surrogate(attack, "soft") is subject.surrogates["soft"]
    assert subject.followed(attack) == "straight-through and hard"
    assert subject.followed(create_attack("pgd")) == "straight-through"
    for form in EXACT:
        assert torch.equal(subject.surrogates[form](*tensors), subject.metric(*tensors))


def test_the_mean_of_grids_does_not_jump_where_the_score_does():
    """Halved by nearest neighbour on another grid than the corner's: .7 of a change the score takes the
    corner's grid, at all of it the other."""
    model = find_model("birqa")
    module = load_module(model)
    ref = torch.rand((1, 3, 64, 64), generator=torch.Generator().manual_seed(0))
    pattern = torch.zeros_like(ref)
    # Cancels on the corner's cells, adds up on those one column further.
    pattern[..., 1::4], pattern[..., 2::4] = 0.1, 0.1
    pattern[..., 0::4], pattern[..., 3::4] = -0.1, -0.1
    plain = torch.full_like(pattern, 0.06)

    def scores(metric, share):
        return metric((0.3 + 0.4 * ref + share * pattern + (1 - share) * plain).clamp(0, 1), 0.3 + 0.4 * ref)

    shares = torch.linspace(0.2, 0.8, 61)
    with torch.no_grad():
        jumps = [
            max(
                abs(float(scores(metric, later) - scores(metric, earlier)))
                for earlier, later in pairwise(shares)
            )
            for metric in (module, module.mean_of_grids)
        ]
    assert jumps[0] > 4 * jumps[1]


def test_piq_is_oriented_and_differentiable(tensors):
    dist, ref = tensors
    subject = load_subject("piq:gmsd")
    assert subject.metric(ref, ref).item() > subject.metric(dist, ref).item()
    (pushed,) = create_attack("ifgsm", steps=3)(subject.surrogates["plain"], dist, ref, [4 / 255])
    assert subject.metric(pushed, ref) > subject.metric(dist, ref)
    both = torch.cat([dist, ref]), torch.cat([ref, ref])
    assert subject.metric(*both).shape == (2,)


@pytest.mark.parametrize("spec", ["-piq:gmsd", "-pyiqa:topiq_fr"])
def test_a_known_metric_is_not_turned_round(spec):
    with pytest.raises(ValueError, match=f"{spec}: which way {spec[1:]} counts is known"):
        load_subject(spec)


def test_the_configuration_is_part_of_what_tells_metrics_apart(tmp_path):
    model = find_model("birqa")
    floored = BiRQA(replace(model.config, feature_floor=16 / 255))
    floored.load_state_dict(load_module(model).state_dict())
    save_model(floored, tmp_path / "floored", name=model.name, version=model.version, card={})
    first, second = load_subject("birqa"), load_subject(tmp_path / "floored")
    assert (first.name, first.version) == (second.name, second.version)
    assert first.identity != second.identity


def test_a_callable_is_a_metric(tensors):
    subject = load_subject("-python:tests_metric_of_distance:distance")
    assert subject.metric(*tensors).item() == pytest.approx(-(tensors[0] - tensors[1]).abs().mean().item())


@pytest.fixture(autouse=True)
def distance_module(tmp_path, monkeypatch):
    (tmp_path / "tests_metric_of_distance.py").write_text(
        "def distance(dist, ref):\n    return (dist - ref).abs().mean((1, 2, 3))\n"
        "def whole(dist, ref):\n    return (dist - ref).abs().mean()\n"
        "def text(dist, ref):\n    return 'good'\n"
        "def outside(dist, ref):\n    return -abs(dist.numpy() - ref.numpy()).mean((1, 2, 3))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.parametrize(("name", "given"), [("whole", r"\(\)"), ("text", "str")])
def test_a_callable_that_gives_no_score_for_each_picture_is_told(tensors, name, given):
    dist, ref = (torch.cat([one, one]) for one in tensors)
    with pytest.raises(ValueError, match=f"the metric gave {given} for 2 pictures"):
        load_subject(f"python:tests_metric_of_distance:{name}").metric(dist, ref)


def test_a_callable_outside_torch_is_attacked_from_outside_alone(tensors):
    dist, ref = tensors
    subject = load_subject("python:tests_metric_of_distance:outside")
    for attack in (PGD(steps=1), FGSM()):
        with pytest.raises(ValueError, match=r"carry no gradient .* use a black-box attack \(square, pars"):
            attack(subject.surrogate(attack), dist, ref, [0.03], "down")
    square = Square(queries=4)
    (attacked,) = square(subject.surrogate(square), dist, ref, [0.03], "down")
    assert subject.metric(attacked, ref) < subject.metric(dist, ref)


def test_a_callable_is_known_by_its_text(tmp_path):
    module = tmp_path / "tests_metric_that_changes.py"
    module.write_text("def score(dist, ref):\n    return dist.mean((1, 2, 3))\n")
    before = load_subject("python:tests_metric_that_changes:score").identity
    assert load_subject("python:tests_metric_that_changes:score").identity == before
    module.write_text("def score(dist, ref):\n    return -dist.mean((1, 2, 3))\n")
    assert load_subject("python:tests_metric_that_changes:score").identity != before


@pytest.mark.parametrize("device", ["banana", "cuda:99"])
def test_a_device_that_is_not_there_is_told(device):
    with pytest.raises(ValueError, match=f"device='{device}' cannot be used"):
        load_subject("birqa", device)


def test_a_metric_without_gradients_names_the_attacks_that_are_left(tensors):
    subject = load_subject("torchmetrics:psnr")
    dist, ref = tensors
    assert subject.metric(dist, ref).item() == pytest.approx(
        -10 * torch.log10((dist - ref).square().mean()).item(), abs=1e-3
    )
    with pytest.raises(
        ValueError, match=r"cannot be differentiated, which pgd needs: .*square, parsimonious"
    ):
        subject.surrogate(create_attack("pgd"))
    (pushed,) = create_attack("square", queries=30)(
        subject.surrogate(create_attack("square")), dist, ref, [8 / 255]
    )
    assert subject.metric(pushed, ref) >= subject.metric(dist, ref)


def test_what_names_no_metric_is_said(tmp_path):
    with pytest.raises(ValueError, match="no metric 'nothing'"):
        load_subject("nothing")
    with pytest.raises(ValueError, match="piq:nothing is not known"):
        load_subject("piq:nothing")
    with pytest.raises(ValueError, match="has no callable nothing"):
        load_subject("python:tests_metric_of_distance:nothing")
    with pytest.raises(ValueError, match="scores files"):
        load_subject("csv:scores.csv")


def test_scores_outside_the_stated_range_are_told():
    subject = Subject("own", "1", lambda dist, ref: dist, range=(0.0, 1.0))
    assert subject.outside(torch.tensor([0.0, 1.0])) is None
    assert "from 0.2 to 1.4, outside its stated range 0 .. 1" in subject.outside(torch.tensor([0.2, 1.4]))
    assert "not finite" in subject.outside(torch.tensor([0.2, float("nan")]))
    assert birqa.create_metric("birqa").info.range == load_subject("birqa").range


def test_a_metric_without_gradients_is_told_by_the_version_of_its_package():
    torchmetrics = pytest.importorskip("torchmetrics")
    assert load_subject("torchmetrics:psnr").identity == f"torchmetrics:psnr {torchmetrics.__version__}"
