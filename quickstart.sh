#!/bin/bash
# See pgsluice at work: two throwaway PostgreSQL 15 servers, a web shop with 1.6 million rows that is
# written to all the time, `pgsluice run` that brings the second server in step with the first, and
# the service with its web console that keeps it there.
#
#   ./quickstart.sh         install what is missing, build, synchronize, compare row by row, go on
#   ./quickstart.sh stop    stop all of it and remove it
#
# For Debian 12, as root or as a user who may use sudo (only for installing packages). Everything it
# makes is under $PGSLUICE_QUICKSTART (default /tmp/pgsluice-quickstart-UID) and in build/.
set -euo pipefail
exec </dev/null
cd "$(dirname "$(readlink -f "$0")")"
export PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH:/usr/local/bin LC_ALL=C.UTF-8
unset PYTHONPATH PYTHONHOME CC CFLAGS LDFLAGS PGHOST PGPORT PGUSER PGDATABASE PGOPTIONS PGSLUICE_CACHE
HOME_DIR=${PGSLUICE_QUICKSTART:-/tmp/pgsluice-quickstart-$(id -u)}
POSTGRES=/usr/lib/postgresql/15/bin
SLUICE=$PWD/build/pgsluice
SPEC=$HOME_DIR/shop.yaml

say() {
    printf '\n\033[1m== %s\033[0m (%d s)\n' "$1" "$SECONDS"
}

pgtest() {
    local module=$1
    shift
    PYTHONPATH=$PWD/tests PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 -m "pgtest.$module" "$@"
}

# kept NAME COMMAND…: runs it in the background, past the end of this script
kept() {
    local name=$1
    shift
    setsid -f bash -c 'echo $$ >"$0"; exec "$@"' "$HOME_DIR/$name.pid" "$@" \
        >>"$HOME_DIR/$name.log" 2>&1
    while [ ! -s "$HOME_DIR/$name.pid" ]; do sleep 0.05; done
}

# end NAME PROGRAM: stops what `kept` started, if it is still that program
end() {
    local pid
    pid=$(cat "$HOME_DIR/$1.pid" 2>/dev/null) || return 0
    rm -f "$HOME_DIR/$1.pid"
    case $({ tr '\0' ' ' <"/proc/$pid/cmdline"; } 2>/dev/null) in *"$2"*) ;; *) return 0 ;; esac
    kill -INT "$pid" 2>/dev/null || return 0
    for _ in $(seq 100); do
        kill -0 "$pid" 2>/dev/null || return 0
        sleep 0.1
    done
    kill -KILL "$pid" 2>/dev/null || true
}

stop_all() {
    [ -d "$HOME_DIR" ] || return 0
    [ -e "$HOME_DIR/quickstart" ] || {
        echo "quickstart.sh: $HOME_DIR was not made by this script; left alone" >&2
        exit 1
    }
    end service "$SLUICE"
    end traffic pgbench
    for side in source destination; do
        pgtest cluster destroy "$HOME_DIR/$side"
    done
    rm -rf "$HOME_DIR"
}

connection() { # connection SIDE: for psql and friends, over the server's socket
    echo "host=$HOME_DIR/$1 port=$(cat "$HOME_DIR/$1.port") user=postgres dbname=shop"
}

make_server() { # make_server SIDE
    pgtest cluster create "$HOME_DIR/$1" -c shared_buffers=128MB >"$HOME_DIR/$1.json"
    sed 's/.*"port": \([0-9]*\).*/\1/' "$HOME_DIR/$1.json" >"$HOME_DIR/$1.port"
    $POSTGRES/createdb --maintenance-db="host=$HOME_DIR/$1 port=$(cat "$HOME_DIR/$1.port") user=postgres \
dbname=postgres" shop
}

start_traffic() {
    # 30 visitors a second by two sessions until it is stopped
    kept traffic $POSTGRES/pgbench -n -c 2 -R 30 -T 864000 -f examples/webshop/traffic.sql \
        "$(connection source)"
}

pause_traffic() {
    end traffic pgbench
    # a session that has lost its client may still be committing
    while [ "$($POSTGRES/psql -XAtc "SELECT count(*) FROM pg_stat_activity WHERE application_name = \
'pgbench'" "$(connection source)")" != 0 ]; do
        sleep 0.1
    done
}

write_spec() {
    cat >"$SPEC" <<YAML
name: shop
id: quickstart
source:      { host: 127.0.0.1, port: $(cat "$HOME_DIR/source.port"), database: shop, user: postgres }
destination: { host: 127.0.0.1, port: $(cat "$HOME_DIR/destination.port"), database: shop, user: postgres }
stages: [schema, full, incremental]
objects:
  - schema: shop
YAML
}

# The service goes on with the task where `pgsluice run` has left it; it is the same by its id.
start_service() {
    local port=7432
    ! (exec 3<>/dev/tcp/127.0.0.1/$port) 2>/dev/null || port=0 # taken: any free one
    PASSWORD=$(od -An -N8 -tx8 /dev/urandom | tr -d ' ')
    PGSLUICE_ADMIN_PASSWORD=$PASSWORD kept service \
        "$SLUICE" serve --data-dir "$HOME_DIR/service" --listen 127.0.0.1:$port
    until PGSLUICE_URL=$(grep -om1 'http://127.0.0.1:[0-9]*' "$HOME_DIR/service.log"); do
        kill -0 "$(cat "$HOME_DIR/service.pid")" || { cat "$HOME_DIR/service.log" && return 1; }
        sleep 0.1
    done
    export PGSLUICE_URL PGSLUICE_TOKEN
    PGSLUICE_TOKEN=$(PGSLUICE_PASSWORD=$PASSWORD "$SLUICE" token create quickstart --user admin --role operator)
    "$SLUICE" task create "$SPEC" >/dev/null
    "$SLUICE" task check quickstart >/dev/null
    task_is ready
    "$SLUICE" task start quickstart >/dev/null
    task_is synchronizing
}

# task_is STATE: waits for it, up to a minute
task_is() {
    for _ in $(seq 300); do
        ! "$SLUICE" task show quickstart --json | grep -q "\"state\": *\"$1\"" || return 0
        sleep 0.2
    done
    "$SLUICE" task show quickstart
    return 1
}

case ${1-} in
'') ;;
stop)
    stop_all
    echo "quickstart: stopped, and everything removed"
    exit 0
    ;;
*)
    sed -n '2,10s/^# \{0,1\}//p' "$0"
    exit 2
    ;;
esac

say "Packages"
scripts/install-deps.sh build console quickstart
say "Build"
# shellcheck disable=SC2046
meson setup $([ ! -e build/build.ninja ] || echo --reconfigure) build -Dconsole=enabled >/dev/null
ninja -C build --quiet
"$SLUICE" version
stop_all
mkdir -m 755 "$HOME_DIR"
touch "$HOME_DIR/quickstart"
trap 'echo "quickstart.sh: failed; what is left is under $HOME_DIR, ./quickstart.sh stop removes it" >&2' ERR

say "Two PostgreSQL servers, and a web shop in the first"
make_server source
make_server destination
$POSTGRES/psql -Xq -f examples/webshop/schema.sql "$(connection source)"
start_traffic
echo "visitors place orders now, without a break"

say "pgsluice check"
write_spec
cat "$SPEC"
"$SLUICE" check "$SPEC"

say "pgsluice run --until-caught-up: schema, rows, then the changes made meanwhile"
"$SLUICE" run "$SPEC" --until-caught-up

say "Visitors pause; what they did last is applied; every row is compared"
pause_traffic
"$SLUICE" run "$SPEC" --until-caught-up
pgtest compare "$(connection source)" "$(connection destination)"

say "Visitors come back, and the service goes on with the task"
start_traffic
start_service
"$SLUICE" task list
cat <<TEXT

It goes on in the background. Have a look:
  $PGSLUICE_URL/     user admin, password $PASSWORD
  $SLUICE status $SPEC
  psql "$(connection source)"
  psql "$(connection destination)"
From another machine: ssh -L ${PGSLUICE_URL##*:}:127.0.0.1:${PGSLUICE_URL##*:} $(hostname)
Try: pkill -9 -P \$(cat $HOME_DIR/service.pid), and see the task come back.
Stop and remove everything:
  ./quickstart.sh stop
TEXT
