# jobberd: everything is built below build/. `make help` lists the targets.

VERSION := 0.1.0
PREFIX ?= /usr/local
DESTDIR ?=
BUILD ?= build

CC ?= cc
CSTD := -std=gnu11
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
	-Wwrite-strings -Wformat=2 -Wno-format-nonliteral
OPTIMIZE ?= -O2 -g
HARDEN := -fstack-protector-strong -fPIE
ALL_CFLAGS := $(CSTD) $(WARNINGS) $(OPTIMIZE) $(HARDEN) $(SANITIZE) $(CFLAGS)
ALL_CPPFLAGS := -D_GNU_SOURCE -Isrc -Iinclude -Itests -DJOBBERD_VERSION='"$(VERSION)"' \
	-DJOBBERD_LIBEXEC='"$(PREFIX)/libexec/jobberd"' $(CPPFLAGS)
ALL_LDFLAGS := -pie -Wl,-z,relro,-z,now $(SANITIZE) $(LDFLAGS)
LIBS := -lsqlite3 -ljansson -lyajl -lbsd -lm
ifdef CI
ALL_CFLAGS += -Werror
endif

# V=1 shows whole commands.
ifeq ($(V),)
QUIET = @printf '%-3s %s\n' $(if $(filter %.o,$@),CC,$(if $(filter %.a,$@),AR,LD)) '$@';
endif

SOURCES := $(sort $(filter-out src/servers/%,$(wildcard src/*.c src/*/*.c)))
OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o) $(BUILD)/migrations.o
LIBRARY := $(filter-out $(BUILD)/src/jobberd.o,$(OBJECTS))
# libjobber is the child's side, and what that is built of.
JOBBER_OBJECTS := $(patsubst %.c,$(BUILD)/pic/%.o, \
	$(sort $(wildcard src/runtime/*.c)) src/wire/line.c src/wire/rpc.c \
	$(addprefix src/base/,buf.c clock.c log.c text.c text_utf8.c xalloc.c))
# libjobber-main is the rest, for programs that are their own supervisors.
MAIN_OBJECTS := $(patsubst %.c,$(BUILD)/pic/%.o, \
	$(filter-out src/runtime/% src/jobberd.c,$(SOURCES))) $(BUILD)/pic/migrations.o
JOBBER := $(foreach name,libjobber libjobber-main, \
	$(BUILD)/$(name).a $(BUILD)/$(name).so.0 $(BUILD)/$(name).so)
SERVERS := $(patsubst src/%.c,$(BUILD)/%,$(sort $(wildcard src/servers/*.c))) \
	$(BUILD)/servers/send_server
# The one that is installed, and the only program that links libcurl.
SEND_SERVER := $(patsubst %.c,$(BUILD)/%.o,$(sort $(wildcard src/servers/send_server/*.c)))
SUPPORT := $(patsubst %.c,$(BUILD)/%.o,$(sort $(wildcard tests/support/*.c)))
UNIT_TESTS := $(sort $(wildcard tests/unit/*/test_*.c))
SYSTEM_TESTS := $(sort $(wildcard tests/system/test_*.c))
TESTS := $(UNIT_TESTS) $(SYSTEM_TESTS)
ifdef T
TESTS := $(filter %/test_$(T:test_%=%).c,$(TESTS))
endif
TEST_PROGRAMS := $(TESTS:%.c=$(BUILD)/%)
FUZZERS := $(patsubst %.c,$(BUILD)/%,$(sort $(wildcard tests/fuzz/*.c)))
ifdef F
FUZZERS := $(filter %/$(F),$(FUZZERS))
endif
BENCHES := $(patsubst %.c,$(BUILD)/%,$(sort $(wildcard tests/bench/*.c)))
BENCH_KIT := $(patsubst %.c,$(BUILD)/%.o,$(sort $(wildcard tests/bench/kit/*.c)))
BENCH_HELPERS := $(addprefix $(BUILD)/tests/bench/helpers/,first pause jobberd-heap idle echo)

# One compiler for each CPU, unless -j of the caller says how many.
IN_PARALLEL = $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(shell nproc)) --no-print-directory

.PHONY: all run check asan valgrind chaos fuzz coverage lint format bench install help clean packages
.DELETE_ON_ERROR:
.SECONDARY:

all: $(BUILD)/jobberd $(JOBBER) $(SERVERS) ## build the program, the library and servers

packages:
	@tests/packages

run: packages ## build, then do the main job on real input (what is missing is installed)
	@$(MAKE) $(IN_PARALLEL) all
	@tests/run-demo $(BUILD)/jobberd $(BUILD)/run

check: packages ## build and pass all tests; T=name runs one test file
	@$(MAKE) $(IN_PARALLEL) check-built

.PHONY: check-built
check-built: $(BUILD)/jobberd $(JOBBER) $(SERVERS) $(TEST_PROGRAMS)
	@JOBBERD="$(abspath $(BUILD)/jobberd)" tests/run $(TEST_PROGRAMS)

asan: packages ## the same with address and undefined behaviour sanitizers
	@rm -f build/asan/report.*
	@# processes that nobody waits for report too, whether a test failed or not
	@ASAN_OPTIONS="detect_leaks=1:exitcode=99:log_path='$(CURDIR)/build/asan/report'" \
	UBSAN_OPTIONS="halt_on_error=1:log_path='$(CURDIR)/build/asan/report'" \
	$(MAKE) $(IN_PARALLEL) BUILD=build/asan OPTIMIZE='-O1 -g -fno-omit-frame-pointer' \
		SANITIZE='-fsanitize=address,undefined' CPPFLAGS=-DSANITIZED check-built; \
	status=$$?; \
	for report in build/asan/report.*; do \
		[ ! -e "$$report" ] || { head -n 100 "$$report"; status=1; }; \
	done; \
	exit $$status

# valgrind knows no pidfds, and makes a plain fork of the clone that spawn is about.
VALGRIND_TESTS := $(filter-out %/test_spawn.c %/test_pidfd.c %/test_keeper_signals.c \
	%/test_lock.c,$(UNIT_TESTS))
valgrind: packages ## unit tests under valgrind
	@$(MAKE) $(IN_PARALLEL) all
	@WRAP='valgrind -q --error-exitcode=99 --leak-check=full' \
	$(MAKE) $(IN_PARALLEL) TESTS="$(VALGRIND_TESTS)" check-built

chaos: packages ## the exact-sum test at length: SEEDS=10 times KILLS=200 kills
	@$(MAKE) $(IN_PARALLEL) check-built T=test_exact_sum SEEDS=$(or $(SEEDS),10) \
		KILLS=$(or $(KILLS),200)

FUZZ_SECONDS ?= 5
fuzz: ## look for inputs that break a parser; FUZZ_SECONDS=600 each, F=rpc only one
	@tests/packages clang
	@FUZZ_SECONDS=$(FUZZ_SECONDS) $(MAKE) $(IN_PARALLEL) BUILD=build/fuzz CC=clang \
		OPTIMIZE='-O1 -g -fno-omit-frame-pointer' CPPFLAGS=-DSANITIZED \
		SANITIZE='-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all' \
		fuzz-built

.PHONY: fuzz-built
fuzz-built: $(FUZZERS)
	@tests/fuzz/run $(BUILD) $(FUZZERS)

coverage: packages ## pass all tests and say which lines of src none of them reached
	@rm -rf build/coverage/lines
	@find build/coverage -name '*.gcda' -delete 2>/dev/null || true
	@$(MAKE) $(IN_PARALLEL) BUILD=build/coverage OPTIMIZE='-O0 -g' \
		SANITIZE=--coverage check-built
	@tests/coverage build/coverage

lint: packages ## house rules, static analysis, man pages, formatting
	@tests/lint

format: ## let clang-format lay out the code
	@clang-format -i $(SOURCES) $(wildcard src/*/*.h tests/*/*.[ch] tests/*/*/*.[ch])

bench: packages ## measure against bare loops in the same run; B=drain measures one thing
	@$(MAKE) $(IN_PARALLEL) all bench-built
	@tests/bench/run $(BUILD)

.PHONY: bench-built
bench-built: $(BENCHES) $(BENCH_HELPERS)

help: ## print this list
	@sed -n 's/^\([a-z]*\):.*## /\1|/p' Makefile | awk -F'|' '{ printf "%-10s %s\n", $$1, $$2 }'

clean: ## remove what was built
	rm -rf build

# Static: a verb is over before a dynamic linker has found five libraries (a third of what
# `submit` costs). DYNAMIC=1, and the sanitizers, link as usual.
ifneq ($(DYNAMIC)$(SANITIZE),)
PROGRAM_LINK := $(ALL_LDFLAGS)
PROGRAM_LIBS := $(LIBS)
else
PROGRAM_LINK := -static-pie -Wl,-z,relro,-z,now -Wl,--no-warnings $(LDFLAGS)
# The static yajl has a name of its own.
PROGRAM_LIBS := $(LIBS:-lyajl=-lyajl_s) -lmd
endif

$(BUILD)/jobberd: $(OBJECTS)
	$(QUIET)$(CC) $(PROGRAM_LINK) -o $@ $^ $(PROGRAM_LIBS)

$(BUILD)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(QUIET)$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/pic/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(QUIET)$(CC) $(ALL_CPPFLAGS) $(filter-out -fPIE,$(ALL_CFLAGS)) -fPIC -MMD -MP -c -o $@ $<

# One object each, of which no name is left but those of the interface: a program may have a
# buf_add() of its own.
$(BUILD)/libjobber.o: $(JOBBER_OBJECTS)
$(BUILD)/libjobber-main.o: $(MAIN_OBJECTS)
$(BUILD)/libjobber.o $(BUILD)/libjobber-main.o:
	$(QUIET)$(LD) -r -o $@ $^
	@objcopy -w --keep-global-symbol='gen_*' --keep-global-symbol='jobber_*' $@

$(BUILD)/lib%.a: $(BUILD)/lib%.o
	@rm -f $@
	$(QUIET)ar rcs $@ $^

$(BUILD)/libjobber.so.0: $(JOBBER_OBJECTS)
$(BUILD)/libjobber.so.0: JOBBER_LIBS := -ljansson -lm
$(BUILD)/libjobber-main.so.0: $(MAIN_OBJECTS) $(BUILD)/libjobber.so
$(BUILD)/libjobber-main.so.0: JOBBER_LIBS := -L$(BUILD) -ljobber $(LIBS)
$(BUILD)/libjobber.so.0 $(BUILD)/libjobber-main.so.0: src/runtime/libjobber.map
	$(QUIET)$(CC) -shared -Wl,-soname,$(@F) $(filter-out -pie,$(ALL_LDFLAGS)) \
		$(if $(SANITIZE),,-Wl,-z,defs) -Wl,--version-script=src/runtime/libjobber.map \
		-o $@ $(filter %.o,$^) $(JOBBER_LIBS)

$(BUILD)/lib%.so: $(BUILD)/lib%.so.0
	@ln -sf $(<F) $@

$(BUILD)/servers/%: $(BUILD)/src/servers/%.o $(BUILD)/libjobber.a
	@mkdir -p $(@D)
	$(QUIET)$(CC) $(ALL_LDFLAGS) -o $@ $^ -ljansson -lm

$(BUILD)/send_server.a: $(SEND_SERVER)
	@rm -f $@
	$(QUIET)ar rcs $@ $^

$(BUILD)/servers/send_server: $(SEND_SERVER) $(BUILD)/libjobber.a
	@mkdir -p $(@D)
	$(QUIET)$(CC) $(ALL_LDFLAGS) -o $@ $^ -lcurl -ljansson -lm

# Where `make install PREFIX=` will put things is compiled in: build anew when it changes.
$(BUILD)/prefix: FORCE
	@mkdir -p $(@D)
	@echo '$(PREFIX)' | cmp -s - $@ || echo '$(PREFIX)' > $@

NAMES_LIBEXEC := $(shell grep -ls JOBBERD_LIBEXEC $(SOURCES))
$(NAMES_LIBEXEC:%.c=$(BUILD)/%.o) $(NAMES_LIBEXEC:%.c=$(BUILD)/pic/%.o): $(BUILD)/prefix

.PHONY: FORCE
FORCE:

$(BUILD)/tests/%.o: ALL_CPPFLAGS += -DTESTS_DIRECTORY='"$(abspath tests)"'
$(BUILD)/tests/%.o: ALL_CPPFLAGS += -DSERVERS_DIRECTORY='"$(abspath $(BUILD))/servers"'

$(BUILD)/migrations.c: $(sort $(wildcard migrations/*.sql)) migrations/embed
	@mkdir -p $(@D)
	migrations/embed migrations/*.sql > $@

$(BUILD)/migrations.o: $(BUILD)/migrations.c
	$(QUIET)$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -Wno-overlength-strings -c -o $@ $<

$(BUILD)/pic/migrations.o: $(BUILD)/migrations.c
	@mkdir -p $(@D)
	$(QUIET)$(CC) $(ALL_CPPFLAGS) $(filter-out -fPIE,$(ALL_CFLAGS)) -fPIC \
		-Wno-overlength-strings -c -o $@ $<

# Archives, so that a test links only what it uses.
$(BUILD)/support.a: $(SUPPORT)
	@rm -f $@
	$(QUIET)ar rcs $@ $^

$(BUILD)/jobberd.a: $(LIBRARY)
	@rm -f $@
	$(QUIET)ar rcs $@ $^

$(BUILD)/tests/unit/%: $(BUILD)/tests/unit/%.o $(BUILD)/support.a $(BUILD)/jobberd.a
	@mkdir -p $(@D)
	$(QUIET)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS) -lcmocka

$(BUILD)/tests/unit/servers/%: $(BUILD)/tests/unit/servers/%.o $(BUILD)/support.a \
		$(BUILD)/send_server.a $(BUILD)/jobberd.a
	@mkdir -p $(@D)
	$(QUIET)$(CC) $(ALL_LDFLAGS) -o $@ $^ -lcurl $(LIBS) -lcmocka

$(BUILD)/tests/system/%: $(BUILD)/tests/system/%.o $(BUILD)/support.a $(BUILD)/jobberd.a
	@mkdir -p $(@D)
	$(QUIET)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS) -lcmocka

$(BUILD)/bench.a: $(BENCH_KIT)
	@rm -f $@
	$(QUIET)ar rcs $@ $^

$(BUILD)/tests/bench/%: $(BUILD)/tests/bench/%.o $(BUILD)/bench.a $(BUILD)/jobberd.a
	@mkdir -p $(@D)
	$(QUIET)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/tests/fuzz/%: $(BUILD)/tests/fuzz/%.o $(BUILD)/jobberd.a
	@mkdir -p $(@D)
	$(QUIET)$(CC) $(ALL_LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(LIBS)

$(BUILD)/tests/bench/helpers/first $(BUILD)/tests/bench/helpers/pause: $(BUILD)/%: %.c
	@mkdir -p $(@D)
	$(QUIET)$(CC) $(CSTD) $(WARNINGS) -O2 -static -o $@ $<

$(BUILD)/tests/bench/helpers/echo: $(BUILD)/tests/bench/helpers/echo.o $(BUILD)/libjobber.a
	$(QUIET)$(CC) $(ALL_LDFLAGS) -o $@ $^ -ljansson -lm

$(BUILD)/tests/bench/helpers/jobberd-heap: $(OBJECTS) $(BUILD)/tests/bench/helpers/heap.o
	$(QUIET)$(CC) $(PROGRAM_LINK) -o $@ $^ $(PROGRAM_LIBS)

$(BUILD)/tests/bench/helpers/idle: $(BUILD)/tests/bench/helpers/idle.o \
		$(BUILD)/libjobber-main.a $(BUILD)/libjobber.a
	$(QUIET)$(CC) $(PROGRAM_LINK) -o $@ $^ $(PROGRAM_LIBS)

install: all ## install below DESTDIR and PREFIX
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/libexec/jobberd
	install -m 755 $(BUILD)/jobberd $(DESTDIR)$(PREFIX)/bin/jobberd
	install -m 755 $(BUILD)/servers/send_server $(DESTDIR)$(PREFIX)/libexec/jobberd
	for page in man/*.[1-8]; do \
		section=$${page##*.}; \
		install -d $(DESTDIR)$(PREFIX)/share/man/man$$section; \
		sed 's|/usr/local|$(PREFIX)|' $$page | install -m 644 /dev/stdin \
			$(DESTDIR)$(PREFIX)/share/man/man$$section/$${page##*/}; \
	done
	@# each other function of a page under its own name
	for page in man/*.3; do \
		for name in $$(sed -n '/^\.Sh NAME/,/^\.Nd/s/^\.Nm \([a-z_]*\).*/\1/p' $$page); do \
			[ "$${page##*/}" = $$name.3 ] || echo ".so man3/$${page##*/}" > \
				$(DESTDIR)$(PREFIX)/share/man/man3/$$name.3; \
		done; \
	done
	install -d $(DESTDIR)$(PREFIX)/include/jobber $(DESTDIR)$(PREFIX)/lib/pkgconfig
	install -m 644 include/jobber/*.h $(DESTDIR)$(PREFIX)/include/jobber
	for name in jobber jobber-main; do \
		install -m 644 $(BUILD)/lib$$name.a $(BUILD)/lib$$name.so.0 \
			$(DESTDIR)$(PREFIX)/lib; \
		ln -sf lib$$name.so.0 $(DESTDIR)$(PREFIX)/lib/lib$$name.so; \
		sed 's|@PREFIX@|$(PREFIX)|; s|@VERSION@|$(VERSION)|' src/runtime/$$name.pc.in | \
			install -m 644 /dev/stdin \
				$(DESTDIR)$(PREFIX)/lib/pkgconfig/$$name.pc; \
	done
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system $(DESTDIR)$(PREFIX)/lib/systemd/user
	sed 's|@PREFIX@|$(PREFIX)|' src/systemd/jobberd.service | install -m 644 /dev/stdin \
		$(DESTDIR)$(PREFIX)/lib/systemd/system/jobberd.service
	sed 's|@PREFIX@|$(PREFIX)|' src/systemd/jobberd-user.service | install -m 644 /dev/stdin \
		$(DESTDIR)$(PREFIX)/lib/systemd/user/jobberd.service

-include $(OBJECTS:.o=.d) $(SUPPORT:.o=.d) $(TEST_PROGRAMS:=.d) $(BENCHES:=.d) $(FUZZERS:=.d) \
	$(BENCH_KIT:.o=.d) $(JOBBER_OBJECTS:.o=.d) $(MAIN_OBJECTS:.o=.d) \
	$(SERVERS:$(BUILD)/%=$(BUILD)/src/%.d) $(SEND_SERVER:.o=.d)
