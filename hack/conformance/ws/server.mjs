// A WebSocket app on a free port, which it prints. It echoes messages, but for texts that tell it what to do.
import { createHash } from 'node:crypto'
import http from 'node:http'
import { WebSocketServer } from 'ws'

const server = http.createServer((req, res) => res.writeHead(426).end())
const sockets = new WebSocketServer({
  server,
  maxPayload: 32 << 20,
  perMessageDeflate: { threshold: 0 },
  handleProtocols: (offered) => (offered.has('chat') ? 'chat' : false),
})
const kept = new Map() // by the name that a client gave its connection: the socket, and how it ended

const commands = {
  keep(ws, name) {
    kept.set(name, { ws })
    ws.on('close', (code, reason) => Object.assign(kept.get(name), { code, reason: String(reason) }))
    ws.send('kept')
  },
  async ended(ws, name) {
    const { ws: other } = kept.get(name)
    if (other.readyState !== other.CLOSED) await new Promise((done) => other.on('close', done))
    const { code, reason } = kept.get(name)
    ws.send(`${code} ${reason}`)
  },
  buffered: (ws, name) => ws.send(String(kept.get(name).ws.bufferedAmount)),
  close: (ws, text) => ws.close(...[Number(text.split(' ')[0]), text.split(' ')[1]]),
  terminate: (ws) => ws.terminate(),
  ping(ws, text) {
    ws.once('pong', (data) => ws.send(`pong ${data}`))
    ws.ping(text)
  },
  fragments(ws) {
    ws.send('one ', { fin: false })
    ws.ping('between')
    ws.send('two ', { fin: false })
    ws.send('three', { fin: true })
  },
  flood(ws, count) {
    const block = Buffer.alloc(256 << 10, 'x')
    for (let i = 0; i < Number(count); i++) ws.send(block, { compress: false })
  },
}

sockets.on('connection', (ws) => {
  ws.on('error', () => {})
  ws.on('message', (data, binary) => {
    const [, command, rest] = (!binary && data.length < 100 && /^!(\w+) ?(.*)$/.exec(String(data))) || []
    if (command) return commands[command](ws, rest)
    if (binary && data.length > 1 << 20) ws.send(createHash('sha256').update(data).digest('hex'))
    ws.send(data, { binary })
  })
})
server.listen(0, '127.0.0.1', () => console.log(server.address().port))
