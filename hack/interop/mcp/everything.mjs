// An MCP server with what the scenarios of @modelcontextprotocol/conformance call. It knows nothing of tokens.
import { setTimeout as sleep } from 'node:timers/promises'
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { z } from 'zod'
import { serve } from './serve.mjs'

const text = (text) => ({ content: [{ type: 'text', text }] })

function newServer() {
  const server = new McpServer({ name: 'everything', version: '1.0.0' }, { capabilities: { logging: {} } })
  const tool = (name, inputSchema, call) => server.registerTool(name, { description: name, inputSchema }, call)
  tool('test_simple_text', {}, () => text('This is a simple text response for testing.'))
  tool('test_error_handling', {}, () => ({ isError: true, ...text('This tool intentionally returns an error for testing') }))
  tool('test_tool_with_logging', {}, async (_, extra) => {
    for (const data of ['Tool execution started', 'Tool processing data', 'Tool execution completed']) {
      await extra.sendNotification({ method: 'notifications/message', params: { level: 'info', data } })
      await sleep(50)
    }
    return text('logged')
  })
  tool('test_tool_with_progress', {}, async (_, extra) => {
    for (const progress of [0, 50, 100]) {
      await extra.sendNotification({ method: 'notifications/progress', params: { progressToken: extra._meta.progressToken, progress, total: 100 } })
      await sleep(50)
    }
    return text('done')
  })
  tool('test_sampling', { prompt: z.string() }, async ({ prompt }, extra) => {
    const params = { messages: [{ role: 'user', content: { type: 'text', text: prompt } }], maxTokens: 100 }
    const answer = await extra.sendRequest({ method: 'sampling/createMessage', params }, z.any())
    return text(`LLM response: ${answer.content.text}`)
  })
  tool('test_elicitation', { message: z.string() }, async ({ message }, extra) => {
    const string = { type: 'string' }
    const params = { message, requestedSchema: { type: 'object', properties: { username: string, email: string }, required: ['username', 'email'] } }
    const answer = await extra.sendRequest({ method: 'elicitation/create', params }, z.any())
    return text(`User response: ${JSON.stringify(answer)}`)
  })
  server.registerResource('static', 'test://static-text', { description: 'a text', mimeType: 'text/plain' }, () => ({
    contents: [{ uri: 'test://static-text', mimeType: 'text/plain', text: 'This is the content of the static text resource.' }],
  }))
  server.registerPrompt('test_simple_prompt', { description: 'a prompt' }, () => ({
    messages: [{ role: 'user', content: { type: 'text', text: 'This is a simple prompt for testing.' } }],
  }))
  return server
}

serve(newServer)
