#!/bin/bash
# Debian's nginx-dev has nginx's headers, but not the one that its configure script
# writes: run that script as Debian did, in a copy, and keep what modules include.
# configure.sh OUTPUT-FOLDER
set -eu
out=$(realpath "$1")
src=/usr/share/nginx/src
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cp -r "$src/." "$copy"
cd "$copy"
# shellcheck disable=SC1091  # NGX_CONF_FLAGS=(...)
. ./conf_flags
if ! ./configure "${NGX_CONF_FLAGS[@]}" --with-stream=dynamic --with-stream_ssl_module \
    --builddir=objs >log 2>&1; then
  cat log >&2
  exit 1
fi
cp objs/ngx_auto_config.h objs/ngx_auto_headers.h "$out"
