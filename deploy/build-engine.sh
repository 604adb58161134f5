#!/bin/bash
# Builds the image that engines run in, or with --services the one of orchestrator, supervisor, notifier and gateway.
# Skips when the image is current: its label flotilla.source is the hash of all that went into it.
set -euo pipefail

ROOT=$(cd "$(dirname "$0")/.." && pwd)
readonly ROOT
readonly REGISTRY_BASE=python:3.13-slim-trixie
readonly LOCAL_BASE=flotilla-base:trixie

usage() {
    cat <<TEXT
usage: deploy/build-engine.sh [--services] [--base IMAGE] [--tag TAG] [--ca FILE] [--pip-conf FILE] [--force]

  --services       build flotilla-services (orchestrator, supervisor, gateway, CLI) instead of flotilla-engine
  --base IMAGE     base image with Python 3.13; default: $REGISTRY_BASE when it is here, $LOCAL_BASE when that is,
                   else the first is pulled, else the second is built from Debian packages (deploy/build-base.sh)
  --tag TAG        default: flotilla-engine:latest and flotilla-engine:<version>
  --ca FILE        CA bundle for pip in the build; default: \$SSL_CERT_FILE, else this host's own. Stays out of the image.
  --pip-conf FILE  pip.conf for the build, such as one with a private index-url. Stays out of the image.
  --force          build even when the image is current
  --source-hash    print the hash of all that goes into the image besides the base image, and stop

environment:
  FLOTILLA_PULL_SECONDS   how long to try to pull the default base image (60)
TEXT
}

say() { printf 'build-engine: %s\n' "$*"; }
die() { printf 'build-engine: error: %s\n  remedy: %s\n' "$1" "$2" >&2; exit 1; }

parse_arguments() {
    kind=engine base="" tag="" ca="" pip_conf="" force="" hash_only=""
    while [ $# -gt 0 ]; do
        case $1 in
        --services) kind=services ;;
        --base | --tag | --ca | --pip-conf)
            [ -n "${2:-}" ] || { usage >&2 && exit 2; }
            local name=${1#--} && printf -v "${name/-/_}" %s "$2" && shift ;;
        --force) force=yes ;;
        --source-hash) hash_only=yes ;;
        -h | --help) usage && exit 0 ;;
        *) usage >&2 && exit 2 ;;
        esac
        shift
    done
    local file
    for file in "$ca" "$pip_conf"; do
        [ -z "$file" ] || [ -r "$file" ] || die "$file cannot be read" "give the path of a readable file"
    done
}

# What each image consists of besides its requirements: packages of ours.
describe_image() {
    version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$ROOT/pyproject.toml" | head -n 1)
    name=flotilla-$kind
    case $kind in
    engine)
        packages=(flotilla/__init__.py schemas bus engine_sidecar templates)
        description="A NautilusTrader engine with its sidecar" ;;
    services)
        packages=(schemas bus services flotilla templates)
        description="Flotilla's orchestrator, supervisor, gateway and command line" ;;
    esac
    tags=("$name:latest" "$name:$version")
    if [ -n "$tag" ]; then tags=("$tag"); fi
}

# The build context holds exactly what goes into the image, laid out as the repository is: deploy/compose.yaml builds from that.
# A checkout's umask must not keep uid 65532 out.
stage_context() {
    mkdir -p "$context"
    tar --directory "$ROOT" --exclude __pycache__ --exclude '*.pyc' --exclude node_modules --create \
        pyproject.toml "deploy/requirements-$kind.txt" "deploy/Dockerfile.$kind" "${packages[@]}" |
        tar --directory "$context" --extract
    find "$context/flotilla" -type l -delete # links to the folders beside it, which the image has in their place
    chmod -R u=rwX,go=rX "$context"
    # Of pyproject.toml only the version goes into the image.
    source_hash=$(cd "$context" && { echo "$version"; find . -type f ! -name pyproject.toml -print0 | LC_ALL=C sort -z | xargs -0 sha256sum; } | sha256sum | cut -c 1-32)
}

image_id() { docker image inspect --format '{{.Id}}' "$1" 2>/dev/null; }
label() { docker image inspect --format "{{index .Config.Labels \"$2\"}}" "$1" 2>/dev/null; }

# An image that is here is taken before anything is downloaded.
find_local_base() {
    local candidate
    for candidate in ${base:-$REGISTRY_BASE $LOCAL_BASE}; do
        if image_id "$candidate" >/dev/null; then base=$candidate && return; fi
    done
    return 1
}

obtain_base() {
    if [ -n "$base" ]; then
        say "pulling $base"
        docker pull --quiet "$base" </dev/null >/dev/null || die "the base image $base is not here and cannot be pulled" "docker pull $base"
        return
    fi
    local seconds=${FLOTILLA_PULL_SECONDS:-60}
    say "pulling $REGISTRY_BASE (about 45 MB, at most $seconds s)"
    if timeout "$seconds" docker pull --quiet $REGISTRY_BASE </dev/null >/dev/null 2>&1; then
        base=$REGISTRY_BASE
    else
        say "it cannot be pulled: building $LOCAL_BASE instead"
        "$ROOT/deploy/build-base.sh" $LOCAL_BASE
        base=$LOCAL_BASE
    fi
}

# $1: id of the base image. Without one at hand, an image that was built from it before is current all the same.
is_current() {
    local each
    for each in "${tags[@]}"; do
        [ "$(label "$each" flotilla.source)" = "$source_hash" ] || return 1
        [ -z "$1" ] || [ "$(label "$each" flotilla.base)" = "$1" ] || return 1
    done
}

# BuildKit needs a CLI older than 23, or one with the buildx plugin; a machine can have several. So each is tried.
find_builder() {
    local cli probe=$work/probe
    mkdir -p "$probe/in"
    printf 'FROM scratch\nCOPY Dockerfile /\n' >"$probe/in/Dockerfile"
    while read -r cli; do
        if DOCKER_BUILDKIT=1 BUILDX_BUILDER=default "$cli" build --quiet --output "type=local,dest=$probe/out" "$probe/in" >/dev/null 2>&1 </dev/null; then
            builder=$cli && return
        fi
    done < <(type -ap docker | awk '!seen[$0]++')
    die "no docker command here can build with BuildKit" "install its buildx plugin: apt install docker-buildx (Debian 13, Ubuntu) or docker-buildx-plugin"
}

find_ca() {
    local candidate
    for candidate in "$ca" "${SSL_CERT_FILE:-}" /etc/ssl/certs/ca-certificates.crt; do
        if [ -n "$candidate" ] && [ -s "$candidate" ]; then echo "$candidate" && return; fi
    done
}

build_arguments() { # $1: id of the base image
    arguments=(--build-arg "BASE_IMAGE=$base")
    local each bundle
    for each in "${tags[@]}"; do arguments+=(--tag "$each"); done
    for each in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY; do
        if [ -n "${!each:-}" ]; then arguments+=(--build-arg "$each"); fi
    done
    bundle=$(find_ca)
    if [ -n "$bundle" ]; then arguments+=(--secret "id=ca,src=$bundle"); fi
    if [ -n "$pip_conf" ]; then arguments+=(--secret "id=pipconf,src=$pip_conf"); fi
    arguments+=(
        --label "flotilla.source=$source_hash" --label "flotilla.base=$1"
        --label "org.opencontainers.image.title=$name" --label "org.opencontainers.image.description=$description"
        --label "org.opencontainers.image.version=$version"
        --label "org.opencontainers.image.base.name=$base")
}

run_build() {
    local log=$work/build.log
    if DOCKER_BUILDKIT=1 BUILDX_BUILDER=default "$builder" build --progress plain "${arguments[@]}" --file "$context/deploy/Dockerfile.$kind" "$context" >"$log" 2>&1 </dev/null; then return; fi
    tail -n 40 "$log" >&2
    if grep -q CERTIFICATE_VERIFY_FAILED "$log"; then
        die "pip does not trust the package index" "give the CA bundle that your network uses: $0 --ca FILE"
    fi
    die "the build failed" "see its last lines above"
}

# Rebuilding takes the tags from the image before; without any it is only in the way.
remove_superseded() { # $1: id of the image before, or empty
    if [ -z "$1" ] || [ "$1" = "$(image_id "${tags[0]}")" ]; then return; fi
    if [ "$(docker image inspect --format '{{len .RepoTags}}' "$1" 2>/dev/null)" = 0 ]; then
        docker image rm "$1" >/dev/null 2>&1 || true # containers may still use it
    fi
}

report() { # $1: a word on what happened
    docker image inspect --format '{{.Id}} {{.Size}}' "${tags[0]}" |
        awk -v what="$1" -v tags="${tags[*]}" '{ printf "build-engine: %s: %s = %s, %.0f MB\n", what, tags, $1, $2 / 1e6 }'
}

# An image with no page, or with the page of other sources, looks like any other.
build_dashboard() {
    "$ROOT/scripts/dashboard" || die "the dashboard, which the gateway serves, could not be built" "see the messages above; make setup has to have run"
}

main() {
    parse_arguments "$@"
    describe_image
    if [ "$kind" = services ]; then build_dashboard; fi
    work=$(mktemp -d)
    context=$work/context
    trap 'rm -rf "$work"' EXIT
    stage_context
    if [ -n "$hash_only" ]; then echo "$source_hash" && return; fi
    docker version >/dev/null 2>&1 || die "no Docker engine answers" "scripts/docker-engine"
    local base_id="" before
    if find_local_base; then base_id=$(image_id "$base"); fi
    if [ -z "$force" ] && is_current "$base_id"; then report current && return; fi
    find_builder
    if [ -z "$base_id" ]; then
        obtain_base
        base_id=$(image_id "$base")
    fi
    build_arguments "$base_id"
    before=$(image_id "${tags[0]}") || before=""
    say "building ${tags[0]} on $base with $builder (the first time about $([ "$kind" = engine ] && echo 280 || echo 12) MB to download)"
    run_build
    remove_superseded "$before"
    report built
}

main "$@"
