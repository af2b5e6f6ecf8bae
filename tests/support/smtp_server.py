"""A mail server on loopback that is as unpleasant as its recipients' names say.

smtp_server.py DIRECTORY PORT [CERTIFICATE KEY]; port 0: any. With a certificate it wants
STARTTLS, and the user "me" with the password "secret".

konnichiwa@  550                later@   450
slow…@       waits, when it has got the mail, until a line comes out of DIRECTORY/go; which
             of several goes on then is not said
gone@        the first time, closes the connection instead of an answer to the mail
red@         answers with a control sequence
Every mail that it accepts is a line of JSON in DIRECTORY/mails. On standard output:
"listening PORT", "waiting ADDRESS", "went N" (lines have come), "lost ADDRESS" (the client
went away), "accepted ADDRESS…", "most N" (mails at once so far).
"""

import asyncio
import email
import email.policy
import json
import os
import ssl
import sys
import threading

from aiosmtpd.smtp import SMTP, AuthResult

directory, port = sys.argv[1], int(sys.argv[2])


def say(*words):
    print(*words, flush=True)


def parse(envelope):
    mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
    parts = {kind: mail.get_body((kind,)) for kind in ("plain", "html")}
    texts = {kind: part and part.get_content().replace("\r\n", "\n")
             for kind, part in parts.items()}
    return {
        "from": envelope.mail_from, "to": envelope.rcpt_tos,
        "header": {name.lower(): value for name, value in mail.items()},
        "plain": texts["plain"], "html": texts["html"],
        "attachments": {part.get_filename(): str(part.get_content())
                        for part in mail.iter_attachments()},
    }


def wait_for_go(loop, done):
    # For writing, too: a line that comes while another one closes the fifo is not lost.
    fifo = os.open(directory + "/go", os.O_RDWR)
    os.read(fifo, len("go\n"))
    os.close(fifo)
    loop.call_soon_threadsafe(go, done)


def go(done):
    if not done.done():
        done.set_result(None)
    Handler.went += 1
    say("went", Handler.went)


class Handler:
    gone = False
    now = most = went = 0

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("konnichiwa@"):
            return "550 5.1.1 No such user"
        if address.startswith("later@"):
            return "450 4.2.0 Try again later"
        if address.startswith("red@"):
            return "550-\x1b[31mred\r\n550 \tand \x07loud"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        to = " ".join(envelope.rcpt_tos)
        if to.startswith("gone@") and not Handler.gone:
            Handler.gone = True
            server.transport.abort()
            await asyncio.sleep(3600)
        Handler.now += 1
        if Handler.now > Handler.most:
            Handler.most = Handler.now
            say("most", Handler.most)
        try:
            if to.startswith("slow"):
                loop = asyncio.get_running_loop()
                done = loop.create_future()
                threading.Thread(target=wait_for_go, args=(loop, done), daemon=True).start()
                say("waiting", to)
                await done
        except asyncio.CancelledError:
            say("lost", to)
            raise
        finally:
            Handler.now -= 1
        with open(directory + "/mails", "a") as mails:
            mails.write(json.dumps(parse(envelope)) + "\n")
        say("accepted", to)
        return "250 Message accepted"


def authenticate(server, session, envelope, mechanism, data):
    good = mechanism in ("LOGIN", "PLAIN") and data.login == b"me" and data.password == b"secret"
    return AuthResult(success=good, handled=False)


def make():
    if len(sys.argv) < 5:
        return SMTP(Handler(), hostname="localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[3], sys.argv[4])
    return SMTP(Handler(), hostname="localhost", tls_context=context, require_starttls=True,
                auth_required=True, authenticator=authenticate)


async def serve():
    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", port)
    say("listening", server.sockets[0].getsockname()[1])
    await server.serve_forever()


asyncio.run(serve())
