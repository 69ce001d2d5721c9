#!/bin/bash
# Installs what pgsluice needs on Debian 12: as root, or as a user who may use sudo.
#
#   scripts/install-deps.sh [build] [test] [quickstart] [bench] [console]   (default: build test)
#
# What is there already is left alone; with everything there it does nothing and takes no time.
# A PostgreSQL installed by this script does not create or start a cluster of its own, and an sshd (for
# the tests of tunnels, which start their own) does not run.
set -euo pipefail

BUILD="meson ninja-build pkg-config gcc libc6-dev libpq-dev libsqlite3-dev libmicrohttpd-dev
libjansson-dev libfyaml-dev libcurl4-openssl-dev libsodium-dev libssl-dev libpg-query-dev libcmocka-dev"
QUICKSTART="python3 python3-psycopg python3-yaml postgresql-15 postgresql-client-15"
TEST="clang libclang-rt-14-dev python3 python3-psycopg python3-pytest
python3-pytest-xdist python3-yaml python3-jsonschema python3-aiosmtpd postgresql-15 postgresql-client-15
postgresql-server-dev-15 make openssl sudo tmux openssh-client openssh-server"
BENCH="$QUICKSTART pgcopydb"
NPM=10.9.4 # works with Debian 12's Node 18
NPM_SHA512=3a7506f37e85c1ba1021baad79f0cd9724748131f321fc117c4dc3ba235ec01be7327584a41d15117c01945560aa9373220628fcc1e1dddd877a5fe9b336a900

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

# A node from elsewhere is good enough. The distribution's npm would bring 336 packages; npm's own
# package, where `npm install -g npm` puts it, does as well (see install_npm).
missing_node() {
    command -v node >/dev/null || echo nodejs ca-certificates python3
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

# Debian's own switch. Remove the file to run sshd as a service.
without_sshd() {
    as_root mkdir -p /etc/ssh
    as_root touch /etc/ssh/sshd_not_to_be_run
}

install_npm() {
    local package=$(mktemp) to=/usr/local/lib/node_modules/npm
    echo "install-deps.sh: installing npm $NPM in $to"
    /usr/bin/python3 -c 'import sys, urllib.request; urllib.request.urlretrieve(*sys.argv[1:])' \
        "https://registry.npmjs.org/npm/-/npm-$NPM.tgz" "$package" || die "npm could not be downloaded"
    echo "$NPM_SHA512  $package" | sha512sum --check --quiet || die "npm's package is not the one expected"
    chmod 644 "$package"
    as_root mkdir -p "$to" /usr/local/bin
    as_root tar -xzf "$package" --strip-components=1 --no-same-owner -C "$to"
    as_root ln -sf ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
    rm -f "$package"
}

# install PACKAGES: quiet unless it fails
install() {
    local log
    log=$(mktemp)
    echo "install-deps.sh: installing $*"
    case " $* " in *" postgresql-15 "*) without_cluster ;; esac
    case " $* " in *" openssh-server "*) without_sshd ;; esac
    for step in update "install -y --no-install-recommends -o Dpkg::Use-Pty=0 $*"; do
        # shellcheck disable=SC2086
        as_root env DEBIAN_FRONTEND=noninteractive apt-get -q $step </dev/null >"$log" 2>&1 ||
            { cat "$log" >&2; die "apt-get ${step%% *} failed"; }
    done
    rm -f "$log"
}

[ $# -gt 0 ] || set -- build test
command -v dpkg-query >/dev/null || die "this is for Debian 12; README.md lists the libraries"
packages=$(missing_packages "$@") # a subshell: its die leaves a non-zero status, and set -e stops
[ -z "$packages" ] || install $packages
case " $* " in *" test "* | *" console "*) command -v npm >/dev/null || install_npm ;; esac
