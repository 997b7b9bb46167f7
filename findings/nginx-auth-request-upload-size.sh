#!/usr/bin/env bash
# One would guess: a location for speed tests whose uploads may have any size (`client_max_body_size 0`) takes them also
# when each request is first admitted by `auth_request`: the subrequest has no body (`proxy_pass_request_body off`).
# What happens: the location of the subrequest holds its own `client_max_body_size`, 1 MB unless set, against the
# Content-Length of the upload. A larger upload gets status 500 and the log says "auth request unexpected status: 413",
# though the admitting service answers 204 and never sees a byte; small uploads and all downloads work.
# Seen with nginx 1.22.1-9+deb12u11 (Debian 12).
# For a builder: set `client_max_body_size 0` in the location of `auth_request` too (or in the server), and test it with an
# upload of real size. `curl --max-filesize` and a 1 kB test file show nothing.
set -euo pipefail
folder=$(mktemp -d)
server=
cleanup() {
  [ -z "$server" ] || kill "$server" 2>/dev/null || true
  rm -rf "$folder"
}
trap cleanup EXIT
(
  cd "$folder"
  apt-get --quiet=2 download nginx=1.22.1-9+deb12u11 >/dev/null 2>&1
  dpkg-deb --extract nginx_*.deb root
)
nginx=$folder/root/usr/sbin/nginx
"$nginx" -v 2>&1
head -c 2000000 /dev/zero > "$folder/two-megabytes"
head -c 1000 /dev/zero > "$folder/one-kilobyte"

# upload FILE SETTING: the status of an upload of FILE, with SETTING in the location of the subrequest.
upload() {
  cat > "$folder/nginx.conf" <<CONF
daemon off;
master_process off;
pid $folder/pid;
error_log $folder/error.log;
events {}
http {
  access_log off;
  client_body_temp_path $folder/body;
  proxy_temp_path $folder/proxy;
  fastcgi_temp_path $folder/fastcgi;
  uwsgi_temp_path $folder/uwsgi;
  scgi_temp_path $folder/scgi;
  server {
    listen unix:$folder/socket;
    location /upload {
      client_max_body_size 0;
      auth_request /admit;
      proxy_pass http://unix:$folder/socket:/taken;
    }
    location = /admit {
      internal;
      $2
      proxy_pass_request_body off;
      proxy_set_header Content-Length "";
      proxy_pass http://unix:$folder/socket:/yes;
    }
    location = /yes { return 204; }
    location = /taken { client_max_body_size 0; return 200 "taken"; }
  }
}
CONF
  rm -f "$folder/socket" "$folder/error.log"
  "$nginx" -c "$folder/nginx.conf" -e "$folder/error.log" &
  server=$!
  for _ in $(seq 100); do [ -S "$folder/socket" ] && break; sleep 0.1; done
  python3 - "$folder/socket" "$folder/$1" <<'PYTHON'
import http.client
import socket
import sys


class Unix(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(sys.argv[1])


connection = Unix("localhost", timeout=60)
with open(sys.argv[2], "rb") as body:
    connection.request("POST", "/upload", body.read())
print(connection.getresponse().status)
PYTHON
  kill "$server"
  wait "$server" 2>/dev/null || true
  server=
}

small=$(upload one-kilobyte "")
large=$(upload two-megabytes "")
said=$(grep -o "auth request unexpected status: [0-9]*" "$folder/error.log" || true)
mended=$(upload two-megabytes "client_max_body_size 0;")
echo "1 kB: $small; 2 MB: $large ($said); 2 MB with client_max_body_size 0 in both locations: $mended"
[ "$small" = 200 ]
[ "$large" = 500 ]
[ "$said" = "auth request unexpected status: 413" ]
[ "$mended" = 200 ]
