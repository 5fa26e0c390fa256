#!/bin/sh
# Installs the distribution's programs that the local stack runs on its own: RabbitMQ, which it needs, and Alertmanager,
# without which nobody is notified of alerts. What is installed already, or replaced by a URL, is left alone.
set -eu

fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

missing=
if [ -z "${AMQP_URL:-}" ] && [ ! -x /usr/lib/rabbitmq/bin/rabbitmq-server ] && ! command -v rabbitmq-server >/dev/null; then
    missing="rabbitmq-server"
fi
if [ -z "${ALERTMANAGER_URL:-}" ] && ! command -v prometheus-alertmanager >/dev/null && ! command -v alertmanager >/dev/null; then
    missing="$missing prometheus-alertmanager"
fi
[ -n "$missing" ] || exit 0

ways="Either install them (Debian, Ubuntu: apt-get install $missing), or set AMQP_URL and ALERTMANAGER_URL to existing servers."
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
