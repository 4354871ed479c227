# An app on Python's http.server, for the matrix: HTTP/1.1 on a free port, which it prints.
import email.utils
import gzip
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FILE = bytes(33 + i % 89 for i in range(10_000))
CHANGED = email.utils.formatdate(1767323045, usegmt=True)
stored = {}
steps = threading.Semaphore(0)


class App(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def body(self):
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        data = bytearray()
        while size := int(self.rfile.readline().split(b";")[0], 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return bytes(data)

    def answer(self, status, data=b"", **fields):
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name.replace("_", "-"), value)
        if status != 304:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def do_POST(self):
        stored[self.path] = self.body()
        self.answer(201)

    def do_GET(self):
        path = urllib.parse.urlsplit(self.path).path
        if path in stored:
            self.answer(200, stored[path])
        elif path == "/open/hello":
            self.answer(200, b"hello", Content_Type="text/plain")
        elif path == "/open/file":
            self.file()
        elif path == "/open/text.txt":
            if "gzip" in self.headers.get("Accept-Encoding", ""):
                self.answer(200, gzip.compress(FILE), Content_Encoding="gzip")
            else:
                self.answer(200, FILE)
        elif path == "/open/trailers":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.send_header("Trailer", "X-Sum")
            self.end_headers()
            self.chunk(b"abc")
            self.wfile.write(b"0\r\nX-Sum: 1\r\n\r\n")
        elif path == "/open/events":
            self.events()
        elif path == "/open/next":
            steps.release()
            self.answer(204)
        else:
            self.answer(404)

    do_HEAD = do_GET

    def file(self):
        if self.headers.get("If-Modified-Since") == CHANGED:
            self.answer(304, Last_Modified=CHANGED)
        elif wanted := self.headers.get("Range"):
            first, last = map(int, wanted.removeprefix("bytes=").split("-"))
            self.answer(206, FILE[first : last + 1], Content_Range=f"bytes {first}-{last}/{len(FILE)}")
        else:
            self.answer(200, FILE, Last_Modified=CHANGED)

    def events(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for i in range(3):
            self.chunk(b"data: %d\n\n" % i)
            if not steps.acquire(timeout=20):
                return
        self.wfile.write(b"0\r\n\r\n")


server = ThreadingHTTPServer(("127.0.0.1", 0), App)
print(server.server_address[1], flush=True)
server.serve_forever()
