#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
#
# denyhook.py PORT PEM [ADDRESS]: an admission webhook over TLS that refuses every object named "denied".
import http.server
import json
import ssl
import sys


class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        request = review["request"]
        name = request.get("name") or request["object"]["metadata"].get("name")
        answer = {"uid": request["uid"], "allowed": name != "denied"}
        if not answer["allowed"]:
            answer["status"] = {"message": "house rule 7: nothing may be named denied"}
        body = json.dumps({"apiVersion": review["apiVersion"], "kind": review["kind"],
                           "response": answer}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def main():
    address = sys.argv[3] if len(sys.argv) > 3 else "127.0.0.1"
    server = http.server.ThreadingHTTPServer((address, int(sys.argv[1])), Hook)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[2])
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


main()
