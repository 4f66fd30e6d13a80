"""What the README says of figures is what was measured."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"


def measured(name):
    return json.loads((RESULTS / f"{name}.json").read_text())


def card_of(name):
    return json.loads((ROOT / "src" / "birqa" / "weights" / name / "model.json").read_text())


def readme():
    return re.sub(r"\s+", " ", (ROOT / "README.md").read_text())


def rounded(value):
    return f"{value:.3f}".lstrip("0")


def test_accuracy():
    srocc = {one["metric"]: one["srocc"] for one in measured("tid2013")["agreements"]}
    ours, vsi = (rounded(srocc[name]) for name in ("birqa.kadid", "piq:vsi"))
    assert f"its SROCC with people is {ours}, above VSI ({vsi})" in readme()


def test_what_a_certificate_costs():
    plain = rounded(card_of("blind.clive")["card"]["validation"]["srocc"])
    smoothed = measured("certificates")["sigma"]
    low, high = (rounded(smoothed[sigma]["accuracy"]["DMS+rank"]["srocc"]) for sigma in ("0.12", "0.25"))
    said = (
        f"the plain score's SROCC is {plain}, that of the smoothed one {low} at sigma .12 and {high} at .25"
    )
    assert said in readme()


def test_the_range_beside_a_score():
    radius = card_of("birqa.kadid")["interval"]["radius"]
    assert f"{min(radius):.2f} to {max(radius):.2f} to each side".replace("0.", ".") in readme()
