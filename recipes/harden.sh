#!/bin/sh
# The legs of birqa.kadid-aat: anchored adversarial training, each from what the one before it has left, which is
# from the fourth on the mean of the weights before and after it. The seventh and the eighth both begin with what
# the sixth has left; their mean, with the floor of the seventh, lands in runs/birqa.kadid-aat/model.
#
#   recipes/harden.sh PYTHON DATA START VERSION [options of birqa train]
#
# What it did stays in runs/, where a broken training goes on; with KEEP=FOLDER each leg is packed there as it ends.
set -eu
python=$1 data=$2 start=$3 version=$4
shift 4
card=recipes/birqa.kadid-aat.card.json
mean_of() {
    "$python" recipes/average.py "$1" "$2" "$3" --name birqa.kadid-aat --version "$version" --card $card
}
for leg in 1 2 3 4 5 6 7 8; do
    run=runs/birqa.kadid-aat-$leg
    "$python" -m birqa train --data "$data" --recipe recipes/birqa.kadid-aat-$leg.json --from "$start" \
        --name birqa.kadid-aat --version "$version" --card $card -o $run "$@"
    if [ -n "${KEEP:-}" ]; then
        tar -czf "$KEEP/birqa.kadid-aat-$leg.tar.gz" -C $run model curves.csv bound.png
    fi
    [ $leg -le 6 ] || continue
    left=$run/model
    if [ $leg -ge 4 ]; then
        left=runs/birqa.kadid-aat-$leg-mean/model
        mean_of "$start" $run/model $left
    fi
    start=$left
done
rm -rf runs/birqa.kadid-aat
mean_of runs/birqa.kadid-aat-8/model runs/birqa.kadid-aat-7/model runs/birqa.kadid-aat/model
