// An MCP server that knows nothing of tokens.
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { z } from 'zod'
import { serve } from './serve.mjs'

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

serve(newServer)
