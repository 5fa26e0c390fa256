#!/bin/sh
# Installs programs of the distribution: install_debian_packages.sh servers|tests. What is installed already is left
# alone.
set -eu

fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }
lacks() { ! command -v "$1" >/dev/null; }

missing=
case "${1:-}" in
servers)
    # What the local stack runs: RabbitMQ, which it needs, and Alertmanager, without which nobody is notified of alerts.
    # A server that is replaced by a URL is not needed.
    if [ -z "${AMQP_URL:-}" ] && [ ! -x /usr/lib/rabbitmq/bin/rabbitmq-server ] && lacks rabbitmq-server; then
        missing="rabbitmq-server"
    fi
    if [ -z "${ALERTMANAGER_URL:-}" ] && lacks prometheus-alertmanager && lacks alertmanager; then
        missing="$missing prometheus-alertmanager"
    fi
    otherwise="set AMQP_URL and ALERTMANAGER_URL to existing servers"
    ;;
tests)
    # promtool tests the rules in deploy/prometheus, and comes with Prometheus, which nothing here runs. The browser is for
    # the status page and Dagster's pages; Ubuntu packages none, and its test is skipped without one.
    if lacks promtool; then
        missing="prometheus"
    fi
    if lacks chromium && lacks chromium-browser && lacks google-chrome && grep -q '^ID=debian' /etc/os-release; then
        missing="$missing chromium"
    fi
    otherwise="put promtool of another Prometheus (2.42 or newer) and a Chromium on PATH"
    ;;
*)
    fail "usage: install_debian_packages.sh servers|tests"
    ;;
esac
[ -n "$missing" ] || exit 0

ways="Either install them (Debian, Ubuntu: apt-get install $missing), or $otherwise."
command -v apt-get >/dev/null || fail "$missing: missing, and so is apt-get to install it with. $ways"
sudo=
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || fail "$missing: missing, and installing it needs root or sudo. $ways"
    sudo=sudo
fi

# The packages would start system-wide servers, and we need only their files. A policy forbids starting services (exit
# 101) during the installation, unless the machine already has a policy.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | $sudo tee "$policy" >/dev/null
    $sudo chmod 755 "$policy"
    trap '$sudo rm -f "$policy"' EXIT
fi
echo "installing $missing"
log=$(mktemp)
# shellcheck disable=SC2086  one word per package
if ! { $sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $sudo apt-get install -qq -y --no-install-recommends $missing; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    fail "apt-get could not install $missing. $ways"
fi
rm -f "$log"
