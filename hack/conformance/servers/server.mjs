// An app on Node's http, for the matrix: HTTP/1.1 on a free port, which it prints.
import http from 'node:http'
import zlib from 'node:zlib'

const file = Buffer.from(Array.from({ length: 10_000 }, (_, i) => 33 + (i % 89)))
const changed = 'Fri, 02 Jan 2026 03:04:05 GMT'
const stored = new Map()
const waiting = []

async function body(req) {
  const parts = []
  for await (const part of req) parts.push(part)
  return Buffer.concat(parts)
}

const pages = {
  '/open/hello': (req, res) => res.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': 5 }).end('hello'),
  '/open/file'(req, res) {
    if (req.headers['if-modified-since'] === changed) return res.writeHead(304, { 'Last-Modified': changed }).end()
    const range = /^bytes=(\d+)-(\d+)$/.exec(req.headers.range ?? '')
    if (!range) return res.writeHead(200, { 'Last-Modified': changed, 'Content-Length': file.length }).end(file)
    const [first, last] = [Number(range[1]), Number(range[2])]
    res.writeHead(206, { 'Content-Range': `bytes ${first}-${last}/${file.length}` }).end(file.subarray(first, last + 1))
  },
  '/open/text.txt'(req, res) {
    if (!/gzip/.test(req.headers['accept-encoding'] ?? '')) return res.end(file)
    res.writeHead(200, { 'Content-Encoding': 'gzip' }).end(zlib.gzipSync(file))
  },
  '/open/trailers'(req, res) {
    res.writeHead(200, { Trailer: 'X-Sum' })
    res.write('abc')
    res.addTrailers({ 'X-Sum': '1' })
    res.end()
  },
  async '/open/events'(req, res) {
    res.writeHead(200, { 'Content-Type': 'text/event-stream' })
    for (let i = 0; i < 3; i++) {
      res.write(`data: ${i}\n\n`)
      await new Promise((go) => waiting.push(go))
    }
    res.end()
  },
  '/open/next'(req, res) {
    waiting.shift()?.()
    res.writeHead(204).end()
  },
}

const server = http.createServer(async (req, res) => {
  if (req.method === 'POST') {
    stored.set(req.url, await body(req))
    return res.writeHead(201, { 'Content-Length': 0 }).end()
  }
  if (stored.has(req.url)) return res.end(stored.get(req.url))
  const page = pages[req.url]
  return page ? page(req, res) : res.writeHead(404).end()
})
server.listen(0, '127.0.0.1', () => console.log(server.address().port))
