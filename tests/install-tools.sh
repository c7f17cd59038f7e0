#!/usr/bin/env bash
# Installs, where it is missing, what the tests of the phone app drive: a browser, npm, and tools to build an APK.
set -euo pipefail

declare -A packages=(
  [chromium]=chromium [node]=nodejs [npm]=npm [javac]=default-jdk-headless [aapt2]=aapt [zipalign]=zipalign
  [apksigner]=apksigner [dexdump]=dexdump
)
missing=()
for tool in "${!packages[@]}"; do
  command -v "$tool" > /dev/null || missing+=("${packages[$tool]}")
done
[ -f /usr/share/android-framework-res/framework-res.apk ] || missing+=(android-framework-res)
[ "${#missing[@]}" -eq 0 ] && exit 0

if ! command -v apt-get > /dev/null; then
  echo "The tests of the phone app need ${missing[*]} (names of Debian packages). Install them, then run again." >&2
  exit 1
fi
run=()
[ "$(id -u)" -eq 0 ] || run=(sudo)
"${run[@]}" apt-get update -qq
DEBIAN_FRONTEND=noninteractive "${run[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" > /dev/null
