// node conformance.mjs SIDECAR: scenarios of @modelcontextprotocol/conformance against an MCP server behind the real sidecar, with a
// policy that asks for a token. The runner has none and cannot be given one, so a small proxy before the sidecar adds it.
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import http from 'node:http'
import { join } from 'node:path'
import { freePort, here, run, startNode, startProvider, startSidecar } from './guard.mjs'

const scenarios = [
  'server-initialize', 'ping', 'logging-set-level', 'tools-list', 'tools-call-simple-text', 'tools-call-error', 'tools-call-with-logging',
  'tools-call-with-progress', 'tools-call-sampling', 'tools-call-elicitation', 'server-sse-multiple-streams', 'resources-list', 'resources-read-text',
  'prompts-list', 'prompts-get-simple', 'dns-rebinding-protection',
]

const mcp = (mcp) => [{ paths: ['/mcp'], mcp }]
const local = ['127.0.0.1', 'localhost']
const spec = (url, issuer, jwks) => ({
  resource: { url },
  issuers: [{ name: 'login', issuer, resourceAudience: true, keys: { jwks } }],
  rules: [
    { name: 'streams', match: [{ paths: ['/mcp'], methods: ['GET', 'DELETE'] }], allow: { authenticated: true } },
    { name: 'session', match: mcp({ methods: ['initialize', 'ping', 'notifications/*', '*/list', 'logging/*'], responses: true }), allow: { authenticated: true } },
    { name: 'use', match: mcp({ methods: ['tools/call', 'prompts/get'], names: ['test_*'] }), allow: { scopes: ['use'] } },
    { name: 'read', match: mcp({ methods: ['resources/*'], names: ['test://*'] }), allow: { scopes: ['use'] } },
    { name: 'other-hosts', match: [{ notHosts: local }], deny: {} },
    { name: 'other-pages', match: [{ headers: [{ name: 'Origin', exists: true, notPatterns: local.map((host) => `http://${host}:*`) }] }], deny: {} },
  ],
})

// addToken starts a proxy that adds a token to every request.
async function addToken(to, token) {
  const proxy = http.createServer((request, response) => {
    const headers = { ...request.headers, authorization: `Bearer ${token}` }
    const forward = http.request(to, { method: request.method, path: request.url, headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers)
      answer.pipe(response)
    })
    forward.on('error', () => response.destroy())
    response.on('close', () => forward.destroy())
    request.pipe(forward)
  }).listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  return `http://127.0.0.1:${proxy.address().port}/mcp`
}

async function getToken(issuer, resource) {
  const body = new URLSearchParams({ grant_type: 'client_credentials', client_id: 'runner', client_secret: 'a secret of the test', resource, scope: 'use' })
  const response = await fetch(`${issuer}/token`, { method: 'POST', body })
  return (await response.json()).access_token
}

// conformance runs one scenario.
function conformance(url, scenario) {
  const runner = join(here, 'node_modules/@modelcontextprotocol/conformance/dist/index.js')
  const args = ['--import', join(here, 'globsync.mjs'), runner, 'server', '--url', url, '--scenario', scenario]
  return new Promise((resolve) => execFile(process.execPath, args, { timeout: 60000 }, (err, out, problems) => resolve(err ? `${out}${problems}` : '')))
}

run(async () => {
  const port = await freePort()
  const origin = `http://127.0.0.1:${port}`
  const client = { client_id: 'runner', client_secret: 'a secret of the test', token_endpoint_auth_method: 'client_secret_post', grant_types: ['client_credentials'], response_types: [], redirect_uris: [], scope: 'use' }
  const { issuer, jwks } = await startProvider({ resources: { [`${origin}/mcp`]: { scopes: ['use'] } }, provider: { clients: [client] } })
  await startSidecar(process.argv[2], port, await startNode(join(here, 'everything.mjs')), spec(`${origin}/mcp`, issuer, jwks))
  const bare = await conformance(`${origin}/mcp`, 'ping')
  if (!bare) throw new Error('the runner gets in without a token')
  const url = await addToken(origin, await getToken(issuer, `${origin}/mcp`))
  let wrong = 0
  for (const scenario of scenarios) {
    const problem = await conformance(url, scenario)
    if (problem) wrong++
    console.log(`  ${scenario.padEnd(32)} ${problem ? `FAILS\n${problem}` : 'passes'}`)
  }
  return wrong
})
