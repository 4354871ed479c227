// Proofs of DPoP for one test, good and bad, made with jose: node proofs.mjs URL. The output is one JSON object: the issuer's key set, and each case with the header fields
// to send and what oauth4webapi, as a resource server, says of them ("" if it takes them).
import * as jose from 'jose'
import * as oauth from 'oauth4webapi'

const url = process.argv[2]
const issuer = 'https://login.example.com'
const now = Math.floor(Date.now() / 1000)
const b64 = (v) => jose.base64url.encode(typeof v === 'string' ? v : JSON.stringify(v))
const pair = (alg) => jose.generateKeyPair(alg, { extractable: true })

const signer = await pair('RS256')
const jwks = { keys: [{ ...(await jose.exportJWK(signer.publicKey)), kid: 'k1', alg: 'RS256' }] }
const token = async (cnf) =>
  new jose.SignJWT({ client_id: 'shop', ...(cnf && { cnf }) }).setProtectedHeader({ alg: 'RS256', kid: 'k1', typ: 'at+jwt' })
    .setIssuer(issuer).setAudience('orders').setSubject('alice').setJti(crypto.randomUUID()).setIssuedAt().setExpirationTime('5m').sign(signer.privateKey)
const hash = async (text) => jose.base64url.encode(new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text))))

const client = await pair('ES256')
const [jwk, secret] = [await jose.exportJWK(client.publicKey), await jose.exportJWK(client.privateKey)]
const bound = await token({ jkt: await jose.calculateJwkThumbprint(jwk) })
const plain = await token()
const other = await pair('ES256')

// made signs a proof; what is undefined is left out.
const made = async (claims = {}, header = {}, key = client.privateKey, access = bound) => {
  const head = { typ: 'dpop+jwt', alg: 'ES256', jwk, ...header }
  const body = { htm: 'GET', htu: url, jti: crypto.randomUUID(), iat: now, ath: await hash(access), ...claims }
  const input = `${b64(head)}.${b64(body)}`
  const alg = { ECDSA: { name: 'ECDSA', hash: 'SHA-256' }, 'RSA-PSS': { name: 'RSA-PSS', saltLength: 32 } }[key.algorithm.name] ?? key.algorithm.name
  const signature = await crypto.subtle.sign(alg, key, new TextEncoder().encode(input))
  return `${input}.${jose.base64url.encode(new Uint8Array(signature))}`
}

const cases = []
const add = (name, dpop, authorization = `DPoP ${bound}`, method = 'GET') => cases.push({ name, method, authorization, dpop: [dpop].flat().filter((d) => d !== undefined) })
add('a good proof', await made())
for (const alg of ['RS256', 'PS256', 'Ed25519']) {
  const keys = await pair(alg)
  const own = await jose.exportJWK(keys.publicKey)
  const access = await token({ jkt: await jose.calculateJwkThumbprint(own) })
  add(`a good proof by ${alg}`, await made({}, { alg, jwk: own }, keys.privateKey, access), `DPoP ${access}`)
}
for (const [name, value] of Object.entries({ JWT: 'JWT', 'of a security event': 'secevent+jwt', 'that is missing': undefined, 'that is a number': 1 })) add(`typ ${name}`, await made({}, { typ: value }))
for (const alg of [1, true, 'none', 'HS256', 'unsupported', 'ES384', 'RS256', undefined]) {
  add(`alg ${alg}, signed all the same`, await made({}, { alg }))
  add(`alg ${alg}, not signed`, `${b64({ typ: 'dpop+jwt', jwk, alg })}.e30.`)
}
for (const value of [undefined, '', 1, true, null, 'foo', [], {}]) add(`jwk ${JSON.stringify(value)}`, await made({}, { jwk: value }))
add('jwk in a list', await made({}, { jwk: [jwk] }))
add('jwk with the private key', await made({}, { jwk: secret }))
add('jwk with a secret', await made({}, { jwk: { kty: 'oct', k: b64('0123456789abcdef0123456789abcdef') } }))
add('jwk with a point off the curve', await made({}, { jwk: { ...jwk, x: jwk.y } }))
add('jwk of another curve', await made({}, { jwk: { ...jwk, crv: 'P-384' } }))
add('the jwk of another key', await made({}, { jwk: await jose.exportJWK(other.publicKey) }))
add('another key with its own jwk', await made({}, { jwk: await jose.exportJWK(other.publicKey) }, other.privateKey))
add('another key with the jwk of the token', await made({}, {}, other.privateKey))
for (const claim of ['jti', 'htm', 'htu', 'iat', 'ath']) {
  add(`no ${claim}`, await made({ [claim]: undefined }))
  add(`${claim} null`, await made({ [claim]: null }))
  add(`${claim} as a list`, await made({ [claim]: ['x'] }))
}
add('jti as a number', await made({ jti: 7 }))
add('htm of another method', await made({ htm: 'POST' }))
add('htm in lower case', await made({ htm: 'get' }))
add('htu that is no URL', await made({ htu: 'foo' }))
add('htu of another path', await made({ htu: url + '/x' }))
add('htu of another host', await made({ htu: url.replace('api.', 'evil.') }))
add('htu with another port', await made({ htu: url.replace('.com', '.com:8443') }))
add('htu with query and fragment', await made({ htu: url + '?a#b' }))
add('htu in another case', await made({ htu: url.replace('https://api', 'HTTPS://API') }))
add('iat of ten minutes ago', await made({ iat: now - 601 }))
add('iat in ten minutes', await made({ iat: now + 601 }))
add('iat as text', await made({ iat: String(now) }))
add('exp that has passed', await made({ exp: now - 600 }))
add('exp as text', await made({ exp: 'soon' }))
add('nbf in the future', await made({ nbf: now + 600 }))
add('ath of another token', await made({ ath: await hash('other') }))
add('nonce null', await made({ nonce: null }))
add('nonce as a number', await made({ nonce: 1 }))
add('crit that nobody knows', await made({}, { crit: ['x'], x: 1 }))
add('crit without its member', await made({}, { crit: ['exp'] }))
add('b64 false', await made({}, { crit: ['b64'], b64: false }))
const good = await made()
add('a signature that is changed', good.slice(0, -6) + 'AAAAAA')
add('no signature', good.slice(0, good.lastIndexOf('.') + 1))
add('two parts', good.split('.').slice(0, 2).join('.'))
add('four parts', good + '.x')
add('five parts', good + '.x.y')
add('no text', '')
add('a header that is no JSON', `${b64('{')}.${good.split('.').slice(1).join('.')}`)
add('claims that are a list', `${good.split('.')[0]}.${b64('[]')}.${good.split('.')[2]}`)
add('a JWS in JSON', JSON.stringify(await new jose.FlattenedSign(new TextEncoder().encode('{}')).setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk }).sign(client.privateKey)))
add('the access token in place of a proof', bound)
add('two proofs', [await made(), await made()])
add('no proof', undefined)
add('the scheme Bearer, with a proof', await made(), `Bearer ${bound}`)
add('the scheme Bearer, without one', undefined, `Bearer ${bound}`)
add('a token that is not bound, with a proof', await made({}, {}, client.privateKey, plain), `DPoP ${plain}`)

const as = { issuer, jwks_uri: issuer + '/jwks' }
const options = { [oauth.customFetch]: async () => Response.json(jwks) }
for (const c of cases) {
  const headers = new Headers({ authorization: c.authorization })
  for (const d of c.dpop) headers.append('dpop', d)
  c.says = await oauth.validateJwtAccessToken(as, new Request(url, { method: c.method, headers }), 'orders', options).then(() => '', (err) => err.message || String(err))
}
console.log(JSON.stringify({ jwks, cases }))
