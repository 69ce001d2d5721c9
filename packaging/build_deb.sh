#!/bin/sh
# Builds pgsluice_VERSION_ARCH.deb from a build directory of Meson.
# Run: packaging/build_deb.sh [BUILD [OUTPUT-DIRECTORY]]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "${1:-build}" && pwd)
output=$(cd "${2:-.}" && pwd)
version=$("$build/pgsluice" version | cut -d' ' -f2)
arch=$(dpkg --print-architecture)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/debian/pgsluice
umask 022

install -D -m 755 "$build/pgsluice" "$root/usr/bin/pgsluice"
strip --strip-unneeded "$root/usr/bin/pgsluice"
install -D -m 644 "$here/pgsluice.service" "$root/lib/systemd/system/pgsluice.service"
install -D -m 644 "$here/pgsluice.default" "$root/etc/default/pgsluice"
install -D -m 644 "$here/grafana/pgsluice.json" "$root/usr/share/pgsluice/grafana/pgsluice.json"
install -D -m 644 "$here/../LICENSE" "$root/usr/share/doc/pgsluice/copyright"
"$build/pgsluice" completion bash | install -D -m 644 /dev/stdin \
    "$root/usr/share/bash-completion/completions/pgsluice"
"$build/pgsluice" completion zsh | install -D -m 644 /dev/stdin \
    "$root/usr/share/zsh/vendor-completions/_pgsluice"
"$build/pgsluice" help man | gzip -9n | install -D -m 644 /dev/stdin \
    "$root/usr/share/man/man1/pgsluice.1.gz"
for page in "$here"/../docs/*.md "$here/../docs/openapi.yaml"; do
    install -D -m 644 "$page" "$root/usr/share/doc/pgsluice/$(basename "$page")"
done

# What the executable is linked with.
mkdir -p "$work/debian"
printf 'Source: pgsluice\n\nPackage: pgsluice\nArchitecture: any\n' > "$work/debian/control"
depends=$(cd "$work" && dpkg-shlibdeps -O "$root/usr/bin/pgsluice" 2>/dev/null |
    sed -n 's/^shlibs:Depends=//p')

mkdir -p "$root/DEBIAN"
cat > "$root/DEBIAN/control" <<CONTROL
Package: pgsluice
Version: $version
Architecture: $arch
Maintainer: pgsluice developers <pgsluice@localhost>
Section: database
Priority: optional
Installed-Size: $(du -sk "$root" | cut -f1)
Depends: $depends
Recommends: openssh-client, adduser
Description: keeps PostgreSQL databases in step
 Schema, rows, then every change: from any PostgreSQL of 9.4 or newer to another,
 for one task at the command line or for many under a service with an HTTP API.
CONTROL
echo /etc/default/pgsluice > "$root/DEBIAN/conffiles"
cat > "$root/DEBIAN/postinst" <<'SCRIPT'
#!/bin/sh
set -e
if [ "$1" = configure ]; then
    getent group pgsluice > /dev/null || groupadd --system pgsluice
    getent passwd pgsluice > /dev/null ||
        useradd --system --gid pgsluice --home-dir /var/lib/pgsluice --shell /usr/sbin/nologin pgsluice
    chmod 0640 /etc/default/pgsluice
    if [ -d /run/systemd/system ]; then
        systemctl daemon-reload
        # An upgrade: the tasks' processes end their batches and go on under the new version.
        if [ -n "$2" ]; then systemctl try-restart pgsluice.service; fi
    fi
fi
SCRIPT
cat > "$root/DEBIAN/prerm" <<'SCRIPT'
#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
    systemctl stop pgsluice.service
fi
SCRIPT
cat > "$root/DEBIAN/postrm" <<'SCRIPT'
#!/bin/sh
# The data directory stays, also at a purge: it holds passwords and what tasks are to go on with.
set -e
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
fi
SCRIPT
chmod 755 "$root/DEBIAN/postinst" "$root/DEBIAN/prerm" "$root/DEBIAN/postrm"
dpkg-deb --root-owner-group --build "$root" "$output/pgsluice_${version}_$arch.deb"
