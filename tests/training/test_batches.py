from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from birqa.pairing import Pair
from birqa.ratings import RatedPair
from birqa.training.batches import BatchSampler, unrated_batches
from birqa.training.steps import known_step

HEIGHT, WIDTH, CROP = 61, 76, 32
COLUMN, ROW, IDENTITY = range(3)


@pytest.fixture
def pairs(tmp_path):
    """Three references that spell each pixel's column, row and picture; every distorted one is a negative."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    pairs = []
    for reference in range(3):
        picture = np.stack([columns, rows, np.full_like(rows, reference)], axis=2).astype(np.uint8)
        ref = tmp_path / f"ref{reference}.png"
        Image.fromarray(picture).save(ref)
        for copy in range(2):
            dist = tmp_path / f"dist{reference}{copy}.png"
            Image.fromarray(255 - picture).save(dist)
            pairs.append(RatedPair(ref, dist, reference + copy / 4, "train"))
    return pairs


def sampler(pairs, batch=6, references=3, seed=5):
    return BatchSampler(pairs, batch, references, CROP, seed)


def eight_bit(planes):
    return np.rint(255 * planes).astype(np.uint8)


def crops(sampler, steps):
    return eight_bit(np.concatenate([sampler(step).ref for step in range(steps)]))


def test_arrays_have_the_shape_and_type_that_the_trainer_needs(pairs):
    batch = sampler(pairs)(0)
    for pictures in (batch.dist, batch.ref):
        assert (pictures.shape, pictures.dtype) == ((6, 3, CROP, CROP), np.float32)
        assert pictures.flags.c_contiguous
    assert (batch.mos.shape, batch.mos.dtype) == ((6,), np.float32)


def test_a_batch_depends_on_seed_and_step_alone(pairs):
    first, second = sampler(pairs), sampler(pairs)
    in_order = [first(step) for step in range(3)]
    for step in (2, 0, 1):
        again = second(step)
        for name in ("dist", "ref", "mos"):
            np.testing.assert_array_equal(getattr(again, name), getattr(in_order[step], name))
    assert not np.array_equal(in_order[0].ref, in_order[1].ref)
    assert not np.array_equal(sampler(pairs, seed=6)(0).ref, in_order[0].ref)


def test_both_pictures_get_the_same_crop_and_flips(pairs):
    for step in range(10):
        batch = sampler(pairs)(step)
        np.testing.assert_array_equal(eight_bit(batch.dist), 255 - eight_bit(batch.ref))


def test_crops_are_whole_and_start_on_the_block_grid_inside_the_picture(pairs):
    corners = set()
    for crop in crops(sampler(pairs), 40):
        top, left = crop[ROW].min(), crop[COLUMN].min()
        assert np.unique(crop[ROW]).tolist() == list(range(top, top + CROP))
        assert np.unique(crop[COLUMN]).tolist() == list(range(left, left + CROP))
        corners.add((int(top), int(left)))
    # Every corner that fits in 61 x 76 is used, the last ones too.
    assert corners == {(top, left) for top in range(0, 30, 8) for left in range(0, 45, 8)}


def test_all_eight_flips_and_turns_occur_and_nothing_else(pairs):
    orientations = set()
    for crop in crops(sampler(pairs), 20):
        relative = crop[:2].astype(int) - crop[:2].min((1, 2), keepdims=True)
        columns, rows = relative
        turned = columns[0, 0] == columns[0, 1]
        down, right = (columns, rows) if turned else (rows, columns)
        ramp = np.arange(CROP)
        down_flipped, right_flipped = down[0, 0] != 0, right[0, 0] != 0
        np.testing.assert_array_equal(down, np.tile((ramp[::-1] if down_flipped else ramp)[:, None], CROP))
        np.testing.assert_array_equal(right, np.tile(ramp[::-1] if right_flipped else ramp, (CROP, 1)))
        orientations.add((bool(turned), bool(down_flipped), bool(right_flipped)))
    assert len(orientations) == 8


def test_every_batch_mixes_the_asked_number_of_references_evenly_with_their_own_ratings(pairs):
    seen = set()
    for step in range(20):
        batch = sampler(pairs, batch=6, references=2)(step)
        references = eight_bit(batch.ref)[:, IDENTITY, 0, 0]
        assert np.unique(references, return_counts=True)[1].tolist() == [3, 3]
        assert (np.floor(batch.mos) == references).all()
        seen |= set(batch.mos.tolist())
    assert seen == {0, 0.25, 1, 1.25, 2, 2.25}


def test_more_references_asked_than_there_are_uses_them_all(pairs):
    batch = sampler(pairs, batch=6, references=10)(0)
    assert set(eight_bit(batch.ref)[:, IDENTITY, 0, 0]) == {0, 1, 2}


def test_a_crop_as_large_as_the_picture_is_the_picture(tmp_path):
    path = tmp_path / "small.png"
    Image.fromarray(np.arange(CROP * CROP * 3).reshape(CROP, CROP, 3).astype(np.uint8)).save(path)
    batch = BatchSampler([RatedPair(path, path, 1, "train")], 4, 1, CROP, 0)(0)
    picture = np.asarray(Image.open(path))
    for crop in eight_bit(batch.ref):
        np.testing.assert_array_equal(np.sort(crop, axis=None), np.sort(picture, axis=None))


def one_pair(tmp_path, ref, dist):
    paths = [tmp_path / "the_ref.png", tmp_path / "the_dist.png"]
    for path, array in zip(paths, (ref, dist), strict=True):
        Image.fromarray(array).save(path)
    return BatchSampler([RatedPair(*paths, 1, "train")], 1, 1, CROP, 0)


@pytest.mark.parametrize(
    ("ref", "dist"), [((24, 40), (24, 40)), ((40, 40), (48, 40))], ids=["smaller than the crop", "unequal"]
)
def test_pictures_that_cannot_be_cropped_are_refused_by_name(tmp_path, ref, dist):
    pictures = [np.zeros((*size, 3), np.uint8) for size in (ref, dist)]
    with pytest.raises(ValueError, match=r"the_dist\.png"):
        one_pair(tmp_path, *pictures)(0)


def small_pairs(tmp_path, *sizes):
    pairs = []
    for width, height in sizes:
        path = tmp_path / f"{width}x{height}.png"
        Image.new("RGB", (width, height)).save(path)
        pairs.append(Pair(path, path))
    return pairs


def test_a_picture_smaller_than_a_crop_that_nobody_can_set_is_told_the_least_side(tmp_path):
    (small,) = small_pairs(tmp_path, (300, 200))
    with pytest.raises(
        ValueError,
        match=r"300x200\.png is 300x200, but training pictures must be at least 224 pixels a side\.$",
    ):
        next(unrated_batches([small], 1))


def test_a_picture_that_does_not_suit_the_crop_of_a_protocol_is_told_where_it_is_set(tmp_path):
    pairs = small_pairs(tmp_path, (40, 36), (48, 36))
    with pytest.raises(
        ValueError, match=r"smaller than the crop of 48: lower `train_crop` in the protocol\.$"
    ):
        next(unrated_batches(pairs, 1, crop=48))
    with pytest.raises(ValueError, match=r"40x36 and 48x36: set `train_crop` in the protocol\.$"):
        next(unrated_batches(pairs, 1, crop=0))
    recipe = BatchSampler([RatedPair(one.ref, one.dist, 1, "train") for one in pairs], 2, 2, 48, 0)
    with pytest.raises(ValueError, match=r"lower `crop` in the recipe \(or --crop\)\.$"):
        recipe(0)


def test_missing_pictures_of_unrated_pairs_are_told_before_any_is_drawn(tmp_path):
    (there,) = small_pairs(tmp_path, (40, 36))
    with pytest.raises(ValueError, match=r"^1 pictures do not exist, e\.g\. .*gone\.png"):
        unrated_batches([there, Pair(there.ref, tmp_path / "gone.png")], 1)


def test_16_bit_grey_pictures_keep_their_brightness(tmp_path):
    grey = np.full((CROP, CROP), 65535, np.uint16)
    batch = one_pair(tmp_path, grey, grey)(0)
    assert batch.ref.min() == 1


def test_dark_borders_touch_only_the_outer_pixels_of_the_distorted_picture(pairs):
    plain = BatchSampler(pairs, 6, 3, CROP, 5)
    bordered = BatchSampler(pairs, 6, 3, CROP, 5, border=1.0)
    darkened = 0
    for step in range(5):
        for ref, dist in zip(*(eight_bit(x) for x in (bordered(step).ref, bordered(step).dist)), strict=True):
            inside = slice(4, -4)
            np.testing.assert_array_equal(dist[:, inside, inside], 255 - ref[:, inside, inside])
            assert (dist <= 255 - ref).all()
            darkened += (dist[:, 0] < 255 - ref[:, 0]).mean() > 0.9
    assert darkened == 30
    assert plain.border == 0


def test_references_are_drawn_in_proportion_to_their_weights(pairs):
    weighted = [replace(pair, weight=8.0 if pair.ref == pairs[0].ref else 1.0) for pair in pairs]
    drawn = np.concatenate([sampler(weighted, batch=1, references=1)(step).mos for step in range(200)])
    assert abs(np.mean(drawn < 1) - 0.8) < 0.1


def test_equal_weights_draw_as_none_do(pairs):
    weighted = [replace(pair, weight=3.0) for pair in pairs]
    for step in range(3):
        np.testing.assert_array_equal(sampler(weighted)(step).mos, sampler(pairs)(step).mos)


def test_steps_are_drawn_for_each_of_the_first_pictures_alone(noisy_pairs):
    pairs = noisy_pairs([0, 20], lambda number, k: 1.0 - k / 2, "train")
    kinds = "scale", "codec"
    ordered = BatchSampler(pairs, 6, 3, 32, 5, order_pairs=4, order_of=kinds)
    whole = ordered(2)
    assert whole.steps.shape == (3, 4, 3, 32, 32)
    for place, stored in enumerate(whole.steps.swapaxes(0, 1)):
        expected = known_step(whole.ref[place], np.random.default_rng([5, 2, place, 3]), kinds)
        np.testing.assert_array_equal(stored, expected)
    shares = [ordered(2, range(rank, 6, 2)).steps for rank in range(2)]
    np.testing.assert_array_equal(np.stack(shares, axis=2).reshape(whole.steps.shape), whole.steps)
    assert sampler(pairs)(2).steps is None
