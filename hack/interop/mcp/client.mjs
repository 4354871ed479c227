// What a user and an MCP client do together: the SDK's client, and a browser that logs in and consents to everything.
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'

const callback = 'http://127.0.0.1:1/callback' // nobody listens there: the browser stops before

// Browser follows redirects with its cookies until it is sent to the client's callback.
class Browser {
  cookies = new Map()

  async visit(url) {
    for (let i = 0; i < 20; i++) {
      const response = await fetch(url, { redirect: 'manual', headers: { cookie: [...this.cookies].map(([k, v]) => `${k}=${v}`).join('; ') } })
      for (const line of response.headers.getSetCookie()) {
        const [, name, value] = line.match(/^([^=]+)=([^;]*)/)
        value ? this.cookies.set(name, value) : this.cookies.delete(name)
      }
      const to = response.headers.get('location')
      if (!to) throw new Error(`${response.status} at ${url}: ${await response.text()}`)
      url = new URL(to, url)
      if (url.href.startsWith(callback)) {
        if (url.searchParams.get('error')) throw new Error(url.searchParams.get('error_description'))
        return url.searchParams.get('code')
      }
    }
    throw new Error('redirected without an end')
  }
}

// User is the SDK's OAuthClientProvider. seen has what it did.
class User {
  browser = new Browser()
  seen = []
  redirectUrl = callback
  clientMetadata = { client_name: 'demo', redirect_uris: [callback], application_type: 'native', token_endpoint_auth_method: 'none', grant_types: ['authorization_code'], response_types: ['code'] }

  clientInformation() { return this.client }
  saveClientInformation(client) {
    this.client = client
    this.seen.push('registered')
  }
  tokens() { return this.token }
  saveTokens(token) { this.token = token }
  codeVerifier() { return this.verifier }
  saveCodeVerifier(verifier) { this.verifier = verifier }
  async redirectToAuthorization(url) {
    this.seen.push(`asked for ${url.searchParams.get('scope')} at ${url.searchParams.get('resource')}`)
    this.code = await this.browser.visit(url)
  }
}

// Session is a client at an MCP server that a sidecar guards.
export class Session {
  user = new User()
  client = new Client({ name: 'demo', version: '1.0.0' })
  streams = 0
  answers = []

  constructor(url) {
    this.url = new URL(url)
    this.transport = this.newTransport()
  }

  newTransport() {
    return new StreamableHTTPClientTransport(this.url, { authProvider: this.user, fetch: (u, init) => this.fetch(u, init) })
  }

  async fetch(url, init) {
    const response = await fetch(url, init)
    if (new URL(url).href === this.url.href) this.answers.push(response.status)
    if (response.ok && init?.method === 'GET' && response.headers.get('content-type')?.startsWith('text/event-stream')) this.streams++
    return response
  }

  // connect goes through log-in, if it is asked for.
  async connect() {
    try {
      await this.client.connect(this.transport)
    } catch (err) {
      if (!(err instanceof UnauthorizedError)) throw err
      await this.transport.finishAuth(this.user.code)
      this.transport = this.newTransport()
      await this.client.connect(this.transport)
    }
  }

  // call calls a tool, and steps up if that is asked for.
  async call(name, args = {}) {
    const once = () => this.client.callTool({ name, arguments: args })
    try {
      return await once()
    } catch (err) {
      if (!(err instanceof UnauthorizedError)) throw err
      await this.transport.finishAuth(this.user.code)
      return once()
    }
  }

  async close() {
    await this.transport.terminateSession()
    await this.client.close()
  }
}
