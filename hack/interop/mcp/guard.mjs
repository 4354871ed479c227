// What demo.mjs and conformance.mjs have in common: processes, and the real sidecar among them.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export const here = dirname(fileURLToPath(import.meta.url))
export const dir = mkdtempSync(join(tmpdir(), 'bearerguard-mcp-'))
const log = join(dir, 'log')
const logFile = openSync(log, 'a')
const children = []

const given = new Set()

// freePort finds a port of loopback that nobody listens on, none twice. It lies below those that the kernel picks for others.
export async function freePort() {
  for (let i = 0; i < 100; i++) {
    const port = 20000 + Math.floor(Math.random() * 10000)
    if (given.has(port)) continue
    given.add(port)
    if (await isFree(port)) return port
  }
  throw new Error('no port is free')
}

async function isFree(port) {
  const server = net.createServer().listen(port, '127.0.0.1')
  try {
    await once(server, 'listening')
  } catch {
    return false
  }
  server.close()
  return true
}

function start(program, args, stdout) {
  const child = spawn(program, args, { stdio: ['pipe', stdout, logFile] })
  children.push(child)
  return child
}

// startNode starts a script that prints its URL.
export async function startNode(...args) {
  const child = start(process.execPath, args, 'pipe')
  for await (const line of createInterface({ input: child.stdout })) return line
  throw new Error(`${args[0]} has ended`)
}

// startProvider starts the authorization server, and returns its issuer and keys.
export async function startProvider(config) {
  const file = join(dir, 'provider.json')
  writeFileSync(file, JSON.stringify(config))
  const issuer = await startNode(join(here, '../idp/provider.mjs'), file)
  return { issuer, jwks: JSON.stringify(await (await fetch(`${issuer}/jwks`)).json()) }
}

// startSidecar starts the sidecar on a port with a policy in front of an app, and waits until it is ready.
export async function startSidecar(program, port, app, spec) {
  const policies = join(dir, 'policies')
  mkdirSync(policies)
  writeFileSync(join(policies, 'policy.yaml'), JSON.stringify({ apiVersion: 'bearerguard.dev/v1alpha1', kind: 'AuthPolicy', metadata: { name: 'tools', namespace: 'demo' }, spec }))
  const admin = await freePort()
  const guard = start(program, ['run', '--policies', policies, '--listen', `127.0.0.1:${port}`, '--upstream', app, '--admin', `127.0.0.1:${admin}`], 'ignore')
  for (let i = 0; ; i++) {
    if (await fetch(`http://127.0.0.1:${admin}/readyz`).then((r) => r.ok, () => false)) return
    if (i === 100 || guard.exitCode !== null) throw new Error('the sidecar does not get ready')
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

// run runs main, which returns how much was wrong, ends all processes, and exits.
export async function run(main) {
  let wrong = 1
  try {
    wrong = await main()
  } catch (err) {
    console.error(err)
  }
  for (const child of children) {
    const ended = child.exitCode ?? child.signalCode ?? once(child, 'exit')
    child.stdin.end()
    child.kill()
    await ended
  }
  if (wrong) console.log(`\nThe log ends with:\n${readFileSync(log, 'utf8').split('\n').slice(-20).join('\n')}`)
  rmSync(dir, { recursive: true, force: true })
  process.exit(wrong ? 1 : 0)
}
