// A WebSocket client: client.mjs ADDRESS prints a line for each case, "ok NAME" or "not ok NAME: why".
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { WebSocket } from 'ws'

const [address] = process.argv.slice(2)
const token = process.env.TOKEN
const sha256 = (b) => createHash('sha256').update(b).digest('hex')

async function open({ path = '/open/ws', protocols = [], ...options } = {}) {
  const ws = new WebSocket(`ws://${address}${path}`, protocols, { maxPayload: 32 << 20, ...options })
  ws.on('error', () => {})
  await once(ws, 'open')
  return ws
}

async function message(ws) {
  const [data, binary] = await once(ws, 'message')
  return binary ? data : String(data)
}

async function ask(ws, text) {
  ws.send(text)
  return message(ws)
}

const tell = async (text) => {
  const ws = await open()
  const answer = await ask(ws, text)
  ws.close()
  return answer
}

const cases = {
  async 'texts and bytes come back'() {
    const ws = await open()
    assert.equal(await ask(ws, 'häß\u0000\r\n\r\nGET / HTTP/1.1'), 'häß\u0000\r\n\r\nGET / HTTP/1.1')
    assert.equal(await ask(ws, ''), '')
    assert.deepEqual(await ask(ws, Buffer.from([0, 255, 13, 10])), Buffer.from([0, 255, 13, 10]))
    ws.close()
  },
  async 'messages of every length of header'() {
    const ws = await open({ perMessageDeflate: false })
    for (const n of [1, 125, 126, 127, 4096, 65535, 65536, 65537]) assert.equal((await ask(ws, 'y'.repeat(n))).length, n)
    ws.close()
  },
  async 'the client sends fragments'() {
    const ws = await open()
    ws.send('one ', { fin: false })
    ws.ping('between')
    ws.send('two ', { fin: false })
    ws.send('three', { fin: true })
    assert.equal(await message(ws), 'one two three')
    ws.close()
  },
  async 'the app sends fragments, and a ping between'() {
    const ws = await open()
    const ping = once(ws, 'ping')
    assert.equal(await ask(ws, '!fragments'), 'one two three')
    assert.equal(String((await ping)[0]), 'between')
    ws.close()
  },
  async 'a message of 16 MiB each way'() {
    const ws = await open({ perMessageDeflate: false })
    const data = Buffer.alloc(16 << 20)
    for (let i = 0; i < data.length; i += 4) data.writeUInt32LE((i * 2654435761) >>> 0, i)
    ws.send(data)
    assert.equal(await message(ws), sha256(data)) // what the app got
    assert.equal(sha256(await message(ws)), sha256(data))
    ws.close()
  },
  async 'a ping of the client is answered by the app'() {
    const ws = await open()
    const pong = once(ws, 'pong')
    ws.ping('hello')
    assert.equal(String((await pong)[0]), 'hello')
    ws.close()
  },
  async 'a ping of the app is answered by the client'() {
    const ws = await open()
    assert.equal(await ask(ws, '!ping hello'), 'pong hello')
    ws.close()
  },
  async 'compression is negotiated between the ends, and used'() {
    const ws = await open({ perMessageDeflate: { threshold: 0 } })
    assert.match(ws.extensions, /permessage-deflate/)
    const text = 'z'.repeat(1 << 20)
    assert.equal(await ask(ws, text), text)
    assert.ok(ws._socket.bytesRead < 64 << 10, `${ws._socket.bytesRead} bytes came`)
    ws.close()
  },
  async 'no compression is negotiated where the client wants none'() {
    const ws = await open({ perMessageDeflate: false })
    assert.equal(ws.extensions, '')
    ws.close()
  },
  async 'a subprotocol is chosen by the app'() {
    const ws = await open({ protocols: ['talk', 'chat'] })
    assert.equal(ws.protocol, 'chat')
    ws.close()
  },
  async 'the client closes with a code'() {
    for (const [code, reason] of [[1000, ''], [1000, 'bye'], [4002, 'done']]) {
      const ws = await open()
      await ask(ws, `!keep client-${code}-${reason}`)
      ws.close(code, reason)
      const [back] = await once(ws, 'close')
      assert.equal(back, code)
      assert.equal(await tell(`!ended client-${code}-${reason}`), `${code} ${reason}`)
    }
  },
  async 'the app closes with a code'() {
    for (const [code, reason] of [[1000, 'bye'], [1011, 'broken'], [4001, 'away']]) {
      const ws = await open()
      ws.send(`!close ${code} ${reason}`)
      const [got, why] = await once(ws, 'close')
      assert.deepEqual([got, String(why)], [code, reason])
    }
  },
  async 'an end of the client without a close reaches the app'() {
    const ws = await open()
    await ask(ws, '!keep terminated')
    ws.terminate()
    assert.equal(await tell('!ended terminated'), '1006 ')
  },
  async 'an end of the app without a close reaches the client'() {
    const ws = await open()
    ws.send('!terminate')
    assert.equal((await once(ws, 'close'))[0], 1006)
  },
  async 'a slow reader slows the app, and misses nothing'() {
    const ws = await open({ perMessageDeflate: false })
    await ask(ws, '!keep slow')
    ws.pause()
    ws.send('!flood 256') // 64 MiB
    let last = -1
    for (let now = 0; now !== last || now === 0; ) {
      // until what the app holds back stays the same: all buffers between are full
      last = now
      await new Promise((again) => setTimeout(again, 200))
      now = Number(await tell('!buffered slow'))
    }
    assert.ok(last > 32 << 20, `the app holds only ${last} bytes back`)
    let bytes = 0
    const all = new Promise((done) => ws.on('message', (data) => (bytes += data.length) === 64 << 20 && done()))
    ws.resume()
    await all
    ws.close()
  },
  async 'many at once'() {
    await Promise.all(
      Array.from({ length: 50 }, async (_, i) => {
        const ws = await open()
        for (let j = 0; j < 10; j++) assert.equal(await ask(ws, `${i}.${j}`), `${i}.${j}`)
        ws.close()
      }),
    )
  },
  async 'a token opens it'() {
    const ws = await open({ path: '/orders/ws', headers: { Authorization: `Bearer ${token}` } })
    assert.equal(await ask(ws, 'hello'), 'hello')
    ws.close()
  },
}

// Only the proxy refuses.
if (process.env.GUARDED)
  cases['without a token it is refused before the app is asked'] = async () => {
    const ws = new WebSocket(`ws://${address}/orders/ws`)
    ws.on('error', () => {})
    const [, res] = await once(ws, 'unexpected-response')
    assert.equal(res.statusCode, 401)
    assert.equal(res.headers['www-authenticate'], 'Bearer')
    res.resume()
  }

for (const [name, run] of Object.entries(cases)) {
  let timer
  const late = new Promise((_, no) => (timer = setTimeout(() => no(new Error('takes too long')), 20_000)))
  try {
    await Promise.race([run(), late])
    console.log(`ok ${name}`)
  } catch (err) {
    console.log(`not ok ${name}: ${String(err.message).split('\n')[0]}`)
  }
  clearTimeout(timer)
}
process.exit(0)
