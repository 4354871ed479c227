// An OpenID provider for one test: node provider.mjs CONFIG [CERT KEY [CLIENT-CA]]. CONFIG is a file with JSON:
//
//   resources  indicator -> {audience, scopes, format: "jwt" | "opaque", algorithm, lifetime}; RFC 8707
//   provider   the provider's own configuration, as its documentation has it, clients and features included
//   accounts   login -> claims of the ID token and of access tokens, for flows with a user
//
// A client with the grant type of token exchange (RFC 8693) gets a token of the user of its subject_token, an access token that is a
// JWT of this provider, for a resource; "act" says that the client acts, and who did before.
//
// It listens on a free port of 127.0.0.1 and prints its issuer once it answers. What a user would do in the pages of a
// log-in and a consent is done by whoever follows redirects: GET /interaction/ID?login=NAME[&acr=ACR] logs in and grants
// everything that is asked for. A client that registers may ask for any scope later, whatever it says then. A line on standard
// input ends it, and so does the end of the input.
import { readFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import Provider, { errors } from 'oidc-provider'

const [file, cert, key, clientCA] = process.argv.slice(2)
const { resources = {}, provider: own = {}, accounts = {} } = JSON.parse(readFileSync(file, 'utf8'))

const options = cert
  ? { cert: readFileSync(cert), key: readFileSync(key), requestCert: Boolean(clientCA), rejectUnauthorized: false, ca: clientCA && readFileSync(clientCA) }
  : {}
let handle
const server = (cert ? https : http).createServer(options, (request, response) => handle(request, response))
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
const issuer = `${cert ? 'https' : 'http'}://127.0.0.1:${server.address().port}`

function getResourceServerInfo(ctx, indicator) {
  const resource = resources[indicator]
  if (!resource) throw new errors.InvalidTarget()
  return {
    audience: resource.audience ?? indicator,
    scope: (resource.scopes ?? []).join(' '),
    accessTokenFormat: resource.format ?? 'jwt',
    accessTokenTTL: resource.lifetime ?? 600,
    jwt: { sign: { alg: resource.algorithm ?? 'RS256' } },
  }
}

const features = {
  clientCredentials: { enabled: true },
  devInteractions: { enabled: false },
  resourceIndicators: { enabled: true, getResourceServerInfo, useGrantedResource: () => true },
  ...own.features,
}
if (features.mTLS?.enabled) {
  features.mTLS.getCertificate ??= (ctx) => ctx.socket.getPeerX509Certificate?.()
  features.mTLS.certificateAuthorized ??= (ctx) => ctx.socket.authorized
  features.mTLS.certificateSubjectMatches ??= (ctx, property, expected) => {
    const { subject, subjectAltName = '' } = ctx.socket.getPeerX509Certificate()
    if (property === 'tls_client_auth_subject_dn') return subject === expected
    return property === 'tls_client_auth_san_dns' && subjectAltName.split(', ').includes(`DNS:${expected}`)
  }
}
if (features.dPoP?.enabled) features.dPoP.nonceSecret &&= Buffer.from(features.dPoP.nonceSecret, 'base64url')
if (features.introspection?.enabled) features.introspection.allowedPolicy ??= () => true

const provider = new Provider(issuer, {
  findAccount: (ctx, sub) => ({ accountId: sub, claims: () => ({ sub, ...accounts[sub] }) }),
  interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
  // Clients and resources of a test are on this machine, which the provider's own dispatcher would not connect to.
  fetch: (url, options) => globalThis.fetch(url, { ...options, dispatcher: undefined }),
  // how and when the user logged in (RFC 9470 section 6.1), or who acts for the user (RFC 8693 section 4.1)
  extraTokenClaims: (ctx) => {
    if (ctx.state.act) return { act: ctx.state.act }
    const { acr, authTime } = ctx.oidc.entities.AuthorizationCode ?? {}
    return authTime && { acr, auth_time: authTime }
  },
  scopes: [...new Set(['openid', 'offline_access', ...Object.values(resources).flatMap((r) => r.scopes ?? [])])],
  ...own,
  features,
})
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token'
async function exchange(ctx) {
  const { client, params } = ctx.oidc
  if (params.subject_token_type !== ACCESS_TOKEN) throw new errors.InvalidRequest('subject_token_type is not supported')
  const keys = createRemoteJWKSet(new URL(`${issuer}/jwks`))
  const { payload } = await jwtVerify(params.subject_token, keys, { issuer, typ: 'at+jwt' }).catch((err) => {
    throw new errors.InvalidRequest(`subject_token: ${err.message}`)
  })
  ctx.state.act = { sub: client.clientId, ...(payload.act && { act: payload.act }) }
  const token = new provider.AccessToken({ client, accountId: payload.sub, scope: params.scope })
  token.resourceServer = new provider.ResourceServer(params.resource, getResourceServerInfo(ctx, params.resource))
  ctx.oidc.entity('AccessToken', token)
  ctx.body = {
    access_token: await token.save(), issued_token_type: ACCESS_TOKEN, token_type: 'Bearer', expires_in: token.expiration, scope: token.scope,
  }
}
provider.registerGrantType('urn:ietf:params:oauth:grant-type:token-exchange', exchange, ['subject_token', 'subject_token_type', 'resource', 'scope'])
provider.on('server_error', (ctx, err) => console.error(err))

// interact does what a user would: it logs in, and consents to all that is asked for.
async function interact(request, response) {
  const url = new URL(request.url, issuer)
  const { uid, prompt, params, session, grantId } = await provider.interactionDetails(request, response)
  if (prompt.name === 'login') {
    const accountId = url.searchParams.get('login') ?? params.login_hint ?? 'alice'
    const acr = url.searchParams.get('acr') ?? params.acr_values?.split(' ')[0]
    return provider.interactionFinished(request, response, { login: { accountId, acr } }, { mergeWithLastSubmission: false })
  }
  const grant = (grantId && (await provider.Grant.find(grantId))) || new provider.Grant({ accountId: session.accountId, clientId: params.client_id })
  const { missingOIDCScope, missingOIDCClaims, missingResourceScopes } = prompt.details
  if (missingOIDCScope) grant.addOIDCScope(missingOIDCScope.join(' '))
  if (missingOIDCClaims) grant.addOIDCClaims(missingOIDCClaims)
  for (const [indicator, scopes] of Object.entries(missingResourceScopes ?? {})) grant.addResourceScope(indicator, scopes.join(' '))
  return provider.interactionFinished(request, response, { consent: { grantId: await grant.save() } }, { mergeWithLastSubmission: true })
}

// register reads what a client says of itself, without its scopes.
async function register(request) {
  let text = ''
  for await (const part of request) text += part
  const { scope, ...client } = JSON.parse(text)
  request.body = client
}

const callback = provider.callback()
handle = async (request, response) => {
  if (request.url === '/reg' && request.method === 'POST') await register(request).catch(() => {})
  if (!request.url.startsWith('/interaction/')) return callback(request, response)
  interact(request, response).catch((err) => response.writeHead(500).end(String(err)))
}
console.log(issuer)
process.stdin.resume().once('data', () => process.exit(0)).once('end', () => process.exit(0))
