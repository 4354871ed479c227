// node --import globsync.mjs: lets programs start that import globSync from fs, which Node 20 does not have, and do not call it.
import fs from 'node:fs'
import { register } from 'node:module'

const source = 'export * from "node:fs"; export { default } from "node:fs"; export const globSync = () => { throw new Error("not there") }'
const shim = `data:text/javascript,${encodeURIComponent(source)}`
const hooks = `export const resolve = (name, context, next) => name === 'fs' && !context.parentURL.startsWith('data:') && context.parentURL.includes('conformance')
  ? { url: ${JSON.stringify(shim)}, shortCircuit: true } : next(name, context)`
if (!fs.globSync) register(`data:text/javascript,${encodeURIComponent(hooks)}`)
