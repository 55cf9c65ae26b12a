"""Notice other programs that publish to the same topics of an MQTT broker.

Each publisher says who it is on a topic of its own and hears what others say there. An alert that
comes back from the broker although this publisher did not send it is another's, too: one that does
not say who it is.
"""

import json
import os
import socket
import uuid
from typing import Any


class Publishers:
    """This publisher's identity, and the others that it has met.

    Parameters
    ----------
    id_ : id of the detector in topics

    Attributes
    ----------
    own : message that says who this publisher is
    client_id : of its connection; no two processes have the same
    alerts_sent : alert messages that this publisher has sent over the current connection
    """

    def __init__(self, id_: str) -> None:
        self._id = id_
        instance = uuid.uuid4().hex[:12]
        # MQTT 3.1.1 promises that brokers accept 23 characters.
        self.client_id = f"crydistill-{instance}"
        self.own = json.dumps(
            {"instance": instance, "host": socket.gethostname(), "process": os.getpid()}
        )
        self._met: set[str] = set()
        self._unnamed = False
        self.alerts_sent = self._alerts_seen = 0

    def connected(self) -> None:
        """A connection begins: what was sent over the last one will not come back."""
        self.alerts_sent = self._alerts_seen = 0

    def met(self, content: Any) -> str | None:
        """Line about the sender of another `own`; None if it is known or says nothing."""
        match content:
            case {"instance": str(instance), "host": host, "process": process}:
                if instance in self._met:
                    return None
                self._met.add(instance)
                return self._line(f"another crydistill (process {process} on {host})")
        return None

    def alert_seen(self, settled: bool) -> str | None:
        """Count an alert message that came in; return a line if it is another's, once.

        Until the connection has `settled`, another publisher may be about to say who it is.
        """
        self._alerts_seen += 1
        own = self._alerts_seen <= self.alerts_sent
        if own or not settled or self._unnamed or self._met:
            return None
        self._unnamed = True
        return self._line("another program, which does not say who it is,")

    def _line(self, who: str) -> str:
        return (
            f"MQTT: {who} publishes to crydistill/{self._id}/ too: Home Assistant shows now the "
            "one, now the other; give one of them another --mqtt-id"
        )
