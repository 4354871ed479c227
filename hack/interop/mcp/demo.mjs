// node demo.mjs SIDECAR: the real sidecar in front of an MCP server that knows nothing of tokens, with oidc-provider as the
// authorization server and the MCP SDK's client. It prints what happened; the exit code is 0 only if all of it was as expected.
import { join } from 'node:path'
import { Session } from './client.mjs'
import { freePort, here, run, startNode, startProvider, startSidecar } from './guard.mjs'

const spec = (url, issuer, jwks) => ({
  resource: { url, name: 'Weather', scopes: ['weather.read'] },
  issuers: [{ name: 'login', issuer, resourceAudience: true, keys: { jwks } }],
  rules: [
    { name: 'streams', match: [{ paths: ['/mcp'], methods: ['GET', 'DELETE'] }], allow: { authenticated: true } },
    { name: 'session', match: [{ paths: ['/mcp'], mcp: { methods: ['initialize', 'ping', 'notifications/*', '*/list'], responses: true } }], allow: { authenticated: true } },
    { name: 'read', match: [{ paths: ['/mcp'], mcp: { methods: ['tools/call'], names: ['get_*'] } }], allow: { scopes: ['weather.read'] } },
    { name: 'write', match: [{ paths: ['/mcp'], mcp: { methods: ['tools/call'], names: ['set_*'] } }], allow: { scopes: ['weather.read', 'weather.write'] } },
    { name: 'never', match: [{ paths: ['/mcp'], mcp: { methods: ['tools/call'], names: ['drop_*'] } }], deny: {} },
  ],
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

run(async () => {
  const port = await freePort()
  const origin = `http://127.0.0.1:${port}`
  const url = `${origin}/mcp`
  const { issuer, jwks } = await startProvider({
    resources: { [url]: { scopes: ['weather.read', 'weather.write'] } },
    provider: { features: { registration: { enabled: true } } },
  })
  const app = await startNode(join(here, 'server.mjs'))
  await startSidecar(process.argv[2], port, app, spec(url, issuer, jwks))
  console.log(`
An MCP server behind Bearerguard.

  MCP client  --->  sidecar, checks tokens  --->  MCP server "weather", knows nothing of tokens
                    ${url}      ${app}
       \\--------->  authorization server
                    ${issuer}
`)
  await play(url, issuer, origin)
  console.log(wrong ? `\n  ${wrong} were wrong.` : '\n  All were as expected.')
  return wrong
})
