#!/bin/sh
# Installs the distribution's rabbitmq-server if it is missing; the local stack runs a node of its own with it.
set -eu

fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

[ -z "${AMQP_URL:-}" ] || exit 0
[ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] && exit 0
command -v rabbitmq-server >/dev/null && exit 0

ways="Either install RabbitMQ (Debian, Ubuntu: apt-get install rabbitmq-server) or set AMQP_URL to an existing broker."
command -v apt-get >/dev/null || fail "rabbitmq-server is missing, and so is apt-get to install it with. $ways"
sudo=
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || fail "rabbitmq-server is missing, and installing it needs root or sudo. $ways"
    sudo=sudo
fi

# The package would start a system-wide node, and we need only its files. A policy forbids starting services (exit 101)
# during the installation, unless the machine already has a policy.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | $sudo tee "$policy" >/dev/null
    $sudo chmod 755 "$policy"
    trap '$sudo rm -f "$policy"' EXIT
fi
echo "installing rabbitmq-server"
log=$(mktemp)
if ! { $sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $sudo apt-get install -qq -y --no-install-recommends rabbitmq-server; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    fail "apt-get could not install rabbitmq-server. $ways"
fi
rm -f "$log"
