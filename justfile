# The front door: `just` lists what can be done.

default:
    @just --list

# Formats all code.
fmt:
    cargo fmt --all

# Lints all code; warnings are errors, as in CI.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --locked -- -D warnings

# Runs the tests that need nothing but this checkout.
test:
    cargo test --workspace --locked

# Builds the documentation; broken links are errors.
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

# Builds every set of features that a user can choose.
features:
    cargo check --locked
    cargo check --all-features --locked

# Runs every example; each ends by itself.
examples:
    for example in one_gateway many_gateways subscribe_events audit_trail kept_messages provision_agents embed_axum embed_actix_web; do cargo run --locked --example $example || exit 1; done

# Checks licences, advisories and bans (needs cargo-deny).
deny:
    cargo deny --workspace check

# Drives one fuzz target by coverage, half an hour unless it is told otherwise (needs cargo-fuzz), see docs/fuzzing.md.
fuzz TARGET *ARGS="-max_total_time=1800":
    cargo run --locked -p windlass-fuzz --bin windlass-fuzz-seeds -- fuzz/corpus
    cargo fuzz run -s none {{TARGET}} -- -rss_limit_mb=2048 -timeout=10 -print_final_stats=1 {{ARGS}}

# Proves the line against real gateways of both generations (needs npm; installs them into target/).
interop *ARGS="--release 2026.9.6 --release 2026.3.13":
    cargo run --release --locked -p windlass-interop -- run {{ARGS}}

# The same against all nine releases, and writes docs/compatibility.md.
compatibility:
    cargo run --release --locked -p windlass-interop -- run --all --table docs/compatibility.md

# Compares Windlass with its peers and its limits, see docs/performance.md (some four minutes after the build; npm, python3,
# strace and valgrind are used where they are).
bench *ARGS="--svg docs/performance.svg":
    cargo build --release --locked -p windlass-bench --features full
    ./target/release/windlass-bench rpc {{ARGS}}

# Storms of events to 100 and 1,000 subscribers, and 1,000 and 10,000 lines in one process (under a minute after the build).
bench-scale:
    cargo build --release --locked -p windlass-bench --features full
    ./target/release/windlass-bench events
    ./target/release/windlass-bench scale

# What a call and an idle line may cost, in counts that no clock has a say in.
guards:
    cargo test --locked -p windlass-bench

# Plays worlds made from seeds and checks every promise after each, see docs/simulation.md: `just simulate seed 7 --trace`.
simulate *ARGS="run --seeds 0..10000":
    cargo run --release --locked -p windlass-sim -- {{ARGS}}

# Rewrites the files that tests compare with (help, advice, templates, the fault matrix) from the output of the code.
golden:
    SNAPSHOTS=overwrite WINDLASS_MATRIX=all cargo test --locked

# Plays every cell of the fault matrix; CI plays a third of them for each commit.
matrix-all:
    WINDLASS_MATRIX=all cargo test --locked --test scenarios matrix

# Explores every order of steps of the pieces that threads share (a build of its own, in target/loom).
loom:
    RUSTFLAGS="--cfg windlass_loom" cargo test --locked -p windlass-line --lib --target-dir target/loom loom

# Counts that describe the form of the code: vague words, names, files, circles. `just figures --where words` lists places.
figures *ARGS:
    python3 dev/figures.py {{ARGS}}

# Compares the public interface with the last release (needs cargo-semver-checks, and a release).
semver:
    cargo semver-checks --workspace --exclude windlass-sim --exclude windlass-interop --exclude windlass-bench --exclude windlass-fuzz

# Builds with the oldest compiler that the manifests promise (needs rustup).
msrv:
    rustup toolchain install 1.94 --profile minimal
    cargo +1.94 check --workspace --all-targets --locked

# All that CI runs.
ci:
    bash .ci/run
