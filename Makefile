# SPDX-License-Identifier: Apache-2.0
#
# make              build/regrow
# make check        everything; sets the machine up first        FUZZ_SECONDS=20
# make check-fast   all that needs no cluster, within a minute
# make unit         unit tests; T=gitops/test_yaml runs one
# make fuzz         fuzz targets with libFuzzer                  T=yaml FUZZ_SECONDS=20
# make demo         a cluster grows before your eyes
# make bench        the figures of docs/performance.md
# make coverage     which lines the tests run, by room
# make torture      crashes, at length
# make soak         an hour of one controller                    SOAK_SECONDS=3600
# make install      DESTDIR= PREFIX=/usr/local
# make deb          a Debian package of it, in the build folder   SOURCE_DATE_EPOCH=
# make format       clang-format in place
# make clean
#
# With any of them: SAN=1 (ASan and UBSan), TSAN=1 (threads), COV=1 (counts lines), BUILD=folder,
# CC=clang, WERROR=1.

SAN ?=
TSAN ?=
COV ?=
BUILD ?= build$(if $(SAN),-san)$(if $(TSAN),-tsan)$(if $(COV),-cov)
PREFIX ?= /usr/local
DESTDIR ?=
FUZZ_SECONDS ?= 20
T ?=
VERSION := 0.1.0
ifeq ($(origin CC),default)
CC := gcc
endif
export BUILD CC

ROOMS := base gitops source kube reconcile snapshot bootstrap restore web cli
PKGS := libgit2 yaml-0.1 libcurl libarchive libzstd zlib libssl libcrypto jansson smartcols luajit \
	libmicrohttpd

WARN := -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wformat=2 -Wundef -Wvla \
	-Wpointer-arith -Wwrite-strings -Wstrict-prototypes -Wmissing-prototypes \
	-Wold-style-definition $(if $(WERROR),-Werror)
CFLAGS ?= -O$(if $(SAN),1,2) -g
# One build for the sanitizers and for libFuzzer: clang's.
ifdef SAN
CC := clang
WARN := -w
MODE := -DREGROW_SANITIZED -fsanitize=fuzzer-no-link,address,undefined -fno-omit-frame-pointer \
	-fno-sanitize-recover=undefined
else ifdef TSAN
MODE := -DREGROW_SANITIZED -fsanitize=thread -fno-omit-frame-pointer
else ifdef COV
MODE := -O1 --coverage -fprofile-update=atomic
else
MODE := -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE
MODE_LD := -pie -Wl,-z,relro,-z,now
endif

# Asked for only when something is compiled: help and clean work on a bare machine.
need_pkgs = $(if $(shell pkg-config --exists $(PKGS) && echo yes),,$(error packages are missing: \
	run scripts/setup (build: only what compiling needs)))
PKG_CFLAGS = $(need_pkgs)$(eval PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS)))$(PKG_CFLAGS)
PKG_LIBS = $(eval PKG_LIBS := $(shell pkg-config --libs $(PKGS)))$(PKG_LIBS)
# An enumerator that only some builds of libgit2 1.5 have.
PACK_LIMIT = $(eval PACK_LIMIT := $(shell echo 'int x = GIT_OPT_SET_PACK_MAX_OBJECT_SIZE;' | \
	$(CC) -include git2.h -fsyntax-only -xc - 2>/dev/null && echo -DHAVE_PACK_MAX_OBJECT_SIZE))$(PACK_LIMIT)
BASIC := -std=c17 -D_GNU_SOURCE -DREGROW_VERSION='"$(VERSION)"' -I. -MMD -MP
COMPILE = $(CC) $(BASIC) $(WARN) $(CFLAGS) $(MODE) $(PKG_CFLAGS) $(PACK_LIMIT)
LINK = $(CC) $(CFLAGS) $(MODE) $(MODE_LD) $(LDFLAGS)
LIBS = -Wl,--as-needed $(PKG_LIBS) -ljq -lpthread -lm

LIB_SRC := $(filter-out cli/main.c,$(foreach r,$(ROOMS),$(wildcard $(r)/*.c)))
LIB_OBJ := $(LIB_SRC:%.c=$(BUILD)/%.o)
TEST_SRC := $(wildcard $(foreach r,$(ROOMS),tests/$(r)/test_*.c))
TOOL_SRC := $(wildcard $(foreach r,$(ROOMS),tests/$(r)/tool_*.c) tests/bench/*.c)
HELPER_SRC := $(filter-out $(TEST_SRC) $(TOOL_SRC),$(wildcard $(foreach r,$(ROOMS),tests/$(r)/*.c)))
# What the tests of a room share; those of restore begin with a snapshot.
helpers_of = $(patsubst %.c,$(BUILD)/%.o,$(filter tests/$(1)/% \
	$(if $(filter restore,$(1)),tests/snapshot/%),$(HELPER_SRC)))
SCRIPT_TESTS := $(wildcard $(foreach r,$(ROOMS),tests/$(r)/test_*.sh))
FUZZ_SRC := $(wildcard tests/fuzz/fuzz_*.c)
TESTS := $(TEST_SRC:%.c=$(BUILD)/%)
TOOLS := $(TOOL_SRC:%.c=$(BUILD)/%)
REPLAYS := $(FUZZ_SRC:%.c=$(BUILD)/%)
FUZZ := $(FUZZ_SRC:tests/fuzz/%.c=build-fuzz/%)
MUTANTS := $(BUILD)/mutants/test_plan $(BUILD)/mutants/test_part
CHECKS := $(filter-out scripts/checklib.py,$(wildcard scripts/check-*))

.PHONY: all unit unit-programs check check-fast demo bench coverage torture soak fuzz fuzz-build install \
	deb format clean help
.DELETE_ON_ERROR:
.SECONDARY:

all: $(if $(wildcard cli/main.c),$(BUILD)/regrow,$(BUILD)/libregrow.a)

help:
	@sed -n '/^# make/,/^$$/s/^# //p' Makefile

# What the compiler says is shown, and kept beside the object for scripts/check-warnings.
$(BUILD)/%.o: %.c Makefile
	@mkdir -p $(@D)
	@echo "  CC   $<"
	@$(COMPILE) -c -o $@ $< 2>$(@:.o=.warn) || { cat $(@:.o=.warn) >&2; exit 1; }
	@cat $(@:.o=.warn) >&2

# It includes them.
$(BUILD)/snapshot/export_text.o: snapshot/restore.sh snapshot/restore.md
$(BUILD)/web/page.o: web/page.html web/page.css web/page.js
$(BUILD)/restore/report.o: restore/report.css restore/report_svg.css

$(BUILD)/libregrow.a: $(LIB_OBJ)
	@echo "  AR   $@"
	@rm -f $@
	@ar rcs $@ $^

$(BUILD)/regrow: $(BUILD)/cli/main.o $(BUILD)/libregrow.a
	@echo "  LD   $@"
	@$(LINK) -o $@ $^ $(LIBS)

# With what the tests of a room share.
.SECONDEXPANSION:
$(BUILD)/tests/%: $(BUILD)/tests/%.o $$(call helpers_of,$$(*D)) $(BUILD)/libregrow.a
	@echo "  LD   $@"
	@$(LINK) -o $@ $^ -lcmocka $(LIBS)

# The table of plan cases with every mistake in it, one of which the variable MUTANT switches on.
$(BUILD)/mutants/plan.c: reconcile/plan.c tests/reconcile/mutants.py
	@mkdir -p $(@D)
	@tests/reconcile/mutants.py $< >$@

$(BUILD)/mutants/plan.o: $(BUILD)/mutants/plan.c
	@echo "  CC   $<"
	@$(COMPILE) -w -c -o $@ $<

$(MUTANTS): $(BUILD)/mutants/%: $(BUILD)/tests/reconcile/%.o $(BUILD)/mutants/plan.o \
		$(BUILD)/libregrow.a
	@echo "  LD   $@"
	@$(LINK) -o $@ $^ -lcmocka $(LIBS)

# A fuzz target as a plain program that goes through its corpus.
$(BUILD)/tests/fuzz/%: $(BUILD)/tests/fuzz/%.o $(BUILD)/tests/fuzz/replay.o $(BUILD)/libregrow.a
	@echo "  LD   $@"
	@$(LINK) -o $@ $^ $(LIBS)

# Everything there is to run without a cluster.
unit-programs: $(TESTS) $(TOOLS) $(REPLAYS)

unit: $(if $(T),$(BUILD)/tests/$(T),unit-programs)
	scripts/run-tests --jobs 2 $(if $(TALLY),--tally $(TALLY)) $(if $(T),$(BUILD)/tests/$(T),$(TESTS) $(REPLAYS))

check-fast: all unit-programs $(MUTANTS)
	scripts/run-tests --jobs 2 $(if $(TALLY),--tally $(TALLY)) $(CHECKS) $(TESTS) $(SCRIPT_TESTS) \
		$(REPLAYS)

check:
	@MAKEFLAGS= SAN=$(SAN) FUZZ_SECONDS=$(FUZZ_SECONDS) scripts/check

demo bench coverage torture soak:
	@MAKEFLAGS= scripts/$@

# ---- fuzzing: of the objects of the build with sanitizers ----
FUZZED := $(if $(T),build-fuzz/fuzz_$(T),$(FUZZ))

ifdef SAN
build-fuzz/fuzz_%: $(BUILD)/tests/fuzz/fuzz_%.o $(BUILD)/libregrow.a
	@mkdir -p $(@D)
	@echo "  LD   $@"
	@$(CC) -fsanitize=fuzzer,address,undefined -o $@ $^ $(LIBS)

fuzz-build: $(FUZZED)
else
fuzz-build:
	@$(MAKE) SAN=1 BUILD=build-san T=$(T) fuzz-build
endif

fuzz: fuzz-build
	scripts/fuzz $(FUZZ_SECONDS) $(FUZZED)

install: all
	install -D -m 755 $(BUILD)/regrow $(DESTDIR)$(PREFIX)/bin/regrow
	scripts/install-docs $(BUILD)/regrow $(DESTDIR)$(PREFIX)

deb: all
	scripts/deb $(BUILD)/regrow $(VERSION) $(BUILD)

format:
	clang-format -i $(wildcard $(foreach r,$(ROOMS),$(r)/*.[ch]) tests/*.[ch] tests/*/*.[ch])

clean:
	rm -rf build build-san build-tsan build-cov build-fuzz

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
