"""Prints every result of every probe: paho-mqtt, jsonschema and docs/contract, none of our code.

python3 subscribe.py broker.example.vn --user reader.vnpt --password-file reader.password \
    --ca ca.pem --schema docs/contract/envelope.schema.json
"""

import argparse
import json
from pathlib import Path

import jsonschema
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
parser.add_argument("broker")
parser.add_argument("--port", type=int, default=8884)
parser.add_argument("--user", help="left out: no password and no TLS, on loopback, for a try")
parser.add_argument("--password-file", type=Path)
parser.add_argument("--ca", help="ca.pem of the tenant's authority")
parser.add_argument("--schema", type=Path, required=True)
options = parser.parse_args()
validator = jsonschema.Draft202012Validator(json.loads(options.schema.read_bytes()))


def show(_client: mqtt.Client, _userdata: object, message: mqtt.MQTTMessage) -> None:
    """Each record of an envelope, on a line."""
    envelope = json.loads(message.payload)
    validator.validate(envelope)
    for record in envelope["records"]:
        result = record["result"]
        words = (envelope["probe"], result["line"]["id"], result["kind"], result["outcome"])
        print(envelope["epoch"], record["seq"], *words, flush=True)


client = mqtt.Client(CallbackAPIVersion.VERSION2, options.user or "", protocol=mqtt.MQTTv5)
if options.user:
    client.username_pw_set(options.user, options.password_file.read_text().strip())
    client.tls_set(options.ca)
client.on_connect = lambda client, *_: client.subscribe("tramdo/v1/+/+/m/+", qos=1)
client.on_message = show
client.connect(options.broker, options.port)
client.loop_forever()
