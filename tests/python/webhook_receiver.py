"""A receiver of Standard Webhooks that shares no code with Lictor: it verifies each signature, and misbehaves as told.

Usage: webhook_receiver.py PORT KEY OUT PLAN
PORT may be 0; the port is the first line of standard output. KEY is base64. What is verified is appended to OUT. PLAN
says what becomes of each request, the last word of it of all that follow:
  ok          take it
  STATUS      answer with this status, and take nothing
  lose        end before it is taken
  die         take it, and end before it is answered
"""

import base64
import hashlib
import hmac
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

port, key, out, plan = int(sys.argv[1]), base64.b64decode(sys.argv[2]), sys.argv[3], sys.argv[4].split(",")


def verified(headers, body):
    """As https://github.com/standard-webhooks/standard-webhooks describes it."""
    signed = b".".join([headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body])
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    fresh = abs(time.time() - int(headers["webhook-timestamp"])) < 300
    signatures = [s.removeprefix("v1,") for s in headers["webhook-signature"].split(" ") if s.startswith("v1,")]
    return fresh and any(hmac.compare_digest(expected, s) for s in signatures)


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        action = plan.pop(0) if len(plan) > 1 else plan[0]
        if not verified(self.headers, body):
            return self.answer(401, b"the signature is not of this key")
        if action.isdigit():
            return self.answer(int(action), b"not\x1b[31m now")
        if action == "lose":
            os._exit(1)
        with open(out, "ab") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        if action == "die":
            os._exit(1)
        self.answer(204, b"")

    def answer(self, status, said):
        self.send_response(status)
        if status != 204:
            self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *arguments):
        pass


HTTPServer.allow_reuse_address = True
server = HTTPServer(("127.0.0.1", port), Receiver)
print(server.server_address[1], flush=True)
server.serve_forever()
