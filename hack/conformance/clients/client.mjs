// A client on Node's fetch (undici) and http, for the matrix: client.mjs ADDRESS METHOD prints a line for each case.
import http from 'node:http'
import { createHash } from 'node:crypto'

const [address, method] = process.argv.slice(2)
const url = (path) => `http://${address}${path}`
const digest = (b) => `${b.length} ${createHash('sha256').update(b).digest('hex').slice(0, 16)}`
const bytes = async (res) => Buffer.from(await res.arrayBuffer())
const pattern = (size) => Buffer.from(Uint8Array.from({ length: size }, (_, i) => 33 + (i % 89)))

// ask uses http, where fetch has no say.
function ask(verb, path, { headers = {}, agent, body, wait } = {}) {
  return new Promise((resolve, reject) => {
    const req = http.request(url(path), { method: verb, headers, agent }, async (res) => {
      const parts = []
      for await (const part of res) parts.push(part)
      resolve({ res, data: Buffer.concat(parts), reused: req.reusedSocket })
    })
    req.on('error', reject)
    if (wait) req.on('continue', () => req.end(body))
    else req.end(body)
  })
}

async function upload(name, size, framing) {
  const data = pattern(size)
  const path = `/open/stored/node-${name}`
  let status
  if (framing === 'expect') {
    const headers = { Expect: '100-continue', 'Content-Length': size }
    status = (await ask(method, path, { headers, body: data, wait: true })).res.statusCode
  } else {
    const body = framing === 'length' ? data : new Blob([data]).stream()
    status = (await fetch(url(path), { method, body, duplex: 'half' })).status
  }
  console.log(name, Math.floor(status / 100), digest(await bytes(await fetch(url(path)))))
}

let res = await fetch(url('/open/hello'))
console.log('get', res.status, await res.text())
res = await fetch(url('/open/hello'), { method: 'HEAD' })
console.log('head', res.status, res.headers.get('content-length'), (await bytes(res)).length)
for (const [name, size] of [['0', 0], ['1K', 1024], ['10M', 10 << 20]])
  for (const framing of ['length', 'chunked']) await upload(`body-${name}-${framing}`, size, framing)
res = await fetch(url('/open/file'))
await bytes(res)
res = await fetch(url('/open/file'), { headers: { 'If-Modified-Since': res.headers.get('last-modified') } })
console.log('not-modified', res.status, (await bytes(res)).length)
res = await fetch(url('/open/text.txt'), { headers: { 'Accept-Encoding': 'gzip' } })
console.log('gzip', res.status, res.headers.get('content-encoding'), digest(await bytes(res))) // fetch has unpacked it
res = await fetch(url('/open/file'), { headers: { Range: 'bytes=10-19' } })
console.log('range', res.status, res.headers.get('content-range'), await res.text())
await upload('expect', 1024, 'expect')
let got = await ask('GET', '/open/trailers')
console.log('trailers', got.res.statusCode, String(got.data), `X-Sum=${got.res.trailers['x-sum']}`)
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
const first = await ask('GET', '/open/hello', { agent })
await new Promise(setImmediate) // the socket goes back to the agent
got = await ask('GET', '/open/hello', { agent })
console.log('reuse', first.res.statusCode, got.res.statusCode, got.reused ? 'True' : 'False')
agent.destroy()
if (method === 'POST') {
  res = await fetch(url('/open/events'))
  const lines = []
  for await (const part of res.body.pipeThrough(new TextDecoderStream())) {
    for (const line of part.split('\n').filter(Boolean)) {
      lines.push(line)
      await bytes(await fetch(url('/open/next')))
    }
  }
  console.log('events', lines.join(','))
}
