#!/bin/sh
# The legs of birqa.kadid-aat: anchored adversarial training. Each of the first six begins with what the one before
# it has left, which is from the fourth on the mean of the weights before and after it. Then they go in pairs, of
# which the mean is left: 7 and 8 begin with what 6 has left, 9 and 10 with the mean of 7 and 8, 11, 12 and 13 with
# that of 9 and 10, and 14 with that of 11 and 12. 15 begins with the mean of 13 and 14. The mean of that and the
# mean of 7 and 8, and of this and 15, lands in runs/birqa.kadid-aat/model.
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
left_by() {
    echo runs/birqa.kadid-aat-$1-mean/model
}
for leg in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
    run=runs/birqa.kadid-aat-$leg
    "$python" -m birqa train --data "$data" --recipe recipes/birqa.kadid-aat-$leg.json --from "$start" \
        --name birqa.kadid-aat --version "$version" --card $card -o $run "$@"
    if [ -n "${KEEP:-}" ]; then
        tar -czf "$KEEP/birqa.kadid-aat-$leg.tar.gz" -C $run model curves.csv bound.png
    fi
    # Where floors of features differ, that of the second of two models stays.
    case $leg in
        1 | 2 | 3) start=$run/model ;;
        4 | 5 | 6)
            mean_of "$start" $run/model "$(left_by $leg)"
            start=$(left_by $leg)
            ;;
        8 | 10 | 12 | 14)
            mean_of $run/model runs/birqa.kadid-aat-$((leg - 1))/model "$(left_by $leg)"
            start=$(left_by $leg)
            ;;
    esac
    [ $leg -ne 12 ] || start=$(left_by 10)
    [ $leg -ne 13 ] || start=$(left_by 12)
done
rm -rf runs/birqa.kadid-aat
mean_of "$(left_by 8)" "$(left_by 14)" "$(left_by 8-14)"
mean_of "$(left_by 8-14)" runs/birqa.kadid-aat-15/model runs/birqa.kadid-aat/model
