"""Floor 2. One MQTT session by paho-mqtt: connects, reconnects, and turns callbacks into events.

The only file that imports paho, and PySocks for its proxies. Callbacks only put an event on the
owner's inbox (an exception in a callback would kill paho's thread; a lock taken in one would
deadlock with `publish`). Each connection gets a new paho client, so that paho itself never repeats
a message after a reconnect: the owner decides what is sent again.
"""

from __future__ import annotations

import logging
import queue
import random
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence

import socks
from msgspec import Struct, structs
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from runtime import connection_failure, lean_import, secret_file
from runtime.backoff import reconnect_delay_s
from runtime.broker import BrokerConfig, Endpoint, ProxyConfig
from runtime.connection_failure import ConnectionFailure, FailureCause
from runtime.language import is_plain_line
from runtime.subscriptions import Subscriptions

# paho loads dnspython's resolver where it is installed, for SRV records, which nothing here asks
# for: 0.9 MB of a probe's memory.
with lean_import.without("dns.resolver"):
    from paho.mqtt import client as paho

# How long the broker keeps subscriptions and queued messages of a disconnected session.
SESSION_EXPIRY_S = 7 * 86_400
_LOOP_TURN_S = 1.0
# A SUBACK may take so many times `connect_timeout_s`: a cluster asks its other nodes first.
_SUBACK_TIMEOUTS = 3
# Two clients of one name take the connection from each other: so many connections in a row that
# end so soon. Mosquitto 2.0 ends them without a reason code.
_SHORT_S, _SHORT_MIN = 30.0, 3
_TAKEN_OVER = frozenset({FailureCause.LOST, FailureCause.NAME_TAKEN})
# Mosquitto publishes its version there, retained; no other broker of ours does.
_VERSION_TOPIC, _VERSION_BYTES = "$SYS/broker/version", 100
_PROXY_TYPE = {"http": socks.HTTP, "socks4": socks.SOCKS4, "socks5": socks.SOCKS5}


class Connected(Struct, frozen=True):
    """The broker accepted the connection, and the subscriptions were sent."""

    connection: int


class Disconnected(Struct, frozen=True):
    """There is no connection, and why: once for each connection, the broker's refusal first."""

    connection: int
    failure: ConnectionFailure

    @property
    def cause(self) -> str:
        """The failure as a sentence in English."""
        return str(self.failure)


class Published(Struct, frozen=True):
    """The broker answered a QoS 1 publish; `failure` is None where it accepted it."""

    connection: int
    mid: int
    failure: ConnectionFailure | None

    @property
    def refusal(self) -> str | None:
        """The reason code's name; None where the message was accepted."""
        return None if self.failure is None else self.failure.detail


class Subscribed(Struct, frozen=True):
    """The broker refused topic filters, or has granted the last of them now (`failure` is None).

    The connection stands, and what was refused is asked for again at growing intervals.
    """

    connection: int
    failure: ConnectionFailure | None


class Received(Struct, frozen=True):
    """A message arrived. With manual acknowledgement, call `acknowledge` after the commit."""

    connection: int
    topic: str
    payload: bytes
    mid: int
    qos: int
    retained: bool
    # The broker delivered it before and got no acknowledgement (MQTT 5, 3.3.1.1).
    redelivered: bool = False
    # MQTT 5 §3.3.2.3.7, in order; empty with 3.1.1.
    user_properties: tuple[tuple[str, str], ...] = ()

    def user_property(self, name: str) -> str | None:
        """The value of the first user property of a name, None where there is none."""
        return next((value for key, value in self.user_properties if key == name), None)


Event = Connected | Disconnected | Published | Subscribed | Received


class Message(Struct, frozen=True):
    """A message to publish; also the shape of a last will.

    `expiry_s` is the message expiry (MQTT 5 §3.3.2.3.3) and is lost with 3.1.1: a message that must
    not be used too late has an expiry in its payload too. `user_properties` (§3.3.2.3.7) are lost
    with 3.1.1 likewise.
    """

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = False
    expiry_s: int | None = None
    user_properties: tuple[tuple[str, str], ...] = ()


class Connection:
    """One connection of a session, from the try to its end: what has come of it.

    `reached` is set once the broker has accepted it; of `found`, the first failure is the cause.
    """

    def __init__(self, number: int, endpoint: Endpoint) -> None:
        self.number = number
        self.endpoint = endpoint
        self.client: paho.Client | None = None
        self.reached = threading.Event()
        self.found: list[ConnectionFailure] = []
        self.began_s = self.answer_by_s = time.monotonic()


class MqttSession:
    """An MQTT session until `stop`, over any number of connections.

    `start` runs it in a thread. Whoever has a loop for many sessions calls `open`, `follow` and
    `close` instead, and paho's `loop_read`, `loop_write` and `loop_misc` between them.

    Each connection that ends, whatever the cause, is followed by one to the client's next node.
    Nothing goes back to the first one while a connection stands: it would move twice for each
    outage of a node, and a node that comes and goes would be tried by all again and again.

    Args:
        broker: its addresses, credentials and transport.
        client_id: the MQTT client identifier.
        inbox: called with each Event, from paho's thread; must not block (SimpleQueue.put fits).
        subscriptions: topic filters, QoS 1.
        will: the last will.
        manual_ack: whether the owner acknowledges each message itself.
        receive_maximum: how many unacknowledged messages the broker may send (MQTT 5 §3.1.2.11.3);
            None leaves it to the broker, and Mosquitto then stops after 20.
        kept: whether the broker keeps subscriptions and messages while disconnected.
        spread_s: the time over which a fleet spreads its reconnects after a broker's outage.
        asks_version: whether `broker_version` is wanted.
    """

    def __init__(
        self,
        broker: BrokerConfig,
        client_id: str,
        inbox: Callable[[Event], None],
        *,
        subscriptions: Sequence[str] = (),
        will: Message | None = None,
        manual_ack: bool = False,
        receive_maximum: int | None = None,
        kept: bool = True,
        spread_s: float = 0.0,
        asks_version: bool = False,
    ) -> None:
        self._kept = kept
        self._asks_version = asks_version
        self._version_mid: int | None = None
        # Of the broker that it is connected to; None where that does not say.
        self.broker_version: str | None = None
        # Of the present connection; the owner's thread and paho's both subscribe.
        self._answers = Subscriptions(_SUBACK_TIMEOUTS * broker.connect_timeout_s)
        self._subscribing = threading.Lock()
        self._spread_s = spread_s
        self._broker = broker
        self._endpoints = broker.endpoints_of(client_id)
        self._client_id = client_id
        self._inbox = inbox
        self._subscriptions = list(subscriptions)
        self._will = will
        self._manual_ack = manual_ack
        self._receive_maximum = receive_maximum
        self._stopping = threading.Event()
        self._connection = 0
        self._client: paho.Client | None = None
        self._failures = self._short = 0
        # Before the first connection a technician waits beside the box, so there is no spread.
        self._spread_now_s = 0.0
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)

    def start(self) -> None:
        """Start connecting, in a thread of its own."""
        self._thread.start()

    def stop(self, farewell: Message | None = None, timeout_s: float = 5.0) -> None:
        """Publish the farewell message if connected, disconnect, and end the thread."""
        self._stopping.set()
        client = self._client
        if client is not None:
            if farewell is not None and client.is_connected():
                info = client.publish(
                    farewell.topic, farewell.payload, farewell.qos, farewell.retain
                )
                _wait_for(info, timeout_s)
            client.disconnect()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def publish(self, message: Message) -> int | None:
        """Send a message to the broker.

        Returns:
            The packet identifier that `Published` will have, None without a connection.
        """
        client = self._client
        if client is None or not client.is_connected():
            return None
        properties = _publish_properties(message) if self._broker.protocol == 5 else None
        info = client.publish(
            message.topic, message.payload, message.qos, message.retain, properties
        )
        return info.mid if info.rc == MQTTErrorCode.MQTT_ERR_SUCCESS else None

    def subscribe_to(self, topics: Sequence[str]) -> None:
        """Subscribe to these topic filters from now on, and to no others."""
        before, self._subscriptions = self._subscriptions, list(topics)
        client = self._client
        if client is None or not client.is_connected():
            return  # with the next connection
        if removed := [topic for topic in before if topic not in topics]:
            with self._subscribing:
                self._answers.on_removed(removed)
            client.unsubscribe(removed)
        if added := [topic for topic in topics if topic not in before]:
            self._subscribe(client, added)

    def acknowledge(self, message: Received) -> None:
        """Acknowledge a received message. No effect for a connection that has ended."""
        client = self._client
        if client is not None and message.connection == self._connection and message.qos:
            client.ack(message.mid, message.qos)

    def _subscribe(self, client: paho.Client, topics: Sequence[str]) -> None:
        # The answer may be here before paho has returned the identifier that it bears.
        with self._subscribing:
            mid = _subscribe(client, self._broker, topics)
            if mid is not None:
                self._answers.on_sent(mid, topics, time.monotonic())

    def open(self) -> Connection:
        """Connect to the next node; the connection's `client` is None where that failed."""
        self._connection += 1
        number = self._connection
        connection = Connection(number, self._endpoints[(number - 1) % len(self._endpoints)])
        try:
            client = self._new_client(connection)
            _connect(
                client, connection.endpoint, self._broker, self._receive_maximum, kept=self._kept
            )
            connection.answer_by_s = time.monotonic() + self._broker.connect_timeout_s
            self._client = connection.client = client
        except (OSError, ValueError) as error:
            # No route, refused, a proxy's no, a certificate file that is missing or broken, a
            # secret that others can read, a TLS failure.
            connection.found.append(connection_failure.of_error(error))
        return connection

    def follow(self, connection: Connection) -> bool:
        """Look after what is due, some times a second; False once the connection is to end."""
        now_s, client = time.monotonic(), connection.client
        if client is None:
            return False
        if connection.reached.is_set() and not connection.found:
            self._follow_subscriptions(client, connection.found, now_s)
        elif not connection.found and now_s > connection.answer_by_s:
            # No CONNACK came in time.
            timeout_s = self._broker.connect_timeout_s
            connection.found.append(connection_failure.of_silence(timeout_s))
            client.disconnect()
            return False
        return True

    def close(self, connection: Connection) -> float:
        """Report the end of a connection; how long to wait before the next one, in seconds."""
        if self._version_mid is not None:
            # A broker may end a connection that asks for what it denies: once, not each time.
            self._asks_version = False
        self._client = self.broker_version = self._version_mid = None
        answered = connection.reached.is_set()
        found = connection.found
        failure = found[0] if found else connection_failure.of_end(answered=answered)
        lasted_s = time.monotonic() - connection.began_s
        taken_over = answered and failure.cause in _TAKEN_OVER
        self._short = self._short + 1 if taken_over and lasted_s < _SHORT_S else 0
        if self._short >= _SHORT_MIN:
            failure = connection_failure.of_takeovers(self._short, lasted_s)
        if len(self._endpoints) > 1:
            failure = structs.replace(failure, address=str(connection.endpoint))
        if not self._stopping.is_set():
            self._inbox(Disconnected(connection.number, failure))
        if answered:
            # A node that is gone had a share of the fleet: the others take it at the rate at
            # which one broker takes all back.
            self._failures, self._spread_now_s = 0, self._spread_s / len(self._endpoints)
        self._failures += 1
        return reconnect_delay_s(
            # Longer after each round: one node that is down delays nobody much.
            1 + (self._failures - 1) // len(self._endpoints),
            self._broker.reconnect_max_s,
            random.random(),  # noqa: S311 - spreads a fleet, hides nothing
            spread_s=self._spread_now_s,
        )

    def _run(self) -> None:
        while not self._stopping.is_set():
            connection = self.open()
            if connection.client is not None:
                self._loop(connection.client, connection)
            self._stopping.wait(self.close(connection))

    def _loop(self, client: paho.Client, connection: Connection) -> None:
        """Run paho's loop until the connection ends, or no CONNACK came in time."""
        # Not `loop_forever`: without a socket pair to wake it (`loop` makes one), what the owner
        # publishes would wait for a whole turn.
        try:
            while client.loop(_LOOP_TURN_S) == MQTTErrorCode.MQTT_ERR_SUCCESS:
                if not self.follow(connection):
                    return
        except (OSError, ValueError) as error:
            connection.found.append(connection_failure.of_error(error))

    def _follow_subscriptions(
        self, client: paho.Client, found: list[ConnectionFailure], now_s: float
    ) -> None:
        """Subscribe again to what was refused; end a connection that does not answer."""
        with self._subscribing:
            due, unanswered = self._answers.take_due(now_s), self._answers.is_unanswered(now_s)
        if unanswered:
            timeout_s = _SUBACK_TIMEOUTS * self._broker.connect_timeout_s
            found.append(connection_failure.of_silence(timeout_s, "SUBACK"))
            client.disconnect()
        elif due:
            self._subscribe(client, due)

    def _new_client(self, connection: Connection) -> paho.Client:
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id,
            # MQTT 5 says it at each connect.
            clean_session=None if self._broker.protocol == 5 else not self._kept,
            protocol=paho.MQTTv5 if self._broker.protocol == 5 else paho.MQTTv311,
            transport=self._broker.transport,
            reconnect_on_failure=False,
            manual_ack=self._manual_ack,
        )
        client.connect_timeout = self._broker.connect_timeout_s
        # Receipts must not wait for a window: in-flight is bounded by the owner.
        client.max_inflight_messages_set(0)
        client.ws_set_options(path=self._broker.websocket_path)
        if self._broker.proxy is not None:
            _go_through(client, self._broker.proxy)
        _authenticate(client, self._broker)
        if self._will is not None:
            client.will_set(self._will.topic, self._will.payload, self._will.qos, self._will.retain)
        _mend_sockets(client)
        self._answers = Subscriptions(_SUBACK_TIMEOUTS * self._broker.connect_timeout_s)
        self._listen_for_connection(client, connection)
        self._listen_for_subscriptions(client, connection.number)
        self._listen_for_messages(client, connection.number)
        return client

    def _listen_for_connection(self, client: paho.Client, connection: Connection) -> None:
        # The first failure is the cause: a refusal comes before the end that follows it. With TLS
        # 1.3 a broker rejects the client's certificate only after the handshake: paho logs the TLS
        # alert, and passes "Unspecified error" to `on_disconnect`.
        reached, found = connection.reached, connection.found

        def on_connect(
            client: paho.Client, _user: object, _flags: object, code: ReasonCode, granted: object
        ) -> None:
            if code.is_failure:
                found.append(connection_failure.of_reason_code(code.value, str(code)))
                client.disconnect()
                return
            reached.set()
            if self._subscriptions:
                # Retained messages come with each subscription, also of a known session: after a
                # restart the retained receipt says what is covered.
                self._subscribe(client, self._subscriptions)
            if self._asks_version and self._may_ask_version(granted):
                # Of its own, so that nobody waits for what may be refused.
                wanted = [(_VERSION_TOPIC, SubscribeOptions(qos=0))]
                self._version_mid = client.subscribe(wanted)[1]
            self._inbox(Connected(connection.number))

        def on_error(text: str) -> None:
            found.append(connection_failure.of_log(text, answered=reached.is_set()))

        def on_disconnect(
            _client: paho.Client, _user: object, _flags: object, code: ReasonCode, _props: object
        ) -> None:
            known = connection_failure.of_reason_code(code.value, str(code))
            if known.cause is FailureCause.LOST:
                known = connection_failure.of_end(answered=reached.is_set(), text=str(code))
            found.append(known)

        client.on_connect = on_connect
        client.enable_logger(_ErrorLog(on_error))
        client.on_disconnect = on_disconnect

    def _may_ask_version(self, granted: object) -> bool:
        """Whether the broker can be Mosquitto: MQTT 5, shared subscriptions (5.0 §3.2.2.3.13).

        NATS has not the first, RabbitMQ not the second; they publish no version.
        """
        shared = getattr(granted, "SharedSubscriptionAvailable", 1)
        return self._broker.protocol == 5 and bool(shared)

    def _listen_for_subscriptions(self, client: paho.Client, number: int) -> None:
        def on_subscribe(
            _client: paho.Client, _user: object, mid: int, codes: list[ReasonCode], _props: object
        ) -> None:
            if mid == self._version_mid:
                self._version_mid = None
                return
            refused = [code.is_failure for code in codes]
            with self._subscribing:
                granted = self._answers.on_answer(mid, refused, time.monotonic())
            if any(refused):
                code = codes[refused.index(True)]
                failure = connection_failure.of_subscribe_code(code.value, str(code))
                self._inbox(Subscribed(number, failure))
            elif granted:
                self._inbox(Subscribed(number, None))

        client.on_subscribe = on_subscribe

    def _listen_for_messages(self, client: paho.Client, number: int) -> None:
        def on_publish(
            _client: paho.Client, _user: object, mid: int, code: ReasonCode, _props: object
        ) -> None:
            failure = None
            if code.is_failure:
                failure = connection_failure.of_publish_code(code.value, str(code))
            self._inbox(Published(number, mid, failure))

        def on_message(client: paho.Client, _user: object, message: paho.MQTTMessage) -> None:
            if self._asks_version and message.topic == _VERSION_TOPIC:
                # A kept session would get it again when the broker is started anew.
                client.unsubscribe(_VERSION_TOPIC)
                self.broker_version = version_text(bytes(message.payload))
                return
            self._inbox(
                Received(
                    number,
                    message.topic,
                    bytes(message.payload),
                    message.mid,
                    message.qos,
                    message.retain,
                    message.dup,
                    tuple(getattr(message.properties, "UserProperty", ())),
                )
            )

        client.on_publish = on_publish
        client.on_message = on_message


def try_connection(
    broker: BrokerConfig, client_id: str, *, kept: bool = True
) -> ConnectionFailure | None:
    """Connect once and disconnect; None where the broker accepts us.

    Args:
        broker: its address, credentials and transport; of several nodes (`BrokerConfig.each`) one.
        client_id: another one than that of a running program, whose session would be taken over.
        kept: whether a session that the broker keeps for us is kept.
    """
    inbox: queue.SimpleQueue[Event] = queue.SimpleQueue()
    # A broker may take the user name for the client identifier: then this is the running program's
    # own session for a moment. It is kept, and nothing that comes meanwhile is acknowledged.
    session = MqttSession(broker, client_id, inbox.put, manual_ack=True, kept=kept)
    session.start()
    deadline_s = time.monotonic() + broker.connect_timeout_s + 5
    try:
        while (left_s := deadline_s - time.monotonic()) > 0:
            match inbox.get(timeout=left_s):
                case Connected():
                    return None
                case Disconnected(_, failure):
                    return failure
    except queue.Empty:
        pass
    finally:
        session.stop()
    return connection_failure.of_silence(broker.connect_timeout_s)


def version_text(payload: bytes) -> str | None:
    """What a broker calls itself, as "Mosquitto 2.0.11"; None where it is no short line."""
    text = payload[: _VERSION_BYTES + 1].decode("utf-8", "replace")
    if not text.strip() or len(text) > _VERSION_BYTES or not is_plain_line(text):
        return None
    return text.replace("mosquitto version ", "Mosquitto ")


def _mend_sockets(client: paho.Client) -> None:
    def on_socket_open(_client: paho.Client, _user: object, sock: paho.SocketLike) -> None:
        # paho never sets it, and 21 TLS connects a second is what that costs (measured). By its
        # number, because a WebSocket is a wrapper of paho's; the option is the connection's.
        with socket.fromfd(sock.fileno(), socket.AF_INET, socket.SOCK_STREAM) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def on_socket_register_write(_client: paho.Client, _user: object, _sock: object) -> None:
        # Only because it is set does paho leave writing to its loop. Otherwise `publish` and
        # `ack` write from the owner's thread too, and two packets' bytes mix whenever the
        # socket takes a part of one (seen: a send buffer of 4 KiB, every connection lost).
        return

    client.on_socket_open = on_socket_open
    client.on_socket_register_write = on_socket_register_write


def _connect(
    client: paho.Client,
    endpoint: Endpoint,
    broker: BrokerConfig,
    receive_maximum: int | None,
    *,
    kept: bool,
) -> None:
    if broker.protocol == 5:
        client.connect(
            endpoint.host,
            endpoint.port,
            keepalive=broker.keepalive_s,
            clean_start=not kept,
            properties=_connect_properties(receive_maximum, kept=kept),
        )
    else:
        client.connect(endpoint.host, endpoint.port, keepalive=broker.keepalive_s)


def _subscribe(client: paho.Client, broker: BrokerConfig, topics: Sequence[str]) -> int | None:
    """Send a SUBSCRIBE; returns its packet identifier, None without a connection."""
    if broker.protocol == 5:
        return client.subscribe([(topic, SubscribeOptions(qos=1)) for topic in topics])[1]
    return client.subscribe([(topic, 1) for topic in topics])[1]


def _go_through(client: paho.Client, proxy: ProxyConfig) -> None:
    client.proxy_set(
        proxy_type=_PROXY_TYPE[proxy.type], proxy_addr=proxy.host, proxy_port=proxy.port
    )


def _authenticate(client: paho.Client, broker: BrokerConfig) -> None:
    if broker.tls:
        context = ssl.create_default_context(cafile=broker.ca_file)
        context.sslsocket_class = _ClosedOnFailure
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if broker.certificate_file is not None and broker.key_file is not None:
            secret_file.require_private(broker.key_file)
            context.load_cert_chain(broker.certificate_file, broker.key_file)
        client.tls_set_context(context)
    if broker.username is not None and broker.password_file is not None:
        client.username_pw_set(broker.username, secret_file.read_text(broker.password_file))


class _ErrorLog(logging.Logger):
    """What paho logs as an error, as text.

    Not its `on_log`, for which it formats a line for each packet, with all of its properties.
    """

    def __init__(self, take: Callable[[str], None]) -> None:
        super().__init__("paho")
        self._take = take

    def log(self, level: int, msg: object, *args: object, **_options: object) -> None:
        if level >= logging.ERROR:
            self._take(str(msg) % args if args else str(msg))


class _ClosedOnFailure(ssl.SSLSocket):
    """Closes itself where the handshake fails: paho leaves it open."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


def _connect_properties(receive_maximum: int | None, *, kept: bool) -> Properties:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho has no type here
    properties.SessionExpiryInterval = SESSION_EXPIRY_S if kept else 0
    if receive_maximum is not None:
        properties.ReceiveMaximum = receive_maximum
    return properties


def _publish_properties(message: Message) -> Properties | None:
    if message.expiry_s is None and not message.user_properties:
        return None
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho has no type here
    if message.expiry_s is not None:
        properties.MessageExpiryInterval = message.expiry_s
    if message.user_properties:
        properties.UserProperty = list(message.user_properties)
    return properties


def _wait_for(info: paho.MQTTMessageInfo, timeout_s: float) -> None:
    try:
        info.wait_for_publish(timeout_s)
    except (RuntimeError, ValueError):
        # Not connected any more: the broker publishes the last will.
        return
