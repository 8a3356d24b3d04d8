"""A small PostgreSQL client: sends any message in any order and keeps everything it is answered.

Raw bytes of a Query, COPY data, FunctionCall and the commands of replication included; of the
standard library only.
"""

import base64
import hashlib
import hmac
import os
import socket
import struct


class LoginError(Exception):
    """The connection was not accepted; `fields` are those of the ErrorResponse, if one came."""

    def __init__(self, fields):
        super().__init__(fields.get("M", "connection closed"))
        self.fields = fields


class Silence(Exception):
    """Nothing came within the time allowed."""


class Result:
    """Everything that came back for one step of a session."""

    def __init__(self):
        self.rows = []
        self.tags = []
        self.errors = []
        self.notices = []
        self.notifies = []
        self.copy = []
        self.values = []
        self.status = ""  # of the last ReadyForQuery
        self.hung = False
        self.closed = False

    def text(self):
        """All that the client could see, as text."""
        out = []
        for row in self.rows:
            out.append("|".join("" if c is None else c.decode("utf-8", "backslashreplace")
                                for c in row))
        for fields in self.errors + self.notices:
            out.append(" / ".join(f"{k}={v}" for k, v in sorted(fields.items())
                                  if k in "CMDHWq"))
        for channel, payload in self.notifies:
            out.append(f"NOTIFY {channel} {payload}")
        for data in self.copy + self.values:
            out.append(data.decode("utf-8", "backslashreplace"))
        return "\n".join(out + self.tags)


def fields_of(body):
    """The fields of an ErrorResponse or a NoticeResponse by their letter."""
    fields = {}
    for part in body.split(b"\0"):
        if part:
            fields[chr(part[0])] = part[1:].decode("utf-8", "backslashreplace")
    return fields


def octets(text):
    return text if isinstance(text, bytes) else text.encode()


def parse_message(name, sql, types=()):
    return b"P", (octets(name) + b"\0" + octets(sql) + b"\0" + struct.pack("!H", len(types))
                  + b"".join(struct.pack("!I", int(t)) for t in types))


def bind_message(portal, statement, parameters=()):
    """Parameters: None, text, {"hex": …} and {"oid": …} in binary."""
    formats, values = [], []
    for p in parameters:
        formats.append(1 if isinstance(p, dict) else 0)
        if p is None:
            values.append(None)
        elif isinstance(p, dict):
            values.append(bytes.fromhex(p["hex"]) if "hex" in p
                          else struct.pack("!I", int(p["oid"])))
        else:
            values.append(str(p).encode())
    body = octets(portal) + b"\0" + octets(statement) + b"\0"
    body += struct.pack("!H", len(formats)) + b"".join(struct.pack("!H", f) for f in formats)
    body += struct.pack("!H", len(values))
    for v in values:
        body += struct.pack("!i", -1) if v is None else struct.pack("!I", len(v)) + v
    return b"B", body + struct.pack("!HH", 1, 0)


class Connection:
    """One session. `startup` is a list of pairs; a name may stand in it twice."""

    def __init__(self, port, user, database, password="pw", startup=(), timeout=8.0):
        self.user, self.password, self.timeout = user, password, timeout
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.result = Result()
        body = struct.pack("!I", 196608)
        for name, value in [("user", user), ("database", database), *startup]:
            body += name.encode() + b"\0" + value.encode() + b"\0"
        body += b"\0"
        try:
            self.socket.sendall(struct.pack("!I", len(body) + 4) + body)
            self._log_in()
        except BaseException:
            self.socket.close()
            raise

    # --- bytes ---
    def send(self, tag, body=b""):
        self.socket.sendall(tag + struct.pack("!I", len(body) + 4) + body)

    def _need(self, count):
        while len(self.buffer) < count:
            try:
                data = self.socket.recv(65536)
            except socket.timeout:
                raise Silence() from None
            if not data:
                raise ConnectionError("closed by the other side")
            self.buffer += data

    def receive(self):
        self._need(5)
        tag, length = self.buffer[:1], struct.unpack("!I", self.buffer[1:5])[0]
        self._need(1 + length)
        body = self.buffer[5:1 + length]
        self.buffer = self.buffer[1 + length:]
        return tag, body

    # --- login ---
    def _log_in(self):
        while True:
            try:
                tag, body = self.receive()
            except ConnectionError:
                raise LoginError({}) from None
            if tag == b"E":
                raise LoginError(fields_of(body))
            if tag == b"R":
                self._answer(struct.unpack("!I", body[:4])[0], body[4:])
            elif tag == b"Z":
                return
            else:
                self._keep(tag, body)

    def _answer(self, code, body):
        if code == 10:
            nonce = base64.b64encode(os.urandom(18)).decode()
            self.client_first = "n=,r=" + nonce
            message = ("n,," + self.client_first).encode()
            self.send(b"p", b"SCRAM-SHA-256\0" + struct.pack("!I", len(message)) + message)
        elif code == 11:
            self.send(b"p", self._scram_final(body.decode()).encode())
        elif code == 3:
            self.send(b"p", self.password.encode() + b"\0")
        elif code not in (0, 12):
            raise LoginError({"M": f"authentication request {code}"})

    def _scram_final(self, server_first):
        given = dict(part.split("=", 1) for part in server_first.split(","))
        salted = hashlib.pbkdf2_hmac("sha256", self.password.encode(),
                                     base64.b64decode(given["s"]), int(given["i"]))
        key = hmac.new(salted, b"Client Key", hashlib.sha256).digest()
        final = "c=biws,r=" + given["r"]
        message = ",".join([self.client_first, server_first, final]).encode()
        signature = hmac.new(hashlib.sha256(key).digest(), message, hashlib.sha256).digest()
        proof = bytes(a ^ b for a, b in zip(key, signature))
        return final + ",p=" + base64.b64encode(proof).decode()

    # --- answers ---
    def _keep(self, tag, body):
        result = self.result
        if tag == b"N":
            result.notices.append(fields_of(body))
        elif tag == b"A":
            channel, payload = body[4:].split(b"\0")[:2]
            result.notifies.append((channel.decode("utf-8", "backslashreplace"),
                                    payload.decode("utf-8", "backslashreplace")))
        elif tag == b"E":
            result.errors.append(fields_of(body))
        elif tag == b"D":
            result.rows.append(self._row(body))
        elif tag == b"C":
            result.tags.append(body.rstrip(b"\0").decode())
        elif tag == b"d":
            result.copy.append(body)
        elif tag == b"V" and struct.unpack("!i", body[:4])[0] >= 0:
            result.values.append(body[4:])

    @staticmethod
    def _row(body):
        row, at = [], 2
        for _ in range(struct.unpack("!H", body[:2])[0]):
            length = struct.unpack("!i", body[at:at + 4])[0]
            at += 4
            row.append(None if length < 0 else body[at:at + length])
            at += max(length, 0)
        return row

    def drain(self, copy_in=None, idle=None, owes_sync=False):
        """Reads up to ReadyForQuery, or until nothing came for `idle` seconds.

        A server in COPY FROM ignores a Sync: with `owes_sync` it is sent behind the data."""
        result = self.result
        self.socket.settimeout(idle or self.timeout)
        try:
            while True:
                tag, body = self.receive()
                if tag == b"G":
                    if copy_in is None:
                        self.send(b"f", b"no data\0")
                    else:
                        self.send(b"d", copy_in)
                        self.send(b"c")
                if owes_sync and tag in b"GEC":
                    self.send(b"S")
                    owes_sync = False
                if tag == b"G":
                    continue
                self._keep(tag, body)
                if tag == b"Z":
                    result.status = body.decode()
                    break
                if tag == b"E" and fields_of(body).get("V") in ("FATAL", "PANIC"):
                    result.closed = True
                    break
        except Silence:
            result.hung = not idle
        except OSError:
            result.closed = True
        return result

    # --- steps ---
    def _fresh(self):
        self.result = Result()

    def query(self, sql, copy_in=None, idle=None):
        self._fresh()
        self.send(b"Q", octets(sql) + b"\0")
        return self.drain(copy_in, idle)

    def extended(self, sql, parameters=(), types=(), copy_in=None):
        self._fresh()
        for message in (parse_message("", sql, types), bind_message("", "", parameters),
                        (b"D", b"P\0"), (b"E", b"\0\0\0\0\0"),
                        (b"S" if copy_in is None else b"H", b"")):
            self.send(*message)
        return self.drain(copy_in, owes_sync=copy_in is not None)

    def raw(self, messages, copy_in=None):
        """Messages as in the corpus: P name sql types, B portal statement parameters, D kind name,
        E portal rows_max, C kind name, H, S, Q sql."""
        self._fresh()
        waits = 0
        for kind, *rest in messages:
            if kind == "P":
                sql = bytes.fromhex(rest[1]["hex"]) if isinstance(rest[1], dict) else rest[1]
                self.send(*parse_message(rest[0], sql, *rest[2:3]))
            elif kind == "B":
                self.send(*bind_message(*rest[:3]))
            elif kind == "E":
                rows_max = rest[1] if len(rest) > 1 else 0
                self.send(b"E", rest[0].encode() + b"\0" + struct.pack("!I", rows_max))
            elif kind in ("D", "C"):
                self.send(kind.encode(), (rest[0] + rest[1]).encode() + b"\0")
            elif kind == "Q":
                self.send(b"Q", rest[0].encode() + b"\0")
            else:
                self.send(kind.encode())
            waits += kind in ("S", "Q")
        for _ in range(waits):
            self.drain(copy_in)
            if self.result.hung or self.result.closed:
                break
        return self.result

    def call(self, function_oid, arguments):
        """A FunctionCall with arguments in text."""
        self._fresh()
        body = struct.pack("!IHHH", function_oid, 1, 0, len(arguments))
        for a in arguments:
            value = None if a is None else str(a).encode()
            body += struct.pack("!i", -1) if value is None else \
                struct.pack("!I", len(value)) + value
        self.send(b"F", body + struct.pack("!H", 0))
        return self.drain()

    def close(self):
        try:
            self.send(b"X")
        except OSError:
            pass
        self.socket.close()
