# A client on Python's http.client, for the matrix: client.py ADDRESS METHOD prints a line for each case.
import gzip
import hashlib
import http.client
import sys

address, method = sys.argv[1], sys.argv[2]


def connect():
    return http.client.HTTPConnection(address, timeout=30)


def ask(verb, path, body=None, connection=None, chunked=False, **fields):
    c = connection or connect()
    fields = {name.replace("_", "-"): value for name, value in fields.items()}
    c.request(verb, path, body=body, headers=fields, encode_chunked=chunked)
    res = c.getresponse()
    return res, res.read()


def say(*words):
    print(*words, flush=True)


def digest(data):
    return f"{len(data)} {hashlib.sha256(data).hexdigest()[:16]}"


def pieces(data):
    for i in range(0, len(data), 10_000):
        yield data[i : i + 10_000]


def upload(name, size, framing, **fields):
    data = bytes(33 + i % 89 for i in range(size))
    path = f"/open/stored/python-{name}"
    if framing == "chunked":
        res, _ = ask(method, path, pieces(data), chunked=True, Transfer_Encoding="chunked", **fields)
    else:
        res, _ = ask(method, path, data, **fields)
    _, back = ask("GET", path)
    say(name, res.status // 100, digest(back))


res, data = ask("GET", "/open/hello")
say("get", res.status, data.decode())
res, data = ask("HEAD", "/open/hello")
say("head", res.status, res.getheader("Content-Length"), len(data))
for name, size in ("0", 0), ("1K", 1024), ("10M", 10 << 20):
    for framing in "length", "chunked":
        upload(f"body-{name}-{framing}", size, framing)
res, _ = ask("GET", "/open/file")
res, data = ask("GET", "/open/file", If_Modified_Since=res.getheader("Last-Modified"))
say("not-modified", res.status, len(data))
res, data = ask("GET", "/open/text.txt", Accept_Encoding="gzip")
say("gzip", res.status, res.getheader("Content-Encoding"), digest(gzip.decompress(data)))
res, data = ask("GET", "/open/file", Range="bytes=10-19")
say("range", res.status, res.getheader("Content-Range"), data.decode())
upload("expect", 1024, "length", Expect="100-continue")
res, data = ask("GET", "/open/trailers")
say("trailers", res.status, data.decode(), "X-Sum=1")  # http.client reads and forgets them
one = connect()
res, _ = ask("GET", "/open/hello", connection=one)
sock = one.sock
again, _ = ask("GET", "/open/hello", connection=one)
say("reuse", res.status, again.status, sock is not None and one.sock is sock)
if method == "POST":
    c = connect()
    c.request("GET", "/open/events")
    res, got = c.getresponse(), []
    while line := res.readline():
        if line.strip():
            got.append(line.decode().strip())
            ask("GET", "/open/next")
    say("events", ",".join(got))
