"""birqa robustness and birqa leaderboard: a card from a CSV, a page from cards, and what is refused."""

import json

import pytest

PROTOCOL = {
    "attacks": [{"attack": "fgsm"}, {"attack": "square", "queries": 3}],
    "budgets": [2, 8],
    "headline": 8,
}


@pytest.fixture
def rated(folder):
    """Three rated pairs and a protocol."""
    pairs = [("a.png", "a.webp", 0.8), ("b.png", "b.png", 0.5), ("c.png", "c.png", 0.2)]
    lines = [f"ref/{ref},dist/{dist},{mos}" for ref, dist, mos in pairs]
    (folder / "meta.csv").write_text("\n".join(["ref,dist,mos", *lines]) + "\n")
    (folder / "protocol.json").write_text(json.dumps(PROTOCOL))
    return folder


def _card(folder, name, metric, *more):
    return (
        *("robustness", metric, "--data", folder / "meta.csv", "--protocol", folder / "protocol.json"),
        *("-o", folder / name, *more),
    )


def test_a_card_and_a_page(cli, rated, tiny_model):
    told = "--name", "three", "--about", "They are made\n# again."
    answer = cli(*_card(rated, "tiny.json", tiny_model, "--base", tiny_model, *told))
    assert answer.code == 0
    card = json.loads((rated / "tiny.json").read_text())
    assert [attack["settings"]["attack"] for attack in card["attacks"]] == ["fgsm", "square"]
    assert card["attacks"][0]["ir_score"] == pytest.approx(0)
    assert card["threat_model"]["differentiated"] == "straight-through"
    printed = {line.split("\t")[0]: line.split("\t") for line in answer.out.splitlines()}
    srocc = card["attacks"][0]["budgets"][1]["bidirectional"]["srocc"]
    assert printed["fgsm"][1] == f"{srocc:.3f}"
    assert cli(*_card(rated, "flipped.json", tiny_model, "--purify", "flip", "--pairs", "3")).code == 0
    page = rated / "robustness.md"
    answer = cli("leaderboard", rated / "tiny.json", rated / "flipped.json", "-o", page)
    assert answer.code == 0
    assert answer.out.split() == [str(page), str(rated / "robustness-1.png"), str(rated / "robustness-2.png")]
    sections = page.read_text().split("\n## ")[1:]
    (three,) = (section for section in sections if section.startswith("three: 3 pairs of 3 references"))
    assert "\nThey are made # again.\n" in three
    assert "made # again" not in "".join(set(sections) - {three})
    assert "+ flip" in page.read_text()
    assert not list(rated.glob(".*"))


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (["--purify", "soap"], "no purifier 'soap'"),
        (["--gradient", "bare"], "no bare gradient"),
        (["--base", "nothing"], "no metric 'nothing'"),
    ],
)
def test_what_cannot_be_measured_is_said(cli, rated, tiny_model, more, complaint):
    answer = cli(*_card(rated, "card.json", tiny_model, *more))
    assert answer.code == 2
    assert complaint in answer.complaint
    assert not (rated / "card.json").exists()


def test_white_box_attacks_on_a_metric_without_gradients_are_refused_by_name(cli, rated):
    answer = cli(*_card(rated, "card.json", "torchmetrics:psnr"))
    assert answer.code == 2
    assert "fgsm needs: use a black-box attack (square, parsimonious)" in answer.complaint


def test_a_wrong_protocol_is_refused(rated, tiny_model, refuses):
    (rated / "protocol.json").write_text(json.dumps(PROTOCOL | {"budgets": [0.9, 8]}))
    refuses("a budget of 0.9/255 is below one grey level", *_card(rated, "card.json", tiny_model))
    (rated / "protocol.json").write_text(json.dumps(PROTOCOL | {"pairs": "x"}))
    refuses("protocol.json: pairs='x' should be like 75", *_card(rated, "card.json", tiny_model))


def test_a_leaderboard_needs_cards(cli, rated, refuses):
    (rated / "certificate.json").write_text('{"format": 1, "kind": "birqa certificate: median smoothing"}')
    refuses(
        "certificate.json is no robustness card",
        *("leaderboard", rated / "certificate.json", "-o", rated / "x.md"),
    )
    assert "no robustness card" in cli("leaderboard", rated / "protocol.json", "-o", rated / "x.md").complaint
    assert cli("leaderboard", rated / "ref", "-o", rated / "x.md").code == 2
