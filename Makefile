# SPDX-License-Identifier: Apache-2.0
#
# make            build/regrow            make unit T=gitops/test_yaml   one unit test
# make check      everything              make check-fast               no cluster, a minute
# make demo       a cluster grows         make bench                    figures for docs/performance.md
# SAN=1           with ASan and UBSan     BUILD=dir                     another build folder

, := ,
SAN ?=
BUILD ?= build$(if $(SAN),-san)
PREFIX ?= /usr/local
DESTDIR ?=
CC ?= gcc
FUZZ_SECONDS ?= 60
T ?=
VERSION := 0.1.0

ROOMS := base gitops source kube reconcile snapshot bootstrap restore cli
PKGS := libgit2 yaml-0.1 libcurl libarchive libzstd libssl libcrypto jansson smartcols

WARN := -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wformat=2 -Wundef -Wvla \
	-Wpointer-arith -Wwrite-strings -Wstrict-prototypes -Wmissing-prototypes \
	-Wold-style-definition $(if $(WERROR),-Werror)
CFLAGS ?= -O2 -g
HARDEN := $(if $(SAN),,-D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE)
HARDEN_LD := $(if $(SAN),,-pie -Wl$(,)-z$(,)relro$(,)-z$(,)now)
SAN_FLAGS := $(if $(SAN),-fsanitize=address$(,)undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined)

# Looked up only when something is compiled, so that help and checks work on a bare machine.
PKG_CFLAGS = $(eval PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) || echo PACKAGES-ARE-MISSING-run-scripts/setup))$(PKG_CFLAGS)
PKG_LIBS = $(eval PKG_LIBS := $(shell pkg-config --libs $(PKGS)))$(PKG_LIBS)
ALL_CFLAGS = -std=c17 -D_GNU_SOURCE -DREGROW_VERSION='"$(VERSION)"' -I. $(WARN) $(CFLAGS) $(HARDEN) $(SAN_FLAGS) $(PKG_CFLAGS)
ALL_LIBS = $(HARDEN_LD) -Wl,--as-needed $(PKG_LIBS) -lpthread -lm

LIB_SRC := $(filter-out cli/main.c,$(foreach r,$(ROOMS),$(wildcard $(r)/*.c)))
LIB_OBJ := $(LIB_SRC:%.c=$(BUILD)/%.o)
TEST_SRC := $(wildcard $(foreach r,$(ROOMS),tests/$(r)/test_*.c))
TOOL_SRC := $(wildcard $(foreach r,$(ROOMS),tests/$(r)/tool_*.c) tests/bench/*.c)
TESTS := $(if $(T),$(BUILD)/tests/$(T),$(TEST_SRC:%.c=$(BUILD)/%))
TOOLS := $(TOOL_SRC:%.c=$(BUILD)/%)
FUZZ := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))

.PHONY: all unit tools check check-fast demo bench torture fuzz fuzz-build fuzz-replay install \
	format clean help
all: $(BUILD)/regrow

help:
	@sed -n '3,7s/^# //p' Makefile

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC   $<"
	@$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/libregrow.a: $(LIB_OBJ)
	@rm -f $@
	@echo "  AR   $@"
	@ar rcs $@ $^

$(BUILD)/regrow: $(BUILD)/cli/main.o $(BUILD)/libregrow.a
	@echo "  LD   $@"
	@$(CC) $(ALL_CFLAGS) -o $@ $^ $(ALL_LIBS)

$(BUILD)/tests/%: $(BUILD)/tests/%.o $(BUILD)/libregrow.a
	@echo "  LD   $@"
	@$(CC) $(ALL_CFLAGS) -o $@ $^ -lcmocka $(ALL_LIBS)

.SECONDARY:

tools: $(TOOLS)

unit: $(TESTS) $(TOOLS)
	scripts/run-tests $(TESTS)

check-fast: all unit-programs
	scripts/check-fast $(BUILD)

unit-programs: $(TEST_SRC:%.c=$(BUILD)/%) $(TOOLS)

check:
	scripts/check

demo:
	scripts/demo

bench:
	scripts/bench

torture:
	scripts/torture

# ---- fuzzing: clang, its own objects ----
FUZZ_FLAGS := -std=c17 -D_GNU_SOURCE -DREGROW_VERSION='"$(VERSION)"' -I. -g -O1 -fsanitize=fuzzer-no-link,address,undefined
build-fuzz/%.o: %.c
	@mkdir -p $(@D)
	clang $(FUZZ_FLAGS) $(PKG_CFLAGS) -MMD -MP -c -o $@ $<
build-fuzz/libregrow.a: $(LIB_SRC:%.c=build-fuzz/%.o)
	@rm -f $@
	ar rcs $@ $^
build-fuzz/fuzz_%: build-fuzz/tests/fuzz/fuzz_%.o build-fuzz/libregrow.a
	clang $(FUZZ_FLAGS) -fsanitize=fuzzer -o $@ $^ $(ALL_LIBS)
fuzz-build: $(FUZZ:%=build-fuzz/%)
fuzz: fuzz-build
	scripts/fuzz $(FUZZ_SECONDS) $(FUZZ)

install: all
	install -D -m 755 $(BUILD)/regrow $(DESTDIR)$(PREFIX)/bin/regrow
	scripts/install-docs $(BUILD)/regrow $(DESTDIR)$(PREFIX)

format:
	clang-format -i $(foreach r,$(ROOMS),$(wildcard $(r)/*.[ch])) $(wildcard tests/*/*.[ch])

clean:
	rm -rf build build-san build-fuzz

-include $(LIB_OBJ:.o=.d) $(BUILD)/cli/main.d $(TEST_SRC:%.c=$(BUILD)/%.d) $(TOOL_SRC:%.c=$(BUILD)/%.d)
