"""A payment provider in a process of its own: its books are a file that is written before anything is answered.

A question is lost now and then, and so is an answer, by hanging up; some charges take a moment. The same key is the
same charge. python -m tests.kill.bank FILE SEED prints its port.
"""

import json
import random
import sqlite3
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_GUARD = threading.Lock()


class Bank(BaseHTTPRequestHandler):
    """Answers POST /move and /ask with {"state", "ref"}."""

    books: sqlite3.Connection
    chance: random.Random

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with _GUARD:
            fault = self.chance.random()
            if fault < 0.03:
                return self.hang_up()
            answer = self.found(asked) if self.path == "/ask" else None
            answer = answer or self.booked(asked)
        if fault < 0.12:
            return self.hang_up()
        # Long enough that a kill falls between what is paid and what is recorded.
        time.sleep(0.02)
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        return None

    def hang_up(self) -> None:
        self.close_connection = True

    def found(self, asked: dict) -> dict | None:
        """Say how a charge stands; one that took a moment is done when it is asked about."""
        row = self.books.execute("SELECT rowid FROM charge WHERE key = ?", (asked["key"],)).fetchone()
        if row is None:
            return None
        with self.books:
            self.books.execute("UPDATE charge SET state = 'succeeded' WHERE rowid = ?", row)
        return {"state": "succeeded", "ref": f"ch_{row[0]}"}

    def booked(self, asked: dict) -> dict:
        """Charge once for a key."""
        state = "processing" if self.chance.random() < 0.2 else "succeeded"
        words = (asked["key"], asked["org_id"], asked["payment_id"], asked["gross"], state)
        with self.books:
            self.books.execute("INSERT OR IGNORE INTO charge VALUES (?, ?, ?, ?, ?)", words)
        row = self.books.execute("SELECT rowid, state FROM charge WHERE key = ?", (asked["key"],)).fetchone()
        return {"state": row[1], "ref": f"ch_{row[0]}"}

    def log_message(self, *_: object) -> None:
        pass


def main(path: str, seed: str) -> None:
    """Serve until the end."""
    Bank.chance = random.Random(int(seed))
    Bank.books = sqlite3.connect(path, check_same_thread=False)
    Bank.books.execute("PRAGMA synchronous = FULL")
    Bank.books.execute("CREATE TABLE charge (key TEXT PRIMARY KEY, org_id, payment_id, gross, state)")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Bank)
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
