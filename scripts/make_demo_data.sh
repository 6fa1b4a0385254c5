#!/usr/bin/env bash
# Make data/train and data/validation from Debian's photographs for Tux Paint.
set -euo pipefail

package=tuxpaint-stamps-default
version=2022.06.04-1
sha256=6db6c1bfc870a47f1499d6203b083522eacb57c5f9c87d468f2e92eb6d9d5f34
# The JPEG encoder and the resampling come from this wheel; another version may give other bytes.
pillow=13.0.0

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=$(dirname "$here")/data
deb=

usage() {
    cat <<EOF
Usage: scripts/make_demo_data.sh [--from FILE.deb] [--out DIR]

Makes the small labelled pictures that ship with cnn-codes: DIR/train and DIR/validation, with the
classes birds, flowers, fruit, mammals and vehicles, from the photographs in Debian's package
$package $version. The same package gives the same bytes.

  --from FILE.deb  use this file instead of \`apt-get download\` (about 161 MB)
  --out DIR        put train/ and validation/ there (default: data/ of this project);
                   what stands there under these two names is replaced, once all has gone well
  --help           show this text

Nothing is installed: the package is unpacked, and Python's Pillow $pillow put into a virtual
environment, in a temporary directory that goes away at the end. Needed: Linux, apt-get (without
--from), dpkg-deb, sha256sum, python3 (3.10 or newer) with venv, and a network.
EOF
}

die() {
    echo "make_demo_data.sh: $*" >&2
    exit 1
}

usage_error() {
    echo "make_demo_data.sh: $*" >&2
    usage >&2
    exit 2
}

while (($#)); do
    case $1 in
    --from | --out)
        (($# >= 2)) && [[ -n $2 ]] || usage_error "$1 needs a value"
        if [[ $1 == --from ]]; then deb=$2; else out=$2; fi
        shift 2
        ;;
    -h | --help)
        usage
        exit 0
        ;;
    *) usage_error "unknown argument: $1" ;;
    esac
done

for tool in dpkg-deb sha256sum python3; do
    command -v "$tool" >/dev/null || die "$tool is needed and was not found"
done
python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
    die "python3 is $(python3 -V 2>&1); 3.10 or newer is needed"
[[ -z $deb || -f $deb ]] || die "$deb: no such file"
mkdir -p "$out"
out=$(cd "$out" && pwd)

work=$(mktemp -d)
new=      # the new pictures, built beside the old ones so that swapping is a rename
swapping= # set while some of the old pictures stand in $new/old
finish() {
    set +e
    local keep= side
    if [[ -n $swapping ]]; then
        # Cut off half way: what was new goes, what was old comes back.
        for side in train validation; do
            if [[ ! -e $new/$side ]]; then rm -rf "${out:?}/$side"; fi
            if [[ -e $new/old/$side ]] && ! mv "$new/old/$side" "$out/$side"; then
                echo "make_demo_data.sh: $out/$side could not be put back; it is in $new/old" >&2
                keep=yes
            fi
        done
    fi
    rm -rf "$work"
    if [[ -n $new && -z $keep ]]; then rm -rf "$new"; fi
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

if [[ -z $deb ]]; then
    command -v apt-get >/dev/null ||
        die "apt-get was not found; give the package with --from FILE.deb"
    echo "downloading $package (about 161 MB)" >&2
    # In its own directory: apt-get download writes to where it stands. (As root it warns that its
    # own user can't write there; that does no harm.)
    mkdir "$work/deb"
    (cd "$work/deb" && apt-get download -q "$package" >&2) ||
        die "apt-get download $package failed (is the package list there? apt-get update);" \
            "or give the package with --from FILE.deb"
    deb=$(find "$work/deb" -name "${package}_*.deb")
    [[ -n $deb ]] || die "apt-get download $package left no package"
fi

found_sha256=$(sha256sum <"$deb")
found_sha256=${found_sha256%% *}
if [[ $found_sha256 != "$sha256" ]]; then
    found=$(dpkg-deb -f "$deb" Package Version 2>/dev/null | paste -sd ' ') || found=
    die "$deb is not the package that the pictures are made from:
  wanted: $sha256  ($package $version)
  found:  $found_sha256  (${found:-no Debian package})
Give the right one with --from FILE.deb."
fi

echo "unpacking" >&2
dpkg-deb -x "$deb" "$work/package"

echo "setting up Pillow $pillow" >&2
python3 -m venv "$work/venv" ||
    die "python3 -m venv failed (on Debian: apt-get install python3-venv)"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
    --only-binary :all: "Pillow==$pillow" ||
    die "Pillow $pillow could not be installed"

echo "making the pictures" >&2
new=$(mktemp -d "$out/.new.XXXXXX")
mkdir "$new/old"
"$work/venv/bin/python" "$here/make_demo_data.py" \
    "$work/package/usr/share/tuxpaint/stamps" "$new"

swapping=yes
for side in train validation; do
    if [[ -e $out/$side ]]; then mv "$out/$side" "$new/old/$side"; fi
    mv "$new/$side" "$out/$side"
done
swapping=
echo "wrote $out/train and $out/validation"
