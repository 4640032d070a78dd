#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
#
# As much of AWS's STS as changes a web identity's token into keys: those of the S3 server of the
# tests, which are in the environment. Without a session token: that server knows none.
#
#   sts.py PORT FOLDER
#
# FOLDER/seconds says how long keys last (3600), FOLDER/answers statuses of the next answers.
# FOLDER/log gets a line for each request: token, role, session, status.
import http.server
import os
import pathlib
import sys
import time
import urllib.parse

FOLDER = pathlib.Path(sys.argv[2])
TOKEN = (FOLDER / "token").read_text(encoding="utf-8").strip()


def text(name, default):
    path = FOLDER / name
    return path.read_text(encoding="utf-8") if path.exists() else default


def credentials():
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + int(text("seconds", "3600"))))
    return ("<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>"
            f"<AccessKeyId>{os.environ['AWS_ACCESS_KEY_ID']}</AccessKeyId>"
            f"<SecretAccessKey>{os.environ['AWS_SECRET_ACCESS_KEY']}</SecretAccessKey>"
            f"<Expiration>{until}</Expiration>"
            "</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>")


class Sts(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        form = dict(urllib.parse.parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
        asked = text("answers", "").split()
        if asked:
            (FOLDER / "answers").write_text(" ".join(asked[1:]), encoding="utf-8")
            status, body = int(asked[0]), ""
        elif form["Action"] == "AssumeRoleWithWebIdentity" and form["WebIdentityToken"] == TOKEN:
            status, body = 200, credentials()
        else:
            status, body = 403, "<ErrorResponse><Error><Code>InvalidIdentityToken</Code></Error></ErrorResponse>"
        with open(FOLDER / "log", "a", encoding="utf-8") as log:
            print(form["WebIdentityToken"], form["RoleArn"], form["RoleSessionName"], status, file=log)
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Sts).serve_forever()
