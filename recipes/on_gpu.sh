#!/bin/sh
# birqa.kadid and birqa.kadid-aat on a lent machine that has a GPU, PyTorch, OpenCV and ONNX, but no network.
# It starts bare and takes little at a time, so the photographs travel in two parts:
#
#   recipes/on_gpu.sh pack DATA     here: photographs, ratings and packages that it lacks, in .gpu/1 and .gpu/2
#   recipes/on_gpu.sh unpack        there, in a first call that carries .gpu/1
#   recipes/on_gpu.sh unpack        there, in a second call that carries .gpu/2, then in the same call
#   recipes/on_gpu.sh train OUT --device cuda, or harden OUT --device cuda, or cards OUT
#
# `train` makes the training pictures on all cores (a few minutes on 16), trains both and leaves models and curves
# in OUT. What it did stays in runs/, where a broken training goes on. `harden OUT` hardens the shipped hardened
# weights further instead. `cards OUT` attacks the shipped weights there.
set -eu
cd "$(dirname "$0")/.."
there=${BIRQA_THERE:-/tmp/birqa}
birqa=$there/env/bin/birqa
sets=build/sets

pack() {
    rm -rf .gpu && mkdir -p .gpu/1/refs384 .gpu/2/refs384 .gpu/1/packages
    cp -r "$1/ratings" "$1/refs384/manifest.csv" .gpu/1
    python3 -m pip download --quiet --no-deps --dest .gpu/1/packages piq lightning-fabric lightning-utilities
    part=1
    for photograph in $(cut -d , -f 1 "$1/refs384/manifest.csv" | tail -n +2); do
        cp "$1/refs384/$photograph" ".gpu/$part/refs384/"
        part=$((3 - part))
    done
    du -sh .gpu/1 .gpu/2
}

unpack() {
    mkdir -p "$there/data"
    cp -r .gpu/*/refs384 .gpu/*/ratings "$there/data/" 2> "$there/missing" || true
    cp .gpu/*/manifest.csv "$there/data/refs384/" 2>> "$there/missing" || true
    if ls .gpu/*/packages/*.whl > "$there/wheels" 2>> "$there/missing"; then
        xargs python3 -m pip install --quiet --no-index --no-deps --upgrade --target "$there/packages" < "$there/wheels"
    fi
    ls "$there/data/refs384" | wc -l
}

# What the Makefile takes for a virtual environment, and in it the sets that are asked for.
make_sets() {
    mkdir -p "$there/env/bin"
    export PYTHONPATH="$PWD/src:$there/packages"
    printf '#!/bin/sh\nexec python3 -m birqa "$@"\n' > "$birqa"
    chmod +x "$birqa"
    touch "$there/env/ready"
    make -j 4 DEV="$there/env" DATA="$there/data" "$@"
}

train() {
    out=$1
    shift
    make_sets $sets/train.csv
    "$birqa" train --data $sets/train.csv --recipe recipes/birqa.kadid.json --name birqa.kadid --version gpu \
        -o runs/birqa.kadid "$@"
    tar -czf "$out/birqa.kadid.tar.gz" -C runs/birqa.kadid model curves.csv
    KEEP=$out recipes/harden.sh python3 $sets/train.csv runs/birqa.kadid/model gpu "$@"
    tar -czf "$out/birqa.kadid-aat.tar.gz" -C runs/birqa.kadid-aat model
}

# One leg more for the shipped birqa.kadid-aat, by ten inner steps on larger batches and crops, which would take two
# cores a day.
harden() {
    out=$1
    shift
    make_sets $sets/train.csv
    "$birqa" train --data $sets/train.csv --recipe recipes/birqa.kadid-aat-full.json \
        --from birqa.kadid-aat --name birqa.kadid-aat --version gpu -o runs/birqa.kadid-aat-full "$@"
    tar -czf "$out/birqa.kadid-aat-full.tar.gz" -C runs/birqa.kadid-aat-full model curves.csv
}

# Cards of the shipped weights by attacks near their authors' settings, on whole pictures.
cards() {
    out=$1
    shift
    make_sets $sets/kadid-test-all/meta.csv $sets/kadid-train/meta.csv
    for name in birqa.kadid birqa.kadid-aat; do
        "$birqa" robustness $name --base birqa.kadid --data $sets/kadid-test-all/meta.csv \
            --protocol recipes/robustness-full.json --train-pairs $sets/kadid-train/meta.csv \
            --cache runs/robustness-full.jsonl --device cuda -o "$out/$name.json" "$@"
    done
}

"$@"
