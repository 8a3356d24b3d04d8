"""Plays the steps of a case, on the server itself or through a proxy."""

from lane import Trouble, database
from wire import Connection, LoginError, Result, Silence


class Session:
    """What a client did, step by step: `results[i]` answers `case["session"][i]`.

    proxy_port None is the server itself; `extended` plays texts by the extended protocol."""

    def __init__(self, lane, case, proxy_port=None, extended=False):
        self.lane = lane
        self.case = case
        self.port = proxy_port or lane.server_port
        self.extended = extended and "replication" not in dict(self._startup(case))
        self.connections = {}
        self.results = []

    def play(self, steps_max=None):
        side = None
        try:
            if self.case.get("side"):
                side = Connection(self.lane.server_port, "app_user", database)
                for sql in self.case["side"]:
                    self._must(side.query(self.lane.filled_in(sql)), "side")
            for step in self.case["session"][:steps_max]:
                self.results.append(self._safely(step))
        finally:
            for c in self.connections.values():
                c.close()
            if side:
                side.close()
        return self.results

    def _safely(self, step):
        result = Result()
        try:
            return self._step({"sql": step} if isinstance(step, str) else step)
        except LoginError as e:
            result.errors.append({"C": "", **e.fields, "M": f"login: {e}"})
        except Silence:
            result.hung = True
        except OSError as e:
            result.errors.append({"C": "", "M": f"connection: {e}"})
        result.closed = True
        return result

    @staticmethod
    def _startup(holder):
        startup = holder.get("startup") or {}
        return list(startup.items()) if isinstance(startup, dict) else [tuple(p) for p in startup]

    def _connect(self, over):
        startup = self._startup(over if "startup" in over else self.case)
        return Connection(self.port, over.get("user", self.case.get("user", "app_user")),
                          over.get("dbname", self.case.get("dbname", database)),
                          startup=[(k, self.lane.filled_in(v)) for k, v in startup],
                          timeout=self.case.get("timeout", 8.0))

    def _must(self, result, what):
        if result.errors:
            raise Trouble(f"{what}: {result.text()}")

    def _step(self, step):
        if "direct" in step:  # a change made on the server, not through the proxy
            c = Connection(self.lane.server_port, step.get("as", "owner"), database)
            try:
                self._must(c.query(self.lane.filled_in(step["direct"])), "direct")
            finally:
                c.close()
            return Result()
        if "wait" in step:
            self.lane.wait_until(step["wait"])
            return Result()
        name = step.get("conn", "a")
        if "reconnect" in step:
            if name in self.connections:
                self.connections.pop(name).close()
            self.connections[name] = self._connect(step["reconnect"])
            return Result()
        if name not in self.connections:
            user = step.get("as_user")
            self.connections[name] = self._connect({"user": user} if user else {})
        return self._send(self.connections[name], step)

    def _send(self, c, step):
        fill = self.lane.filled_in
        copy_in = step["copy_in"].encode() if "copy_in" in step else None
        if "raw" in step:
            return c.raw(self.lane.filled_in_deep(step["raw"]), copy_in)
        if "fcall" in step:
            oid = self.lane.column(f"SELECT '{step['fcall']['func']}'::regprocedure::oid::text")
            return c.call(int(oid[0]), self.lane.filled_in_deep(step["fcall"]["args"]))
        sql = bytes.fromhex(step["hex"]) if "hex" in step else fill(step["sql"])
        proto = step.get("proto", self.case.get("proto"))
        if proto == "extended" or (self.extended and "idle" not in step):
            result = c.extended(sql, self.lane.filled_in_deep(step.get("params", [])),
                                [int(fill(str(t))) for t in step.get("ptypes", ())], copy_in)
        else:
            result = c.query(sql, copy_in, step.get("idle"))
        if self.case.get("recover") and result.status == "E":
            c.query("ROLLBACK")
            c.query("BEGIN")
        return result
