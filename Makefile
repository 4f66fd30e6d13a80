# make demo   the core alone, on the example pairs
# make test   everything, with the whole suite
# make results, make weights   every published figure and weight again
PYTHON ?= python3
# Any build of PyTorch will do, for example TORCH="torch --index-url https://download.pytorch.org/whl/cpu".
TORCH ?= torch==2.13.0

DEMO := .venv-demo
DEV := .venv

.PHONY: demo test lint results weights blind robustness purified defences defences-inward certificates everything clean
.PHONY: remake-birqa.kadid remake-birqa.lite remake-birqa.kadid-tid remake-birqa.kadid-aat remake-audit
.PHONY: remake-blind.clive remake-blind.clive-kadid remake-denoiser.blind remake-blind.clive-denoised
.PHONY: remake-blind.clive-kadid-denoised

demo: $(DEMO)/ready
	$(DEMO)/bin/birqa score --pairs examples/pairs.csv

test: $(DEV)/ready
	$(DEV)/bin/python -m pytest

lint: $(DEV)/ready
	$(DEV)/bin/ruff check .
	$(DEV)/bin/ruff format --check .
	$(DEV)/bin/mypy

# The photographs and ratings that the published figures were measured on.
DATA ?= ../shared/data
SETS := build/sets

$(SETS)/tid2013-exact/meta.csv: | $(DEV)/ready
	$(DEV)/bin/birqa data tid2013 $(DATA)/kodak --ratings $(DATA)/ratings/tid2013.csv -o $(@D)

$(SETS)/tid2013/meta.csv: | $(DEV)/ready
	$(DEV)/bin/birqa data tid2013 $(DATA)/kodak --ratings $(DATA)/ratings/tid2013.csv --types all -o $(@D)

$(SETS)/kadid-test/meta.csv: | $(DEV)/ready
	$(DEV)/bin/birqa data kadid $(DATA)/refs384 --manifest $(DATA)/refs384/manifest.csv --split test --limit 20 \
		--ratings $(DATA)/ratings/kadid10k.csv -o $(@D)

$(SETS)/kadid-test-all/meta.csv: | $(DEV)/ready
	$(DEV)/bin/birqa data kadid $(DATA)/refs384 --manifest $(DATA)/refs384/manifest.csv --split test \
		--ratings $(DATA)/ratings/kadid10k.csv --format bmp -o $(@D)

$(SETS)/kadid-train/meta.csv: | $(DEV)/ready
	$(DEV)/bin/birqa data kadid $(DATA)/refs384 --manifest $(DATA)/refs384/manifest.csv --split train \
		--ratings $(DATA)/ratings/kadid10k.csv --format bmp -o $(@D)

$(SETS)/combined-train/meta.csv: | $(DEV)/ready
	$(DEV)/bin/birqa data combined $(DATA)/refs384 --manifest $(DATA)/refs384/manifest.csv --split train \
		--count 24 --format bmp -o $(@D)

$(SETS)/varied-train/meta.csv: | $(DEV)/ready
	$(DEV)/bin/birqa data varied $(DATA)/refs384 --manifest $(DATA)/refs384/manifest.csv --split train \
		--count 32 --format bmp -o $(@D)

$(SETS)/damaged-train/meta.csv: | $(DEV)/ready
	$(DEV)/bin/birqa data varied $(DATA)/refs384 --manifest $(DATA)/refs384/manifest.csv --split train \
		--family damaged --count 6 --format bmp -o $(@D)

# Training rows of the rated set and of the unrated ones, then the held-out rows that validation looks at.
$(SETS)/train.csv: $(SETS)/kadid-train/meta.csv $(SETS)/combined-train/meta.csv $(SETS)/varied-train/meta.csv \
		$(SETS)/damaged-train/meta.csv $(SETS)/kadid-test/meta.csv
	$(DEV)/bin/birqa data committee $^ --peer piq:mdsi --peer piq:haarpsi --weight 0.5 -o $@

# The same with the re-made TID2013 in it, its ratings on KADID-10k's scale.
TID_SHARE := 0.5
$(SETS)/train-tid.csv: $(SETS)/train.csv $(SETS)/tid2013/meta.csv
	$(DEV)/bin/birqa data join $^ --share $(TID_SHARE) -o $@ --mos-range \
		$$($(DEV)/bin/birqa data common-scale $(DATA)/ratings/tid2013.csv $(DATA)/ratings/kadid10k.csv)

$(SETS)/clive.csv: | $(DEV)/ready
	mkdir -p $(@D)
	$(DEV)/bin/birqa data index live-itw $(DATA)/clive -o $@

PEERS := torchmetrics:psnr torchmetrics:psnr-luma torchmetrics:ssim torchmetrics:ms-ssim \
	piq:vif_p piq:gmsd piq:fsim piq:haarpsi piq:mdsi piq:vsi

WEIGHTS := $(wildcard src/birqa/weights/*/*)

# Beside peers where pictures have ratings of their own, not just the mean of their type and level.
benchmarks/results/%.json: $(SETS)/%/meta.csv $(WEIGHTS) | $(DEV)/ready
	$(DEV)/bin/birqa eval $< $(if $(filter kadid-test%,$*),,$(PEERS:%=--peer %)) --cache $(SETS)/$*/peers.jsonl --json > $@.part
	mv $@.part $@

benchmarks/results/%-hardened.json: $(SETS)/%/meta.csv $(WEIGHTS) | $(DEV)/ready
	$(DEV)/bin/birqa eval $< --peer birqa.kadid-aat --json > $@.part
	mv $@.part $@

benchmarks/results/%-lite.json: $(SETS)/%/meta.csv $(WEIGHTS) | $(DEV)/ready
	$(DEV)/bin/birqa eval $< --peer birqa.lite --json > $@.part
	mv $@.part $@

benchmarks/results/%-tid.json: $(SETS)/%/meta.csv $(WEIGHTS) | $(DEV)/ready
	$(DEV)/bin/birqa eval $< --peer birqa.kadid-tid --json > $@.part
	mv $@.part $@

# TID2013's own folder metrics_values, where it is at hand, lets types and single pictures be compared too.
TID2013_VALUES ?=
benchmarks/results/faithfulness.json: $(SETS)/tid2013/meta.csv | $(DEV)/ready
	$(DEV)/bin/birqa data faithfulness $< $(TID2013_VALUES:%=--authors %) --cache $(SETS)/tid2013/peers.jsonl --json > $@.part
	mv $@.part $@

benchmarks/results/outside.json: $(WEIGHTS) | $(DEV)/ready
	$(DEV)/bin/python benchmarks/outside.py $(DATA)/refs384 --out $@

benchmarks/results/cuts.json: $(SETS)/tid2013/meta.csv $(WEIGHTS) | $(DEV)/ready
	$(DEV)/bin/python benchmarks/cuts.py $< --out $@

benchmarks/results/fine-tuning.json: $(SETS)/tid2013/meta.csv $(WEIGHTS) | $(DEV)/ready
	$(DEV)/bin/python benchmarks/fine_tuning.py $< --runs runs/fine-tuning --out $@

# Half an hour on two cores: three trainings.
benchmarks/results/unseen-groups.json: $(SETS)/train.csv $(SETS)/tid2013/meta.csv recipes/birqa.kadid-tid.json $(WEIGHTS) | $(DEV)/ready
	$(DEV)/bin/python benchmarks/unseen_groups.py $(SETS)/train.csv $(SETS)/tid2013/meta.csv --ratings $(DATA)/ratings \
		--recipe recipes/birqa.kadid-tid.json --share $(TID_SHARE) --steps 1200 --runs runs/unseen-groups --out $@

benchmarks/results/two-databases.json: | $(DEV)/ready
	$(DEV)/bin/python benchmarks/two_databases.py $(DATA)/ratings --out $@

# How often certified intervals miss where the truth is known, by simulation.
benchmarks/results/coverage.json: | $(DEV)/ready
	$(DEV)/bin/python benchmarks/coverage.py --out $@

benchmarks/results/range-coverage.json: $(SETS)/tid2013/meta.csv $(WEIGHTS) | $(DEV)/ready
	$(DEV)/bin/python benchmarks/range_coverage.py $< $(DATA)/ratings --out $@

benchmarks/results/cell-errors.json: $(SETS)/tid2013/meta.csv $(WEIGHTS) | $(DEV)/ready
	$(DEV)/bin/python benchmarks/cell_errors.py $< --out $@

# Two hours on two cores: two trainings.
benchmarks/results/seeds.json: $(SETS)/train.csv $(SETS)/tid2013/meta.csv $(SETS)/kadid-test/meta.csv recipes/birqa.kadid.json $(WEIGHTS) | $(DEV)/ready
	$(DEV)/bin/python benchmarks/seeds.py $(SETS)/train.csv $(SETS)/tid2013/meta.csv $(SETS)/kadid-test/meta.csv \
		--recipe recipes/birqa.kadid.json --runs runs/seeds --out $@

# Hours on two cores: ten trainings.
benchmarks/results/same-database.json: $(SETS)/tid2013/meta.csv recipes/same-database.json $(WEIGHTS) | $(DEV)/ready
	$(DEV)/bin/python benchmarks/same_database.py $< --recipe recipes/same-database.json \
		--runs runs/same-database --out $@

results: $(DEV)/ready $(DEMO)/ready $(patsubst %,benchmarks/results/%.json,two-databases cell-errors coverage range-coverage faithfulness outside cuts fine-tuning unseen-groups tid2013-hardened kadid-test-hardened kadid-test-tid tid2013-lite kadid-test-lite) $(foreach set,tid2013-exact tid2013 kadid-test kadid-test-all,benchmarks/results/$(set).json)
	$(DEV)/bin/python benchmarks/speed.py --out benchmarks/results/speed.json
	$(DEV)/bin/python benchmarks/footprint.py $(DEMO) --out benchmarks/results/footprint.json
	$(DEV)/bin/birqa map examples/ref/bikes.webp examples/dist/bikes_jpeg_q10.jpg -o docs/map.png
	$(DEV)/bin/python benchmarks/report.py

# The whole results page from nothing but the weights: a day on two cores.
everything: benchmarks/results/seeds.json benchmarks/results/same-database.json
	$(MAKE) robustness purified defences defences-inward
	$(MAKE) benchmarks/results/certificate-splits.json
	$(AUDIT) build/audit.json
	$(MAKE) results
	$(MAKE) certificates

CARDS := benchmarks/results/robustness
# What their pages call the pictures.
CALLED_kadid-test := KADID-10k distortions on held-out photographs
CALLED_tid2013 := TID2013 made again
ABOUT_tid2013 = $(shell $(DEV)/bin/python benchmarks/report.py --faithful)
# The strong attacks on the first set, those of a minute on the second.
PROTOCOL = recipes/robustness$(if $(filter tid2013,$*),-quick).json

# Attacks on the shipped weights; an interrupted card goes on where it was.
$(CARDS)/%-birqa.kadid.json: $(SETS)/%/meta.csv $(SETS)/kadid-train/meta.csv $(WEIGHTS) $(wildcard recipes/robustness*.json) | $(DEV)/ready
	mkdir -p $(CARDS) runs
	$(DEV)/bin/birqa robustness birqa.kadid --data $< --protocol $(PROTOCOL) \
		--train-pairs $(SETS)/kadid-train/meta.csv --name "$(CALLED_$*)" --about "$(ABOUT_$*)" \
		--cache runs/robustness-$*.jsonl -o $@

$(CARDS)/%-birqa.kadid-aat.json: $(CARDS)/%-birqa.kadid.json
	$(DEV)/bin/birqa robustness birqa.kadid-aat --base birqa.kadid --data $(SETS)/$*/meta.csv --protocol $(PROTOCOL) \
		--train-pairs $(SETS)/kadid-train/meta.csv --name "$(CALLED_$*)" --about "$(ABOUT_$*)" \
		--cache runs/robustness-$*.jsonl -o $@

robustness: $(foreach set,kadid-test tid2013,$(CARDS)/$(set)-birqa.kadid-aat.json)
	$(DEV)/bin/birqa leaderboard $(CARDS) -o docs/robustness.md
	$(DEV)/bin/python benchmarks/in_use.py $(DATA)/refs384 birqa.kadid birqa.kadid-aat \
		--out benchmarks/results/in-use.json --picture docs/in-use.png

STUDIES := benchmarks/results/defences
# Half an hour on two cores: transforms before the plain metric, attacked through them, beside the hardened one.
PURIFIED := kadid $(patsubst %,kadid+%,flip rotate resize crop jpeg blur denoise) kadid-aat kadid-aat+jpeg

$(STUDIES)/purified-%.json: $(SETS)/kadid-test/meta.csv $(WEIGHTS) recipes/robustness-purifiers.json | $(DEV)/ready
	mkdir -p $(STUDIES) runs
	$(DEV)/bin/birqa robustness birqa.$(subst +, --purify ,$*) --data $< --protocol recipes/robustness-purifiers.json \
		--name "$(CALLED_kadid-test)" --cache runs/purified.jsonl -o $@

purified: $(PURIFIED:%=$(STUDIES)/purified-%.json)
	$(DEV)/bin/birqa leaderboard $(STUDIES) -o docs/defences.md

# Hours on two cores, or a GPU: every defence on every metric, alike.
defences: $(SETS)/train.csv | $(DEV)/ready
	$(DEV)/bin/python benchmarks/defences.py $< $(SETS)/kadid-test/meta.csv --name "$(CALLED_kadid-test)" --runs runs/defences \
		--protocol recipes/robustness-defences.json --recipes recipes/defences --cards $(STUDIES) \
		--out benchmarks/results/defences.json
	$(DEV)/bin/birqa leaderboard $(STUDIES) -o docs/defences.md

# Two hours on two cores: the same with attacks in training that push towards the middle of the scale, as the cards' do.
defences-inward: $(SETS)/train.csv | $(DEV)/ready
	$(DEV)/bin/python benchmarks/defences.py $< $(SETS)/kadid-test/meta.csv --name "$(CALLED_kadid-test)" \
		--direction inward --metric birqa $(foreach kind,none R AT AAT AAT+R AT-anchors,--kind $(kind)) \
		--runs runs/defences-inward --protocol recipes/robustness-defences.json --recipes recipes/defences \
		--cards $(STUDIES)-inward --out benchmarks/results/defences-inward.json
	$(DEV)/bin/birqa leaderboard $(STUDIES)-inward -o docs/defences-inward.md

# Every shipped model by a target of its own, remake-NAME; an interrupted training goes on where it was.
TRAIN = $(DEV)/bin/birqa train --data
TRAIN_BLIND = $(DEV)/bin/birqa train-blind --data $(SETS)/clive.csv
TRAIN_DENOISER = $(DEV)/bin/birqa train-denoiser --data $(SETS)/clive.csv
SHIP = rm -rf src/birqa/weights/$(1) && cp -r runs/$(2)/model src/birqa/weights/$(1)
AUDIT = $(DEV)/bin/python benchmarks/audit.py $(SETS)/kadid-train/meta.csv $(SETS)/kadid-test/meta.csv \
	--large $(DATA)/kodak --out benchmarks/results/audit.json --picture docs/audit.png --detector
CALIBRATE = $(DEV)/bin/birqa calibrate runs/$(1)/model --data $(SETS)/kadid-test/meta.csv --identity-mos 0.918 \
	--label-spread

# Hours on two cores. Each line goes on from what the one before it has shipped.
weights:
	$(MAKE) remake-birqa.kadid
	$(MAKE) remake-birqa.lite remake-birqa.kadid-tid remake-birqa.kadid-aat
	$(MAKE) remake-audit

remake-birqa.kadid: $(DEV)/ready $(SETS)/train.csv $(SETS)/kadid-test/meta.csv
	$(TRAIN) $(SETS)/train.csv --recipe recipes/birqa.kadid.json --card recipes/birqa.kadid.card.json \
		--name birqa.kadid --version 4 -o runs/birqa.kadid
	$(call CALIBRATE,birqa.kadid)
	$(call SHIP,birqa.kadid,birqa.kadid)

# A narrower network on pictures reduced to a quarter, then asked for the order of fine steps as well.
remake-birqa.lite: $(DEV)/ready $(SETS)/train.csv $(SETS)/kadid-test/meta.csv
	$(TRAIN) $(SETS)/train.csv --recipe recipes/birqa.lite.json --card recipes/birqa.lite.card.json \
		--name birqa.lite --version 2 -o runs/birqa.lite-unordered
	$(TRAIN) $(SETS)/train.csv --recipe recipes/birqa.lite-order.json --from runs/birqa.lite-unordered/model \
		--card recipes/birqa.lite.card.json --name birqa.lite --version 2 -o runs/birqa.lite
	$(call CALIBRATE,birqa.lite)
	$(call SHIP,birqa.lite,birqa.lite)

# This and the next go on from birqa.kadid as it is shipped. Trained on TID2013 as well:
remake-birqa.kadid-tid: $(DEV)/ready $(SETS)/train-tid.csv $(SETS)/kadid-test/meta.csv
	$(TRAIN) $(SETS)/train-tid.csv --recipe recipes/birqa.kadid-tid.json --from birqa.kadid \
		--card recipes/birqa.kadid-tid.card.json --name birqa.kadid-tid --version 1 -o runs/birqa.kadid-tid
	$(call CALIBRATE,birqa.kadid-tid)
	$(call SHIP,birqa.kadid-tid,birqa.kadid-tid)

# Hardened: recipes/harden.sh tells its legs.
remake-birqa.kadid-aat: $(DEV)/ready $(SETS)/train.csv $(SETS)/kadid-test/meta.csv
	recipes/harden.sh $(DEV)/bin/python $(SETS)/train.csv birqa.kadid 7
	$(call CALIBRATE,birqa.kadid-aat)
	$(call SHIP,birqa.kadid-aat,birqa.kadid-aat)
	for leg in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do \
		cp runs/birqa.kadid-aat-$$leg/curves.csv benchmarks/results/aat-curves-$$leg.csv || exit; \
	done
	cp runs/birqa.kadid-aat-10/bound.png docs/aat-bound.png

remake-audit: $(DEV)/ready $(SETS)/kadid-train/meta.csv $(SETS)/kadid-test/meta.csv
	$(AUDIT) src/birqa/weights/audit.json

# The no-reference metrics, the denoiser of certificates and the metrics behind it: an hour on two cores.
blind:
	$(MAKE) remake-blind.clive remake-blind.clive-kadid
	$(MAKE) remake-denoiser.blind
	$(MAKE) remake-blind.clive-denoised remake-blind.clive-kadid-denoised

remake-blind.clive: $(DEV)/ready $(SETS)/clive.csv
	$(TRAIN_BLIND) --recipe recipes/blind.clive.json --card recipes/blind.clive.card.json \
		--name blind.clive --version 3 -o runs/blind.clive
	$(call SHIP,blind.clive,blind.clive)

# The same with damaged pictures beside the rated ones: what `blind` stands for.
remake-blind.clive-kadid: $(DEV)/ready $(SETS)/clive.csv $(SETS)/kadid-train/meta.csv
	$(TRAIN_BLIND) --recipe recipes/blind.clive-kadid.json --damaged $(SETS)/kadid-train/meta.csv \
		--card recipes/blind.clive-kadid.card.json --name blind.clive-kadid -o runs/blind.clive-kadid
	$(call SHIP,blind.clive-kadid,blind.clive-kadid)

# The rest follows blind.clive as it is shipped.
remake-denoiser.blind: $(DEV)/ready $(SETS)/clive.csv
	$(TRAIN_DENOISER) --recipe recipes/denoiser.mse-1.json --name denoiser.mse -o runs/denoiser.mse-1
	$(TRAIN_DENOISER) --recipe recipes/denoiser.blind.json --from runs/denoiser.mse-1/model \
		--card recipes/denoiser.blind.card.json --name denoiser.blind --version 3 -o runs/denoiser.blind
	$(call SHIP,denoiser.blind,denoiser.blind)

remake-blind.clive-denoised: $(DEV)/ready $(SETS)/clive.csv
	$(TRAIN_BLIND) --recipe recipes/blind.clive-denoised.json --card recipes/blind.clive-denoised.card.json \
		--name blind.clive-denoised -o runs/blind.clive-denoised
	$(call SHIP,blind.clive-denoised,blind.clive-denoised)

# Behind the denoiser as well, with damaged pictures beside the rated ones.
remake-blind.clive-kadid-denoised: $(DEV)/ready $(SETS)/clive.csv $(SETS)/kadid-train/meta.csv
	$(TRAIN_BLIND) --recipe recipes/blind.clive-kadid-denoised.json --damaged $(SETS)/kadid-train/meta.csv \
		--card recipes/blind.clive-kadid-denoised.card.json --name blind.clive-kadid-denoised \
		-o runs/blind.clive-kadid-denoised
	$(call SHIP,blind.clive-kadid-denoised,blind.clive-kadid-denoised)

# As many steps by squared error alone, to compare with.
runs/denoiser.mse-2/model/model.json: $(SETS)/clive.csv $(wildcard recipes/denoiser.mse-*.json) | $(DEV)/ready
	$(TRAIN_DENOISER) --recipe recipes/denoiser.mse-1.json --name denoiser.mse -o runs/denoiser.mse-1
	$(TRAIN_DENOISER) --recipe recipes/denoiser.mse-2.json --from runs/denoiser.mse-1/model \
		--name denoiser.mse -o runs/denoiser.mse-2

# Another test part of LIVE In the Wild, and in runs/second what is trained on the rest alone: two hours on one core.
$(SETS)/clive-1.csv: | $(DEV)/ready
	mkdir -p $(@D)
	$(DEV)/bin/birqa data index live-itw $(DATA)/clive --seed 1 -o $@

SECOND := runs/second
benchmarks/results/certificate-splits.json: $(SETS)/clive.csv $(SETS)/clive-1.csv runs/denoiser.mse-2/model/model.json
	$(DEV)/bin/birqa train-blind --data $(SETS)/clive-1.csv --recipe recipes/blind.clive.json \
		--name blind.clive -o $(SECOND)/blind.clive
	$(DEV)/bin/birqa train-denoiser --data $(SETS)/clive-1.csv --recipe recipes/denoiser.mse-1.json \
		--name denoiser.mse -o $(SECOND)/denoiser.mse-1
	$(DEV)/bin/birqa train-denoiser --data $(SETS)/clive-1.csv --recipe recipes/denoiser.blind.json \
		--metric $(SECOND)/blind.clive/model --from $(SECOND)/denoiser.mse-1/model \
		--name denoiser.blind -o $(SECOND)/denoiser.blind
	$(DEV)/bin/birqa train-denoiser --data $(SETS)/clive-1.csv --recipe recipes/denoiser.mse-2.json \
		--from $(SECOND)/denoiser.mse-1/model --name denoiser.mse -o $(SECOND)/denoiser.mse-2
	$(DEV)/bin/python benchmarks/certificate_splits.py \
		--split $(SETS)/clive.csv blind.clive runs/denoiser.mse-2/model denoiser.blind \
		--split $(SETS)/clive-1.csv $(SECOND)/blind.clive/model $(SECOND)/denoiser.mse-2/model \
		$(SECOND)/denoiser.blind/model --cache runs/certificates.jsonl --out $@

# Fitted to noisy pictures with no denoiser between, to compare with.
runs/blind.clive-noise/model/model.json: $(SETS)/clive.csv recipes/blind.clive-noise.json | $(DEV)/ready
	$(TRAIN_BLIND) --recipe recipes/blind.clive-noise.json --name blind.clive-noise -o runs/blind.clive-noise

# What the no-reference metric and its certificates are worth: on two cores an hour, and another for the weights
# to compare with; goes on after a break.
certificates: $(DEV)/ready $(SETS)/clive.csv $(SETS)/kadid-train/meta.csv $(SETS)/kadid-test/meta.csv runs/denoiser.mse-2/model/model.json runs/blind.clive-noise/model/model.json benchmarks/results/blind-baselines.json
	$(DEV)/bin/python benchmarks/blind_splits.py $(SETS)/clive.csv --out benchmarks/results/blind-splits.json
	$(DEV)/bin/python benchmarks/blind_splits.py $(SETS)/clive.csv --metric blind.clive-kadid \
		--recipe recipes/blind.clive-kadid.json --damaged $(SETS)/kadid-train/meta.csv \
		--out benchmarks/results/blind-splits-kadid.json
	$(DEV)/bin/python benchmarks/blind_damage.py $(SETS)/kadid-test/meta.csv --out benchmarks/results/blind-damage.json
	$(DEV)/bin/python benchmarks/blind_grey.py $(SETS)/clive.csv --out benchmarks/results/blind-grey.json
	$(DEV)/bin/python benchmarks/certificates.py $(SETS)/clive.csv --mse runs/denoiser.mse-2/model \
		--fitted runs/blind.clive-noise/model --draws 16 --pictures 24 --cache runs/certificates.jsonl \
		--out benchmarks/results/certificates.json
	$(DEV)/bin/python benchmarks/certified_attack.py $(SETS)/clive.csv --out benchmarks/results/certified-attack.json
	$(DEV)/bin/python benchmarks/certificate_cost.py $(DATA)/clive/images/10.webp \
		--out benchmarks/results/certificate-cost.json
	$(DEV)/bin/python benchmarks/report.py

# BRISQUE and NIQE on the same splits.
benchmarks/results/blind-baselines.json: | $(DEV)/ready
	$(DEV)/bin/pip install --quiet --disable-pip-version-check scikit-learn
	$(DEV)/bin/python benchmarks/blind_baselines.py $(DATA)/clive $(DATA)/refs384 --out $@

$(DEMO)/ready: pyproject.toml $(shell find src -type f -not -name '*.pyc')
	$(PYTHON) -m venv $(DEMO)
	$(DEMO)/bin/pip install --quiet --disable-pip-version-check .
	$(DEMO)/bin/pip install --quiet --disable-pip-version-check --force-reinstall --no-deps .
	touch $@

$(DEV)/ready: pyproject.toml
	$(PYTHON) -m venv $(DEV)
	$(DEV)/bin/pip install --quiet --disable-pip-version-check $(TORCH)
	# The rest must not replace the build of torch that was chosen.
	$(DEV)/bin/pip freeze | grep '^torch==' > $(DEV)/torch.txt
	$(DEV)/bin/pip install --quiet --disable-pip-version-check -c $(DEV)/torch.txt -e ".[dev]"
	# Their dependency torchvision is not needed, and a build that does not fit torch's breaks whoever imports it.
	$(DEV)/bin/pip install --quiet --disable-pip-version-check --no-deps "piq>=0.8" "torchattacks>=3.5"
	touch $@

clean:
	rm -rf $(DEMO) $(DEV)
