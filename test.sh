#!/bin/bash
# Installs what is missing, builds, and runs every test. Root, or a user who may use sudo.
#
#   ./test.sh          unit tests (plain, ASan + UBSan, TSan for what has threads), fuzz corpora, and the
#                      integration tests on real servers against the ASan build
#   ./test.sh --all    also what is too long for that; writes bench/results/test-all.txt
#
# The last line is "N passed, N failed, N skipped" over all of it; the exit code is 0 if none failed.
set -uo pipefail
exec </dev/null
cd "$(dirname "$(readlink -f "$0")")" || exit 1
# Debian's python3 with Debian's modules, whatever else is installed; node may be anywhere.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH:/usr/local/bin LC_ALL=C.UTF-8
unset PYTHONPATH PYTHONHOME VIRTUAL_ENV CC CFLAGS LDFLAGS PGHOST PGPORT PGUSER PGDATABASE PGOPTIONS
export ASAN_OPTIONS=exitcode=99:detect_leaks=1:strict_string_checks=1 LSAN_OPTIONS=exitcode=99
export UBSAN_OPTIONS=halt_on_error=1:exitcode=99:print_stacktrace=1
export TSAN_OPTIONS=exitcode=99:halt_on_error=1
PYTHON=/usr/bin/python3
RESULTS=build/test-results
EXPECTED=() # files that the steps write: one that is missing counts as a failure
all=
started=$SECONDS

case ${1-} in
'') ;;
--all) all=1 ;;
*)
    sed -n '2,9s/^# \{0,1\}//p' "$0"
    exit 2
    ;;
esac

step() {
    echo "== $1 ($((SECONDS - started)) s)"
}

# build DIR [meson options]: configures and builds; the output only when it fails
build() {
    local dir=$1 log=$RESULTS/$1.log
    shift
    step "build $dir"
    if [ ! -e "$dir/build.ninja" ]; then
        meson setup "$dir" "$@" >"$log" 2>&1 || { cat "$log"; return 1; }
    else
        meson setup --reconfigure "$dir" "$@" >"$log" 2>&1 || { cat "$log"; return 1; }
    fi
    ninja -C "$dir" -j2 >>"$log" 2>&1 || { cat "$log"; return 1; }
}

# unit DIR NAME [meson test options]
unit() {
    local dir=$1 name=$2
    shift 2
    step "$name"
    EXPECTED+=("$RESULTS/$name.json")
    rm -f "$dir/meson-logs/$name"*
    meson test -C "$dir" --no-rebuild --print-errorlogs --logbase "$name" --num-processes 2 "$@" ||
        echo "$name: failures"
    mv "$dir/meson-logs/$name"*.json "$RESULTS/$name.json" 2>/dev/null # a wrapper adds its name
}

# integration NAME EXECUTABLE [pytest arguments]
integration() {
    local name=$1 executable=$2
    shift 2
    step "$name"
    EXPECTED+=("$RESULTS/$name.xml")
    PGSLUICE=$PWD/$executable $PYTHON -m pytest -q -p no:cacheprovider \
        --junit-xml="$RESULTS/$name.xml" "$@" || echo "$name: failures, or nothing to run"
}

finish() {
    local line status
    line=$($PYTHON scripts/test_summary.py "${EXPECTED[@]}")
    status=$?
    step "done"
    if [ -n "$all" ]; then
        {
            echo "$line"
            echo "commit $(git describe --always --dirty --abbrev=12), $(date -u '+%Y-%m-%d %H:%M UTC')"
            echo "$(nproc) cores, $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)," \
                "$(awk '/MemTotal/ {printf "%d GiB", $2 / 1048576}' /proc/meminfo), $(uname -sr)"
            echo "./test.sh --all, $(((SECONDS - started) / 60)) minutes"
        } >bench/results/test-all.txt
    fi
    echo "$line"
    exit $status
}

scripts/install-deps.sh build test || { echo "0 passed, 1 failed, 0 skipped"; exit 1; }
rm -rf $RESULTS
mkdir -p $RESULTS
for dir in build build-asan build-tsan; do
    case $dir in
    # gcc warns falsely under sanitizers, so that warnings are errors in the plain build only
    build) options=(-Dwerror=true -Dbuildtype=debugoptimized -Dconsole=enabled) ;;
    build-asan) options=(-Db_sanitize="address,undefined" -Dbuildtype=debug -Doptimization=1
        -Dconsole=enabled) ;;
    build-tsan) options=(-Db_sanitize=thread -Dbuildtype=debug -Doptimization=1 -Dconsole=disabled) ;;
    esac
    build $dir "${options[@]}" || { EXPECTED+=("$RESULTS/$dir.built"); finish; }
done
unit build unit --suite unit
unit build-asan unit-asan --suite unit --suite fuzz --timeout-multiplier 3
# gcc 12's ThreadSanitizer cannot live with the address randomization of newer kernels
fixed=()
! setarch -R true 2>/dev/null || fixed=(--wrapper 'setarch -R')
unit build-tsan unit-tsan --suite tsan --timeout-multiplier 5 "${fixed[@]}"
long=()
[ -z "$all" ] || long=(--long)
integration integration build-asan/pgsluice -n 2 -m 'not timing' "${long[@]}" tests
integration timing build/pgsluice -m timing "${long[@]}" tests
finish
