# tidegate: `make help` lists the targets. Building needs Debian packages only; `make deps` installs
# them. V=1 shows the commands.
CC ?= cc
PKG_CONFIG ?= pkg-config
CFLAGS ?= -O2 -g
BUILD ?= build
prefix ?= /usr/local

PACKAGES = libevent_core luajit libssl libcrypto jansson
ALL_CPPFLAGS = -Icore -I. -D_GNU_SOURCE $(shell $(PKG_CONFIG) --cflags $(PACKAGES)) $(CPPFLAGS)
WARNINGS = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Werror
ALL_CFLAGS = -std=c11 -pthread $(WARNINGS) $(CFLAGS)
ALL_LIBS = $(shell $(PKG_CONFIG) --libs $(PACKAGES)) -lisal -lcrypt -lm -ldl $(LDLIBS)
Q = $(if $(V),,@)
COMPILE = $(Q)$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<
LINK = $(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(ALL_LIBS)

ROOMS = base crypto loop stream http store lua serve command
LIB_SRC = $(wildcard $(ROOMS:%=core/%/*.c) backends/*/*.c)
MAIN_SRC = $(wildcard core/*.c)
UNIT_SRC = $(wildcard spec/unit/*.c)
FUZZ_SRC = $(wildcard spec/fuzz/*.c)
BENCH_SRC = $(wildcard spec/bench/*.c)
SCRIPTS = $(shell find scripts -name '*.lua' | LC_ALL=C sort)
C_FILES = $(shell find core backends spec -name '*.[ch]' | LC_ALL=C sort)

LIB = $(BUILD)/libtidegate.a
FUZZERS = $(FUZZ_SRC:spec/fuzz/%.c=$(BUILD)/bin/%)

.PHONY: build
build: $(BUILD)/tidegate ## build the program (the default)

$(BUILD)/tidegate: $(MAIN_SRC:%.c=$(BUILD)/%.o) $(LIB)
	$(LINK)

# every C unit case in one program: `build/unit --list`, `build/unit --run NAME`
$(BUILD)/unit: $(UNIT_SRC:%.c=$(BUILD)/%.o) $(LIB)
	$(LINK)

$(FUZZERS): $(BUILD)/bin/%: $(BUILD)/spec/fuzz/%.o $(LIB)
	@mkdir -p $(@D)
	$(LINK) -fsanitize=fuzzer

# the client that puts load on servers in `make bench`
$(BUILD)/load: $(BENCH_SRC:%.c=$(BUILD)/%.o)
	$(LINK)

$(LIB): $(LIB_SRC:%.c=$(BUILD)/%.o) $(BUILD)/scripts.o
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	@echo "cc $<"
	$(COMPILE)

# the scripts become part of the program as text, in a table of name and bytes
$(BUILD)/scripts.c: $(SCRIPTS) $(shell find scripts -type d) Makefile
	@mkdir -p $(@D)
	@{ i=0; echo '#include "lua/scripts.h"'; \
	for f in $(SCRIPTS); do \
	  printf '__asm__(".section .rodata\\nscript_%d: .incbin \\"%s\\"\\nscript_%d_end: .byte 0\\n.previous");\n' $$i $$f $$i; \
	  printf 'extern const char script_%d[], script_%d_end[];\n' $$i $$i; i=$$((i + 1)); done; \
	echo 'const struct script scripts[] = {'; i=0; \
	for f in $(SCRIPTS); do n=$${f#scripts/}; \
	  printf '    {"%s", script_%d, script_%d_end},\n' $$n $$i $$i; i=$$((i + 1)); done; \
	echo '    {0, 0, 0}};'; } > $@

$(BUILD)/scripts.o: $(BUILD)/scripts.c $(SCRIPTS)
	$(COMPILE)

.PHONY: deps deps-test
deps: ## install the Debian packages that building needs, as root or by sudo
	@.ci/deps build
deps-test: ## the same for the specs, checks and benchmarks
	@.ci/deps build test

.PHONY: run
run: deps ## install what is missing, build, and serve a registry on 127.0.0.1:5000
	@$(MAKE) -s --no-print-directory -j$$(nproc) build
	@at=$${TIDEGATE_LISTEN:-127.0.0.1:5000}; printf '%s\n' \
	  "A registry at $$at, its data in $${TIDEGATE_DATA:-./data}, its rules in examples/registry.lua." \
	  "Ctrl-C stops it. In another terminal:" \
	  "  curl -i http://$$at/v2/" \
	  "  skopeo copy --dest-tls-verify=false docker://docker.io/library/busybox docker://$$at/busybox"
	@exec $(BUILD)/tidegate serve examples/registry.lua

# a program that hangs must not hang whoever waits for the specs
SPEC_SECONDS = 900
.PHONY: test suite
test: deps-test ## install what is missing, build, run every spec (SPEC=file: only that one)
	@.ci/zuul-registry build/zuul-registry
	@$(MAKE) --no-print-directory -j$$(nproc) suite
suite: $(BUILD)/tidegate $(BUILD)/unit
	@TIDEGATE_BIN=$(BUILD)/tidegate UNIT_BIN=$(BUILD)/unit \
	  timeout -k 10 $(SPEC_SECONDS) luajit spec/run.lua $(SPEC)

# A kernel may place memory where sanitizers do not expect it: then they fail at start, now and then
# or always. Without randomised addresses it does not.
STILL = $$(setarch -R true 2>/dev/null && echo setarch -R)
REPORTS = $(CURDIR)/$(BUILD)/reports
LOG_PATH = log_path=$(REPORTS)/report
.PHONY: sanitize sanitize-memory sanitize-threads sanitized
sanitize: sanitize-memory sanitize-threads ## every spec with AddressSanitizer, LeakSanitizer and UBSan, then with ThreadSanitizer
sanitize-memory:
	@$(MAKE) --no-print-directory sanitized BUILD=$(BUILD)/asan SANITIZER=memory \
	  CFLAGS='-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all'
sanitize-threads:
	@$(MAKE) --no-print-directory sanitized BUILD=$(BUILD)/tsan SANITIZER=threads CC=clang \
	  CFLAGS='-O1 -g -fno-omit-frame-pointer -fsanitize=thread'
# one report is a failure, whether a spec noticed it or not
sanitized:
	@rm -rf $(REPORTS) && mkdir -p $(REPORTS)
	@SANITIZER=$(SANITIZER) ASAN_OPTIONS=detect_leaks=1:$(LOG_PATH) TSAN_OPTIONS=atexit_sleep_ms=0:$(LOG_PATH) \
	  UBSAN_OPTIONS=print_stacktrace=1:$(LOG_PATH) \
	  $(STILL) $(MAKE) --no-print-directory -j$$(nproc) suite SPEC_SECONDS=1800; \
	rc=$$?; cat $(REPORTS)/* 2>/dev/null && exit 1; exit $$rc

CLIENTS = all
.PHONY: clients
clients: $(BUILD)/tidegate ## push and pull with docker, containerd, podman, buildah, skopeo, curl, umoci, crane, regctl, oras, helm (CLIENTS="docker ctr": those)
	@.ci/deps build test clients
	@.ci/go-clients $(BUILD)/clients
	@PATH="$(CURDIR)/$(BUILD)/clients:$$PATH" CLIENTS="$(CLIENTS)" TIDEGATE_BIN=$(BUILD)/tidegate \
	  timeout -k 10 $(SPEC_SECONDS) luajit spec/run.lua spec/clients_spec.lua spec/clients_login_spec.lua spec/clients_tls_spec.lua

TORTURE_KILLS = 200
.PHONY: torture
torture: $(BUILD)/tidegate ## kill -9 a gateway TORTURE_KILLS (200) times while clients push, and look what is lost
	@TIDEGATE_BIN=$(BUILD)/tidegate TORTURE_KILLS=$(TORTURE_KILLS) luajit spec/run.lua spec/torture_spec.lua

# building the earlier version takes a minute, so it is no part of `make test`
.PHONY: upgrade
upgrade: $(BUILD)/tidegate ## a rolling upgrade: an earlier version (spec/upgrade/base) and this one on one store
	@TIDEGATE_EARLIER="$$(spec/upgrade/build $(BUILD)/upgrade)" TIDEGATE_BIN=$(BUILD)/tidegate \
	  timeout -k 10 $(SPEC_SECONDS) luajit spec/run.lua spec/upgrade_spec.lua

.PHONY: conformance
conformance: $(BUILD)/tidegate ## run the distribution-spec's own conformance suite, if Go and the suite can be had
	@spec/conformance/run $(BUILD)/tidegate

FUZZ_SECONDS = 600
.PHONY: fuzz fuzzers
fuzz: ## fuzz every parser; together they take FUZZ_SECONDS (600)
	@$(MAKE) --no-print-directory fuzzers BUILD=$(BUILD)/fuzz CC=clang \
	  CFLAGS='-O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all'
	@$(STILL) spec/fuzz/run $(BUILD)/fuzz $(FUZZ_SECONDS)
fuzzers: $(FUZZERS)

.PHONY: bench
bench: $(BUILD)/tidegate $(BUILD)/load ## measure beside docker-registry and nginx (BENCH_OUT=file.md: write it there)
	@TIDEGATE_BIN=$(BUILD)/tidegate LOAD_BIN=$(BUILD)/load luajit spec/bench/run.lua $(BENCH_OUT)

.PHONY: check check-format check-lua check-gcc check-clang check-cppcheck check-arrows everything
check: check-format check-lua check-gcc check-clang check-cppcheck check-arrows ## formatting, linters, both compilers, the arrows
check-format:
	@echo "clang-format --dry-run"
	@clang-format --dry-run -Werror $(C_FILES)
check-lua:
	luacheck --no-color -q scripts examples spec .ci/image.lua
check-gcc:
	$(MAKE) --no-print-directory everything CC=gcc BUILD=$(BUILD)/gcc
check-clang:
	$(MAKE) --no-print-directory everything CC=clang BUILD=$(BUILD)/clang
check-cppcheck:
	cppcheck -q --std=c11 --enable=warning,performance,portability --error-exitcode=1 \
	  --inline-suppr --suppress=missingIncludeSystem -Icore -I. -D_GNU_SOURCE core backends spec
check-arrows:
	luajit spec/arrows.lua
everything: $(BUILD)/tidegate $(BUILD)/unit $(BUILD)/load $(FUZZ_SRC:%.c=$(BUILD)/%.o)

.PHONY: format install uninstall image clean help
format: ## let clang-format lay out the C files
	clang-format -i $(C_FILES)

# Where everything goes; packagers set prefix and DESTDIR, or any of these.
bindir = $(prefix)/bin
datadir = $(prefix)/share
docdir = $(datadir)/doc/tidegate
exampledir = $(datadir)/tidegate/examples
mandir = $(datadir)/man
unitdir = $(prefix)/lib/systemd/system
completiondir = $(datadir)/bash-completion/completions
VERSION := $(shell sed -n 's/^.define VERSION "\(.*\)"/\1/p' core/base/version.h)
EXAMPLES = $(shell cd examples && find . -type f ! -path './systemd/*' ! -path './shell/*')
DOCS = README.md $(wildcard docs/*.md)
PAGES = man1/tidegate.1 man5/tidegate-script.5
UNITS = tidegate.service tidegate.socket
PUT = install -D -m 644

# a manual page lists the commands that this program has
$(BUILD)/man/%: docs/%.in $(BUILD)/tidegate
	@mkdir -p $(@D)
	@$(BUILD)/tidegate help | awk -F '  +' '/^  [a-z]/ { gsub("-", "\\-"); \
	  printf ".TP\n.B tidegate %s%s\n%s\n", $$2, (NF > 3 ? " " $$3 : ""), $$NF }' > $@.commands
	@sed -e 's,@version@,$(VERSION),; s,@docdir@,$(docdir),; s,@exampledir@,$(exampledir),' \
	  -e '/^@commands@$$/{r $@.commands' -e 'd}' $< > $@

install: build $(foreach p,$(PAGES),$(BUILD)/man/$(notdir $p)) ## install below $(DESTDIR)$(prefix)
	install -D $(BUILD)/tidegate $(DESTDIR)$(bindir)/tidegate
	for f in $(EXAMPLES); do $(PUT) examples/$$f $(DESTDIR)$(exampledir)/$$f || exit 1; done
	$(PUT) -t $(DESTDIR)$(docdir) $(DOCS)
	for f in $(PAGES); do $(PUT) $(BUILD)/man/$${f#*/} $(DESTDIR)$(mandir)/$$f || exit 1; done
	$(PUT) examples/shell/tidegate.bash $(DESTDIR)$(completiondir)/tidegate
	$(PUT) -t $(DESTDIR)$(unitdir) $(UNITS:%=examples/systemd/%)
	sed -i 's,/usr/local/bin,$(bindir),' $(DESTDIR)$(unitdir)/tidegate.service
uninstall: ## remove what install has put there, and nothing else
	rm -f $(DESTDIR)$(bindir)/tidegate $(DESTDIR)$(completiondir)/tidegate
	rm -f $(PAGES:%=$(DESTDIR)$(mandir)/%) $(UNITS:%=$(DESTDIR)$(unitdir)/%)
	rm -rf $(DESTDIR)$(docdir) $(DESTDIR)$(datadir)/tidegate

image: build ## an OCI image of the program below $(BUILD)/image, without root, network and container tools
	@luajit .ci/image.lua $(BUILD)/tidegate $(VERSION) $(BUILD)/image

clean: ## remove what was built
	rm -rf $(BUILD)
help: ## list these
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
