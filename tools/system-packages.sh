#!/bin/sh
# Make sure that Debian and Ubuntu have what a napari window and a virtual display need.
# Says nothing when all is there, and does nothing on other systems.
set -eu

command -v dpkg-query >/dev/null && command -v apt-get >/dev/null || exit 0

packages='xvfb xauth libgl1 libgl1-mesa-dri libglx-mesa0 libegl1 libopengl0 libdbus-1-3
libfontconfig1 libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 libxcb-image0 libxcb-keysyms1
libxcb-randr0 libxcb-render-util0 libxcb-shape0 libxcb-xfixes0'

missing=
for package in $packages; do
    case $(dpkg-query -W -f='${Status}' "$package" 2>/dev/null || true) in
        *' installed') ;;
        *) missing="$missing $package" ;;
    esac
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -eq 0 ]; then
    echo "Installing system packages:$missing"
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086
    if { apt-get update -qq && apt-get install -qq -y --no-install-recommends $missing; } >/dev/null; then
        exit 0
    fi
fi
# Not an error: whatever needs no window works without them.
echo "napari's window and the virtual display need system packages: sudo apt-get install$missing" >&2
