// An MCP server that knows nothing of tokens: node server.mjs. It listens on a free port of 127.0.0.1 and prints its URL. Clients
// have sessions and streams. It ends with its standard input.
import { randomUUID } from 'node:crypto'
import http from 'node:http'
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import { z } from 'zod'

const cities = { Paris: 'cloudy', Rome: 'sunny' }
const text = (text) => ({ content: [{ type: 'text', text }] })

function newServer() {
  const server = new McpServer({ name: 'weather', version: '1.0.0' })
  server.registerTool('get_weather', { description: 'The weather of a city', inputSchema: { city: z.string() } }, ({ city }) => text(`${city}: ${cities[city] ?? 'unknown'}`))
  server.registerTool('set_weather', { description: 'Changes it', inputSchema: { city: z.string(), weather: z.string() } }, async ({ city, weather }, extra) => {
    await extra.sendNotification({ method: 'notifications/message', params: { level: 'info', data: `${city} changes` } })
    cities[city] = weather
    return text(`${city}: ${weather}`)
  })
  server.registerTool('drop_all', { description: 'Forgets everything', inputSchema: {} }, () => text('all forgotten'))
  server.server.registerCapabilities({ logging: {} })
  return server
}

const sessions = new Map()

async function handle(request, response) {
  let transport = sessions.get(request.headers['mcp-session-id'])
  if (!transport) {
    transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (id) => sessions.set(id, transport),
      onsessionclosed: (id) => sessions.delete(id),
    })
    await newServer().connect(transport)
  }
  await transport.handleRequest(request, response)
}

const server = http.createServer((request, response) => {
  handle(request, response).catch((err) => {
    console.error(err)
    response.destroy()
  })
})
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`))
process.stdin.resume().once('end', () => process.exit(0))
