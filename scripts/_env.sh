# Sourced by the other scripts, not run: makes .venv ready (once) and leaves its Python in $venv_python.
# POSIX sh, because a fresh machine may have nothing else. Callers pass their own place first: `. .../_env.sh`, with
# $root set to the checkout.
#
# A stamp in .venv names all that the environment was made from. While it holds, set-up costs one start of Python.

venv="$root/${SOJOURN_VENV:-.venv}"
requirements="${requirements:-$root/requirements/dev.txt}"
venv_python="$venv/bin/python"
stamp="$venv/.sojourn-stamp"
setup_log="$venv/.sojourn-setup.log"

say() { printf '%s\n' "$*" >&2; }

die() {
    say "error: $1"
    shift
    for line in "$@"; do say "  $line"; done
    exit 1
}

# The path belongs to it: an environment that was copied or moved still points to its old place.
fingerprint() {
    printf '%s\n' "$root"
    "$venv_python" -c 'import sys; print(sys.version.split()[0])' || return 1
    cksum < "$root/pyproject.toml"
    cksum < "$requirements"
}

# A version manager's shim exists and fails all the same, so each candidate is run, not only looked up.
find_python() {
    without_venv=""
    for candidate in ${PYTHON:+"$PYTHON"} python3 python3.11 python3.12 python3.13 python3.14 python; do
        command -v "$candidate" >/dev/null 2>&1 || continue
        "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 || continue
        if "$candidate" -c 'import ensurepip, venv' >/dev/null 2>&1; then
            printf '%s\n' "$candidate"
            return 0
        fi
        without_venv="${without_venv:-$candidate}"
    done
    if [ -n "$without_venv" ]; then
        die "$without_venv is new enough, but its venv module is not complete." \
            "On Debian or Ubuntu: sudo apt install python3-venv (or python3.11-venv, to match the version)." \
            "Or name another one: PYTHON=/path/to/python3.11 $0"
    fi
    die "Sojourn needs Python 3.11 or newer, and none was found as python3, python3.11 ... python3.14 or python." \
        "Install one (the system's package manager, pyenv or uv can), or name it: PYTHON=/path/to/python3.11 $0"
}

install() {
    PYTHONHOME='' PIP_USER=0 PIP_REQUIRE_VIRTUALENV=0 PIP_DISABLE_PIP_VERSION_CHECK=1 \
        "$venv_python" -m pip install --quiet --no-input "$@" >>"$setup_log" 2>&1
}

make_environment() {
    say "Setting up ${venv##*/} (once) ..."
    # One of another place or another Python is made anew; one without a stamp (interrupted, hand-made) is completed.
    fresh=""
    if [ -e "$stamp" ] && ! fingerprint 2>/dev/null | head -n 2 | cmp -s - "$stamp.base"; then
        fresh="--clear"
    elif ! "$venv_python" -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
        fresh="--clear"
    fi
    if [ -n "$fresh" ]; then
        found=$(find_python) || exit 1
        trouble=$("$found" -m venv --clear "$venv" 2>&1) || die "$found could not make $venv:" "$trouble"
    fi
    rm -f "$stamp"
    : >"$setup_log"
    say "  installing what ${requirements##*/} pins ..."
    install --require-hashes --requirement "$requirements" && install --no-deps --no-build-isolation --editable "$root" || {
        cat "$setup_log" >&2
        die "the packages could not be installed; pip's own words are above." \
            "Is the network there? A mirror or a proxy is configured in pip's own settings (pip config, PIP_*)." \
            "The next run goes on from here."
    }
    fingerprint | head -n 2 >"$stamp.base"
    fingerprint >"$stamp"
}

if ! { [ -x "$venv_python" ] && [ -e "$stamp" ] && fingerprint 2>/dev/null | cmp -s - "$stamp"; }; then
    make_environment
fi
