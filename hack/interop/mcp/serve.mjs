// How both servers are served: sessions and streams over HTTP, on a free port of 127.0.0.1, whose URL is printed. The process ends
// with its standard input.
import { randomUUID } from 'node:crypto'
import http from 'node:http'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'

// serve gives each session a server of its own.
export function serve(newServer) {
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
}
