// A real OpenID provider for the end-to-end tests, over TLS, with client_credentials clients and JWT access tokens.
//
//   IDP_DIR      folder with tls.crt and tls.key (tls.sh makes them); holds keys.json, made when missing, and admin.sock
//   IDP_ADDRESS  host:port to listen on; default 127.0.0.1:8443
//   IDP_ISSUER   default https://$IDP_ADDRESS
//   IDP_CONFIG   clients and resources; default config.json beside this file
//
// admin.sock speaks HTTP and is reachable by whoever can reach the folder, never over a network:
//   POST /rotate[?keep]   new signing keys; with keep the old ones stay in the JWKS. The same happens when keys.mjs
//                         changes keys.json and the provider is restarted.
//   POST /stop            ends the provider
//   GET /                 prints the issuer
import { existsSync, readFileSync, rmSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import { join } from 'node:path'
import { readKeys, rotateKeys } from './keys.mjs'
import { newProvider } from './provider.mjs'

const dir = process.env.IDP_DIR
if (!dir) throw new Error('IDP_DIR is not set')
const address = process.env.IDP_ADDRESS ?? '127.0.0.1:8443'
const issuer = process.env.IDP_ISSUER ?? `https://${address}`
const config = JSON.parse(readFileSync(process.env.IDP_CONFIG ?? new URL('config.json', import.meta.url), 'utf8'))
const keysFile = join(dir, 'keys.json')
const socket = join(dir, 'admin.sock')

let handle
function serveWith(keys) {
  handle = newProvider(issuer, config, keys).callback()
}

// One line a request, so that a test can count who asks for keys and how often.
function logged(request, response) {
  response.on('finish', () => console.log(`${request.socket.remoteAddress} ${request.method} ${request.url} ${response.statusCode}`))
  handle(request, response)
}

function administer(request, response) {
  const { pathname, searchParams } = new URL(request.url, 'http://admin')
  const action = `${request.method} ${pathname}`
  if (action === 'POST /rotate') {
    const keys = rotateKeys(keysFile, searchParams.has('keep'))
    serveWith(keys)
    response.end(`${keys.keys.map((key) => key.kid).join('\n')}\n`)
  } else if (action === 'GET /') {
    response.end(`${issuer}\n`)
  } else if (action === 'POST /stop') {
    response.end('stopping\n', stop)
  } else {
    response.writeHead(404).end()
  }
}

function stop() {
  rmSync(socket, { force: true })
  process.exit(0)
}

serveWith(existsSync(keysFile) ? readKeys(keysFile) : rotateKeys(keysFile, false))
rmSync(socket, { force: true })
http.createServer(administer).listen(socket)
const colon = address.lastIndexOf(':')
https
  .createServer({ cert: readFileSync(join(dir, 'tls.crt')), key: readFileSync(join(dir, 'tls.key')) }, logged)
  .listen(Number(address.slice(colon + 1)), address.slice(0, colon), () => console.log(`${issuer} is up`))
process.on('SIGTERM', stop)
process.on('SIGINT', stop)
