#!/bin/sh
# The legs of birqa.kadid-aat: anchored adversarial training, each from what the one before it has left, which is
# from the fourth on the mean of the weights before and after it. From the seventh on they go in pairs: both begin
# with what is left, and leave the mean of the two. That of the last two lands in runs/birqa.kadid-aat/model.
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
for leg in 1 2 3 4 5 6 7 8 9 10 11 12; do
    run=runs/birqa.kadid-aat-$leg
    left=runs/birqa.kadid-aat-$leg-mean/model
    "$python" -m birqa train --data "$data" --recipe recipes/birqa.kadid-aat-$leg.json --from "$start" \
        --name birqa.kadid-aat --version "$version" --card $card -o $run "$@"
    if [ -n "${KEEP:-}" ]; then
        tar -czf "$KEEP/birqa.kadid-aat-$leg.tar.gz" -C $run model curves.csv bound.png
    fi
    case $leg in
        1 | 2 | 3) start=$run/model ;;
        4 | 5 | 6) mean_of "$start" $run/model $left; start=$left ;;
        # Where floors of features differ, that of the first of the pair stays.
        8 | 10 | 12) mean_of $run/model $other $left; start=$left ;;
        *) other=$run/model ;;
    esac
done
rm -rf runs/birqa.kadid-aat
mkdir -p runs/birqa.kadid-aat
cp -r "$start" runs/birqa.kadid-aat/model
