"""birqa metrics and birqa export."""

import json

import onnxruntime as ort

import birqa


def test_the_metrics_are_listed_with_their_meaning(cli):
    answer = cli("metrics", "--json")
    rows = json.loads(answer.out)
    assert (answer.code, answer.err) == (0, "")
    assert [row["metric"] for row in rows] == birqa.list_metrics()
    for row in rows:
        assert set(row) == {"metric", "default", "version", "kind", "range", "higher_is_better", "summary"}
        assert (row["range"], row["higher_is_better"]) == ([0, 1], True)
        assert row["kind"] in ("full-reference", "no-reference")
    defaults = [row["metric"] for row in rows if row["default"]]
    assert defaults == [name for name in birqa.list_metrics() if name in ("birqa.kadid", "blind.clive-kadid")]


def test_the_table_of_metrics_marks_the_default(cli):
    lines = cli("metrics").out.splitlines()
    assert [line.split()[0] for line in lines] == birqa.list_metrics()
    assert "birqa.kadid (default)" in "\n".join(lines)
    for line in lines:
        assert "-reference, 0..1, higher is better" in line


def test_export_writes_graphs_that_run_without_birqa(cli, tmp_path, tiny_model):
    out = tmp_path / "new" / "graphs"
    answer = cli("export", "--onnx", "-o", out, "--metric", tiny_model)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.split() == [str(out / "features.onnx"), str(out / "network.onnx")]
    assert len(list(out.iterdir())) == 2
    for name in ("features", "network"):
        session = ort.InferenceSession(out / f"{name}.onnx", providers=["CPUExecutionProvider"])
        outputs = [output.name for output in session.get_outputs()]
        assert outputs[0] == ("score" if name == "network" else "maps_0")


def test_export_refuses_what_it_cannot_write_or_find(refuses, tmp_path, tiny_model):
    (tmp_path / "file").write_text("")
    refuses(str(tmp_path / "file"), "export", "-o", tmp_path / "file", "--metric", tiny_model)
    refuses("there is no metric 'nothing'", "export", "-o", tmp_path / "out", "--metric", "nothing")
    refuses("--out", "export", "--metric", tiny_model)


def test_export_is_of_metrics_of_pairs(refuses, tmp_path, blind_model):
    refuses("blind.tiny scores single pictures", "export", "-o", tmp_path / "out", "--metric", blind_model)
