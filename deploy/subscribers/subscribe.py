"""Prints every result of every probe: paho-mqtt, jsonschema and docs/contract, none of our code.

python subscribe.py HOST PORT docs/contract/envelope.schema.json
"""

import json
import sys
from pathlib import Path

import jsonschema
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

host, port, schema = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
validator = jsonschema.Draft202012Validator(json.loads(schema.read_text(encoding="utf-8")))


def show(_client: mqtt.Client, _userdata: object, message: mqtt.MQTTMessage) -> None:
    """Each record of an envelope, on a line."""
    envelope = json.loads(message.payload)
    validator.validate(envelope)
    for record in envelope["records"]:
        result = record["result"]
        words = (envelope["probe"], result["line"]["id"], result["kind"], result["outcome"])
        print(envelope["epoch"], record["seq"], *words, flush=True)


client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
client.on_connect = lambda client, *_: client.subscribe("tramdo/v1/+/+/m/+", qos=1)
client.on_message = show
client.connect(host, port)
client.loop_forever()
