// An OAuth client with DPoP (oauth4webapi) for one test: node dpop.mjs ISSUER SECRET RESOURCE URL ALG. It gets a bound token
// and asks for URL twice with the flow of nonces, then does what a thief would. Each line of the output is a step and its result.
import * as oauth from 'oauth4webapi'

const [issuer, secret, resource, url, alg] = process.argv.slice(2)
const insecure = { [oauth.allowInsecureRequests]: true }
const client = { client_id: 'shop' }
const found = await oauth.discoveryRequest(new URL(issuer), { algorithm: 'oidc', ...insecure })
const as = await oauth.processDiscoveryResponse(new URL(issuer), found)
const DPoP = oauth.DPoP(client, await oauth.generateKeyPair(alg))

const params = new URLSearchParams({ resource, scope: 'orders.read' })
const grant = () => oauth.clientCredentialsGrantRequest(as, client, oauth.ClientSecretPost(secret), params, { DPoP, ...insecure })
let answer = await grant()
let granted = await oauth.processClientCredentialsResponse(as, client, answer).catch(async (err) => {
  if (!oauth.isDPoPNonceError(err)) throw err
  return oauth.processClientCredentialsResponse(as, client, await grant())
})
console.log('token', granted.token_type)

const ask = (handle = DPoP) =>
  oauth.protectedResourceRequest(granted.access_token, 'GET', new URL(url), undefined, undefined, { DPoP: handle, ...insecure })
const told = (err) => err.cause.map((c) => `${c.scheme} ${c.parameters.error ?? ''}`.trim()).join(', ')
try {
  console.log('first', (await ask()).status)
} catch (err) {
  console.log('first', err.status, told(err), oauth.isDPoPNonceError(err))
}
console.log('second', (await ask()).status)
console.log('third', (await ask()).status)

const thief = oauth.DPoP(client, await oauth.generateKeyPair(alg))
console.log('thief', await ask(thief).then((r) => r.status, (err) => `${err.status} ${told(err)}`))
const bearer = await fetch(url, { headers: { authorization: `Bearer ${granted.access_token}` } })
console.log('bearer', bearer.status, (await bearer.json()).reason)
