#!/bin/sh
# The permissions of the broker's user.  usage: rabbitmq.sh [USER [VHOST]]   (defaults: gcc /)
#
# Create the user first: rabbitmqctl add_user gcc PASSWORD. Run this on a node of the cluster, as a user who may run
# rabbitmqctl. Every process of this platform can use the same user; only `gcc-ingest init` needs to configure.
set -eu
ours='^(beat\..*|.*_events_q)$'
rabbitmqctl set_permissions --vhost "${2:-/}" "${1:-gcc}" "$ours" "$ours" "$ours"
