// Signing keys of the test provider: a private JWKS in a file, newest first, because the provider signs with the first that fits.
//
//   node keys.mjs FILE [--keep]   puts a new RS256 and a new ES256 key in front; without --keep the old ones are gone
import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const generators = {
  RS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
}

function newKey(alg) {
  const jwk = generators[alg]().privateKey.export({ format: 'jwk' })
  return { ...jwk, alg, use: 'sig', kid: `${alg.toLowerCase()}-${randomUUID()}` }
}

export function readKeys(file) {
  return JSON.parse(readFileSync(file, 'utf8'))
}

// rotateKeys writes a new set, whole or not at all, and returns it. With keep, the old keys stay published behind the new ones.
export function rotateKeys(file, keep) {
  const old = keep && existsSync(file) ? readKeys(file).keys : []
  const set = { keys: [...Object.keys(generators).map(newKey), ...old] }
  writeFileSync(`${file}.new`, JSON.stringify(set, null, 2), { mode: 0o600 })
  renameSync(`${file}.new`, file)
  return set
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [file, flag] = process.argv.slice(2)
  if (!file || (flag && flag !== '--keep')) {
    console.error('usage: node keys.mjs FILE [--keep]')
    process.exit(2)
  }
  for (const key of rotateKeys(file, flag === '--keep').keys) console.log(key.kid)
}
