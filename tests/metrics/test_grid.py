"""Which grid of cells a pair is scored on: the rule by hand, both forms of it, and what it does to scores."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from birqa.engines.torch import to_tensor
from birqa.grid import ALIKE, CORNER, LOOKED_AT, LUMA, MUCH_MORE, bands, choose_grid, find_grid, margins
from birqa.network.birqa import find_grids

SHRINKS = st.sampled_from([2, 3, 4])


def _halved(photograph, down=Image.Resampling.BOX, up=Image.Resampling.NEAREST):
    image = Image.fromarray(photograph)
    return np.array(image.resize((image.width // 2, image.height // 2), down).resize(image.size, up))


def test_another_grid_is_taken_where_cells_differ_much_more_there():
    assert choose_grid(np.array([[1.0, 1.2], [0.5, MUCH_MORE]])) == CORNER
    assert choose_grid(np.array([[1.0, 1.2], [0.5, 1.01 * MUCH_MORE]])) == (1, 1)
    assert choose_grid(np.array([[0.0, 3.0], [2.0, 3.0 * (1 + ALIKE / 2)]])) == (0, 1)
    assert choose_grid(np.zeros((2, 2))) == CORNER


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(9, 33), st.integers(9, 33), SHRINKS)
def test_both_forms_find_the_grid_that_plain_means_find(seed, height, width, shrink):
    rng = np.random.default_rng(seed)
    ref = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    # Cells of one grid hold the mean of the reference, so that others differ more.
    top, left = rng.integers(0, shrink, 2)
    dist = ref.copy()
    for row in range(top, height - shrink + 1, shrink):
        for column in range(left, width - shrink + 1, shrink):
            cell = ref[row : row + shrink, column : column + shrink]
            dist[row : row + shrink, column : column + shrink] = np.rint(cell.mean((0, 1)))
    change = (dist.astype(float) - ref) @ LUMA
    means = np.zeros((shrink, shrink))
    for grid in np.ndindex(shrink, shrink):
        cells = [
            change[row : row + shrink, column : column + shrink].mean()
            for row in range(grid[0], height - shrink + 1, shrink)
            for column in range(grid[1], width - shrink + 1, shrink)
        ]
        means[grid] = np.mean(np.square(cells))
    expected = choose_grid(means)
    assert find_grid(dist, ref, shrink) == expected
    assert find_grids(to_tensor(dist), to_tensor(ref), shrink) == [expected]
    assert find_grid(dist / np.float32(255), ref, shrink) == expected


@given(st.integers(1, 5000), st.integers(32, 5000), SHRINKS)
def test_bands_begin_with_whole_cells_and_are_about_as_many_pixels_as_asked(height, width, shrink):
    found = bands((height, width), shrink)
    assert all(band.start % shrink == 0 for band in found)
    assert all(band.stop <= height for band in found)
    seen = sum(band.stop - band.start for band in found) * width
    assert seen == height * width if height * width <= LOOKED_AT else seen <= 1.5 * LOOKED_AT


def test_a_large_picture_gets_the_grid_of_its_parts(photographs):
    ref = np.tile(photographs[0], (9, 8, 1))
    assert ref.shape[0] * ref.shape[1] > LOOKED_AT
    dist = _halved(ref)
    assert find_grid(dist, ref, 2) == find_grid(dist[:96, :128], ref[:96, :128], 2) == (1, 1)
    assert find_grids(to_tensor(dist), to_tensor(ref), 2) == [(1, 1)]
    assert find_grid(dist[1:, 1:], ref[1:, 1:], 2) == CORNER


@given(st.integers(4, 40), st.integers(4, 40), SHRINKS, st.data())
def test_margins_fill_up_to_whole_cells_that_begin_where_the_grid_does(height, width, shrink, data):
    grid = tuple(data.draw(st.integers(0, shrink - 1)) for _ in range(2))
    above, below, left, right = margins(grid, (height, width), shrink)
    assert (above + height + below) % shrink == (left + width + right) % shrink == 0
    assert (above + grid[0]) % shrink == (left + grid[1]) % shrink == 0
    assert max(above, below, left, right) < shrink


@pytest.mark.parametrize("name", ["birqa.kadid", "birqa.kadid-aat", "birqa.kadid-tid", "birqa.lite"])
def test_a_doubled_picture_scores_alike_wherever_it_is_cut(photographs, metric_of, name):
    ref = photographs[0]
    dist = _halved(ref)
    for engine in ("onnx", "torch"):
        metric = metric_of(name, engine)
        scores = [float(metric(dist[at:, at:], ref[at:, at:])[0]) for at in (0, 1)]
        assert abs(scores[0] - scores[1]) < 0.05
        assert max(scores) < 0.8


def test_a_batch_is_scored_as_its_pictures_are(photographs, metric_of):
    ref = photographs[0]
    pairs = [(_halved(ref), ref), (ref // 2, ref), (_halved(ref)[1:, 1:], ref[1:, 1:])]
    height, width = pairs[-1][0].shape[:2]
    dist, ref = (torch.cat([to_tensor(pair[side][:height, :width]) for pair in pairs]) for side in (0, 1))
    assert len(set(find_grids(dist, ref, 2))) > 1
    module = metric_of("birqa.kadid", "torch").engine.module
    together = module(dist, ref, levels=True)
    alone = torch.cat(
        [module(one[None], other[None], levels=True) for one, other in zip(dist, ref, strict=True)]
    )
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)
    with pytest.raises(ValueError, match="explain them one by one"):
        module.explain(dist, ref)


@pytest.mark.parametrize("engine", ["onnx", "torch"])
def test_the_map_of_another_grid_lies_where_the_picture_does(photographs, metric_of, engine):
    ref = photographs[0]
    dist = ref.copy()
    dist[:, 80:] = _halved(ref)[:, 80:]
    assert find_grid(dist, ref, 2) == (1, 1)
    quality = metric_of("birqa.kadid", engine).explain(dist, ref).quality_map
    assert quality.shape == ref.shape[:2]
    assert quality[:, :32].min() > 0.99
    assert quality[:, 112:].max() < 0.95
