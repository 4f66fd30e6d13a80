"""The core without its extras: what works, what is not even imported, and what the rest says."""

import pytest
from PIL import Image

import birqa

# `None` in sys.modules makes an import fail as if the package were not installed.
BLOCKED = """
import sys
for name in {names}:
    sys.modules[name] = None
"""
TORCH = ["torch", "onnx", "scipy", "cv2", "skimage"]


@pytest.fixture
def without(python):
    """without(names, code): `code` in an interpreter that lacks the packages `names`."""

    def run(names, code, *arguments):
        return python("-c", BLOCKED.format(names=list(names)) + code, *arguments)

    return run


@pytest.fixture
def files(tmp_path, pair):
    """dist.png and ref.png, as strings."""
    paths = [tmp_path / "dist.png", tmp_path / "ref.png"]
    for path, picture in zip(paths, pair, strict=True):
        Image.fromarray(picture).save(path)
    return [str(path) for path in paths]


COMMAND = "import birqa.cli; birqa.cli.run()"


def test_importing_birqa_loads_nothing_heavy(python):
    done = python(
        "-c",
        "import sys, birqa; birqa.__version__; print(sorted({m.split('.')[0] for m in sys.modules} & "
        "{'numpy', 'PIL', 'onnxruntime', 'torch', 'scipy', 'onnx', 'typer', 'safetensors', 'cv2'}))",
    )
    assert (done.stdout, done.stderr, done.returncode) == ("[]\n", "", 0)


def test_help_loads_nothing_heavy(python):
    done = python(
        "-c",
        "import sys; sys.argv = ['birqa', '--help']\nimport birqa.cli\n"
        "try:\n    birqa.cli.run()\nexcept SystemExit:\n    pass\n"
        "print(sorted({m.split('.')[0] for m in sys.modules} & "
        "{'onnxruntime', 'torch', 'scipy', 'onnx', 'cv2', 'skimage'}))",
    )
    assert done.stdout.endswith("[]\n")


def test_scoring_needs_and_loads_no_torch(python, without, files, metric_of):
    code = (
        "import sys, birqa; print(float(birqa.create_metric(threads=1)(*sys.argv[1:3])[0]), "
        "birqa.create_metric().explain(*sys.argv[1:3]).quality_map.shape, sys.modules.get('torch'))"
    )
    expected = f"{float(metric_of()(*files)[0])} (96, 128) None\n"
    for done in (without(TORCH, code, *files), python("-c", code, *files)):
        assert (done.stdout, done.stderr) == (expected, "")


def test_the_command_line_scores_maps_and_lists_without_torch(without, files, tmp_path, metric_of):
    code = (
        "import birqa.cli\n"
        "for line in (['score', ref, dist], ['map', ref, dist, '-o', out], ['metrics']):\n"
        "    sys.argv = ['birqa', *line]\n"
        "    try:\n        birqa.cli.run()\n"
        "    except SystemExit as done:\n        print('exit', done.code or 0)\n"
    )
    out = str(tmp_path / "sheet.png")
    code = f"dist, ref, out = {files[0]!r}, {files[1]!r}, {out!r}\n" + code
    done = without(TORCH, code)
    assert (done.stderr, done.stdout.count("exit 0\n")) == ("", 3)
    score = f"{float(metric_of()(*files)[0]):.4f}"
    assert f"{score}\t{files[0]}\t{files[1]}\n" in done.stdout
    assert f"{score}\t{out}\n" in done.stdout


def test_single_pictures_are_scored_and_certified_without_torch(
    without, files, tmp_path, blind_model, denoiser_model
):
    use = ["--metric", str(blind_model)]
    rest = ["--denoiser", str(denoiser_model), "--samples", "20", "--confidence", "0.6", "--radius", "0.01"]
    certificate = str(tmp_path / "certificate.json")
    lines = [
        ["blind", files[0], *use],
        ["certify", files[0], *use, *rest, "-o", certificate],
        ["verify", certificate, files[0], *use, *rest[:2], "--redraw", "2"],
    ]
    code = (
        "import birqa.cli\n"
        f"for line in {lines!r}:\n"
        "    sys.argv = ['birqa', *line]\n"
        "    try:\n        birqa.cli.run()\n"
        "    except SystemExit as done:\n        print('exit', done.code or 0)\n"
    )
    done = without(TORCH, code)
    assert (done.stderr, done.stdout.count("exit 0\n")) == ("", 3)
    score = float(birqa.create_metric(blind_model, threads=1)(files[0])[0])
    assert done.stdout.startswith(f"{score:.4f}\t{files[0]}\n")
    assert "2 of 20 draws came out again" in done.stdout


@pytest.mark.parametrize(
    "code",
    [
        "birqa.create_metric(engine='torch')",
        "birqa.create_metric(grad=True)",
        "birqa.create_metric(device='cuda')",
        "birqa.BiRQALoss()",
    ],
)
def test_what_needs_torch_says_how_to_get_it(without, code):
    done = without(
        ["torch"],
        f"import birqa\ntry:\n    {code}\nexcept ImportError as error:\n    print(error)\n",
    )
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1
    assert 'pip install "birqa[torch]"' in done.stdout


@pytest.mark.parametrize(
    ("lacking", "extra", "arguments"),
    [
        (["torch"], "birqa[torch]", ["score", "REF", "DIST", "--engine", "torch"]),
        (["torch"], "birqa[torch]", ["train", "--data", "META", "-o", "OUT"]),
        (["onnx"], "birqa[torch]", ["train", "--data", "META", "-o", "OUT"]),
        (["torch"], "birqa[torch]", ["train-blind", "--data", "META", "-o", "OUT"]),
        (["torch"], "birqa[torch]", ["train-denoiser", "--data", "META", "-o", "OUT"]),
        (["torch"], "birqa[torch]", ["export", "-o", "OUT"]),
        (["onnx"], "birqa[torch]", ["export", "-o", "OUT"]),
        (["cv2"], "birqa[data]", ["data", "kadid", "OUT", "-o", "OUT", "--ratings", "META"]),
        (["cv2"], "birqa[data]", ["data", "tid2013", "OUT", "-o", "OUT", "--ratings", "META"]),
        (["scipy"], "birqa[eval]", ["eval", "META"]),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else None,
)
def test_commands_that_need_an_extra_say_which(without, files, tmp_path, lacking, extra, arguments):
    meta = tmp_path / "meta.csv"
    meta.write_text("ref,dist,mos\n" + "".join(f"ref.png,dist.png,{mos}\n" for mos in (1, 2, 3)))
    names = {"REF": files[1], "DIST": files[0], "META": str(meta), "OUT": str(tmp_path / "out")}
    done = without(lacking, COMMAND, *(names.get(argument, argument) for argument in arguments))
    assert done.returncode == 2
    assert done.stderr.startswith("birqa: ")
    assert done.stderr.count("\n") == 1
    assert f'pip install "{extra}"' in done.stderr
    assert done.stdout == ""
    assert not (tmp_path / "out").exists()


def test_missing_scipy_is_said_before_anything_is_scored(without, files, tmp_path):
    meta = tmp_path / "meta.csv"
    meta.write_text("ref,dist,mos\n" + "".join(f"ref.png,dist.png,{mos}\n" for mos in (1, 2, 3)))
    code = "import birqa.batch\nbirqa.batch.score_pairs = lambda *_: print('scored in vain') or iter(())\n"
    done = without(["scipy"], code + COMMAND, "eval", str(meta))
    assert done.stdout == ""
    assert "birqa[eval]" in done.stderr
