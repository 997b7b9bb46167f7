#!/bin/sh
# Results as they come, a line each: probe, line, kind, outcome and the two figures of a speed test.
#   BROKER=broker.example.vn READER=reader.vnpt PASSWORD_FILE=reader.password CA=ca.pem \
#     deploy/subscribers/mosquitto_sub.sh
# Needs mosquitto-clients and jq. Without READER it speaks without TLS to PORT: on loopback, for a try.
set -eu
: "${BROKER:=127.0.0.1}" "${TENANT:=+}"
folder=$(mktemp -d)
trap 'kill "$subscriber" 2>/dev/null; rm -rf "$folder"' EXIT
trap 'exit 0' INT TERM
subscriber=
if [ -n "${READER:-}" ]; then
  # In a file of options: on the command line every user of the machine could read the password.
  printf -- '-u %s\n-P %s\n' "$READER" "$(cat "$PASSWORD_FILE")" > "$folder/mosquitto_sub"
  set -- --cafile "$CA" "$@"
fi
mkfifo "$folder/envelopes"
XDG_CONFIG_HOME="$folder" mosquitto_sub -h "$BROKER" -p "${PORT:-8884}" -V 5 -q 1 \
  -i "${READER:-sub-$$}" -t "tramdo/v1/$TENANT/+/m/+" "$@" > "$folder/envelopes" &
subscriber=$!
# `whole`: slow start included, which is what a plan is held against. Null is not known, never 0.
jq --unbuffered -r '
  def mbps: if . == null then "-" else . / 1e6 | round end;
  . as $envelope | .records[].result
  | [$envelope.probe, .line.id, .kind, .started_at, .outcome, .reason // "-",
     (.values.download_whole_bps | mbps), (.values.upload_whole_bps | mbps)]
  | @tsv' < "$folder/envelopes" &
wait $!
