// node demo.mjs SIDECAR: the real sidecar in front of an MCP server that knows nothing of tokens, with oidc-provider as the
// authorization server and the MCP SDK's client. It prints what happened; the exit code is 0 only if all of it was as expected.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { Session } from './client.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const dir = mkdtempSync(join(tmpdir(), 'bearerguard-mcp-'))
const log = join(dir, 'log')
const logFile = openSync(log, 'a')
const children = []

async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  return port
}

function start(program, args, stdout) {
  const child = spawn(program, args, { stdio: ['pipe', stdout, logFile] })
  children.push(child)
  return child
}

// startNode starts a script that prints its URL.
async function startNode(...args) {
  const child = start(process.execPath, args, 'pipe')
  for await (const line of createInterface({ input: child.stdout })) return line
  throw new Error(`${args[0]} has ended`)
}

const policy = (url, issuer, jwks) => ({
  apiVersion: 'bearerguard.dev/v1alpha1',
  kind: 'AuthPolicy',
  metadata: { name: 'weather', namespace: 'demo' },
  spec: {
    resource: { url, name: 'Weather', scopes: ['weather.read'] },
    issuers: [{ name: 'login', issuer, resourceAudience: true, keys: { jwks } }],
    rules: [
      { name: 'streams', match: [{ paths: ['/mcp'], methods: ['GET', 'DELETE'] }], allow: { authenticated: true } },
      { name: 'session', match: [{ paths: ['/mcp'], mcp: { methods: ['initialize', 'ping', 'notifications/*', '*/list'], responses: true } }], allow: { authenticated: true } },
      { name: 'read', match: [{ paths: ['/mcp'], mcp: { methods: ['tools/call'], names: ['get_*'] } }], allow: { scopes: ['weather.read'] } },
      { name: 'write', match: [{ paths: ['/mcp'], mcp: { methods: ['tools/call'], names: ['set_*'] } }], allow: { scopes: ['weather.read', 'weather.write'] } },
      { name: 'never', match: [{ paths: ['/mcp'], mcp: { methods: ['tools/call'], names: ['drop_*'] } }], deny: {} },
    ],
  },
})

let wrong = 0
function row(what, got, want) {
  const ok = got === want
  if (!ok) wrong++
  console.log(`  ${what.padEnd(44)}  ${got}${ok ? '' : `   <-- WRONG, expected ${want}`}`)
}

async function refusal(promise) {
  try {
    await promise
    return 'let in'
  } catch (err) {
    return `${err.code} ${JSON.parse(err.message.replace(/^[^{]*/, '')).reason}`
  }
}

async function raw(url, token, body, headers) {
  const response = await fetch(url, {
    method: 'POST', body,
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...(token && { authorization: `Bearer ${token}` }), ...headers },
  })
  const reason = response.ok ? '' : ` ${(await response.json()).reason ?? ''}`
  return `${response.status}${reason}`
}

async function play(url, issuer, origin) {
  const metadata = `${origin}/.well-known/oauth-protected-resource/mcp`
  const bare = await fetch(url, { method: 'POST' })
  row('a call without a token', `${bare.status} ${bare.headers.get('www-authenticate')}`, `401 Bearer resource_metadata="${metadata}"`)
  const document = await (await fetch(metadata)).json()
  row('whom the metadata name', document.authorization_servers?.join(), issuer)

  const session = new Session(url)
  const { user } = session
  await session.connect()
  row('the client', user.seen.splice(0).join(', '), `registered, asked for weather.read at ${url}`)
  row('its token has the scopes', user.token.scope, 'weather.read')
  const { tools } = await session.client.listTools()
  row('tools that it sees', tools.map((t) => t.name).join(' '), 'get_weather set_weather drop_all')
  row('get_weather', (await session.call('get_weather', { city: 'Rome' })).content[0].text, 'Rome: sunny')

  session.answers.length = 0
  row('set_weather', (await session.call('set_weather', { city: 'Rome', weather: 'rain' })).content[0].text, 'Rome: rain')
  row('  the first try', String(session.answers[0]), '403')
  row('  the client', user.seen.splice(0).join(', '), `asked for weather.read weather.write at ${url}`)
  row('get_weather, with the new token', (await session.call('get_weather', { city: 'Rome' })).content[0].text, 'Rome: rain')
  row('drop_all', await refusal(session.call('drop_all')), '403 DeniedByRule')
  row('streams that were opened', String(session.streams), '1')

  const call = (name) => `{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"${name}","arguments":{"city":"Rome"}}}`
  const token = user.token.access_token
  row('a batch', await raw(url, token, `[${call('get_weather')},${call('drop_all')}]`), '403 DeniedByRule')
  row('two names in one message', await raw(url, token, call('get_weather').replace('"name"', '"name":"drop_all","name"')), '403 DeniedByRule')
  row('a header of another tool', await raw(url, token, call('set_weather'), { 'mcp-method': 'tools/call', 'mcp-name': 'get_weather' }), '400 MCPMismatch')
  await session.close()
}

async function main(sidecar) {
  const [port, admin] = [await freePort(), await freePort()]
  const origin = `http://127.0.0.1:${port}`
  const url = `${origin}/mcp`
  const config = join(dir, 'provider.json')
  writeFileSync(config, JSON.stringify({
    resources: { [url]: { scopes: ['weather.read', 'weather.write'] } },
    provider: { features: { registration: { enabled: true } } },
  }))
  const issuer = await startNode(join(here, '../idp/provider.mjs'), config)
  const app = await startNode(join(here, 'server.mjs'))
  const jwks = JSON.stringify(await (await fetch(`${issuer}/jwks`)).json())
  const policies = join(dir, 'policies')
  mkdirSync(policies)
  writeFileSync(join(policies, 'policy.yaml'), JSON.stringify(policy(url, issuer, jwks)))
  const guard = start(sidecar, ['run', '--policies', policies, '--listen', `127.0.0.1:${port}`, '--upstream', app, '--admin', `127.0.0.1:${admin}`], 'ignore')
  for (let i = 0; ; i++) {
    const ready = await fetch(`http://127.0.0.1:${admin}/readyz`).then((r) => r.ok, () => false)
    if (ready) break
    if (i === 100 || guard.exitCode !== null) throw new Error('the sidecar does not get ready')
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  console.log(`
An MCP server behind Bearerguard.

  MCP client  --->  sidecar, checks tokens  --->  MCP server "weather", knows nothing of tokens
                    ${url}      ${app}
       \\--------->  authorization server
                    ${issuer}
`)
  await play(url, issuer, origin)
}

try {
  await main(process.argv[2])
  console.log(wrong ? `\n  ${wrong} were wrong.` : '\n  All were as expected.')
} catch (err) {
  console.error(err)
  wrong++
} finally {
  for (const child of children) {
    const ended = child.exitCode ?? child.signalCode ?? once(child, 'exit')
    child.stdin.end()
    child.kill()
    await ended
  }
  if (wrong) console.log(`\nThe log ends with:\n${readFileSync(log, 'utf8').split('\n').slice(-20).join('\n')}`)
  rmSync(dir, { recursive: true, force: true })
}
process.exit(wrong ? 1 : 0)
