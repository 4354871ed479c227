// A transmitter of security event tokens (SSF 1.0) for one test: node transmitter.mjs CONFIG. CONFIG is a file with JSON:
//
//   token    what a receiver has to show
//   polled   aud of a stream that is polled (RFC 8936)
//   pushed   aud of a stream that is pushed (RFC 8935), to the URL push, with Authorization: Bearer received
//
// It listens on a free port of 127.0.0.1 and prints its issuer, which is also the iss of its tokens. POST /emit {to, event, sub_id, claims} makes a
// token for an audience, and answers {status} of the push. The end of the input ends it.
import { readFileSync } from 'node:fs'
import http from 'node:http'
import * as jose from 'jose'

const { token, polled, pushed, push, received } = JSON.parse(readFileSync(process.argv[2], 'utf8'))
const { publicKey, privateKey } = await jose.generateKeyPair('ES256')
const jwks = { keys: [{ ...(await jose.exportJWK(publicKey)), kid: 'k1', alg: 'ES256' }] }
const waiting = new Map() // jti -> token, until it is acknowledged
let wake = () => {}
let issuer

async function emit({ to, event, sub_id, claims = {} }) {
  const jti = crypto.randomUUID()
  const set = await new jose.SignJWT({ events: { [event]: claims }, sub_id, jti })
    .setProtectedHeader({ alg: 'ES256', kid: 'k1', typ: 'secevent+jwt' }).setIssuer(issuer).setAudience(to).setIssuedAt().sign(privateKey)
  if (to === polled) {
    waiting.set(jti, set)
    wake()
    return { jti }
  }
  const response = await fetch(push, { method: 'POST', body: set, headers: { 'content-type': 'application/secevent+jwt', authorization: `Bearer ${received}` } })
  return { jti, status: response.status, body: await response.text() }
}

async function poll({ ack = [], setErrs = {}, maxEvents = 100, returnImmediately = false }) {
  for (const jti of [...ack, ...Object.keys(setErrs)]) waiting.delete(jti)
  if (waiting.size === 0 && !returnImmediately) await new Promise((resolve) => { wake = resolve; setTimeout(resolve, 2000) })
  const sets = [...waiting].slice(0, maxEvents)
  return { sets: Object.fromEntries(sets), moreAvailable: waiting.size > sets.length }
}

const verification = 'https://schemas.openid.net/secevent/ssf/event-type/verification'
const routes = {
  '/.well-known/ssf-configuration': () => ({ issuer, jwks_uri: `${issuer}/jwks`, configuration_endpoint: `${issuer}/streams`, verification_endpoint: `${issuer}/verify` }),
  '/jwks': () => jwks,
  '/streams': () => [
    { stream_id: 'polled', iss: issuer, aud: polled, delivery: { method: 'urn:ietf:rfc:8936', endpoint_url: `${issuer}/poll` } },
    { stream_id: 'pushed', iss: issuer, aud: [pushed], delivery: { method: 'urn:ietf:rfc:8935', endpoint_url: push } },
  ],
  '/verify': async ({ stream_id, state }) => {
    const to = stream_id === 'polled' ? polled : pushed
    setTimeout(() => emit({ to, event: verification, sub_id: { format: 'opaque', id: stream_id }, claims: { state } }).catch(console.error), 10)
  },
  '/poll': poll,
  '/emit': emit,
}
const server = http.createServer(async (request, response) => {
  const path = new URL(request.url, issuer).pathname
  const closed = !['/jwks', '/emit'].includes(path)
  if (closed && request.headers.authorization !== `Bearer ${token}`) return response.writeHead(401).end()
  if (!routes[path]) return response.writeHead(404).end()
  let body = ''
  for await (const chunk of request) body += chunk
  try {
    const answer = await routes[path](body ? JSON.parse(body) : {})
    if (answer === undefined) return response.writeHead(204).end()
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
  } catch (err) {
    response.writeHead(500).end(String(err))
  }
})
server.listen(0, '127.0.0.1', () => {
  issuer = `http://127.0.0.1:${server.address().port}`
  console.log(issuer)
})
process.stdin.resume().once('data', () => process.exit(0)).once('end', () => process.exit(0))
