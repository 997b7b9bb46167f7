#!/bin/sh
# Results as they come, a line each: probe, line, kind, outcome and the two figures of a speed test.
#   BROKER=broker.example.vn CA=/etc/tramdo/ca.crt CERT=… KEY=… deploy/subscribers/mosquitto_sub.sh
# Needs mosquitto-clients and jq. Without CA it speaks without TLS: on loopback, for a try.
set -eu
: "${BROKER:=127.0.0.1}" "${PORT:=8883}" "${TENANT:=+}"
set -- -h "$BROKER" -p "$PORT" -V 5 -q 1 -i "sub-$(hostname)-$$" "$@"
[ -z "${CA:-}" ] || set -- --cafile "$CA" --cert "$CERT" --key "$KEY" "$@"
mosquitto_sub "$@" -t "tramdo/v1/$TENANT/+/m/+" | jq --unbuffered -r '
  . as $envelope | .records[].result
  | [$envelope.probe, .line.id, .kind, .started_at, .outcome, .reason // "-",
     ((.values.download_bps // empty) / 1e6 | round), ((.values.upload_bps // empty) / 1e6 | round)]
  | @tsv'
