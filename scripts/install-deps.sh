#!/bin/bash
# Installs what pgsluice needs on Debian 12: as root, or as a user who may use sudo.
#
#   scripts/install-deps.sh [build] [test] [quickstart] [bench] [console]   (default: build test)
#
# What is there already is left alone; with everything there it does nothing and takes no time.
# A PostgreSQL installed by this script does not create or start a cluster of its own.
set -euo pipefail

BUILD="meson ninja-build pkg-config gcc libc6-dev libpq-dev libsqlite3-dev libmicrohttpd-dev
libjansson-dev libfyaml-dev libcurl4-openssl-dev libsodium-dev libssl-dev libpg-query-dev libcmocka-dev"
QUICKSTART="python3 python3-psycopg python3-yaml postgresql-15 postgresql-client-15"
TEST="clang libclang-rt-14-dev python3 python3-psycopg python3-pytest
python3-pytest-xdist python3-yaml python3-jsonschema python3-aiosmtpd postgresql-15 postgresql-client-15
postgresql-server-dev-15 make openssl sudo tmux"
BENCH="$QUICKSTART pgcopydb"

die() {
    echo "install-deps.sh: $*" >&2
    exit 1
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "not root and no sudo here; as root run: $*"
    fi
}

installed() {
    dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed
}

# The distribution's npm drags in some 400 packages, so a node from elsewhere is good enough.
missing_node() {
    command -v node >/dev/null || echo nodejs
    command -v npm >/dev/null || echo npm
}

missing_chromium() {
    [ -x "${CHROMIUM:-/usr/bin/chromium}" ] || echo chromium
}

missing_packages() {
    local group package
    for group in "$@"; do
        case $group in
        build) set -- $BUILD ;;
        test) set -- $TEST $(missing_node) $(missing_chromium) ;;
        quickstart) set -- $QUICKSTART ;;
        bench) set -- $BENCH ;;
        console) set -- $(missing_node) ;;
        *) die "unknown group '$group'; there are: build test quickstart bench console" ;;
        esac
        for package in "$@"; do
            installed "$package" || echo "$package"
        done
    done | sort -u
}

# Debian makes and starts a cluster when postgresql-15 is first installed; nobody asked us for one.
# The setting is ours only while we install.
QUIET=/etc/postgresql-common/createcluster.d/pgsluice.conf
without_cluster() {
    as_root mkdir -p "${QUIET%/*}"
    echo "create_main_cluster = false" | as_root tee $QUIET >/dev/null
    trap 'as_root rm -f $QUIET' EXIT
}

[ $# -gt 0 ] || set -- build test
command -v dpkg-query >/dev/null || die "this is for Debian 12; README.md lists the libraries"
packages=$(missing_packages "$@") # a subshell: its die leaves a non-zero status, and set -e stops
[ -n "$packages" ] || exit 0

echo "install-deps.sh: installing" $packages
case " "$(echo $packages)" " in *" postgresql-15 "*) without_cluster ;; esac
log=$(mktemp)
apt() { # quiet unless it fails
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q "$@" </dev/null >"$log" 2>&1 ||
        { cat "$log" >&2; die "apt-get $1 failed"; }
}
apt update
apt install -y --no-install-recommends -o Dpkg::Use-Pty=0 $packages
rm -f "$log"
